"""Fills, costs, funding, stops, the breaker: each against a sum done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodtape.config.trading import TradingSection
from moodtape.forecaster.trading.closed_form import equity_path, trades_of
from moodtape.forecaster.trading.market import Market, daily_returns, fund_bars
from moodtape.forecaster.trading.simulate import simulate


def test_a_long_position_earns_the_move_less_costs_twice(free: TradingSection, flat: Any) -> None:
    market = flat([100, 110, 121, 121])
    costly = free.model_copy(update={"fee_bps": 10.0, "slippage_bps": 5.0})
    path = simulate(market, np.array([1.0, 1.0, 0.0]), costly)
    bought = 1 - 0.0015
    assert path.equity == pytest.approx([bought * 1.1, bought * 1.21, bought**2 * 1.21])
    assert path.trades == 2
    assert path.costs == pytest.approx(0.0015 + 0.0015 * bought * 1.21)
    assert path.weight == pytest.approx([1.0, 1.0, 0.0])


def test_half_a_position_holds_its_coins(free: TradingSection, flat: Any) -> None:
    path = simulate(flat([100, 200, 100]), np.array([0.5, 0.5]), free)
    assert path.equity == pytest.approx([1.5, 1.0])  # not rebalanced: it is back where it began
    assert path.weight == pytest.approx([1.0 / 1.5, 0.5])


def test_a_short_gains_when_the_price_falls_and_can_be_ruined(
    free: TradingSection, flat: Any
) -> None:
    assert simulate(flat([100, 80]), np.array([-1.0]), free).equity == pytest.approx([1.2])
    path = simulate(flat([100, 210, 100, 50]), np.array([-1.0, -1.0, -1.0]), free)
    assert path.equity.tolist() == [0.0, 0.0, 0.0]
    assert equity_path(flat([100, 210, 100, 50]), np.full(3, -1.0), 0, 0).tolist() == [0, 0, 0]


def test_funding_is_paid_by_the_side_that_owes_it(free: TradingSection, flat: Any) -> None:
    market = flat([100, 100, 100, 100], funding=[0.01, 0.01, 0.0])
    long, short = (simulate(market, np.full(3, side), free) for side in (1.0, -1.0))
    assert long.equity == pytest.approx([1.0, 0.99, 0.99])  # nothing was held at the first open
    assert short.equity == pytest.approx([1.0, 1.01, 1.01])


def test_a_rate_is_paid_by_what_is_held_when_its_bar_opens() -> None:
    hours = START + np.arange(4) * np.timedelta64(1, "h")
    due = START + np.array([0, 60, 61, 120, 300]) * np.timedelta64(1, "m")
    paid = fund_bars(hours, due, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert paid.tolist() == [0.0, 2.0, 7.0, 0.0]


START = np.datetime64("2025-01-06T00:00", "us")
STOP = {"stop_loss": 0.05, "take_profit": 0.10}


@pytest.mark.parametrize(
    ("second", "equity", "stops", "limits"),
    [
        ((100, 103, 96, 102), 1.02, 0, 0),
        ((100, 103, 94, 102), 0.95, 1, 0),
        ((100, 111, 96, 102), 1.10, 0, 1),
        ((100, 111, 94, 102), 0.95, 1, 0),  # both in one bar: the stop
        ((90, 103, 89, 102), 0.90, 1, 0),  # the price gapped through the stop: the open
        ((115, 116, 96, 102), 1.15, 0, 1),
    ],
    ids=["neither", "stop", "limit", "both", "gap down", "gap up"],
)
def test_stops_and_limits_fill_inside_the_bar(
    free: TradingSection,
    second: tuple[float, ...],
    equity: float,
    stops: int,
    limits: int,
    hourly: Any,
) -> None:
    bars = [(100, 101, 99, 100), second, (102, 102, 102, 102)]
    market = hourly(*zip(*bars, strict=True))
    path = simulate(market, np.ones(3), free.model_copy(update=STOP))
    assert path.equity[1] == pytest.approx(equity)
    assert (path.stops, path.limits) == (stops, limits)
    if stops or limits:
        assert path.equity[2] == path.equity[1]  # flat until the signal has changed sides


def test_after_a_stop_the_rule_waits_for_another_side(free: TradingSection, flat: Any) -> None:
    market = flat([100, 90, 99, 108.9, 119.79])
    stopped = free.model_copy(update={"stop_loss": 0.05})
    path = simulate(market, np.array([1.0, 1.0, 0.0, 1.0]), stopped)
    assert path.stops == 1
    assert path.equity == pytest.approx([0.95, 0.95, 0.95, 0.95 * 1.1])


def test_a_stop_pays_slippage_and_a_limit_does_not(free: TradingSection, hourly: Any) -> None:
    costs = {"fee_bps": 10.0, "slippage_bps": 20.0}
    market = hourly([100, 100], [100, 120], [100, 100], [100, 110])
    taken = simulate(market, np.ones(2), free.model_copy(update={**costs, "take_profit": 0.1}))
    assert taken.equity[1] == pytest.approx((1 - 0.003) * 1.1 * (1 - 0.001))
    market = hourly([100, 100], [100, 100], [100, 80], [100, 90])
    lost = simulate(market, np.ones(2), free.model_copy(update={**costs, "stop_loss": 0.1}))
    assert lost.equity[1] == pytest.approx((1 - 0.003) * 0.9 * (1 - 0.003))


def test_the_breaker_closes_at_the_next_open_and_rests(free: TradingSection, flat: Any) -> None:
    market = flat([100, 70, 77, 77, 77, 154])
    broken = free.model_copy(update={"max_drawdown": 0.2, "cool_down_d": 2 / 24})
    path = simulate(market, np.ones(5), broken)
    assert path.breaks == 1
    assert path.weight.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert path.equity == pytest.approx([0.7, 0.7, 0.7, 0.7, 1.4])


def test_a_small_change_of_size_is_not_traded(free: TradingSection, flat: Any) -> None:
    wanted = np.array([0.5, 0.55, 0.7, 0.65, 0.0])
    path = simulate(flat([100] * 6), wanted, free.model_copy(update={"resize_band": 0.1}))
    assert path.weight == pytest.approx([0.5, 0.5, 0.7, 0.7, 0.0])
    trades = trades_of(wanted, 0.1)
    assert (trades.bar.tolist(), trades.share.tolist()) == ([0, 2, 4], [0.5, 0.7, 0.0])


@given(seed=st.integers(0, 2**32 - 1), shorts=st.booleans(), band=st.sampled_from([0.0, 0.2]))
def test_the_closed_form_agrees_bar_by_bar(
    seed: int, shorts: bool, band: float, random_market: Any
) -> None:
    rng = np.random.default_rng(seed)
    market = random_market(rng, 120, funded=True)
    wanted = rng.choice([-1.0, -0.5, 0.0, 0.3, 0.5, 1.0, 1.5], 120).repeat(2)[:120]
    wanted = wanted if shorts else np.maximum(wanted, 0.0)
    settings = TradingSection(max_drawdown=0, resize_band=band)
    stepped = simulate(market, wanted, settings).equity
    at_once = equity_path(market, wanted, settings.cost, band)
    assert at_once == pytest.approx(stepped, rel=1e-9)


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 99))
def test_equity_up_to_an_instant_knows_nothing_after_it(
    seed: int, cut: int, random_market: Any
) -> None:
    rng = np.random.default_rng(seed)
    wanted = rng.choice([-1.0, 0.0, 1.0], 100)
    settings = TradingSection(stop_loss=0.01, take_profit=0.02, max_drawdown=0.05, cool_down_d=0.2)
    market = random_market(rng, 100, funded=True)
    other = random_market(rng, 100, funded=True)
    spliced = Market(
        market.opens,
        market.closes,
        *(
            np.append(getattr(market, name)[:cut], getattr(other, name)[cut:])
            for name in ("open", "high", "low", "close", "funding")
        ),
    )
    later = np.append(wanted[:cut], -wanted[cut:])
    ours, theirs = simulate(market, wanted, settings), simulate(spliced, later, settings)
    assert ours.equity[:cut].tobytes() == theirs.equity[:cut].tobytes()
    assert ours.weight[:cut].tobytes() == theirs.weight[:cut].tobytes()


def test_days_without_bars_are_flat_days(flat: Any) -> None:
    market = flat([100] * 49)
    closes = market.closes.copy()
    closes[24:] += np.timedelta64(2, "D")
    late = type(market)(
        closes - np.timedelta64(1, "h"), closes, *(market.open,) * 4, market.funding
    )
    equity = np.append(np.linspace(1.0, 1.1, 24), np.linspace(1.1, 1.21, 24))
    assert daily_returns(late, equity) == pytest.approx([0.1, 0.0, 0.0, 0.1])
