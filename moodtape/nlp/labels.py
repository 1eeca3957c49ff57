"""The labelled texts the bundled model learns from, as soft targets.

`labels/` at the repository's root holds the tables; its README is their data card.
"""

from __future__ import annotations

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

OWN_FILE = "own_crypto.parquet"
TWEETS_FILE = "twitter_financial.parquet"


@dataclass(frozen=True)
class Examples:
    """Texts with their targets; row i of every array belongs to text i.

    Attributes:
        texts: n texts as published.
        sentiment: (n, 3) shares of the readings for each label, rows sum to 1.
        kind: (n, 5) the same for kinds; all zero where nobody read the kind.
        own: (n,) true for our own labels.
        newest: publication time of the youngest text that has one.
    """

    texts: list[str]
    sentiment: NDArray[np.float64]
    kind: NDArray[np.float64]
    own: NDArray[np.bool_]
    newest: datetime

    def __len__(self) -> int:
        return len(self.texts)

    def class_weights(self, power: float, own_repeat: int) -> NDArray[np.float64]:
        """Return one weight for each sentiment, frequency^-power, mean 1 over the rows."""
        import numpy as np

        repeats = np.where(self.own, own_repeat, 1)[:, None]
        shares = (self.sentiment * repeats).sum(axis=0) / repeats.sum()
        raw = shares**-power
        weights: NDArray[np.float64] = raw / (raw * shares).sum()
        return weights


def read_examples(folder: Path, split: str) -> Examples:
    """Return the rows of one split ("train" or "dev") of both label sets.

    A text on which the two readings differed is a soft target: the decision
    has two thirds, the overruled reading one third.
    """
    import numpy as np
    import pandas as pd

    own = _read(folder / OWN_FILE, split)
    tweets = _read(folder / TWEETS_FILE, split)
    sentiment = np.concatenate([_soft(own, "label", LABELS), _hard(tweets["label"], LABELS)])
    no_kind = np.zeros((len(tweets), len(KINDS)), dtype=np.float64)
    newest = pd.Timestamp(own["published_at"].max()).to_pydatetime()
    return Examples(
        texts=[*own["text"], *tweets["text"]],
        sentiment=sentiment,
        kind=np.concatenate([_soft(own, "kind", KINDS), no_kind]),
        own=np.arange(len(own) + len(tweets)) < len(own),
        newest=newest,
    )


def _read(path: Path, split: str) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise DataMissing(f"{path} is not there. Give the folder of label tables: --labels labels")
    table = pd.read_parquet(path)
    return table[table["split"] == split].reset_index(drop=True)


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
