"""Every word as a sentence: subject and verb agree, figures are there or said to be missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from moodtape.forecaster.answers import Answer
from moodtape.forecaster.stats import PairedResult
from moodtape.forecaster.verdict import (
    CANNOT_TELL,
    DOES_NOT_HELP,
    HELPS,
    HURTS,
    WORDS,
    Evidence,
    Verdict,
    Word,
)
from moodtape.study.sentences import LOSS_NAMES, sentence

NAN = float("nan")
RESULT = PairedResult(0.01, 0.004, 0.01, 0.99, 0.002, 0.018, 0.017, 24.0, 1000)
EVIDENCE = Evidence(RESULT, RESULT, 1.0, True, True, True, 0.005, 40.0, 30, None)
GAIN = "the loss is 1.20 % lower with it (95 % interval of the gain +0.40 % to +2.00 %)"
COST = "the loss is 0.80 % higher with it (95 % interval of the gain −1.50 % to −0.10 %)"
Say = Callable[..., str]


@pytest.fixture
def say() -> Say:
    def make(
        word: Word,
        subject: str = "sentiment",
        reasons: tuple[str, ...] = (),
        effect: float = 0.012,
        interval: tuple[float, float] = (0.004, 0.02),
        target: str = "return",
        horizon: int = 1,
        **also: Any,
    ) -> str:
        answer = Answer(
            "BTC", target, horizon, "network", Verdict(word, reasons, 0.01), EVIDENCE, effect,
            interval, 0.01, (0.0, 0.02), {}, None, 1000, (), (), (),
        )  # fmt: skip
        return sentence(answer, subject, also.pop("length", "1h"), **also)

    return make


def test_sentiment_is_one(say: Say) -> None:
    what = "the return of BTC 1h ahead"
    assert say(HELPS) == f"Sentiment helps forecast {what}: {GAIN}."
    assert say(DOES_NOT_HELP) == f"Sentiment does not help forecast {what}: {GAIN}."
    assert say(CANNOT_TELL) == f"Cannot tell whether sentiment helps forecast {what}: {GAIN}."
    hurting = say(HURTS, effect=-0.008, interval=(-0.015, -0.001))
    assert hurting == f"Sentiment hurts the forecast of {what}: {COST}."


def test_metrics_are_many(say: Say) -> None:
    what, gain = "the return of BTC 1h ahead", GAIN.replace(" it ", " them ")
    assert say(HELPS, "onchain") == f"On-chain metrics help forecast {what}: {gain}."
    assert say(DOES_NOT_HELP, "onchain") == f"On-chain metrics do not help forecast {what}: {gain}."
    assert say(HURTS, "onchain") == f"On-chain metrics hurt the forecast of {what}: {gain}."
    assert say(CANNOT_TELL, "onchain") == (
        f"Cannot tell whether on-chain metrics help forecast {what}: {gain}."
    )


def test_doubt_gives_its_reasons(say: Say) -> None:
    told = say(CANNOT_TELL, reasons=("too few blocks", "no placebo"))
    assert told.endswith(f"{GAIN} (too few blocks; no placebo).")


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    ("effect", "interval"), [(NAN, (NAN, NAN)), (0.01, (NAN, NAN)), (0.01, (0.0, float("inf")))]
)
def test_missing_figures_are_said_to_be_missing(
    say: Say, word: Word, effect: float, interval: tuple[float, float]
) -> None:
    told = say(word, effect=effect, interval=interval)
    assert "no effect could be measured" in told
    assert "nan" not in told
    assert "inf" not in told


@pytest.mark.parametrize(
    ("target", "words"),
    [("return", "the return of"), ("direction", "the direction of"),
     ("volatility", "the volatility of")],
)  # fmt: skip
def test_every_target_has_words_and_a_named_loss(say: Say, target: str, words: str) -> None:
    assert f"forecast {words} BTC" in say(HELPS, target=target)
    assert LOSS_NAMES[target]


@pytest.mark.parametrize(
    ("length", "horizon", "calendar", "ahead"),
    [
        ("1h", 1, "24/7", "1h ahead"),
        ("1h", 24, "24/7", "1d ahead"),
        ("15min", 6, "24/7", "90min ahead"),
        ("1d", 5, "24/7", "5d ahead"),
        ("1d", 1, "XNYS", "1d ahead"),
        ("1d", 5, "XNYS", "5 bars ahead"),  # five sessions are a week, not five days
    ],
)
def test_how_far_ahead(say: Say, length: str, horizon: int, calendar: str, ahead: str) -> None:
    assert f"BTC {ahead}:" in say(HELPS, length=length, horizon=horizon, calendar=calendar)


def test_no_effect_at_all_is_no_loss(say: Say) -> None:
    told = say(CANNOT_TELL, effect=0.0, interval=(-0.001, 0.001))
    assert "0.00 % lower with it (95 % interval of the gain −0.10 % to +0.10 %)" in told
