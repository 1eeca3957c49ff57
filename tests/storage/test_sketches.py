"""Sketches are datasketch's MinHash, equal for ever, and near only where the facts are the same."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from datasketch import MinHash

from moodtape.errors import MoodtapeError
from moodtape.storage import sketches
from moodtape.storage.sketches import (
    PERMUTATIONS,
    shingle_hashes,
    sketch_texts,
    sketch_version,
    smallest_hashes,
)
from moodtape.storage.story_words import story_words

WIRE = "Harbour Bank to offer bitcoin custody to its wealthy clients this year"
THRESHOLD = 0.55


def plain(texts: list[str]) -> list[dict[str, Any]]:
    """Return sketches as lists, which can be compared."""
    return [
        {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in made.items()}
        for made in sketch_texts(texts)
    ]


def similarity(one: str, other: str) -> float:
    """Return the share of equal bits, scaled; by a plain loop over the bits."""
    first, second = (plain([text])[0]["sketch"] for text in (one, other))
    bits = [f"{number:064b}" for number in first], [f"{number:064b}" for number in second]
    equal = [a == b for x, y in zip(*bits, strict=True) for a, b in zip(x, y, strict=True)]
    return 2 * float(np.mean(equal)) - 1


def shared(one: str, other: str) -> bool:
    first, second = (plain([text])[0]["bands"] for text in (one, other))
    return bool(set(first) & set(second))


def jaccard(one: str, other: str) -> float:
    sets = []
    for text in (one, other):
        words = story_words(text)[0]
        sets.append({*words, *pairwise(words)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_smallest_hashes_are_those_of_the_library() -> None:
    texts = [story_words(WIRE)[0], ["a", "b"], [f"word{i % 700}" for i in range(3000)], ["alone"]]
    hashes, starts = shingle_hashes(texts)
    made = smallest_hashes(texts)
    ends = [*starts[1:], len(hashes)]
    for row, start, end, words in zip(made, starts, ends, texts, strict=True):
        assert end - start == 2 * len(words) - 1, "words and pairs"
        minhash = MinHash(PERMUTATIONS, seed=1, scheme="affine32", hashfunc=int)
        minhash.update_batch(hashes[start:end].tolist())
        np.testing.assert_array_equal(row, minhash.hashvalues)


def test_a_text_is_sketched_the_same_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{WIRE}, says desk {i} of {i * 7} desks in town" for i in range(50)]
    alone = [plain([text])[0] for text in texts]
    assert plain(texts) == alone
    assert plain(texts[::-1]) == alone[::-1]
    monkeypatch.setattr(sketches, "BLOCK_SHINGLES", 3)
    assert plain(texts) == alone


def test_sketches_stay_as_they_are_for_ever() -> None:
    """A change here parts old texts from new ones: raise RULE, and all are made again."""
    assert sketch_version() == "1-d2fb45be"
    (made,) = plain([WIRE])
    assert made["sketch"] == [
        10502444897805147416,
        2772353719863790210,
        3147035572169385492,
        13268863425060377709,
    ]
    assert made["bands"][:3] == [2198065965, 2212423881, 2083444842]
    assert len(made["bands"]) == 21


def test_they_do_not_follow_from_the_process() -> None:
    code = f"""
from moodtape.storage.sketches import sketch_texts
print(sketch_texts([{WIRE!r}])[0]["bands"].tolist())
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert said == {str(plain([WIRE])[0]["bands"])}


def test_bits_tell_the_similarity() -> None:
    words = [f"word{i}" for i in range(60)]
    for kept in (60, 50, 40, 20, 0):
        other = words[:kept] + [f"other{i}" for i in range(60 - kept)]
        one, two = " ".join(words).replace("0", "q"), " ".join(other).replace("0", "q")
        assert similarity(one, two) == pytest.approx(jaccard(one, two), abs=0.17), kept


def test_a_wider_list_of_words_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    now = sketch_version()
    monkeypatch.setattr(sketches, "word_list", lambda: b"other words")
    sketch_version.cache_clear()
    other = sketch_version()
    bands = set(plain([WIRE])[0]["bands"])
    monkeypatch.undo()
    sketch_version.cache_clear()
    assert other != now
    assert not bands & set(plain([WIRE])[0]["bands"]), "they never meet"


@pytest.mark.parametrize("text", ["", "Bitcoin soars", "to the moon and the moon again"])
def test_few_words_have_no_sketch(text: str) -> None:
    (made,) = plain([text])
    assert (made["sketch"], made["bands"]) == (None, None)


SAME = [
    (WIRE, "Harbour Bank to Offer BTC Custody to Wealthy Clients This Year - Daily Ledger"),
    (WIRE, "BREAKING: Harbour Bank will offer bitcoin custody to its wealthy clients"),
    ("Treasury firm Nordlys raises $2.5B for bitcoin purchases, filing shows",
     "Treasury Firm Nordlys Raises $2.5 Billion for Bitcoin Purchases: Filing"),
    ("Lake County court orders exchange founder to repay 109,000 customers in full",
     "Court orders exchange founder to repay 109K customers in full"),
]  # fmt: skip
APART = [
    ("Bitcoin rises 5% as traders digest the minutes of the central bank",
     "Bitcoin falls 5% as traders digest the minutes of the central bank"),
    ("Bitcoin rises 5% as traders digest the minutes of the central bank",
     "Bitcoin rises 6% as traders digest the minutes of the central bank"),
    ("BTC price at $61,000 as volumes stay thin across all venues today",
     "BTC price at $62,000 as volumes stay thin across all venues today"),
    ("Bitcoin soars as traders digest the minutes of the central bank",
     "Ethereum soars as traders digest the minutes of the central bank"),
    ("Regulator approves the first fund of funds on bitcoin in Lake County",
     "Regulator rejects the first fund of funds on bitcoin in Lake County"),
    ("Upbit announces the listing of new altcoins on its spot platform",
     "Bithumb announces the listing of new altcoins on its spot platform"),
    ("Why is the whole crypto market up on this quiet Monday morning",
     "Why is the whole crypto market up on this quiet Tuesday morning"),
    ("Fund manager says he will add bitcoin to the pension plan soon",
     "Fund manager says he will not add bitcoin to the pension plan soon"),
    ("Whale opens a long position of 40 BTC on a small venue at night",
     "Whale opens a short position of 40 BTC on a small venue at night"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_story_in_two_wordings_is_near(one: str, other: str) -> None:
    assert shared(one, other)
    assert similarity(one, other) >= THRESHOLD


@pytest.mark.parametrize(("one", "other"), APART)
def test_another_number_name_or_direction_is_another_story(one: str, other: str) -> None:
    assert similarity(one, other) >= THRESHOLD, "else the words alone would tell them apart"
    assert not shared(one, other)


def test_naming_the_version_does_not_import_the_library() -> None:
    code = """
import sys
from moodtape.storage.sketches import sketch_version
sketch_version()
print("datasketch" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_other_permutations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sketches.permutations.cache_clear()
    monkeypatch.setattr(sketches, "DRAWN", "0" * 64)
    with pytest.raises(MoodtapeError, match="datasketch draws other permutations"):
        sketches.permutations()
