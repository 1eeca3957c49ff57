"""How good a scorer is on labelled texts: accuracy, calibration, rank agreement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.errors import UnreadableFile, UsageError
from moodtape.nlp.base import LABELS, Scorer

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Classes = NDArray[np.int64]

CALIBRATION_BINS = 15


def read_labelled(path: Path) -> pd.DataFrame:
    """Return a table of labelled texts from a Parquet, CSV or JSONL file.

    Raises:
        UnreadableFile: the file is absent, damaged or of another form.
    """
    import pandas as pd

    readers: dict[str, Callable[..., pd.DataFrame]] = {
        ".parquet": pd.read_parquet,
        ".csv": pd.read_csv,
        ".jsonl": lambda file: pd.read_json(file, lines=True),
    }
    reader = readers.get(path.suffix)
    if reader is None:
        raise UnreadableFile(f"{path} is none of: {', '.join(readers)}.")
    try:
        return reader(path)
    except (OSError, ValueError) as exc:
        raise UnreadableFile(f"{path} cannot be read: {exc}.") from exc


def evaluate(scorer: Scorer, table: pd.DataFrame) -> dict[str, Any]:
    """Return how well a scorer agrees with a labelled table; missing parts are None.

    Args:
        scorer: any scorer.
        table: column `text`, and `label` (negative, neutral, positive) and/or
            `score` (a number that rises with the tone). Empty cells are left out.

    Returns:
        n, accuracy, macro_f1, spearman, expected_calibration_error, and
        confusion as {true label: {predicted label: rows}}.

    Raises:
        UsageError: no usable column, an unknown label, or no row.
    """
    if "text" not in table.columns or not {"label", "score"} & set(table.columns):
        found = ", ".join(map(str, table.columns))
        raise UsageError(f"A labelled file needs text, and label and/or score; it has: {found}.")
    if len(table) == 0:
        raise UsageError("The labelled file has no rows.")
    return compare(scorer.score([str(text) for text in table["text"]]), table)


def compare(probabilities: Floats, table: pd.DataFrame) -> dict[str, Any]:
    """Return what `evaluate` does for scores that are there already, (n, 3)."""
    import numpy as np

    result: dict[str, Any] = {
        "n": len(table), "accuracy": None, "macro_f1": None, "spearman": None,
        "expected_calibration_error": None, "confusion": None,
    }  # fmt: skip
    if "label" in table.columns and table["label"].notna().any():
        rows = np.flatnonzero(table["label"].notna().to_numpy())
        truth = label_classes(table["label"].iloc[rows])
        counts = confusion(truth, probabilities[rows].argmax(axis=1))
        result["accuracy"] = float(np.trace(counts) / counts.sum())
        result["macro_f1"] = macro_f1(counts)
        result["expected_calibration_error"] = calibration_error(probabilities[rows], truth)
        result["confusion"] = {
            true: dict(zip(LABELS, map(int, counts[i]), strict=True))
            for i, true in enumerate(LABELS)
        }
    if "score" in table.columns and table["score"].notna().any():
        rows = np.flatnonzero(table["score"].notna().to_numpy())
        tone = probabilities[rows, 2] - probabilities[rows, 0]
        result["spearman"] = spearman(tone, table["score"].iloc[rows].to_numpy(dtype=float))
    return result


def label_classes(labels: Any) -> Classes:
    """Return the place of each label in `LABELS`; an unknown one raises."""
    import numpy as np

    names = [str(label).strip().lower() for label in labels]
    unknown = sorted(set(names) - set(LABELS))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not a label. Expected one of: {', '.join(LABELS)}.")
    return np.array([LABELS.index(name) for name in names], dtype=np.int64)


def confusion(truth: Classes, predicted: Classes, classes: int = len(LABELS)) -> Classes:
    """Return counts of (true, predicted), (n,), (n,) -> (classes, classes)."""
    import numpy as np

    counts: Classes = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def macro_f1(counts: Classes) -> float:
    """Return the mean F1 over the classes that occur, as truth or as answer."""
    import numpy as np

    both = counts.sum(axis=0) + counts.sum(axis=1)
    return float(np.mean(2 * np.diag(counts)[both > 0] / both[both > 0]))


def calibration_bins(
    probabilities: Floats, truth: Classes, bins: int = CALIBRATION_BINS
) -> list[tuple[int, float, float]]:
    """Return (rows, mean confidence, accuracy) of each non-empty bin of top probability."""
    import numpy as np

    top = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((top * bins).astype(np.int64), bins - 1)
    return [
        (int((place == b).sum()), float(top[place == b].mean()), float(right[place == b].mean()))
        for b in range(bins)
        if (place == b).any()
    ]


def calibration_error(probabilities: Floats, truth: Classes, bins: int = CALIBRATION_BINS) -> float:
    """Return the mean distance of confidence and accuracy over equal bins of confidence.

    Source: Naeini, Cooper & Hauskrecht (2015), top label, bins of equal width.
    """
    parts = calibration_bins(probabilities, truth, bins)
    return sum(n * abs(confidence - accuracy) for n, confidence, accuracy in parts) / len(truth)


def spearman(first: Floats, second: Floats) -> float | None:
    """Return the rank correlation, ties averaged; None when one side is constant."""
    import numpy as np
    from scipy.stats import rankdata

    a, b = rankdata(first), rankdata(second)
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
