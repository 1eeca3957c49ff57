from __future__ import annotations

import doctest
import importlib
from typing import Any

import pytest

from moodtape.forecaster.report import numbers, words


@pytest.mark.parametrize("name", ["numbers", "words", "scales", "paths", "tables"])
def test_examples_in_docstrings_hold(name: str) -> None:
    module = importlib.import_module(f"moodtape.forecaster.report.{name}")
    found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted


def question(**changes: Any) -> dict[str, Any]:
    return {"subject": "sentiment", "symbols": ["BTC"], **changes}


def said(*verdicts: str, **changes: Any) -> str:
    answers = [{"verdict": v, "sentence": f"{v}, says the run."} for v in verdicts]
    return words.headline(question(**changes), answers)


def test_a_single_answer_speaks_for_itself() -> None:
    assert said("does not help") == "Does not help, says the run."
    long = {
        "verdict": "helps",
        "sentence": "sentiment helps: the loss is 1.20% lower (95 %: 1 to 2).",
    }
    assert words.headline(question(), [long]) == "Sentiment helps."
    assert words.parted(long["sentence"])[1] == "The loss is 1.20% lower (95 %: 1 to 2)."


def test_many_answers_are_counted_in_one_sentence() -> None:
    assert said("cannot tell", "cannot tell") == (
        "Cannot tell whether sentiment helps forecast BTC: both questions stay open."
    )
    assert said("helps", "helps", "helps") == "Of 3 questions on BTC, sentiment helps in 3."
    assert said("helps", "hurts", "does not help", "cannot tell") == (
        "Of 4 questions on BTC, sentiment helps in 1, hurts in 1 and does not help in 1;"
        " for 1 nobody can tell."
    )


def test_metrics_are_many_and_sentiment_is_one() -> None:
    two = {"subject": "onchain", "symbols": ["BTC", "ETH"]}
    assert said("helps", "does not help", **two) == (
        "Of 2 questions on BTC and ETH, on-chain metrics help in 1 and do not help in 1."
    )
    assert said("cannot tell", "cannot tell", "cannot tell", **two).startswith(
        "Cannot tell whether on-chain metrics help forecast BTC and ETH: all 3"
    )


def test_no_answer_is_said_so() -> None:
    assert said() == "No question was answered."


def test_a_word_outside_the_four_is_counted_apart() -> None:
    assert (
        said("helps", "maybe") == "Of 2 questions on BTC, sentiment helps in 1; 1 has no verdict."
    )


@pytest.mark.parametrize("gone", [None, float("nan"), float("inf")])
def test_every_missing_number_is_a_dash(gone: float | None) -> None:
    for say in (
        numbers.signed_percent,
        numbers.percent,
        numbers.p_value,
        numbers.count,
        numbers.number,
        numbers.duration,
        numbers.shown,
    ):
        assert say(gone) == "–", say.__name__
    assert numbers.interval([gone, 0.1]) == "–"
    assert numbers.interval([0.1, gone]) == "–"


def test_times_are_told_in_utc() -> None:
    assert numbers.instant("2025-05-02T06:30:00+02:00") == "2025-05-02 04:30"
    assert numbers.instant("2025-05-02T06:30:00Z") == "2025-05-02 06:30"


def test_texts_cannot_hide_or_turn_what_stands_beside_them() -> None:
    assert numbers.tidy("BTC\u202egnp\x00\x1b[31m") == "BTC�gnp��[31m"
    assert numbers.tidy("Größe 日本 😀\n") == "Größe 日本 😀\n"
