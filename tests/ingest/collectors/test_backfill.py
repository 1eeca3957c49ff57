"""Holes are found on every grid, and asked for again: so many a run, the newest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.errors import DataMissing
from moodtape.ingest import backfill as module
from moodtape.ingest.backfill import backfill
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse
from moodtape.storage.summary import gaps

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL = ("news", "bars", "onchain", "indices")


@pytest.fixture
def plan(providers: Any, fake_time: Any) -> Plan:
    """Return a project in which every source has run once."""
    settings = load_settings(providers.folder, environ={})
    made = Plan(
        Warehouse(settings.warehouse), settings.staging, providers.folder, settings.config,
        timing=fake_time.timing,
    )  # fmt: skip
    providers.publish("one", "a1", "Bitcoin rallies to a new high")
    run_collectors(made, ALL)
    return made


def holes(plan: Plan) -> list[tuple[Any, ...]]:
    with plan.warehouse.read() as connection:
        found = gaps(connection, timedelta(minutes=90))
    return [
        (
            g["kind"],
            g["series"],
            f"{g['since']:%d %H}",
            f"{g['until']:%d %H}",
            g["missing"],
            g["why"],
        )
        for g in found
    ]


def delete(plan: Plan, sql: str) -> None:
    with plan.warehouse.write() as connection:
        connection.execute(sql)


LOST_BARS = "DELETE FROM bar WHERE hour(open_time) IN (3, 4, 20)"


def test_no_hole_no_gap(plan: Plan) -> None:
    assert holes(plan) == []
    assert backfill(plan, ALL) == []


def test_holes_on_every_grid_are_found(
    plan: Plan, providers: Any, fake_time: Any, reply: Any
) -> None:
    delete(plan, LOST_BARS)
    fake_time.sleep(3600)
    providers.loopback.answers["/two"] = reply(b"", 503)
    run_collectors(plan, ["news"])
    fake_time.sleep(3600)
    providers.loopback.answers["/two"] = providers.feed("two")
    run_collectors(plan, ["news"])
    fake_time.sleep(3 * 3600)
    run_collectors(plan, ["news"])
    fake_time.sleep(3 * DAY.total_seconds())
    run_collectors(plan, ["onchain", "indices"])
    assert holes(plan) == [
        ("bars", "BTC/USDT 1h", "01 03", "01 05", 2, ""),
        ("bars", "BTC/USDT 1h", "30 20", "30 21", 1, ""),
        ("metrics", "MARKET fear_greed", "01 00", "02 00", 1, ""),
        ("metrics", "BTC TxCnt", "30 00", "01 00", 1, ""),
        ("polls", "one", "01 14", "01 17", None, "not asked"),
        ("polls", "two", "01 14", "01 17", None, "not asked"),
        ("polls", "two", "01 12", "01 14", None, "refused"),
    ]


def test_what_is_missing_is_asked_for(plan: Plan, providers: Any) -> None:
    delete(plan, LOST_BARS)
    asked = len(providers.loopback.asked)
    (result,) = backfill(plan, ALL)
    assert (result.source, result.state, result.counts.new) == ("bars", "done", 3)
    assert len(providers.loopback.asked) == asked + 2
    assert holes(plan) == []
    with plan.warehouse.read() as connection:
        late = connection.execute(
            "SELECT count(*) FROM bar WHERE known_at <> close_time"
        ).fetchall()
        place = connection.execute(
            "SELECT position FROM cursor WHERE collector = 'bars'"
        ).fetchall()
    assert late == [(0,)], "a bar is known at its close, whenever it is fetched"
    assert "2026-10-01T11:00" in place[0][0], "the place has not moved back"


def test_an_index_and_metrics_are_filled(plan: Plan, providers: Any, fake_time: Any) -> None:
    fake_time.sleep(3 * DAY.total_seconds())
    run_collectors(plan, ["indices", "onchain"])
    answers = providers.loopback.answers
    whole = providers.index, providers.metrics
    fake_time.start -= 2 * DAY
    index, chain = (make(type("Asked", (), {"query": {}})()) for make in whole)
    fake_time.start += 2 * DAY
    answers |= {"/fng/": index, "/v4/timeseries/asset-metrics": chain}
    results = {r.source: r.counts.new for r in backfill(plan, ALL)}
    assert results == {"onchain": 1, "indices": 1}
    assert holes(plan) == []


def test_a_run_asks_for_so_many_the_newest_first(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_STRETCHES", 1)
    delete(plan, LOST_BARS)
    assert backfill(plan, ["bars"])[0].counts.new == 2
    assert [hole[2] for hole in holes(plan)] == ["30 20"]


def test_a_hole_of_the_source_stays_one(plan: Plan, providers: Any, reply: Any) -> None:
    delete(plan, LOST_BARS)
    providers.loopback.answers["/api/v3/klines"] = reply(b"[]")
    (result,) = backfill(plan, ["bars"])
    assert (result.state, result.counts.new, len(holes(plan))) == ("done", 0, 2)


def test_without_a_warehouse(plan: Plan) -> None:
    elsewhere = replace(plan, warehouse=Warehouse(plan.folder / "none.duckdb"))
    with pytest.raises(DataMissing, match="Run: moodtape ingest"):
        backfill(elsewhere, ALL)
