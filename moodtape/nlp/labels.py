"""The labelled texts the bundled model learns from, as soft targets.

`labels/` at the repository's root holds the tables; its README is their data card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.errors import DataMissing
from moodtape.nlp.base import KINDS, LABELS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

FILES = {
    "own": "own_crypto.parquet",
    "hard": "own_crypto_hard.parquet",
    "tweets": "twitter_financial.parquet",
    "taught": "taught.parquet",
}
PARTS = tuple(FILES)
"""Our own labels, the harder ones, those of finance tweets, and texts without a label, for
which a larger model's probabilities stand (`teacher.py`)."""


@dataclass(frozen=True)
class Examples:
    """Texts with their targets; row i of every array belongs to text i.

    Attributes:
        texts: n texts as published.
        sentiment: (n, 3) shares of the readings for each label, rows sum to 1.
        kind: (n, 5) the same for kinds; all zero where nobody read the kind.
        part: (n,) "own", "hard", "tweets" or "taught".
        newest: publication time of the youngest text that has one.
    """

    texts: list[str]
    sentiment: NDArray[np.float64]
    kind: NDArray[np.float64]
    part: NDArray[np.str_]
    newest: datetime

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def own(self) -> NDArray[np.bool_]:
        """(n,) true for our own labels, the easier and the harder ones."""
        ours: NDArray[np.bool_] = (self.part == "own") | (self.part == "hard")
        return ours

    def class_weights(self, power: float, own_repeat: int) -> NDArray[np.float64]:
        """Return a weight for each row and sentiment, (n, 3): frequency^-power, mean 1.

        What a teacher said has weight 1 everywhere: its shares lean that way already.
        """
        import numpy as np

        labelled = self.part != "taught"
        repeats = np.where(self.own, own_repeat, 1)[labelled, None]
        shares = (self.sentiment[labelled] * repeats).sum(axis=0) / repeats.sum()
        raw = shares**-power
        weights: NDArray[np.float64] = np.ones_like(self.sentiment)
        weights[labelled] = raw / (raw * shares).sum()
        return weights


def read_examples(
    folder: Path, split: str, parts: Sequence[str] = PARTS, without: Sequence[str] = ()
) -> Examples:
    """Return the rows of one split ("train" or "dev") of some label sets.

    A text on which the two readings differed is a soft target: the decision has two
    thirds, the overruled reading one third.

    Args:
        parts: of `PARTS`.
        without: sources ("news", "reddit", "x") whose crypto texts are left out.
    Raises:
        DataMissing: a table is not there.
    """
    import numpy as np
    import pandas as pd

    tables = {part: _read(folder / FILES[part], split, without) for part in parts}
    targets = [_targets(part, table) for part, table in tables.items()]
    dated = [table["published_at"] for table in tables.values() if "published_at" in table]
    return Examples(
        texts=[text for table in tables.values() for text in table["text"]],
        sentiment=np.concatenate([sentiment for sentiment, _ in targets]),
        kind=np.concatenate([kind for _, kind in targets]),
        part=np.repeat(list(tables), [len(table) for table in tables.values()]),
        newest=pd.concat(dated).max().to_pydatetime(),
    )


def _read(path: Path, split: str, without: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise DataMissing(f"{path} is not there. Give the folder of label tables: --labels labels")
    table = pd.read_parquet(path)
    kept = table["split"] == split
    if without:
        kept &= ~table["source"].isin(without)
    return table[kept].reset_index(drop=True)


def _targets(part: str, table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of sentiment (n, 3) and kind (n, 5) of one table."""
    import numpy as np

    if part == "tweets":
        return _hard(table["label"], LABELS), np.zeros((len(table), len(KINDS)), dtype=np.float64)
    if part == "taught":
        return _shares(table, LABELS), _shares(table, KINDS)
    return _soft(table, "label", LABELS), _soft(table, "kind", KINDS)


def _shares(taught: pd.DataFrame, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return a teacher's probabilities, (n, k), rows sum to 1."""
    told = taught[list(names)].to_numpy(dtype="float64")
    shares: NDArray[np.float64] = told / told.sum(axis=1, keepdims=True)
    return shares


def _hard(values: Any, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return one 1 in each row, at the place of its value, (n,) -> (n, k)."""
    import numpy as np

    places = np.array([names.index(value) for value in values], dtype=np.int64)
    return np.eye(len(names), dtype=np.float64)[places]


def _soft(table: pd.DataFrame, column: str, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the mean of the two readings and the decision, (n,) -> (n, k)."""
    readings = [table[column], table[f"first_{column}"], table[f"second_{column}"]]
    first, second, third = (_hard(values, names) for values in readings)
    shares: NDArray[np.float64] = (first + second + third) / 3
    return shares


def batches(
    lengths: NDArray[np.int64],
    order: NDArray[np.int64],
    size: int,
    rng: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """Return the rows of `order` in batches of similar length, the batches in random order.

    Sorting inside windows of 50 batches spares most padding and still mixes the rows.
    """
    import numpy as np

    window = size * 50
    chunks: list[NDArray[np.int64]] = []
    for start in range(0, len(order), window):
        rows = order[start : start + window]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        chunks += [rows[first : first + size] for first in range(0, len(rows), size)]
    return [chunks[i] for i in rng.permutation(len(chunks))]
