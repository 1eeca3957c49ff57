from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from moodtape.config import Config
from moodtape.forecaster.ablation import run_study
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.calibration import (
    INTERVALS,
    LEVELS,
    NEAR,
    Calibration,
    calibrated,
    conformal_offsets,
    fit_calibration,
    platt,
)
from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.metrics import brier, calibration_error, inside, reliability
from moodtape.forecaster.splits import make_folds
from moodtape.forecaster.target import Target

CONFIG = Config.model_validate(
    {
        "network": {"lookback_bars": 20},
        "walk_forward": {"folds": 2, "min_train_rows": 100, "calibrate_fraction": 0.2},
        "sentiment": {"half_lives_h": [6.0]},
    }
)
GROUPS = ("calendar", "price", "sentiment")
ARMS = (
    Arm("price+sentiment", GROUPS, "sentiment", "as_is"),
    Arm("null", GROUPS, "sentiment", "constant"),
)


def test_offsets_are_residuals_at_their_ranks_by_hand() -> None:
    shuffled = np.random.default_rng(0).permutation(np.arange(1.0, 40.0))
    # 39 rows: ranks of 40 are 2, 10, the median, 30 and 38
    assert conformal_offsets(shuffled) == (2.0, 10.0, 20.0, 30.0, 38.0)
    assert conformal_offsets(np.arange(1.0, 20.0)) == (1.0, 5.0, 10.0, 15.0, 19.0)


def test_too_few_rows_give_no_offset_rather_than_a_narrow_one() -> None:
    found = conformal_offsets(np.arange(18.0))
    assert np.isnan([found[0], found[-1]]).all()
    assert np.isfinite(found[1:-1]).all()
    assert np.isnan(conformal_offsets(np.array([]))).all()


@pytest.mark.parametrize("n", [19, 30, 157])
def test_intervals_cover_what_they_promise_where_rows_are_exchangeable(n: int) -> None:
    rng = np.random.default_rng(n)
    worlds = 4_000
    draws = rng.standard_t(3, size=(worlds, n + 1))
    offsets = np.array([conformal_offsets(world[:-1]) for world in draws])
    for low, high in INTERVALS.values():
        ends = offsets[:, [LEVELS.index(low), LEVELS.index(high)]].T
        share = inside(draws[:, -1], *ends).mean()
        nominal, noise = high - low, 4 * np.sqrt(0.25 / worlds)
        assert nominal - noise <= share <= nominal + 2 / (n + 1) + noise


finite = st.floats(-1e6, 1e6)


@given(
    arrays.arrays(np.float64, st.integers(19, 60), elements=finite),
    arrays.arrays(np.float64, 7, elements=finite),
    arrays.arrays(np.float64, 7, elements=st.floats(1e-8, 1e3)),
)
def test_quantiles_never_cross(residuals: Any, forecast: Any, variance: Any) -> None:
    target = Target("return", 4, np.zeros(7), np.zeros(7, dtype="datetime64[us]"))
    calibration = Calibration({"return_4": conformal_offsets(residuals)})
    quantiles = calibration.quantiles(target, forecast, variance)
    assert quantiles.shape == (7, len(LEVELS))
    assert (np.diff(quantiles, axis=1) >= 0).all()


def test_an_overconfident_probability_is_muted_and_one_that_is_right_is_left_alone() -> None:
    rng = np.random.default_rng(1)
    log_odds = rng.normal(0, 1, 20_000)
    up = (rng.random(20_000) < 1 / (1 + np.exp(-log_odds))).astype(float)
    _, slope = platt(up, 1 / (1 + np.exp(-2 * log_odds)), NEAR)
    assert slope == pytest.approx(0.5, abs=0.05)
    assert platt(up, 1 / (1 + np.exp(-log_odds)), NEAR) == pytest.approx((0.0, 1.0), abs=0.05)


def test_a_calibration_may_mute_a_forecast_but_never_turn_it_round() -> None:
    p = np.tile([0.2, 0.8], 500)
    assert platt(1.0 - (p > 0.5), p, NEAR)[1] == 0.0


def test_few_rows_hardly_move_a_probability() -> None:
    lucky = platt(np.ones(10), np.full(10, 0.5), NEAR)
    assert lucky == pytest.approx((0.0, 1.0), abs=0.2)
    free = platt(np.ones(10), np.full(10, 0.5), 1e-3)
    assert free[0] > 5, "the case must be one that a free line falls for"


def test_offsets_by_hand_in_the_answers_own_unit(make_dataset: Any) -> None:
    dataset = make_dataset(200, horizons=(4,))
    rows = np.arange(100, 139)
    residual = np.random.default_rng(0).permutation(np.arange(1.0, 40.0))
    unit = np.sqrt(4 * dataset.trailing_variance[rows])
    miss = dataset.trailing_miss["volatility_4"][rows]
    forecasts = {
        "return_4": dataset.targets["return_4"].y[rows] - residual * unit,
        "volatility_4": dataset.targets["volatility_4"].y[rows] - 0.1 * residual * miss,
    }
    found = fit_calibration(dataset, rows, forecasts)
    assert found.offsets["return_4"] == pytest.approx((2.0, 10.0, 20.0, 30.0, 38.0))
    assert found.offsets["volatility_4"] == pytest.approx((0.2, 1.0, 2.0, 3.0, 3.8))
    assert found.usual_miss == {"volatility_4": pytest.approx(np.median(miss))}


