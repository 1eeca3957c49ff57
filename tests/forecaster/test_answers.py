"""From forecasts to words, with forecasts made by hand and with those of real studies."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.ablation import ArmForecasts, Study
from moodtape.forecaster.answers import Answer, answer_all
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.evidence import paired, rests_on, target_losses
from moodtape.forecaster.forecasters import LINEAR, NETWORK
from moodtape.forecaster.verdict import CANNOT_TELL, HELPS, HURTS

CONFIG = Config.model_validate({"target": {"names": ("return",)}, "verdict": {"draws": 500}})
COUNT = 2400


def by_hand(
    dataset: Any,
    skill: float,
    shift_skill: float = 0.0,
    seeds: int = 1,
    forecaster: str = LINEAR,
    spread: float = 0.0,
    baseline: float = 0.0,
    echo_skill: float = 0.0,
) -> Study:
    """Return a study whose forecasts know a share of the coming return."""
    rng = np.random.default_rng(0)
    y = np.nan_to_num(dataset.targets["return_1"].y)
    rows = np.flatnonzero(~np.isnan(dataset.trailing_variance))
    n = len(rows)

    def arm(share: float, count: int, treatment: str) -> ArmForecasts:
        noise = 0.002 * rng.standard_normal(n) + 0.001 * spread * rng.standard_normal((count, n))
        values = share * y[rows] + noise
        return ArmForecasts(Arm("", ("price",), "sentiment", treatment), {"return_1": values})

    draws = 5 if forecaster == LINEAR else seeds
    return Study(
        forecaster=forecaster,
        rows=rows,
        fold=np.repeat(np.arange(4), -(-n // 4))[:n],
        arms={
            "null": arm(0.0, seeds, "constant"),
            "shift": arm(shift_skill, draws, "shift"),
            "echo": arm(echo_skill, draws, "echo"),
            "price+sentiment": arm(skill, seeds, "as_is"),
        },
        baselines={"persistence": {"return_1": baseline * y[rows]}},
        helps_allowed=True,
        real="price+sentiment",
    )


def answer(dataset: Any, study: Study, config: Config = CONFIG) -> Answer:
    (found,) = answer_all([study], dataset, config, audit_clean=True)
    return found


@pytest.fixture(scope="module")
def dataset(make_dataset: Any) -> Any:
    """Return a hundred days of bars."""
    return make_dataset(COUNT, names=("return",))


def test_losses_by_hand(dataset: Any) -> None:
    study = by_hand(dataset, 0.3)
    losses = target_losses(study, dataset, 0, "return_1")
    y = dataset.targets["return_1"].y
    row = losses.rows[7]
    forecast = study.arms["shift"].by_key["return_1"][2, 7]
    expected = (y[row] - forecast) ** 2 / dataset.trailing_variance[row]
    assert losses.by_arm["shift"][2, 7] == pytest.approx(expected)
    assert losses.by_baseline["persistence"][7] == pytest.approx(
        y[row] ** 2 / dataset.trailing_variance[row]
    )
    assert not np.isnan(y[losses.rows]).any()
    assert len(losses.rows) == len(study.rows) - 1, "the last answer is not known"


def test_a_real_gain_helps_and_its_size_is_the_share_of_nulls_loss(dataset: Any) -> None:
    found = answer(dataset, by_hand(dataset, 0.1))
    assert found.verdict.word == HELPS
    assert found.effect == pytest.approx(1 - found.losses["price+sentiment"] / found.losses["null"])
    assert found.effect == pytest.approx(0.19, abs=0.03), "1 - 0.9 squared"
    assert found.interval[0] < found.effect < found.interval[1]
    assert len(found.fold_effects) == len(found.fold_counts) == 4
    assert sum(found.fold_counts) == found.n
    assert np.average(found.fold_effects, weights=found.fold_counts) == pytest.approx(found.effect)
    assert found.dm is not None
    assert found.dm.statistic > 3


def test_other_arms_stand_beside_with_their_own_gain(dataset: Any) -> None:
    study = by_hand(dataset, 0.1)
    found = answer(dataset, replace(study, arms=study.arms | {"counts": study.arms["echo"]}))
    assert list(found.beside) == ["counts"]
    effect, (low, high) = found.beside["counts"]
    assert effect == pytest.approx(1 - found.losses["counts"] / found.losses["null"])
    assert low < effect < high
    assert found.verdict == answer(dataset, study).verdict, "and decide nothing"


def test_a_gain_that_the_placebo_has_too_does_not_help(dataset: Any) -> None:
    found = answer(dataset, by_hand(dataset, 0.1, shift_skill=0.1))
    assert found.evidence.against["null"] is not None
    assert found.evidence.against["null"].p_better < 0.01
    assert found.verdict.word == CANNOT_TELL


def test_a_gain_that_the_echo_of_prices_has_too_does_not_help(dataset: Any) -> None:
    found = answer(dataset, by_hand(dataset, 0.1, echo_skill=0.1))
    assert max(found.p[name] or 0 for name in ("null", "shift")) < 0.01
    assert (found.p["echo"] or 0) > 0.02
    assert found.verdict.word == CANNOT_TELL


def test_a_gain_that_a_simple_rule_beats_does_not_help(dataset: Any) -> None:
    found = answer(dataset, by_hand(dataset, 0.1, baseline=0.3))
    assert found.verdict.word == CANNOT_TELL
    assert found.verdict.reasons == ("a baseline without texts is better",)


def test_worse_than_both_hurts(dataset: Any) -> None:
    found = answer(dataset, by_hand(dataset, -0.1))
    assert found.verdict.word == HURTS
    assert found.effect < 0


def test_seeds_are_paired_and_a_single_fit_meets_every_draw() -> None:
    control = np.arange(6.0).reshape(3, 2)
    assert np.array_equal(paired(control, control + 1), np.full((3, 2), -1.0))
    assert np.array_equal(paired(control, np.ones((1, 2))), control - 1)
    with pytest.raises(ValueError, match="2 seeds cannot be paired with 3"):
        paired(np.ones((2, 4)), np.ones((3, 4)))


def test_placebo_draws_that_disagree_widen_the_interval(dataset: Any) -> None:
    study = by_hand(dataset, 0.02)
    calm = answer(dataset, study)
    levels = 0.002 * np.array([-2, -1, 0, 1, 2])[:, None]
    shift = study.arms["shift"]
    wild = {"return_1": shift.by_key["return_1"] + levels}
    arms = {**study.arms, "shift": replace(shift, by_key=wild)}
    unsure = answer(dataset, replace(study, arms=arms))
    assert unsure.evidence.against["shift"] is not None
    assert calm.evidence.against["shift"] is not None
    assert (
        unsure.evidence.against["shift"].standard_error
        > calm.evidence.against["shift"].standard_error
    )
    assert unsure.interval == calm.interval, "the other comparison stays as it was"


def test_a_network_with_two_seeds_cannot_tell(dataset: Any) -> None:
    two = answer(dataset, by_hand(dataset, 0.1, seeds=2, forecaster=NETWORK))
    assert two.verdict.word == CANNOT_TELL
    assert "2 seeds" in two.verdict.reasons[0]
    three = answer(dataset, by_hand(dataset, 0.1, seeds=3, forecaster=NETWORK))
    assert three.verdict.word == HELPS
    assert len(three.seed_effects) == 3
    assert np.mean(three.seed_effects) == pytest.approx(three.effect)


def test_an_audit_that_found_something_silences_everything(dataset: Any) -> None:
    (found,) = answer_all([by_hand(dataset, 0.2)], dataset, CONFIG, audit_clean=False)
    assert found.verdict.word == CANNOT_TELL
    assert found.verdict.reasons[0] == "the audit found look-ahead"


def test_a_short_test_span_cannot_tell(make_dataset: Any) -> None:
    dataset = make_dataset(700, names=("return",))
    found = answer(dataset, by_hand(dataset, 0.3))
    assert found.verdict.word == CANNOT_TELL
    assert "independent blocks; 30 are needed" in found.verdict.reasons[0]


def test_arms_that_never_differ_cannot_tell(dataset: Any) -> None:
    study = by_hand(dataset, 0.1)
    arms = {**study.arms, "price+sentiment": study.arms["null"]}
    found = answer(dataset, replace(study, arms=arms))
    assert found.verdict.word == CANNOT_TELL
    assert found.verdict.reasons == (
        "no test was possible",
        "against null the two forecasts never differ in loss",
    )
    assert found.effect == 0
    assert np.isnan(found.interval).all()


def test_a_symbol_without_answers_is_said_and_breaks_nothing(make_dataset: Any) -> None:
    dataset = make_dataset(800, symbols=("BTC", "ETH"), names=("return",))
    dataset.targets["return_1"].y[dataset.symbol == 1] = np.nan
    found = answer_all([by_hand(dataset, 0.1)], dataset, CONFIG, audit_clean=True)
    assert [a.symbol for a in found] == ["BTC", "ETH"]
    assert found[1].n == 0
    assert np.isnan(found[1].effect)
    assert found[1].verdict.word == CANNOT_TELL
    assert found[1].verdict.reasons[1] == "0 forecasts with a known answer; 30 are needed"


@pytest.mark.parametrize("count", [1, 2, 9, 29])
def test_a_handful_of_forecasts_is_said_and_breaks_nothing(dataset: Any, count: int) -> None:
    study = by_hand(dataset, 0.1)
    y = dataset.targets["return_1"].y.copy()
    y[study.rows[count:]] = np.nan
    few = replace(dataset, targets={"return_1": replace(dataset.targets["return_1"], y=y)})
    found = answer(few, study)
    assert found.n == count
    assert found.verdict.reasons[1] == f"{count} forecasts with a known answer; 30 are needed"
    assert found.dm is None


def test_the_family_is_every_symbol_target_and_horizon(make_dataset: Any) -> None:
    alone = make_dataset(COUNT, names=("return",))
    study = by_hand(alone, 0.024)
    single = answer(alone, study)
    keys = ("return_1", "return_2")
    twice = replace(alone, targets=dict.fromkeys(keys, alone.targets["return_1"]))
    arms = {
        name: replace(a, by_key=dict.fromkeys(keys, a.by_key["return_1"]))
        for name, a in study.arms.items()
    }
    both = answer_all([replace(study, arms=arms)], twice, CONFIG, audit_clean=True)
    assert [a.verdict.p_adjusted for a in both] == pytest.approx(
        [2 * single.verdict.p_adjusted] * 2, rel=0.5
    )


def test_a_gain_of_five_days_or_of_one_fold_is_named(dataset: Any) -> None:
    losses = target_losses(by_hand(dataset, 0.1), dataset, 0, "return_1")
    n = len(losses.rows)
    days = dataset.cutoff[losses.rows].astype("datetime64[D]")
    even = np.full(n, 0.1)
    assert rests_on(even, losses, dataset) is None
    assert rests_on(-even, losses, dataset) is None, "a loss rests on nothing"
    five = np.full(n, -0.1)
    five[np.isin(days, np.unique(days)[10:15])] = 9.0
    assert rests_on(five, losses, dataset) == "its 5 best days"
    fold = np.where(losses.fold == 2, 0.5, -0.01)
    assert rests_on(fold, losses, dataset) == "fold 3"


def test_the_same_question_gives_the_same_answer(dataset: Any) -> None:
    study = by_hand(dataset, 0.05)
    assert answer(dataset, study) == answer(dataset, study)
