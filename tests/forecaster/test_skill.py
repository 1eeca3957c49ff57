"""Live skill by hand, and an interval that holds however often one looks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.skill import live_skill, sequence_width, skill_interval
from moodtape.storage.db import Warehouse
from moodtape.storage.ledger import store_forecasts
from moodtape.storage.settlements import (
    Issued,
    Settlement,
    live_forecasts,
    settlement_counts,
    store_settlements,
)

START, HOUR = datetime(2025, 1, 1, tzinfo=UTC), timedelta(hours=1)


def table(count: int, **columns: Any) -> pd.DataFrame:
    cutoff = pd.DatetimeIndex([START + n * HOUR for n in range(count)])
    usual = {
        "symbol": "BTC", "interval": "1h", "horizon_bars": 1, "cutoff": cutoff,
        "due_at": cutoff + HOUR, "model_run": "m", "mean": 0.0, "p_up": 0.5, "volatility": 0.01,
        "log_return": 0.01, "realised": 0.01, "trailing_variance": 1e-4,
        "volatility_before": 0.02,
    }  # fmt: skip
    return pd.DataFrame(usual | columns)


def test_skill_by_hand() -> None:
    live = table(4, mean=[0.01, 0.0, 0.02, 0.01], p_up=[1.0, 0.5, 0.5, 0.5],
                 log_return=[0.02, 0.0, 0.02, -0.01])  # fmt: skip
    found = {row["target"]: row for row in live_skill(live)}
    # Squared errors in units of 1e-4: 1, 0, 0, 4 against 4, 0, 4, 1.
    assert found["return"]["skill"] == pytest.approx(1 - 5 / 9)
    assert found["return"]["n"] == 4
    # A return of zero is neither up nor down: Brier 0, 0.25, 0.25 against three quarters.
    assert found["direction"]["n"] == 3
    assert found["direction"]["skill"] == pytest.approx(1 - 0.5 / 0.75)
    assert found["volatility"]["skill"] == pytest.approx(1.0)
    assert found["return"]["low"] is None, "four are too few for an interval"
    assert found["return"]["until"] == START + 3 * HOUR


def test_targets_that_were_not_forecast_have_no_row() -> None:
    live = table(40, mean=np.nan, volatility=np.nan)
    assert [row["target"] for row in live_skill(live)] == ["direction"]


def test_the_sequence_is_wider_than_one_look_and_narrows() -> None:
    widths = [sequence_width(n, 1.0) * np.sqrt(n) for n in (30, 500, 100_000)]
    assert min(widths) > 1.96
    assert sequence_width(1000, 1.0) < sequence_width(500, 1.0)


def test_the_interval_holds_at_all_times_at_once() -> None:
    """Losses of hours that follow each other, looked at every day for four months."""
    rng = np.random.default_rng(8)
    worlds, hours, missed, missed_fixed, looks = 60, 2400, 0, 0, 0
    for _ in range(worlds):
        shocks = rng.standard_normal((2, hours))
        wild = np.empty(hours)
        level = 0.0
        for t in range(hours):
            level = 0.9 * level + 0.3 * shocks[0, t]
            wild[t] = np.exp(level)
        reference = wild * rng.chisquare(3, hours)
        loss = reference * 0.97 + wild * shocks[1]
        true = 0.03
        outside, fixed = False, False
        for n in range(360, hours + 1, 120):
            low, high = skill_interval(loss[:n], reference[:n], 1, 24)
            if low is None or high is None:
                continue  # too few blocks yet
            looks += 1
            outside |= not low <= true <= high
            middle, half = (low + high) / 2, (high - low) / 2
            one_look = half * 1.96 / (sequence_width(n, 1.0) * np.sqrt(n))
            fixed |= abs(middle - true) > one_look
        missed += outside
        missed_fixed += fixed
    assert looks > 10 * worlds
    assert missed <= 0.05 * worlds + 2, "at most one world in twenty, and the luck of 60"
    assert missed_fixed > 0.1 * worlds, "whoever looks often at a common interval is often misled"


def forecast(hour: int, made: datetime, **changed: Any) -> dict[str, Any]:
    cutoff = START + hour * HOUR
    usual = {
        "symbol": "BTC", "cutoff": cutoff, "horizon_bars": 1, "run": "one",
        "decision_time": cutoff, "late": False, "quantiles": {"0.5": 0.003}, "p_up": 0.6,
        "volatility": 0.01, "mean": None,
    }  # fmt: skip
    return usual | changed


def answer(hour: int, run: str = "one", state: Any = "settled") -> Settlement:
    cutoff = START + hour * HOUR
    issued = Issued("BTC", "1h", cutoff, 1, run, None, None)
    return Settlement(issued, cutoff + HOUR, state, 0.01, 0.01, 1e-4, 0.01)


def test_only_what_was_said_in_time_and_first_counts(tmp_warehouse: Warehouse) -> None:
    with tmp_warehouse.write() as connection:
        for made, items in (
            (START, [forecast(0, START), forecast(1, START, late=True), forecast(2, START),
                     forecast(3, START), forecast(4, START)]),
            (START + HOUR, [forecast(0, START, run="two", p_up=0.9)]),
        ):  # fmt: skip
            store_forecasts(connection, items, "1h", "r", made)
        answers = [answer(0), answer(0, "two"), answer(1), answer(2, state="void"), answer(3)]
        store_settlements(connection, answers, "r", START)
        live = live_forecasts(connection, START + 3 * HOUR)
        assert list(live["cutoff"]) == [pd.Timestamp(START)], "the fourth is not known yet"
        assert list(live["model_run"]) == ["one"]
        assert list(live["mean"]) == [0.003], "the median stands in for the mean of old rows"
        assert dict(settlement_counts(connection)) == {
            "late": 1, "live": 3, "void": 1, "waiting": 1,
        }  # fmt: skip
        again = [answer(0, state="void")]
        assert store_settlements(connection, again, "r2", START + HOUR) == 0
    assert json.dumps(live_skill(live.iloc[:0])) == "[]"
