"""When a forecast becomes a position, and that it never does so early."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodtape.config.trading import TradingSection
from moodtape.forecaster.trading.signals import fillable, sides, signal_on_bars, size

DELAY = np.timedelta64(120, "s")
NONE = np.timedelta64(0, "s")


def test_forecasts_beyond_the_threshold_open_positions() -> None:
    settings = TradingSection(threshold_bps=10, threshold_p=0.05)
    forecast = np.array([0.002, 0.0005, -0.002, np.nan])
    assert sides(forecast, "return", settings, shorts=True).tolist() == [1, 0, -1, 0]
    assert sides(forecast, "return", settings, shorts=False).tolist() == [1, 0, 0, 0]
    chance = np.array([0.56, 0.54, 0.44, np.nan])
    assert sides(chance, "direction", settings, shorts=True).tolist() == [1, 0, -1, 0]


def test_an_order_fills_at_the_first_open_after_its_decision(flat: Any) -> None:
    market = flat([100] * 7)
    wanted = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])  # decided two minutes after bar 1's close
    assert fillable(market, wanted, DELAY, optimistic=False).tolist() == [0, 0, 0, 1, 0, 0]
    assert fillable(market, wanted, DELAY, optimistic=True).tolist() == [0, 0, 1, 0, 0, 0]
    assert fillable(market, wanted, NONE, optimistic=False).tolist() == [0, 0, 1, 0, 0, 0]


def test_several_decisions_before_one_open_leave_the_newest(flat: Any) -> None:
    market = flat([100] * 6)
    late = np.timedelta64(90, "m")  # decisions of bars 0 and 1 are made before bar 3 opens
    wanted = np.array([1.0, -1.0, 0.5, 0.0, 0.0])
    assert fillable(market, wanted, late, optimistic=False).tolist() == [0, 0, 0, 1, -1]


def test_a_longer_horizon_holds_the_mean_of_its_last_signals(flat: Any) -> None:
    market = flat([100] * 7)
    cutoffs = market.closes[[1, 2, 4]]  # none at bar 3: it signals nothing
    signal = signal_on_bars(market, cutoffs, np.array([1.0, 1.0, -1.0]), 2)
    assert signal.tolist() == [0, 0.5, 1.0, 0.5, -0.5, -0.5]
    assert signal_on_bars(market, cutoffs, np.ones(3), 1).tolist() == [0, 1, 1, 0, 1, 0]


def test_size_aims_at_a_volatility_within_the_cap(random_market: Any) -> None:
    market = random_market(np.random.default_rng(1), 400)
    returns = np.diff(np.log(market.close))
    yearly = np.sqrt((returns[399 - 168 : 399] ** 2).mean() * 365 * 24)
    settings = TradingSection(volatility_target=0.2, leverage_cap=2.0)
    found = size(market, settings)
    assert found[399] == pytest.approx(min(0.2 / yearly, 2.0))
    assert (found[:168] == 0).all()
    assert (size(market, settings.model_copy(update={"leverage_cap": 0.01}))[168:] == 0.01).all()


def test_size_knows_no_later_bar(random_market: Any) -> None:
    market = random_market(np.random.default_rng(1), 400)
    settings = TradingSection(volatility_target=0.2, leverage_cap=9.0)
    before = size(market, settings)
    market.close[300:] *= 3
    after = size(market, settings)
    assert before[:300].tobytes() == after[:300].tobytes()
    assert before[300] != after[300]


def test_rates_with_a_hole_of_more_than_a_day_fund_nothing(flat: Any) -> None:
    market = flat([100] * 97)
    eighth = market.opens[8::8]

    def funded(due: np.ndarray) -> bool:
        return replace(market, due=due).is_funded(0, 95)

    assert funded(eighth)
    assert funded(np.delete(eighth, [3, 4]))
    assert not funded(np.delete(eighth, [3, 4, 5]))
    assert not funded(eighth[:7]), "they end before the bars do"
    assert not funded(eighth[:0])