def test_missing_answers_are_no_rows_to_calibrate_on(make_dataset: Any) -> None:
    dataset = make_dataset(200)
    rows = np.arange(100, 160)
    target = dataset.targets["return_1"]
    y = target.y.copy()
    y[rows[:21]] = np.nan
    gone = replace(dataset, targets={"return_1": replace(target, y=y)})
    whole = replace(dataset, targets={"return_1": target})
    zeros = {"return_1": np.zeros(60)}
    found = fit_calibration(gone, rows, zeros).offsets
    assert found == fit_calibration(whole, rows[21:], {"return_1": zeros["return_1"][21:]}).offsets


def test_without_rows_a_probability_stays_and_there_are_no_quantiles(make_dataset: Any) -> None:
    dataset = make_dataset(200)
    none, rows = np.array([], dtype=np.int64), np.arange(100, 110)
    forecasts = {key: np.full(10, 0.3) for key in dataset.targets}
    found = calibrated(dataset, none, rows, forecasts)
    assert found["direction_1"] == pytest.approx(np.full(10, 0.3))
    assert np.isnan(found["return_1"]).all()


def test_calibration_does_not_see_the_test_rows(make_dataset: Any) -> None:
    dataset = make_dataset(1200, horizons=(1, 4))
    folds = make_folds(dataset, 20, CONFIG.walk_forward)

    def corrected(first: int, last: int) -> dict[str, dict[str, Any]]:
        """Return calibrated forecasts of the first fold, answers of some rows being others."""
        drawn = np.random.default_rng(3).normal(0, 1, last - first)
        targets = {}
        for key, target in dataset.targets.items():
            y = target.y.copy()
            y[first:last] = (drawn > 0) if target.name == "direction" else drawn
            targets[key] = replace(target, y=y)
        changed = replace(dataset, targets=targets)
        made = run_study(changed, folds[:1], ARMS, CONFIG, LINEAR)
        return {name: dict(by_key) for name, by_key in made.calibrated.items()}

    fold = folds[0]
    before = corrected(0, 0)
    after = corrected(int(fold.test[0]), int(fold.test[-1]) + 10)
    for name, by_key in before.items():
        for key, values in by_key.items():
            # A later row's interval of volatility may be wider by answers that it knows.
            target = dataset.targets[key]
            known = target.horizon_bars if target.name == "volatility" else len(values)
            assert values[:known].tobytes() == after[name][key][:known].tobytes(), (name, key)
    leaky = corrected(int(fold.calibrate[0]), int(fold.calibrate[-1]) + 1)
    for key, values in before["price+sentiment"].items():
        assert values.tobytes() != leaky["price+sentiment"][key].tobytes(), f"{key} sees nothing"


def test_a_study_covers_what_it_promises_at_every_horizon(make_dataset: Any) -> None:
    dataset = make_dataset(6000, horizons=(1, 4))
    folds = make_folds(dataset, 20, CONFIG.walk_forward)
    made = run_study(dataset, folds, ARMS, CONFIG, LINEAR)
    for key, target in dataset.targets.items():
        y = target.y[made.rows]
        for name in ("price+sentiment", "persistence"):
            values = made.calibrated[name][key]
            if target.name == "direction":
                assert values.shape == y.shape
                continue
            at = dict(zip(LEVELS, values.T, strict=True))
            for low, high in INTERVALS.values():
                share = inside(y, at[low], at[high])[~np.isnan(y)].mean()
                assert share == pytest.approx(high - low, abs=0.05), (name, key)
    raw, y = made.arms["price+sentiment"].by_key["direction_1"][0], dataset.targets["direction_1"].y
    known = ~np.isnan(y[made.rows])
    losses = [
        brier(y[made.rows], p)[known].mean()
        for p in (raw, made.calibrated["price+sentiment"]["direction_1"])
    ]
    assert losses[1] <= losses[0] + 1e-3, "calibration costs nothing where there is nothing to mend"


def test_reliability_by_hand() -> None:
    p = np.repeat([0.2, 0.4, 0.6, 0.8], 10)
    up = np.concatenate([np.r_[np.ones(k), np.zeros(10 - k)] for k in (3, 4, 6, 6)])
    found = reliability(up, p, bins=4)
    assert [count for *_, count in found] == [10, 10, 10, 10]
    assert [mean for mean, _, _ in found] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert [share for _, share, _ in found] == pytest.approx([0.3, 0.4, 0.6, 0.6])
    assert calibration_error(up, p) == pytest.approx((0.1 + 0 + 0 + 0.2) / 4)
    assert reliability(up, np.full(40, 0.5)) == [(0.5, pytest.approx(19 / 40), 40)]
