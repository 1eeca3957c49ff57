from dataclasses import replace
from typing import Any

import pytest

from moodtape.forecaster.stats import PairedResult
from moodtape.forecaster.verdict import (
    CANNOT_TELL,
    DOES_NOT_HELP,
    HELPS,
    HURTS,
    Evidence,
    Verdict,
    decide,
    holm,
)

LEVEL = 0.025


def result(p_better: float, upper_95: float = 0.1) -> PairedResult:
    return PairedResult(
        mean=0.01,
        standard_error=0.01,
        p_better=p_better,
        p_worse=1 - p_better,
        low=-0.01,
        high=0.03,
        upper_95=upper_95,
        block=24.0,
        n=2400,
    )


def evidence(p_null: float, p_shift: float, p_echo: float = 0.001, **changes: Any) -> Evidence:
    base = Evidence(
        against={"null": result(p_null), "shift": result(p_shift), "echo": result(p_echo)},
        null_loss=1.0,
        beats_baselines=True,
        helps_allowed=True,
        audit_clean=True,
        margin=0.005,
        blocks=100.0,
        min_blocks=30,
    )
    against = {**base.against, **changes.pop("against", {})}
    return replace(base, against=against, **changes)


def word(given: Evidence) -> Verdict:
    return decide(given, given.p_helps, given.p_hurts, LEVEL)


def test_helps_needs_to_beat_null_shift_and_echo() -> None:
    assert word(evidence(0.01, 0.02)).word == HELPS
    assert word(evidence(0.01, 0.03)).word == CANNOT_TELL
    assert word(evidence(0.03, 0.01)).word == CANNOT_TELL
    assert word(evidence(0.01, 0.02, 0.03)).word == CANNOT_TELL, "its echo does as well"
    assert word(evidence(0.01, 0.02)).p_adjusted == 0.02


def test_hurts_needs_to_be_worse_than_null_and_than_shift() -> None:
    assert word(evidence(0.99, 0.98)).word == HURTS
    dear = word(evidence(0.999, 0.60))
    assert dear.word == CANNOT_TELL, "the price of any extra input"
    assert dear.reasons == ("it costs about as much as noise of the same shape",)
    assert word(evidence(0.60, 0.999)).word == CANNOT_TELL


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"beats_baselines": False}, "a baseline without texts is better"),
        ({"rests_on": "fold 2"}, "without fold 2 there is no gain"),
    ],
)
def test_a_gain_with_a_doubt_is_not_called_one(changes: dict[str, Any], reason: str) -> None:
    found = word(evidence(0.001, 0.001, **changes))
    assert found.word == CANNOT_TELL
    assert reason in found.reasons[0]


@pytest.mark.parametrize("p", [0.001, 0.999])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"audit_clean": False}, "the audit found look-ahead"),
        ({"blocks": 29.0}, "holds 29 independent blocks; 30 are needed"),
        ({"stochastic_seeds": 2}, "fitted with 2 seeds; 3 are needed"),
        ({"helps_allowed": False}, "too short a time for a placebo"),
        ({"against": {"null": None}}, "no test was possible"),
        ({"against": {"shift": None}}, "no test was possible"),
        ({"against": {"echo": None}}, "no test was possible"),
    ],
)
def test_an_obstacle_goes_before_every_word(p: float, changes: dict[str, Any], reason: str) -> None:
    given = evidence(p, p, positive_control=True, **changes)
    found = decide(given, 0.0, 0.0, LEVEL)
    assert found.word == CANNOT_TELL
    assert reason in found.reasons[0]


def test_why_a_test_was_impossible_is_said() -> None:
    found = word(
        evidence(0.5, 0.5, against={"null": None}, obstacles=("against null: 12 forecasts",))
    )
    assert found.reasons == ("no test was possible", "against null: 12 forecasts")


def test_does_not_help_needs_a_small_upper_bound_and_a_seen_positive_control() -> None:
    small = {"null": result(0.4, 0.004), "shift": result(0.4, 0.003), "echo": result(0.4, 9.0)}
    seen = word(evidence(0.4, 0.4, positive_control=True, against=small))
    assert seen == Verdict(DOES_NOT_HELP, (), 0.4)
    unfound = word(evidence(0.4, 0.4, positive_control=False, against=small))
    assert unfound.word == CANNOT_TELL
    assert "an effect planted on purpose was not found" in unfound.reasons[0]
    unseen = word(evidence(0.4, 0.4, against=small))
    assert unseen.word == CANNOT_TELL
    assert "no planted effect was looked for" in unseen.reasons[0]
    for control in ("null", "shift"):
        wide = {**small, control: result(0.4, 0.006)}
        found = word(evidence(0.4, 0.4, positive_control=True, against=wide))
        assert found.word == CANNOT_TELL, f"a gain over {control} may be above the margin"
        assert "a gain of 0.5 % can be neither shown nor ruled out" in found.reasons[0]


def test_the_margin_is_a_share_of_nulls_loss() -> None:
    small = {"null": result(0.4, 0.004), "shift": result(0.4, 0.004)}
    given = evidence(0.4, 0.4, positive_control=True, null_loss=0.25, against=small)
    assert word(given).word == CANNOT_TELL, "0.004 of 0.25 is 1.6 %"


def test_without_a_test_the_p_values_are_one() -> None:
    given = evidence(0.001, 0.001, against={"shift": None})
    assert (given.p_helps, given.p_hurts) == (1.0, 1.0)


def test_the_word_follows_the_adjusted_p_value() -> None:
    given = evidence(0.01, 0.01)
    assert decide(given, 0.03, 1.0, LEVEL).word == CANNOT_TELL
    assert decide(given, 0.03, 1.0, LEVEL).p_adjusted == 0.03


def test_holm_against_statsmodels() -> None:
    import numpy as np
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(0)
    for size in (1, 3, 9):
        p_values = rng.uniform(0, 0.2, size)
        expected = multipletests(p_values, method="holm")[1]
        np.testing.assert_allclose(holm(p_values.tolist()), expected)
    assert holm([]) == []
    assert holm([1.0, 1.0]) == [1.0, 1.0]
