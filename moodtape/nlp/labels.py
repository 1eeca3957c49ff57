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

OWN_FILES = ("own_crypto.parquet", "own_crypto_hard.parquet")
TWEETS_FILE = "twitter_financial.parquet"
TAUGHT_FILE = "taught.parquet"
"""Texts without a label; a larger model's probabilities stand for one (`teacher.py`)."""


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


def read_examples(folder: Path, split: str, without: Sequence[str] = ()) -> Examples:
    """Return the rows of one split ("train" or "dev") of all label sets.

    A text on which the two readings differed is a soft target: the decision has two
    thirds, the overruled reading one third. Taught rows belong to "train" and may be
    absent.

    Args:
        without: sources ("news", "reddit", "x") whose crypto texts are left out.
    """
    import numpy as np
    import pandas as pd

    own, hard = (_read(folder / name, split, without) for name in OWN_FILES)
    tweets = _read(folder / TWEETS_FILE, split)
    taught = _read_taught(folder, split, without)
    read = pd.concat([own, hard])
    no_kind = np.zeros((len(tweets), len(KINDS)), dtype=np.float64)
    sentiment = [
        _soft(read, "label", LABELS),
        _hard(tweets["label"], LABELS),
        _shares(taught, LABELS),
    ]
    parts = {"own": own, "hard": hard, "tweets": tweets, "taught": taught}
    return Examples(
        texts=[*read["text"], *tweets["text"], *taught["text"]],
        sentiment=np.concatenate(sentiment),
        kind=np.concatenate([_soft(read, "kind", KINDS), no_kind, _shares(taught, KINDS)]),
        part=np.repeat(list(parts), [len(table) for table in parts.values()]),
        newest=pd.concat([read["published_at"], taught["published_at"]]).max().to_pydatetime(),
    )


def _read(path: Path, split: str, without: Sequence[str] = ()) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise DataMissing(f"{path} is not there. Give the folder of label tables: --labels labels")
    table = pd.read_parquet(path)
    kept = table["split"] == split
    if without:
        kept &= ~table["source"].isin(without)
    return table[kept].reset_index(drop=True)


def _read_taught(folder: Path, split: str, without: Sequence[str]) -> pd.DataFrame:
    """Return what a teacher said of texts without a label; none for "dev"."""
    import pandas as pd

    path = folder / TAUGHT_FILE
    if split == "train" and path.is_file():
        table = pd.read_parquet(path)
        return table[~table["source"].isin(without)].reset_index(drop=True)
    empty = pd.DataFrame({name: [] for name in ("text", *LABELS, *KINDS)})
    return empty.assign(published_at=pd.to_datetime([], utc=True))


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
