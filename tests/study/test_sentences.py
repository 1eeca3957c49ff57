"""Every word as a sentence: subject and verb agree, figures are there or said to be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from moodtape.forecaster.answers import Answer
from moodtape.forecaster.detectable import Detectable
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
    Young,
)
from moodtape.study.sentences import LOSS_NAMES, sentence

NAN = float("nan")
RESULT = PairedResult(0.01, 0.004, 0.01, 0.99, 0.002, 0.018, 0.017, 24.0, 1000)
AGAINST = {"null": RESULT, "shift": RESULT, "echo": RESULT}
EVIDENCE = Evidence(AGAINST, 1.0, True, True, True, 0.005, 40.0, 30)
RULED_OUT = "a gain of 0.50 % can be ruled out, and one planted on purpose was found"
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
        young: Young | None = None,
        detectable: Detectable | None = None,
        **also: Any,
    ) -> str:
        answer = Answer(
            "BTC", target, horizon, "network", Verdict(word, reasons, 0.01),
            replace(EVIDENCE, young=young), dict.fromkeys(AGAINST, effect),
            dict.fromkeys(AGAINST, interval), {}, {}, {}, None, 1000, (), (), (), None, None,
            detectable, 3,
        )  # fmt: skip
        return sentence(answer, subject, also.pop("length", "1h"), **also)

    return make


def test_sentiment_is_one(say: Say) -> None:
    what = "the return of BTC 1h ahead"
    assert say(HELPS) == f"Sentiment helps forecast {what}: {GAIN}."
    assert say(DOES_NOT_HELP) == f"Sentiment does not help forecast {what}: {GAIN} ({RULED_OUT})."
    assert say(CANNOT_TELL) == f"Cannot tell whether sentiment helps forecast {what}: {GAIN}."
    hurting = say(HURTS, effect=-0.008, interval=(-0.015, -0.001))
    assert hurting == f"Sentiment hurts the forecast of {what}: {COST}."


def test_metrics_are_many(say: Say) -> None:
    what, gain = "the return of BTC 1h ahead", GAIN.replace(" it ", " them ")
    assert say(HELPS, "onchain") == f"On-chain metrics help forecast {what}: {gain}."
    assert say(DOES_NOT_HELP, "onchain") == (
        f"On-chain metrics do not help forecast {what}: {gain} ({RULED_OUT})."
    )
    assert say(HURTS, "onchain") == f"On-chain metrics hurt the forecast of {what}: {gain}."
    assert say(CANNOT_TELL, "onchain") == (
        f"Cannot tell whether on-chain metrics help forecast {what}: {gain}."
    )


def test_doubt_gives_its_reasons(say: Say) -> None:
    told = say(CANNOT_TELL, reasons=("too few blocks", "no placebo"))
    assert told.endswith(f"{GAIN} (too few blocks; no placebo).")


def test_doubt_says_what_would_have_been_found(say: Say) -> None:
    found = {1.0: (4, 9), 2.0: (16, 17)}
    told = say(CANNOT_TELL, reasons=("why",), detectable=Detectable(0.01, 0.04, found, 20))
    assert told.endswith("(why; the smallest gain that would have been found is 1.00 %).")
    none = say(CANNOT_TELL, detectable=Detectable(None, 0.04, {}, 20))
    assert none.endswith("(not even a gain of 4.00 % would have been found).")


def test_a_gain_says_whether_the_scorer_may_have_read_the_future(say: Say) -> None:
    doubt = "the scorer may have read the future"
    assert say(HELPS, young=Young(False, 1.0)).endswith(f"{GAIN} ({doubt}).")
    assert doubt not in say(HELPS, young=Young(True, 0.01))
    assert doubt not in say(HELPS)
    assert doubt not in say(CANNOT_TELL, young=Young(False, 1.0))


def test_a_second_look_is_said(say: Say) -> None:
    assert say(HELPS, look=2).endswith("(2nd look at these data).")
    assert say(CANNOT_TELL, look=3, reasons=("why",)).endswith("(why; 3rd look at these data).")


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
    assert "the loss is the same with it (95 % interval of the gain −0.10 % to +0.10 %)" in told
