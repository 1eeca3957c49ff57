from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodtape.forecaster.calibration import INTERVALS, LEVELS, Calibration, fit_calibration
from moodtape.forecaster.metrics import inside
from moodtape.forecaster.miss import (
    LEAST_MISS,
    MISS_BARS,
    RULE_ANSWERS,
    miss_reach,
    trailing_miss,
)


def slow(y: Any, horizon: int, row: int) -> float:
    """Return the miss at a row, from the answers that were known by then and their times."""
    squares = []
    for told in range(row - MISS_BARS + 1, row + 1):  # when the answer of told - horizon came
        made = told - horizon
        before = [y[i] for i in range(made - horizon - RULE_ANSWERS + 1, made - horizon + 1)]
        squares.append((y[made] - np.mean(before)) ** 2)
    return float(np.sqrt(np.mean(squares)))


@pytest.mark.parametrize("horizon", [1, 4, 24])
def test_a_miss_is_that_of_the_last_answers_over_two_weeks_by_hand(horizon: int) -> None:
    y = np.random.default_rng(horizon).normal(-5, 0.5, 500)
    found = trailing_miss(y, horizon)
    for row in (450, 499):
        assert found[row] == pytest.approx(slow(y, horizon, row), rel=1e-12)


@pytest.mark.parametrize("horizon", [1, 24])
def test_a_miss_knows_no_answer_before_it_is_known(horizon: int) -> None:
    y = np.random.default_rng(0).normal(-5, 0.5, 600)
    wild = y.copy()
    wild[500:] += 9.0
    before, after = trailing_miss(y, horizon), trailing_miss(wild, horizon)
    first = 500 + horizon  # the changed answer of row 500 is known here
    assert np.array_equal(before[:first], after[:first], equal_nan=True)
    assert after[first] > before[first], "the change must matter as soon as it is known"


def test_a_miss_has_the_same_bits_wherever_the_rows_begin() -> None:
    y = np.random.default_rng(1).normal(-5, 0.5, 1500)
    cut = 600
    whole, late = trailing_miss(y, 24), trailing_miss(y[cut:], 24)
    settled = miss_reach(24)
    assert np.array_equal(whole[cut + settled :], late[settled:])


def test_before_anything_is_known_there_is_no_miss_and_none_is_ever_nothing() -> None:
    found = trailing_miss(np.full(60, -9.2), 1)  # as if every bar were floored
    assert np.isnan(found[:9]).all()
    assert (found[20:] == LEAST_MISS).all()


def test_a_symbol_has_misses_of_its_own(make_dataset: Any) -> None:
    two = make_dataset(600, symbols=("BTC", "ETH"))
    alone = make_dataset(600)
    assert np.array_equal(
        two.trailing_miss["volatility_1"][:600], alone.trailing_miss["volatility_1"], equal_nan=True
    )
    assert np.isnan(two.trailing_miss["volatility_1"][600:609]).all()


def test_intervals_of_volatility_keep_their_word_when_its_level_jumps_about_more(
    make_dataset: Any,
) -> None:
    dataset = make_dataset(6_000)
    rng = np.random.default_rng(2)
    shock = np.where(np.arange(6_000) < 3_000, 0.3, 0.6) * rng.normal(size=6_000)
    target = replace(dataset.targets["volatility_1"], y=-5 + shock)
    dataset = replace(dataset, targets={"volatility_1": target})
    calibrate, test = np.arange(1_500, 3_000), np.arange(3_500, 6_000)
    fitted = fit_calibration(dataset, calibrate, {"volatility_1": np.full(1_500, -5.0)})
    flat = Calibration({"volatility_1": tuple(np.quantile(shock[calibrate], LEVELS))})
    forecast = {"volatility_1": np.full(len(test), -5.0)}

    def covered(calibration: Calibration, name: str) -> float:
        quantiles = calibration.apply(dataset, test, forecast)["volatility_1"]
        ends = [quantiles[:, LEVELS.index(level)] for level in INTERVALS[name]]
        return float(inside(target.y[test], *ends).mean())

    assert covered(fitted, "90 %") == pytest.approx(0.9, abs=0.02)
    assert covered(fitted, "50 %") == pytest.approx(0.5, abs=0.03)
    assert covered(flat, "90 %") < 0.7, "the case must be one that a fixed width falls for"


def test_where_no_miss_is_known_the_usual_one_stands_in(make_dataset: Any) -> None:
    dataset = make_dataset(400)
    target = dataset.targets["volatility_1"]
    calibration = Calibration(
        {"volatility_1": (-2.0, -1.0, 0.0, 1.0, 2.0)}, usual_miss={"volatility_1": 0.25}
    )
    forecast, one = np.array([-5.0, -5.0]), np.ones(2)
    found = calibration.quantiles(target, forecast, one, np.array([np.nan, 0.5]))
    assert found.tolist() == [[-5.5, -5.25, -5.0, -4.75, -4.5], [-6.0, -5.5, -5.0, -4.5, -4.0]]
    assert calibration.quantiles(target, forecast, one)[1].tolist() == found[0].tolist()


def test_offsets_of_an_earlier_version_are_in_the_answers_own_unit(make_dataset: Any) -> None:
    target = make_dataset(400).targets["volatility_1"]
    old = Calibration({"volatility_1": (-0.2, -0.1, 0.0, 0.1, 0.2)})
    found = old.quantiles(target, np.array([-5.0]), np.ones(1), np.array([0.5]))
    assert found[0] == pytest.approx([-5.2, -5.1, -5.0, -4.9, -4.8])
