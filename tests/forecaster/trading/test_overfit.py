"""The probability of backtest overfitting: derived again, and where it is not defined."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from moodtape.forecaster.trading.market import Market, daily_returns, return_days
from moodtape.forecaster.trading.overfit import overfitting_of, overfitting_probability
from moodtape.storage.db import Warehouse
from moodtape.storage.simulations import record_simulation, tried_returns, tried_sharpes

FIRST = np.datetime64("2024-01-01")
NOW = datetime(2024, 9, 1, tzinfo=UTC)


def idle(days: int, strategies: int, seed: int) -> np.ndarray:
    """Return daily returns of strategies without any skill."""
    return 0.01 * np.random.default_rng(seed).standard_normal((days, strategies))


def slow(daily: np.ndarray, parts: int) -> float:
    """Derive it again, half by half, with numpy's own mean and deviation."""
    pieces, below = np.array_split(daily, parts), []
    for chosen in combinations(range(parts), parts // 2):
        inside = np.concatenate([pieces[i] for i in chosen])
        outside = np.concatenate([pieces[i] for i in range(parts) if i not in chosen])
        sharpe_in, sharpe_out = (half.mean(axis=0) / half.std(axis=0) for half in (inside, outside))
        best = sharpe_out[np.argmax(sharpe_in)]
        rank = np.searchsorted(np.sort(sharpe_out), best) + 1
        omega = rank / (daily.shape[1] + 1)
        below.append(np.log(omega / (1 - omega)) <= 0)  # the logit of the paper
    return float(np.mean(below))


@pytest.mark.parametrize(("strategies", "parts"), [(4, 10), (5, 6), (9, 8), (20, 10)])
def test_as_derived_from_the_paper(strategies: int, parts: int) -> None:
    daily = idle(203, strategies, strategies)
    assert overfitting_probability(daily, parts) == pytest.approx(slow(daily, parts))


def test_without_skill_choosing_is_worth_nothing_on_average() -> None:
    found = [overfitting_probability(idle(200, 12, seed)) for seed in range(60)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)


def test_skill_that_lasts_is_no_luck_and_one_that_turns_is_all_of_it() -> None:
    daily = idle(300, 8, 1)
    daily[:, 3] += 0.01
    assert overfitting_probability(daily) < 0.01
    turning = idle(300, 8, 1)
    for number in range(8):  # each is good at one time and as bad at all others
        turning[:, number] -= 0.002
        turning[number * 37 : (number + 1) * 37, number] += 0.03
    assert overfitting_probability(turning) > 0.7


def test_one_that_never_trades_has_a_ratio_of_nothing() -> None:
    daily = idle(200, 4, 2)
    daily[:, 0] = 0.0
    assert 0 <= overfitting_probability(daily) <= 1
    losing = daily - 0.02
    losing[:, 0] = 0.0
    assert overfitting_probability(losing) == 0, "best in every half"


def tried(count: int, length: int, start: int = 0, seed: int = 0) -> list[Any]:
    daily = idle(length, count, seed)
    days = FIRST + np.arange(start, start + length)
    return [(days, column) for column in daily.T]


def test_few_strategies_or_few_days_are_not_enough() -> None:
    days = FIRST + np.arange(100)
    assert overfitting_of(days, tried(3, 100)) == {
        "probability": None, "strategies": 3, "days": 100,
    }  # fmt: skip
    twice = tried(3, 100) + tried(3, 100)
    assert overfitting_of(days, twice)["strategies"] == 3, "the same again is no other"
    short = overfitting_of(days[:30], tried(5, 30))
    assert (short["probability"], short["days"]) == (None, 30)
    assert overfitting_of(days, [])["probability"] is None
    assert overfitting_of(days, tried(4, 100))["probability"] is not None


def test_only_those_of_mostly_the_same_days_count_on_the_days_they_share() -> None:
    days = FIRST + np.arange(100)
    mixed = [*tried(4, 100), *tried(2, 100, start=30, seed=5), *tried(9, 100, start=60, seed=6)]
    found = overfitting_of(days, mixed)
    assert (found["strategies"], found["days"]) == (6, 70)
    matrix = np.stack([r[np.isin(own, days[30:])] for own, r in mixed[:6]], axis=1)
    assert found["probability"] == overfitting_probability(np.unique(matrix.T, axis=0).T)


def test_days_are_those_of_the_returns() -> None:
    closes = np.datetime64("2024-01-01T12", "us") + np.arange(1, 80) * np.timedelta64(1, "h")
    closes = np.delete(closes, np.s_[14:40])  # a day without a bar is flat
    n, nothing = len(closes), np.zeros(0, dtype="datetime64[us]")
    ones = np.ones(n)
    market = Market(
        closes - np.timedelta64(1, "h"), closes, ones, ones, ones, ones, 0 * ones, 365, nothing
    )
    daily, days = daily_returns(market, np.linspace(1, 2, n)), return_days(market)
    assert len(daily) == len(days) == 4
    assert daily[days == np.datetime64("2024-01-02")] > 0
    assert str(days[0]) == "2024-01-01"


def facts(number: int, days: Any, returns: Any) -> dict[str, Any]:
    return {
        "settings_hash": str(number), "study": "s", "forecaster": "linear", "model": "full",
        "symbol": "BTC", "target": "return", "horizon_bars": 1, "span_from": NOW,
        "span_until": NOW + timedelta(days=9), "daily_sharpe": 0.1 * number,
        "return_days": days, "daily_returns": returns,
    }  # fmt: skip


def test_the_ledger_keeps_returns_and_fills_in_those_of_before(tmp_warehouse: Warehouse) -> None:
    days = (FIRST + np.arange(3)).tolist()
    span = (NOW, NOW + timedelta(days=1))
    with tmp_warehouse.write() as connection:
        record_simulation(connection, facts(1, None, None), "run-1", NOW)
        assert tried_returns(connection, "BTC", *span) == []
        record_simulation(connection, facts(1, days, [0.1, 0.0, -0.1]), "run-2", NOW)
        record_simulation(connection, facts(1, days, [9.0, 9.0, 9.0]), "run-3", NOW)
        ((kept, returns),) = tried_returns(connection, "BTC", *span)
        rows = connection.execute("SELECT run_id FROM simulation").fetchall()
        assert tried_sharpes(connection, "BTC", *span) == [0.1]
        assert tried_returns(connection, "ETH", *span) == []
    assert rows == [("run-1",)], "it counts once, as it was first entered"
    assert kept.tolist() == days
    assert returns.tolist() == [0.1, 0.0, -0.1]
