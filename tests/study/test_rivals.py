"""Whether the network is worth its price, as a sentence and in what a study returns."""

from __future__ import annotations

from typing import Any

import pytest

from moodtape.forecaster.rivals import Rivalry
from moodtape.study.ablate import Outcome
from moodtape.study.ground import Ground
from moodtape.study.rivals import rival_results, sentences

NAN = float("nan")


def row(rival: str, gain: float, low: float, high: float, **changes: Any) -> Rivalry:
    known = {
        "symbol": "BTC", "target": "direction", "horizon_bars": 4, "forecaster": "network",
        "fitted": rival in {"linear", "boosting"}, "rival_loss": 1.0, "n": 900,
    }  # fmt: skip
    values = {**known, **changes}
    loss = values["rival_loss"] * (1 - gain)
    return Rivalry(rival=rival, loss=loss, gain=gain, interval=(low, high), **values)


def told(*rows: Rivalry) -> list[str]:
    return list(sentences(rows, "1h"))


def test_the_hardest_rival_that_is_not_beaten_is_named() -> None:
    rows = [
        row("linear", 0.004, -0.001, 0.009, rival_loss=0.99),
        row("boosting", 0.001, -0.004, 0.006, rival_loss=0.98),
        row("persistence", 0.05, 0.02, 0.08, rival_loss=1.1),
    ]
    assert told(*rows) == [
        "The network does not beat boosting at the direction of BTC 4h ahead: its loss is"
        " 0.10 % lower (95 % interval of the gain −0.40 % to +0.60 %)."
    ]


def test_a_loss_beyond_chance_is_said_to_be_one() -> None:
    worse = row("boosting", -0.02, -0.03, -0.01, fitted=False)
    assert told(worse) == [
        "The network is worse than boosting without texts at the direction of BTC 4h ahead: its"
        " loss is 2.00 % higher (95 % interval of the gain −3.00 % to −1.00 %)."
    ]


def test_one_that_beats_all_is_told_by_how_much() -> None:
    rows = [
        row("linear", 0.02, 0.01, 0.03, rival_loss=0.97),
        row("base rate", 0.05, 0.02, 0.08),
    ]
    assert told(*rows) == [
        "The network beats every rival and baseline at the direction of BTC 4h ahead: against the"
        " linear forecaster, the best of them, its loss is 2.00 % lower (95 % interval of the"
        " gain +1.00 % to +3.00 %)."
    ]
    assert "the base rate at" in told(row("base rate", 0.0, NAN, NAN))[0]
    assert told(row("base rate", 0.0, NAN, NAN))[0].endswith("its loss is 0.00 % lower.")


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        (
            (-0.01, 0.02),
            "No forecaster beats HAR at the volatility of BTC 4h ahead: the loss of boosting, the"
            " best of them, is 1.00 % lower (95 % interval of the gain −1.00 % to +2.00 %).",
        ),
        (
            (0.002, 0.02),
            "Boosting beats HAR at the volatility of BTC 4h ahead: its loss is 1.00 % lower"
            " (95 % interval of the gain +0.20 % to +2.00 %).",
        ),
    ],
)
def test_har_at_volatility(interval: tuple[float, float], sentence: str) -> None:
    rows = [
        row("HAR", -0.03, -0.05, 0.01, target="volatility", fitted=False),
        row("HAR", 0.01, *interval, target="volatility", forecaster="boosting", fitted=False),
    ]
    first, second = told(*rows)
    assert first.startswith("The network does not beat HAR at the volatility of BTC 4h ahead")
    assert second == sentence


def test_har_beaten_by_two() -> None:
    rows = [
        row("HAR", 0.03, 0.01, 0.05, target="volatility", fitted=False),
        row("HAR", 0.02, 0.01, 0.03, target="volatility", forecaster="linear", fitted=False),
    ]
    assert told(*rows)[1] == (
        "The network and the linear forecaster beat HAR at the volatility of BTC 4h ahead: the"
        " loss of the network is 3.00 % lower (95 % interval of the gain +1.00 % to +5.00 %)."
    )


def test_a_study_tells_them_for_every_question(ground: Ground, outcome: Outcome) -> None:
    found = rival_results(ground, outcome)
    assert len(found["sentences"]) == len(ground.dataset.targets) + 1
    assert {r["rival"] for r in found["rows"]} == {
        *("persistence", "drift", "base rate", "reversal", "HAR", "ridge", "logistic"),
    }
    for pair in found["rows"]:
        assert pair["n"] > 100
        assert pair["beats"] == (pair["interval"][0] > 0)
