"""A forecast is settled once, on the bars as they were first known; a hole voids it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.config import Config
from moodtape.storage.db import Warehouse
from moodtape.storage.ledger import store_forecasts
from moodtape.study.settling import settle_due

START, HOUR = datetime(2025, 1, 1, tzinfo=UTC), timedelta(hours=1)
NOW = START + 300 * HOUR
Place = Callable[..., None]


@pytest.fixture
def bars(tmp_warehouse: Warehouse) -> Place:
    """Return what stores bars by the hour of their open: `bars({0: 100.0, 1: 101.0})`."""

    def place(closes: dict[int, float], known_after: timedelta | None = None,
              venue: str = "binance") -> None:  # fmt: skip
        with tmp_warehouse.write() as connection:
            for hour, close in closes.items():
                opened = START + hour * HOUR
                known = opened + HOUR if known_after is None else opened + known_after
                connection.execute(
                    "INSERT INTO bar VALUES ('BTC', ?, 'USDT', '1h', ?, ?, ?, ?, ?, ?, ?,"
                    " 1, 1, 1, 1, ?, 'r')",
                    [venue, opened, known, opened + HOUR, close, close * 1.01, close * 0.99,
                     close, known],
                )  # fmt: skip

    return place


@pytest.fixture
def issue(tmp_warehouse: Warehouse) -> Callable[..., None]:
    def issue(hour: int, horizon: int = 1, **changed: Any) -> None:
        cutoff = START + hour * HOUR
        usual = {
            "symbol": "BTC", "cutoff": cutoff, "horizon_bars": horizon, "run": "model",
            "decision_time": cutoff + timedelta(minutes=2), "late": False, "quantiles": None,
            "p_up": 0.6, "volatility": 0.01, "venue": "binance", "quote": "USDT", "mean": 0.001,
        }  # fmt: skip
        with tmp_warehouse.write() as connection:
            store_forecasts(connection, [usual | changed], "1h", "r", cutoff)

    return issue


def answers(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with warehouse.read() as connection:
        return connection.execute(
            "SELECT cutoff, horizon_bars, state, log_return, due_at, volatility"
            " FROM settlement ORDER BY cutoff, horizon_bars"
        ).fetchall()


def test_the_answer_is_the_return_after_the_cutoff(
    tmp_warehouse: Warehouse, bars: Place, issue: Callable[..., None]
) -> None:
    bars({h: 100.0 + h for h in range(250)})
    issue(200)
    issue(200, 24)
    assert settle_due(tmp_warehouse, Config(), "s", NOW) == {"settled": 2, "void": 0, "waiting": 0}
    one, day = answers(tmp_warehouse)
    # The bar that closes at the cut-off opened an hour before it.
    assert one[3] == pytest.approx(math.log(300 / 299))
    assert day[3] == pytest.approx(math.log(323 / 299))
    assert (one[4], day[4]) == (START + 201 * HOUR, START + 224 * HOUR)
    spread = math.log(1.01 / 0.99)
    assert one[5] == pytest.approx(math.sqrt(0.5) * spread), "from the range of the bars after"


def test_what_is_not_over_waits_and_nothing_is_settled_twice(
    tmp_warehouse: Warehouse, bars: Place, issue: Callable[..., None]
) -> None:
    bars({h: 100.0 + h for h in range(250)})
    issue(200)
    issue(200, 24)
    early = START + 201 * HOUR
    assert settle_due(tmp_warehouse, Config(), "s", early)["settled"] == 1
    first = answers(tmp_warehouse)
    assert settle_due(tmp_warehouse, Config(), "t", early)["settled"] == 0
    assert settle_due(tmp_warehouse, Config(), "t", NOW) == {"settled": 1, "void": 0, "waiting": 0}
    assert answers(tmp_warehouse)[:1] == first


def test_a_bar_known_later_does_not_settle_earlier(
    tmp_warehouse: Warehouse, bars: Place, issue: Callable[..., None]
) -> None:
    bars(dict.fromkeys(range(200), 100.0))
    bars({200: 105.0}, known_after=5 * HOUR)
    issue(200)
    assert settle_due(tmp_warehouse, Config(), "s", START + 203 * HOUR)["waiting"] == 1
    assert settle_due(tmp_warehouse, Config(), "s", START + 206 * HOUR)["settled"] == 1


def test_a_correction_changes_no_answer_made_before_or_after_it(
    tmp_warehouse: Warehouse, bars: Place, issue: Callable[..., None]
) -> None:
    bars(dict.fromkeys(range(200), 100.0) | {200: 110.0, 201: 110.0})
    issue(200)
    issue(200, 2)
    settle_due(tmp_warehouse, Config(), "s", START + 201 * HOUR)
    bars({200: 50.0, 201: 50.0}, known_after=3 * HOUR)
    settle_due(tmp_warehouse, Config(), "s", NOW)
    assert [a[3] for a in answers(tmp_warehouse)] == [pytest.approx(math.log(1.1))] * 2


def test_a_hole_voids_when_it_has_not_been_filled_for_long(
    tmp_warehouse: Warehouse, bars: Place, issue: Callable[..., None]
) -> None:
    bars({h: 100.0 for h in range(250) if h not in (201, 210)})
    issue(201)  # its answer needs the bar that opens at 201
    issue(200, 4)  # a hole inside the horizon
    issue(211)  # the bar at its cut-off
    issue(220)
    soon = START + 240 * HOUR
    assert settle_due(tmp_warehouse, Config(), "s", soon) == {"settled": 1, "void": 0, "waiting": 3}
    bars({210: 101.0})
    late = START + 290 * HOUR
    assert settle_due(tmp_warehouse, Config(), "s", late) == {"settled": 1, "void": 2, "waiting": 0}
    bars({201: 100.0})
    assert settle_due(tmp_warehouse, Config(), "s", NOW)["settled"] == 0, "void stays void"
    found = {(a[0] - START) // HOUR: a[2] for a in answers(tmp_warehouse)}
    assert found == {200: "void", 201: "void", 211: "settled", 220: "settled"}


def test_it_is_settled_on_the_series_it_was_made_from(
    tmp_warehouse: Warehouse, bars: Place, issue: Callable[..., None]
) -> None:
    bars(dict.fromkeys(range(201), 100.0))
    bars({h: 100.0 + (h >= 200) for h in range(201)}, venue="kraken")
    issue(200, venue="kraken")
    moved = Config.model_validate({"market": {"venue": {"BTC": "binance"}}})
    settle_due(tmp_warehouse, moved, "s", NOW)
    assert answers(tmp_warehouse)[0][3] == pytest.approx(math.log(1.01))


def test_without_bars_forecasts_wait(tmp_warehouse: Warehouse, issue: Callable[..., None]) -> None:
    issue(200)
    assert settle_due(tmp_warehouse, Config(), "s", NOW) == {"settled": 0, "void": 0, "waiting": 1}
