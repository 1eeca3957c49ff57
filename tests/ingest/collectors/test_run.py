"""Sources one by one, into a real warehouse: nothing lost, nothing doubled, nobody in the way."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from moodtape.errors import SourceFailed, UsageError, WarehouseLocked
from moodtape.ingest import round as round_module
from moodtape.ingest import run as module
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.result import require_all, summary
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.score import score_unscored
from moodtape.records import Document
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
ALL = ("news", "bars", "onchain", "indices")


class Desk:
    """A project whose sources are the loopback server."""

    def __init__(self, providers: Any, fake_time: Any) -> None:
        self.providers, self.fake_time = providers, fake_time
        settings = load_settings(providers.folder, environ={})
        self.warehouse = Warehouse(settings.warehouse, lock_wait_s=5)
        self.plan = Plan(
            self.warehouse, settings.staging, providers.folder, settings.config,
            timing=fake_time.timing, answers=settings.answers,
        )  # fmt: skip

    def ingest(self, *names: str, **changes: Any) -> dict[str, Any]:
        results = run_collectors(replace(self.plan, **changes), names or ALL)
        return {result.source: result for result in results}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()

    def content(self, since: str = "1970-01-01") -> dict[str, list[str]]:
        """Return what is stored, without which run stored it when."""
        with self.warehouse.read() as connection:
            return {
                table: [
                    repr(row)
                    for row in connection.execute(
                        f"SELECT * EXCLUDE (recorded_at, run_id) FROM {table} ORDER BY ALL"
                    ).fetchall()
                ]
                for table in ("bar", "metric", "document", "mention", "cursor", "quarantine")
            }


@pytest.fixture
def desk(providers: Any, fake_time: Any) -> Desk:
    providers.publish("one", "a1", "Bitcoin rallies to a new high")
    providers.publish("two", "b1", "Ether falls hard after the hack")
    return Desk(providers, fake_time)


def test_a_first_run_brings_everything(desk: Desk) -> None:
    results = desk.ingest()
    assert {n: (r.state, r.rows, r.counts.new) for n, r in results.items()} == {
        "news": ("done", 2, 2), "bars": ("done", 24, 24), "onchain": ("done", 2, 2),
        "indices": ("done", 2, 2),
    }  # fmt: skip
    require_all(list(results.values()))
    assert desk.rows("SELECT symbol, venue, quote, count(*) FROM bar GROUP BY ALL") == [
        ("BTC", "binance", "USDT", 24)
    ]
    assert desk.rows("SELECT max(open_time) = TIMESTAMPTZ '2026-10-01 11:00Z' FROM bar") == [
        (True,)
    ]
    assert desk.rows("SELECT command, status FROM run") == [("ingest", "done")]
    assert sorted(desk.rows("SELECT collector FROM cursor")) == [(n,) for n in sorted(ALL)]


def test_a_second_run_changes_nothing(desk: Desk) -> None:
    desk.ingest()
    before = desk.content()
    results = desk.ingest()
    assert {n: r.counts.new + r.counts.corrected for n, r in results.items()} == dict.fromkeys(
        ALL, 0
    )
    assert desk.content() == before


class Counted(Warehouse):
    """A warehouse that counts its transactions that write."""

    written: ClassVar[list[int]] = []

    def write(self) -> Any:
        self.written.append(1)
        return super().write()


def test_feeds_that_have_not_changed_cost_one_transaction(desk: Desk) -> None:
    desk.ingest("news")
    counted = Counted(desk.warehouse.path, lock_wait_s=5)
    desk.fake_time.sleep(600)
    before = desk.content()
    Counted.written.clear()
    assert desk.ingest("news", warehouse=counted)["news"].state == "done"
    assert len(Counted.written) == 1
    assert desk.content() == before
    assert desk.rows("SELECT stream, state, count(*) FROM poll GROUP BY ALL ORDER BY ALL") == [
        ("one", "empty", 1), ("one", "ok", 1), ("two", "empty", 1), ("two", "ok", 1)
    ]  # fmt: skip
    assert desk.rows("SELECT state FROM coverage") == [("crawled",)]
    assert desk.rows("SELECT status FROM run ORDER BY started_at") == [("done",), ("done",)]


def test_an_hour_later_only_what_is_new_comes(desk: Desk) -> None:
    desk.ingest()
    desk.fake_time.sleep(3600)
    desk.providers.publish("one", "a2", "Bitcoin holds its gains")
    desk.providers.publish("two", "b1", "Ether recovers after the hack")
    desk.providers.closes[NOON - timedelta(hours=1)] = 95.0
    results = desk.ingest()
    counts = {n: (r.counts.new, r.counts.corrected) for n, r in results.items()}
    assert counts == {"news": (1, 1), "bars": (1, 1), "onchain": (0, 0), "indices": (0, 0)}
    assert desk.rows("SELECT close, known_at = TIMESTAMPTZ '2026-10-01 13:00Z' FROM bar"
                     " WHERE open_time = TIMESTAMPTZ '2026-10-01 11:00Z' ORDER BY known_at") == [
        (111.0, False), (95.0, True)
    ]  # fmt: skip


def test_texts_count_in_the_hour_in_which_they_became_known(desk: Desk) -> None:
    """Old ones at the first poll are stale, a late one lands later, an edit counts once."""
    desk.providers.publish("one", "a0", "Bitcoin sold off last week", hours_ago=150)
    desk.ingest("news")
    desk.fake_time.sleep(3600)
    desk.providers.publish("one", "a2", "Bitcoin miners cheer the rally", hours_ago=2)
    desk.providers.publish("two", "b1", "Ether recovers after the hack")
    desk.ingest("news")
    score_unscored(desk.warehouse, LexiconScorer(), HourRules(), "score", desk.fake_time.now())
    assert desk.rows(
        "SELECT extract('hour' FROM hour), sum(n), sum(n_stale) FROM sentiment_hourly"
        " GROUP BY hour ORDER BY hour"
    ) == [(12, 2, 1), (13, 1, 0)]
    assert desk.rows(
        "SELECT covered_from = TIMESTAMPTZ '2026-10-01 12:00Z', state FROM coverage"
    ) == [(True, "crawled")]


def test_one_source_that_fails_stops_no_other(desk: Desk, reply: Any) -> None:
    desk.providers.loopback.answers |= {
        "/two": reply(b"", 403), "/v4/timeseries/asset-metrics": reply(hang_up=True),
    }  # fmt: skip
    results = desk.ingest()
    assert {n: r.state for n, r in results.items()} == {
        "news": "partial", "bars": "done", "onchain": "failed", "indices": "done"
    }  # fmt: skip
    told = summary(list(results.values()))
    assert (told["new"], told["quarantined"]) == (27, 0)
    (news,) = [s for s in told["sources"] if s["source"] == "news"]
    assert [(s["stream"], s["state"]) for s in news["streams"]] == [
        ("one", "ok"),
        ("two", "refused"),
    ]
    with pytest.raises(SourceFailed, match=r"news \(partial\), onchain \(failed\)\. What came is"):
        require_all(list(results.values()))
    bad = "SELECT stream, state FROM poll WHERE state NOT IN ('ok', 'empty') ORDER BY stream"
    assert desk.rows(bad) == [("BTC", "down"), ("two", "refused")]
    assert desk.rows("SELECT status FROM run") == [("failed",)]
    assert desk.rows("SELECT * FROM coverage") == []


def test_what_failed_comes_at_the_next_run(desk: Desk, reply: Any) -> None:
    answers = desk.providers.loopback.answers
    whole = dict(answers)
    desk.ingest()
    expected = desk.content()
    desk.warehouse.path.unlink()
    for path in ("/one", "/api/v3/klines", "/fng/"):
        answers |= {**whole, path: reply(b"cut", 200)}
        desk.ingest()
    answers |= whole
    desk.ingest()
    assert desk.content() == expected


def test_a_dry_run_stores_nothing(desk: Desk) -> None:
    results = desk.ingest(dry_run=True)
    assert {n: r.rows for n, r in results.items()} == {
        "news": 2, "bars": 24, "onchain": 2, "indices": 2
    }  # fmt: skip
    assert not desk.warehouse.path.exists()
    desk.ingest("bars")
    before = desk.content()
    assert desk.ingest("bars", dry_run=True)["bars"].rows == 3, "it goes on from the cursor"
    assert desk.content() == before


def test_a_bounded_stretch_of_the_past(desk: Desk) -> None:
    desk.ingest("bars")
    week = {"since": NOON - timedelta(days=7), "until": NOON - timedelta(days=6)}
    assert desk.ingest("bars", **week)["bars"].counts.new == 24
    before = desk.rows("SELECT position FROM cursor")
    assert desk.ingest("bars", **week)["bars"].counts.known == 24
    assert desk.rows("SELECT position FROM cursor") == before


def test_an_unknown_source_is_told_before_anything_is_asked(desk: Desk) -> None:
    with pytest.raises(UsageError, match=r"There is no collector 'new'\. Did you mean news\?"):
        desk.ingest("bars", "new")
    assert desk.providers.loopback.asked == []
    assert not desk.warehouse.path.exists()


class Mistaken:
    """A collector that brings one text and then stumbles over its own code."""

    name, covers = "mistaken", ("news", "feeds")

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        yield Batch([Document("news", "feeds", "m1", now, now, "Bitcoin")], "1")
        raise KeyError("price")


def test_a_mistake_in_one_collector_stops_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = module.make_collector

    def with_mistake(name: str, plan: Plan, http: Any) -> Any:
        tools = Tools(plan.config, http, plan.folder)
        return Mistaken(tools) if name == "onchain" else make(name, plan, http)

    monkeypatch.setattr(module, "make_collector", with_mistake)
    results = desk.ingest("onchain", "bars")
    assert results["bars"].counts.new == 24
    broken = results["onchain"]
    assert (broken.state, broken.counts.new) == ("failed", 1), "what it brought before is in"
    assert broken.error.startswith("moodtape ")
    assert broken.error.endswith("made a mistake: KeyError: 'price'")
    assert isinstance(broken.cause, KeyError)
    assert desk.rows("SELECT * FROM coverage") == []


def test_a_locked_warehouse_stops_the_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*args: Any) -> Any:
        raise WarehouseLocked("held by process 7")

    monkeypatch.setattr(round_module, "keep_batch", locked)
    with pytest.raises(WarehouseLocked):
        desk.ingest()


def run_and_kill(desk: Desk, after_s: float) -> bool:
    """Run all sources in a child that is killed after a while; say whether it was still at it."""
    child = os.fork()
    if child == 0:
        try:
            desk.ingest()
        finally:
            os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def kill_and_compare(desk: Desk, points: int, seed: int) -> None:
    """Kill a run at random points, end it, and compare with one that was left alone."""
    started = time.monotonic()
    desk.ingest()
    length = time.monotonic() - started
    expected, dice, killed = desk.content(), random.Random(seed), 0
    for _ in range(points):
        desk.warehouse.path.unlink()
        for leftover in desk.warehouse.path.parent.glob("moodtape.duckdb.*"):
            leftover.unlink()
        killed += run_and_kill(desk, dice.uniform(0, length))
        if desk.warehouse.path.exists():
            check_cursors(desk)
        results = desk.ingest()
        assert {name: result.error for name, result in results.items()} == dict.fromkeys(ALL, "")
        assert desk.content() == expected
    assert killed, "no run was caught at work"


def check_cursors(desk: Desk) -> None:
    """No cursor stands beyond the rows that are stored."""
    with desk.warehouse.write() as connection:
        found = dict(connection.execute("SELECT collector, position FROM cursor").fetchall())
        newest = connection.execute("SELECT max(open_time)::VARCHAR FROM bar").fetchall()[0][0]
        texts = {
            hashlib.sha256(identity.encode()).hexdigest()[:12]
            for (identity,) in connection.execute("SELECT document_id FROM document").fetchall()
        }
        days = {
            f"{provider} {start:%Y-%m-%d}"
            for provider, begin, end in connection.execute(
                "SELECT provider, period_start, period_end FROM metric"
            ).fetchall()
            for start in (begin, end)
        }
    if found.get("bars", "{}") != "{}":
        assert newest[:13].replace(" ", "T") in found["bars"]
    for state in json.loads(found.get("news", "{}")).values():
        assert set(state["seen"] or ()) <= texts, "a feed's cursor knows a text that is not stored"
    for day in json.loads(found.get("onchain", "{}")).values():
        assert f"coinmetrics {day[:10]}" in days
    if found.get("indices"):
        assert f"alternative_me {found['indices'][:10]}" in days


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_run_loses_nothing_and_doubles_nothing(desk: Desk) -> None:
    kill_and_compare(desk, points=3, seed=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_run_killed_at_a_hundred_points(desk: Desk, make_loopback: Any) -> None:
    """Every source has a host of its own, so that all of them are under way when it happens."""
    config = desk.plan.config
    for section in ("bars", "onchain", "indices"):
        host = make_loopback()
        host.answers = desk.providers.loopback.answers
        moved = getattr(config, section).model_copy(update={"base_url": host.url})
        config = config.model_copy(update={section: moved})
    desk.plan = replace(desk.plan, config=config)
    kill_and_compare(desk, points=100, seed=2)


def test_the_order_of_sources_does_not_matter(desk: Desk) -> None:
    orders: list[Sequence[str]] = [ALL, tuple(reversed(ALL))]
    found = []
    for order in orders:
        desk.ingest(*order)
        found.append(desk.content())
        desk.warehouse.path.unlink()
    assert found[0] == found[1]


def test_progress_names_the_sources_that_are_not_in_and_the_rows(desk: Desk) -> None:
    told: list[tuple[int, int, str]] = []
    run_collectors(desk.plan, ["bars", "indices"], lambda *step: told.append(step))
    assert told[0] == (0, 2, "bars + indices")
    assert told[-1] in [(1, 2, "bars, 26 rows"), (1, 2, "indices, 26 rows")]
    told.clear()
    run_collectors(desk.plan, ["bars"], lambda *step: told.append(step))
    assert told == [(0, 1, "bars"), (0, 1, "bars, 3 rows")]


def test_rows_are_staged_beside_the_warehouse_and_gone_after(desk: Desk, tmp_path: Path) -> None:
    desk.ingest()
    assert list((desk.providers.folder / "raw" / "staging").iterdir()) == []
