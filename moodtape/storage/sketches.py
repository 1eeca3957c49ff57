"""MinHash sketches: how alike two texts' words are, told from a few hundred bits of each.

A sketch is a function of the text alone, equal on every machine, and stays when the text is
forgotten: it holds one bit of each permutation's smallest hash, from which no word can be read.

1. shingles   single words and pairs of neighbours, as 32-bit hashes
2. MinHash    datasketch's permutations, over many texts at once
3. bands      keys that two near texts are likely to share, and only if their facts are the same
4. sketch     equal bits tell the similarity

Sources: Broder (1997), On the resemblance and containment of documents; Li and Koenig (2010),
b-Bit minwise hashing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from moodtape.errors import MoodtapeError
from moodtape.storage.story_words import RULE, story_words, word_list

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PERMUTATIONS = 256
SEED = 1
BANDS = 21
BAND_ROWS = 3
"""Texts of similarity 0.55 share one of 21 keys of 3 hashes in 98 of 100 cases."""

MIN_WORDS = 6
"""Fewer different words say too little: such texts are near only if their words are equal."""

DRAWN = "09072e054d315a8472068a356bd99eb069b8f9835aee5fe2b7634f0717c84288"
"""Hash of the permutations. They take datasketch and SciPy a second to import, which a command
that has no new text to sketch is spared."""

BLOCK_SHINGLES = 2_048
"""Shingles hashed at once: 2 MB, so that the processor's cache holds them."""


@lru_cache(maxsize=1)
def permutations() -> NDArray[np.uint32]:
    """Return factors and summands of the permutations, shape (2, PERMUTATIONS)."""
    import numpy as np
    from datasketch import MinHash

    made = MinHash(num_perm=PERMUTATIONS, seed=SEED, scheme="affine32").permutations
    found = np.asarray(made, dtype=np.uint32)
    if hashlib.sha256(found.astype("<u4").tobytes()).hexdigest() != DRAWN:
        raise MoodtapeError(
            "This version of datasketch draws other permutations, so new texts could not be"
            " compared with stored ones. Install the version that Moodtape's constraints name."
        )
    return found


@lru_cache(maxsize=1)
def sketch_version() -> str:
    """Return a name for everything that a sketch follows from, besides the text."""
    sizes = f"{RULE} {PERMUTATIONS} {BANDS} {BAND_ROWS} {MIN_WORDS}".encode()
    every = sizes + DRAWN.encode() + word_list()
    return f"{RULE}-{hashlib.sha256(every).hexdigest()[:8]}"


def sketch_texts(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return `sketch_version`, `sketch` and `bands` of each text; None for short ones.

    sketch: (4,) whole numbers of 64 bits. bands: (21,) whole numbers of 32 bits.
    """
    told = [story_words(text) for text in texts]
    long = [i for i, (words, _) in enumerate(told) if len(set(words)) >= MIN_WORDS]
    version = sketch_version()
    rows: list[dict[str, Any]] = [
        {"sketch_version": version, "sketch": None, "bands": None} for _ in texts
    ]
    if not long:
        return rows
    smallest = smallest_hashes([told[i][0] for i in long])
    bits, keys = _bits(smallest), _band_keys(smallest, [told[i][1] for i in long])
    for i, sketch, bands in zip(long, bits, keys, strict=True):
        rows[i] |= {"sketch": sketch, "bands": bands}
    return rows


def smallest_hashes(texts: Sequence[Sequence[str]]) -> NDArray[np.uint32]:
    """Return the MinHash of each text's words and pairs of words, shape (n, PERMUTATIONS)."""
    import numpy as np

    hashes, starts = shingle_hashes(texts)
    mixed = _mix32(hashes)
    factors, summands = (part[:, None] for part in permutations())
    result = np.empty((len(texts), PERMUTATIONS), dtype=np.uint32)
    edges = np.append(starts, len(hashes))
    blocks = _blocks(starts, len(hashes))
    room = np.empty(max(edges[last] - edges[first] for first, last in blocks) * PERMUTATIONS, "u4")
    for first, last in blocks:
        block = mixed[edges[first] : edges[last]]
        permuted = room[: PERMUTATIONS * len(block)].reshape(PERMUTATIONS, len(block))
        np.multiply(factors, block, out=permuted)
        np.add(permuted, summands, out=permuted)
        result[first:last] = np.minimum.reduceat(permuted, starts[first:last] - edges[first], 1).T
    return result


def shingle_hashes(texts: Sequence[Sequence[str]]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the hashes of all texts' shingles in one array, and where each text's begin.

    A text's single words come first, then its pairs of neighbours.
    """
    import numpy as np

    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(w for t in texts for w in t))}
    of_word = np.array([_hash64(word) for word in vocabulary], dtype=np.uint64)
    flat = of_word[[vocabulary[word] for text in texts for word in text]]
    lengths = np.array([len(text) for text in texts])
    ends = np.cumsum(lengths)
    pairs = _mix64(flat[:-1] * np.uint64(0x9E3779B97F4A7C15) + flat[1:])
    inside = np.ones(len(flat), dtype=bool)
    inside[ends - 1] = False
    starts = np.concatenate([[0], np.cumsum(2 * lengths - 1)[:-1]])
    place = np.arange(len(flat)) - np.repeat(ends - lengths, lengths)
    at = np.repeat(starts, lengths) + place
    hashes = np.empty(2 * len(flat) - len(texts), dtype=np.uint64)
    hashes[at] = flat
    hashes[(at + np.repeat(lengths, lengths))[inside]] = pairs[inside[:-1]]
    return (hashes >> np.uint64(32)).astype(np.uint32), starts


def _blocks(starts: NDArray[np.int64], total: int) -> list[tuple[int, int]]:
    """Return stretches of texts, first and last + 1, of about BLOCK_SHINGLES shingles each."""
    import numpy as np

    steps = np.arange(0, total, BLOCK_SHINGLES)
    edges = np.unique(np.append(np.searchsorted(starts, steps), len(starts)))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _bits(smallest: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Return one bit of each smallest hash, as (n, PERMUTATIONS / 64) numbers of 64 bits."""
    import numpy as np

    bits = (_mix32(smallest) & np.uint32(1)).astype(np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64)


def _band_keys(smallest: NDArray[np.uint32], facts: Sequence[Sequence[str]]) -> NDArray[np.uint32]:
    """Return one key for each band of a text's smallest hashes and its facts, shape (n, BANDS)."""
    import numpy as np

    version = sketch_version()
    whole = [_hash64("\x1f".join((version, *told))) for told in facts]
    of_facts = np.array(whole, dtype=np.uint64)
    rows = smallest[:, : BANDS * BAND_ROWS].reshape(len(smallest), BANDS, BAND_ROWS)
    keys: NDArray[np.uint64] = np.add.outer(of_facts, np.arange(BANDS, dtype=np.uint64))
    for row in range(BAND_ROWS):
        keys = np.bitwise_xor(_mix64(keys), rows[:, :, row].astype(np.uint64))
    return (_mix64(keys) >> np.uint64(32)).astype(np.uint32)


def _hash64(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _mix32(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return values as MurmurHash3's last step mixes them, which is what datasketch does first."""
    import numpy as np

    mixed = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return mixed ^ (mixed >> np.uint32(16))


def _mix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return values as the last step of SplitMix64 mixes them."""
    import numpy as np

    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
