from __future__ import annotations

import math
from datetime import UTC, datetime
from importlib import resources

import numpy as np
import pytest

from moodtape.nlp.base import Scorer
from moodtape.nlp.lexicon import LexiconScorer, probabilities, read_entries, tokenize, tone

LIST = read_entries(
    "# a small list with round numbers\n"
    "term\t2\tsoars|all time high\n"
    "term\t-1\tfalls|fear\n"
    "term\t0\tfear and greed\n"
    "negation\t0.5\tnot|never\n"
    "booster\t1.5\tvery|sharply\n"
    "turn\t0.5\tbut\n"
    "concession\t0.25\tdespite\n"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bitcoin", 0.0),
        ("Bitcoin SOARS", 2.0),
        ("Bitcoin at all-time high", 2.0),
        ("all time", 0.0),
        ("sharply falls", -1.5),
        ("falls sharply", -1.0),
        ("it is not a soars", -1.0),
        ("not in the least very soars", 3.0),  # four words later: out of reach
        ("not now, soars", 2.0),  # the comma ends the negation
        ("never falls", 0.5),
        ("soars but falls", (2 * 0.5 - 1) / math.sqrt(2)),
        ("despite fear, soars", (-1 * 0.25 + 2) / math.sqrt(2)),
        ("soars soars", 4 / math.sqrt(2)),
        ("soars?", 1.0),
        ("fear and greed index", 0.0),
        ("", 0.0),
    ],
)
def test_tone_worked_by_hand(text: str, expected: float) -> None:
    assert tone(text, LIST) == pytest.approx(expected, abs=1e-12)


def test_tokens_fold_numbers_and_drop_names() -> None:
    assert tokenize("$BTC is +5.5% at $104,200, 3x since 2.1M … 12 📉") == [
        "$btc", "is", "+0%", "at", "0k", "0x", "since", "0m", "0", "📉",
    ]  # fmt: skip
    assert tokenize("see https://crash.io/dump-it @scam isn\u2019t") == [
        "see", "https://crash.io/dump-it", "@scam", "isn't",
    ]  # fmt: skip


def test_probabilities_are_the_stated_softmax() -> None:
    up, flat, down = math.exp(0.9), math.exp(1.1), math.exp(-0.9)
    assert probabilities(1.0) == pytest.approx(
        (down / (up + flat + down), flat / (up + flat + down), up / (up + flat + down))
    )


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Bitcoin surges to a new all-time high as ETF inflows soar", 2),
        ("Exchange hacked, withdrawals halted and funds stolen", 0),
        ("Ether outflows from exchanges: outflows from exchanges hit a record", 2),
        ("SEC drops lawsuit against Coinbase", 2),
        ("Developers schedule the next community call", 1),
        ("Longs liquidated as bitcoin plunges below $60,000", 0),
        ("🚀🚀 to the moon", 2),
        ("rug pull 📉😭", 0),
    ],
)
def test_plain_cases_of_the_shipped_list(text: str, label: int) -> None:
    assert int(LexiconScorer().score([text]).argmax()) == label


def test_scorer_keeps_the_contract() -> None:
    scorer = LexiconScorer()
    texts = ["Bitcoin soars", "", "hack", "so what?", "x" * 10_000]
    scores = scorer.score(texts)
    assert isinstance(scorer, Scorer)
    assert scores.dtype == np.float32
    assert scores.shape == (5, 3)
    assert scorer.score([]).shape == (0, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(scorer.score(texts[::-1])[::-1], scores)
    assert scorer.trained_until == datetime(2026, 11, 24, tzinfo=UTC)
    assert scorer.revision == LexiconScorer().revision
    assert scorer.revision.endswith("-rules1")


def test_shipped_list_is_sound() -> None:
    table = resources.files("moodtape.nlp").joinpath("data", "lexicon.tsv").read_text("utf-8")
    forms: list[str] = []
    for line in table.splitlines():
        if line.startswith("#"):
            continue
        role, weight, words = line.split("\t")
        assert role in {"term", "negation", "booster", "turn", "concession"}
        assert abs(float(weight)) <= 3
        forms += words.split("|")
    assert len(forms) == len(set(forms)), "a phrase is listed twice"
    assert len(forms) > 300
    unreachable = [form for form in forms if tokenize(form) != form.split()]
    assert unreachable == []
