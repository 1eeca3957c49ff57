"""Which texts the bundled scorer learned from, by a short hash of each: `data/learnt.bin`.

    python -m moodtape.nlp.learnt --labels labels

makes the file again from the label tables, those of its teacher included. It holds no text: the
first eight bytes of a hash each, in order. A text is known by the letters and digits with which
it begins, so that its scored string and its line in a table are the same.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moodtape.markup import unescape
from moodtape.nlp.registry import BUNDLED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]

TABLES = ("own_crypto", "own_crypto_hard", "taught", "twitter_financial")
FILE = "learnt.bin"
BEGINNING = 100
"""Letters and digits that a text is known by; a table may have cut the rest."""

ON_DISK = np.dtype(">u8")
UNTAUGHT = "lexicon"


def text_key(text: str) -> int:
    """Return a number that stands for a text, whatever its case, blanks and punctuation.

    A character that is written as an HTML entity is that character.

    >>> text_key("BTC hits 100K!") == text_key("btc | hits &quot;100k&quot;")
    True
    """
    letters = "".join(c for c in unescape(text).lower() if c.isalnum())[:BEGINNING] or text
    return int.from_bytes(hashlib.sha256(letters.encode()).digest()[:8], "big")


def keys_of(texts: Iterable[str]) -> Keys:
    """Return the keys of some texts, each once, in order."""
    return np.unique(np.fromiter((text_key(text) for text in texts), dtype=np.uint64))


def learnt_keys(scorer: str) -> Keys | None:
    """Return the keys of the texts that a scorer learned from, in order; None if nobody knows.

    Args:
        scorer: its id, `name@revision`.
    """
    name = scorer.partition("@")[0]
    if name == UNTAUGHT:
        return np.zeros(0, dtype=np.uint64)
    if name != BUNDLED:
        return None
    data = files("moodtape.nlp").joinpath("data", FILE).read_bytes()
    return np.frombuffer(data, dtype=ON_DISK).astype(np.uint64)


def are_learnt(texts: Sequence[str], keys: Keys) -> NDArray[np.bool_]:
    """Say of each text whether it is among the keys. (n,)"""
    own = np.fromiter((text_key(text) for text in texts), dtype=np.uint64, count=len(texts))
    return np.isin(own, keys)


def keys_of_tables(folder: Path) -> Keys:
    """Return the keys of every text of the label tables."""
    import pyarrow.parquet as pq

    texts = (
        text
        for table in TABLES
        for text in pq.read_table(folder / f"{table}.parquet", columns=["text"])["text"].to_pylist()
    )
    return keys_of(texts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file from the label tables."""
    parser = argparse.ArgumentParser(prog="python -m moodtape.nlp.learnt", description=__doc__)
    parser.add_argument("--labels", type=Path, default=Path("labels"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / FILE)
    asked = parser.parse_args(arguments)
    keys = keys_of_tables(asked.labels)
    asked.out.write_bytes(keys.astype(ON_DISK).tobytes())
    sys.stdout.write(f"{len(keys):,} texts, {asked.out}\n")


if __name__ == "__main__":
    main()
