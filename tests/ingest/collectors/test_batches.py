"""Rows, polls and cursor come in together or not at all, and a second time changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config
from moodtape.errors import CouldNotAsk, CouldNotRead, Refused
from moodtape.ingest.base import Batch, failed_poll
from moodtape.ingest.batches import stage_batch
from moodtape.records import Bar, Document, ImportCounts, Metric, Poll
from moodtape.storage import collected
from moodtape.storage.collected import cover_polls, read_cursor, store_batch
from moodtape.storage.db import Warehouse
from moodtape.storage.staging import staging
from moodtape.storage.write import Merge

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BAR = Bar("BTC", "binance", "USDT", "1h", NOON - HOUR, 10.0, 12.0, 9.0, 11.0, 5.0, trades=3)
METRIC = Metric("coinmetrics", "BTC", "TxCnt", NOON - 36 * HOUR, NOON - 12 * HOUR, 400_000.0)
TEXT = Document(
    "news", "feeds", "coindesk:1", NOON - HOUR, NOON, "Bitcoin <b>soars</b>", outlet="coindesk"
)


@dataclass
class Store:
    warehouse: Warehouse
    folder: Path

    def __call__(
        self, rows: Sequence[Any], now: datetime = NOON, run_id: str = "run-1", **batch: Any
    ) -> ImportCounts:
        made = Batch(rows, batch.pop("cursor", "1"), **batch)
        with staging(self.folder / "staging") as stage:
            stage_batch(stage, "news", made, Config(), now)
            stage.close()
            with self.warehouse.write() as connection:
                return store_batch(
                    connection, stage, "news", made.cursor, made.polls, Merge(run_id, now),
                    "24/7", ("1", "2"),
                )  # fmt: skip

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            found = connection.execute(sql).fetchall()
        return [
            tuple(v.isoformat()[:16] if isinstance(v, datetime) else v for v in r) for r in found
        ]

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        with self.warehouse.read() as connection:
            names = [
                r[0] for r in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()
            ]
            return {
                n: connection.execute(f"SELECT * FROM {n} ORDER BY ALL").fetchall() for n in names
            }


@pytest.fixture
def store(tmp_warehouse: Warehouse, tmp_path: Path) -> Store:
    return Store(tmp_warehouse, tmp_path)


def test_all_kinds_of_rows_in_one_batch(store: Store) -> None:
    poll = Poll("coindesk", "ok", NOON, 1)
    counts = store([BAR, METRIC, TEXT], cursor='{"a": 1}', polls=(poll,))
    assert (counts.new, counts.quarantined) == (3, 0)
    assert store.rows("SELECT symbol, known_at, trades FROM bar") == [
        ("BTC", "2026-10-01T12:00", 3)
    ]
    assert store.rows("SELECT metric, known_at, vintage, stamped FROM metric") == [
        ("TxCnt", "2026-10-01T06:00", "live", False)
    ], "known at the end of its day plus six hours"
    assert store.rows("SELECT title, known_at, backfilled, assumed FROM document") == [
        ("Bitcoin soars", "2026-10-01T12:00", False, False)
    ], "known when fetched, not when published"
    assert store.rows("SELECT symbol, how FROM mention") == [("BTC", "name")]
    assert store.rows("SELECT collector, position FROM cursor") == [("news", '{"a": 1}')]
    assert store.rows("SELECT stream, state, items, run_id FROM poll") == [
        ("coindesk", "ok", 1, "run-1")
    ]
    assert store.rows("SELECT * FROM coverage") == [], "rows do not cover time; polls do"
    assert store.rows("SELECT hour FROM dirty_hour") == [("2026-10-01T12:00",)]


def test_a_second_time_changes_nothing(store: Store) -> None:
    rows, polls = [BAR, METRIC, TEXT], (Poll("coindesk", "ok", NOON, 1),)
    store(rows, polls=polls)
    before = store.everything()
    again = store(rows, NOON + HOUR, "run-2", polls=polls)
    assert (again.new, again.known, again.corrected) == (0, 3, 0)
    assert store.everything() == before


def test_changes_are_further_rows(store: Store) -> None:
    store([BAR, METRIC, TEXT])
    later = NOON + HOUR
    stamped = replace(METRIC, value=401_000.0, completed_at=NOON - HOUR)
    changed = replace(TEXT, title="Bitcoin falls back", fetched_at=later)
    counts = store([replace(BAR, close=10.5), stamped, changed], later + HOUR, "run-2")
    assert (counts.new, counts.corrected) == (0, 3)
    assert store.rows("SELECT close, known_at FROM bar ORDER BY known_at") == [
        (11.0, "2026-10-01T12:00"), (10.5, "2026-10-01T14:00")
    ]  # fmt: skip
    assert store.rows("SELECT value, known_at, stamped FROM metric ORDER BY known_at") == [
        (400_000.0, "2026-10-01T06:00", False), (401_000.0, "2026-10-01T11:00", True)
    ]  # fmt: skip
    assert store.rows("SELECT title, known_at FROM document ORDER BY known_at") == [
        ("Bitcoin soars", "2026-10-01T12:00"), ("Bitcoin falls back", "2026-10-01T13:00")
    ]  # fmt: skip


def test_old_metrics_are_of_one_vintage_and_their_restatements_are_live(store: Store) -> None:
    old = replace(METRIC, period_start=NOON - 960 * HOUR, period_end=NOON - 936 * HOUR)
    store([old])
    store([replace(old, value=1.0)], NOON + HOUR, "run-2")
    assert store.rows("SELECT value, vintage FROM metric ORDER BY known_at") == [
        (400_000.0, "single"), (1.0, "live")
    ]  # fmt: skip


def test_rows_that_are_none_are_set_aside_by_name(store: Store) -> None:
    counts = store(
        [
            BAR, replace(BAR, open_time=NOON), replace(BAR, open_time=NOON - 2 * HOUR, low=11.5),
            METRIC, replace(METRIC, metric="HashRate", value=float("inf")),
            TEXT, replace(TEXT, document_id="coindesk:2", title=" "),
        ]
    )  # fmt: skip
    assert (counts.new, counts.quarantined) == (3, 4)
    assert store.rows("SELECT source, place, reason FROM quarantine ORDER BY place") == [
        ("news", "BTC 1h 2026-10-01T10:00Z", "open is outside low to high"),
        ("news", "BTC 1h 2026-10-01T12:00Z", "bar is not over yet"),
        ("news", "BTC HashRate 2026-09-30T00:00Z", "value is not finite"),
        ("news", "coindesk:2", "no text, or only the mark that it was deleted"),
    ]


def test_a_row_of_another_kind_is_a_mistake_of_the_collector(store: Store) -> None:
    with pytest.raises(TypeError, match="bars, metrics and documents, not dict"):
        store([{"title": "x"}])


@pytest.mark.parametrize(
    "step", ["merge_bars", "merge_metrics", "merge_documents", "store_polls", "_move_cursor"]
)
def test_a_crash_at_any_step_leaves_the_batch_before(
    step: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll = Poll("coindesk", "ok", NOON, 1)
    store([BAR, METRIC, TEXT], polls=(poll,))
    before = store.everything()
    next_rows = [
        replace(BAR, open_time=NOON), replace(METRIC, metric="HashRate"),
        replace(TEXT, document_id="coindesk:2"),
    ]  # fmt: skip
    again = {"cursor": "2", "polls": (replace(poll, polled_at=NOON + HOUR),)}
    with monkeypatch.context() as patch:
        patch.setattr(collected, step, crash_after(getattr(collected, step)))
        with pytest.raises(KeyboardInterrupt):
            store(next_rows, NOON + HOUR, "run-2", **again)
    assert store.everything() == before
    assert store(next_rows, NOON + HOUR, "run-2", **again).new == 3
    with store.warehouse.read() as connection:
        assert read_cursor(connection, "news") == "2"
        assert read_cursor(connection, "bars") is None


def crash_after(step: Callable[..., Any]) -> Callable[..., Any]:
    def crashing(*args: Any, **kwargs: Any) -> Any:
        step(*args, **kwargs)
        raise KeyboardInterrupt

    return crashing


def covered(store: Store, rounds: Sequence[Sequence[Poll]]) -> list[tuple[Any, ...]]:
    """Return from, until and state after rounds of polls, each a run."""
    for number, polls in enumerate(rounds):
        merge = Merge(f"run-{number}", NOON)
        store([], polls=tuple(polls), run_id=merge.run_id)
        with store.warehouse.write() as connection:
            cover_polls(connection, "news", "news", "feeds", timedelta(minutes=90), merge)
    found = store.rows("SELECT covered_from, covered_until, state FROM coverage ORDER BY ALL")
    return [(a[11:], b[11:], state) for a, b, state in found]


def at(minutes: int, *states: Any) -> list[Poll]:
    """Return a round of polls, one stream a minute."""
    return [
        Poll(f"feed-{i}", state, NOON + timedelta(minutes=minutes + i))
        for i, state in enumerate(states)
    ]


def test_polls_cover_the_time_between_them(store: Store) -> None:
    rounds = [at(0, "ok", "ok"), at(60, "empty", "ok"), at(118, "ok", "empty")]
    assert covered(store, rounds) == [
        ("12:01", "13:01", "crawled"), ("12:01", "13:59", "crawled")
    ], "a stretch goes on, so that 13:00 to 14:00 will lie inside one"  # fmt: skip


@pytest.mark.parametrize("state", ["down", "refused", "unreadable", "capped"])
def test_a_failed_feed_makes_a_round_partial_and_a_failed_round_covers_nothing(
    state: Any, store: Store
) -> None:
    assert covered(store, [at(0, "ok", "ok"), at(60, "ok", state), at(90, state, state)]) == [
        ("12:01", "13:00", "partial")
    ]


def test_a_long_pause_is_not_covered(store: Store) -> None:
    rounds = [at(0, "ok"), at(91, "ok"), at(100, "ok")]
    assert covered(store, rounds) == [("13:31", "13:40", "crawled")]


def test_the_five_ways_a_poll_can_end_badly_are_told_apart() -> None:
    assert failed_poll("a", CouldNotAsk("x"), NOON) == Poll("a", "down", NOON, 0, "x")
    assert failed_poll("a", Refused("x"), NOON).state == "refused"
    assert failed_poll("a", CouldNotRead("x"), NOON).state == "unreadable"
