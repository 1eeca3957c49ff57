"""Charts of blockchain.com through the real client: whole days, none left out unsaid."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import BlockchainSection, Config
from moodtape.ingest.backfill import backfill
from moodtape.ingest.base import Batch
from moodtape.ingest.blockchain import BlockchainCharts
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.records import Metric
from moodtape.storage.db import Warehouse
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
TODAY, DAY = datetime(2026, 10, 1, tzinfo=UTC), timedelta(days=1)
PATH = "/charts/n-transactions"
Collect = Callable[..., list[Batch]]


def point(days_ago: float, value: Any) -> dict[str, Any]:
    return {"x": int((TODAY - days_ago * DAY).timestamp()), "y": value}


def chart(*points: Any, **other: Any) -> bytes:
    """Return a chart in the shape that the provider documents."""
    told = {
        "status": "ok", "name": "Confirmed Transactions Per Day", "unit": "Transactions",
        "period": "day", "description": "The number of daily confirmed transactions.",
        "values": list(points),
    }  # fmt: skip
    return json.dumps(told | other).encode()


class Chain:
    """Days up to today, which is not over, in the stretch that is asked for."""

    def __init__(self, reply: Any, now: Callable[[], datetime]) -> None:
        self.reply, self.now = reply, now
        self.values: dict[int, float] = {}
        self.missing: set[int] = set()

    def __call__(self, asked: Any) -> Any:
        start = datetime.fromisoformat(asked.query["start"]).replace(tzinfo=UTC)
        end = min(start + int(asked.query["timespan"].removesuffix("days")) * DAY, self.now())
        days = [n for n in range(400, -10, -1) if start <= TODAY - n * DAY <= end]
        kept = [n for n in days if n not in self.missing]
        return self.reply(chart(*(point(n, self.values.get(n, 4e5 + n)) for n in kept)))


@pytest.fixture
def chain(loopback: Any, reply: Any, fake_time: Any) -> Chain:
    made = Chain(reply, fake_time.now)
    loopback.answers[PATH] = made
    return made


@pytest.fixture
def collect(loopback: Any, make_http: Any, fake_time: Any) -> Collect:
    def poll(cursor: str | None = None, **options: Any) -> list[Batch]:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        defaults = {"charts": ("n-transactions",), "first_days": 5}
        section = BlockchainSection(base_url=f"{loopback.url}/", **{**defaults, **options})
        made = BlockchainCharts(section, make_http(attempts=1), **bounds)
        return list(made.collect(cursor, fake_time.now()))

    return poll


def found(batches: list[Batch]) -> list[tuple[str, float]]:
    rows = [r for batch in batches for r in batch.rows if isinstance(r, Metric)]
    return [(f"{r.period_start:%m-%d}", r.value) for r in rows]


def test_what_is_asked_and_what_comes(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers[PATH] = reply(chart(point(2, 428811.0), point(1, 1.46277e7), point(0, 9)))
    (batch,) = collect()
    assert loopback.asked[0].query == {
        "timespan": "6days", "start": "2026-09-26", "format": "json", "sampled": "false"
    }  # fmt: skip
    assert batch.rows == [
        Metric("blockchain_com", "BTC", "n-transactions", TODAY - n * DAY, TODAY - (n - 1) * DAY, v)
        for n, v in ((2, 428811.0), (1, 14_627_700.0))
    ], "a day is due at the noon after it"
    assert json.loads(batch.cursor) == {"n-transactions": "2026-10-01T00:00:00+00:00"}
    assert (batch.polls[0].stream, batch.polls[0].state, batch.polls[0].items) == (
        "n-transactions", "ok", 2
    )  # fmt: skip


def test_a_day_is_left_until_its_lag_has_passed_by_the_servers_clock(
    collect: Collect, loopback: Any, reply: Any, fake_time: Any
) -> None:
    slow = {"Date": "Thu, 01 Oct 2026 11:59:59 GMT"}
    loopback.answers[PATH] = reply(chart(point(2, 1), point(1, 2)), headers=slow)
    assert found(collect()) == [("09-29", 1.0)]
    fake_time.sleep(-1)
    loopback.answers[PATH] = reply(chart(point(2, 1), point(1, 2)))
    assert found(collect()) == [("09-29", 1.0)]


def test_a_day_that_comes_late_is_known_when_it_came(
    collect: Collect, chain: Chain, fake_time: Any
) -> None:
    chain.missing = {1, 0}
    first = collect()
    assert found(first)[-1] == ("09-29", 400_002.0)
    assert {r.completed_at for b in first for r in b.rows if isinstance(r, Metric)} == {None}
    fake_time.sleep(30 * 3600)
    chain.missing = set()
    (batch,) = collect(first[-1].cursor)
    late = [r for r in batch.rows if isinstance(r, Metric) and r.period_start >= TODAY - DAY]
    assert [(r.period_start, r.completed_at) for r in late] == [
        (TODAY - DAY, NOON + timedelta(hours=30)), (TODAY, NOON + timedelta(hours=30))
    ]  # fmt: skip


def test_the_next_poll_reads_some_days_again(collect: Collect, chain: Chain, loopback: Any) -> None:
    cursor = json.dumps({"n-transactions": TODAY.isoformat(), "hash-rate": "x"})
    (batch,) = collect(cursor, overlap_days=7)
    assert loopback.asked[0].query["start"] == "2026-09-24"
    assert (batch.polls[0].state, batch.polls[0].items) == ("empty", 0)
    assert json.loads(batch.cursor) == json.loads(cursor), "another chart's place is kept"


def test_a_bounded_stretch(collect: Collect, chain: Chain, loopback: Any) -> None:
    cursor = json.dumps({"n-transactions": (TODAY - 30 * DAY).isoformat()})
    since, until = TODAY - 10 * DAY, TODAY - 8 * DAY
    batches = collect(cursor, since=since, until=until)
    assert found(batches) == [("09-21", 400_010.0), ("09-22", 400_009.0)]
    assert batches[-1].cursor == cursor, "no cursor moves over a gap"
    assert loopback.asked[0].query["timespan"] == "3days"


def test_a_stretch_of_the_past_moves_nothing_back(collect: Collect, chain: Chain) -> None:
    cursor = json.dumps({"n-transactions": TODAY.isoformat()})
    (batch,) = collect(cursor, since=TODAY - 10 * DAY, until=TODAY - 8 * DAY)
    assert (len(batch.rows), batch.cursor) == (2, cursor)
    (batch,) = collect(cursor, until=TODAY - 3 * DAY, overlap_days=5)
    assert found([batch]) == [("09-26", 400_005.0), ("09-27", 400_004.0)]
    assert {r.completed_at for r in batch.rows if isinstance(r, Metric)} == {None}
    (batch,) = collect(cursor, until=TODAY - 90 * DAY)
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ([], cursor, "empty")


def test_a_thinned_answer_is_found_out(collect: Collect, loopback: Any, reply: Any) -> None:
    """Of ten years, 1500 points come where thinning is on: every second or third day."""
    steps = [3000 - 5 * n // 2 for n in range(1200)]
    loopback.answers[PATH] = reply(chart(*(point(n, 1) for n in steps)))
    (batch,) = collect(first_days=3650)
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), "{}", "unreadable")
    assert "sent points 2d apart, asked for one every 1d" in batch.polls[0].detail


def test_a_hole_of_the_source_is_let_through(collect: Collect, chain: Chain) -> None:
    chain.missing = {3}
    assert [day for day, _ in found(collect())] == ["09-26", "09-27", "09-29", "09-30"]


def test_an_answer_that_begins_too_late_is_told(collect: Collect, chain: Chain) -> None:
    chain.missing = set(range(5, 30))
    cursor = json.dumps({"n-transactions": (TODAY - 9 * DAY).isoformat()})
    (batch,) = collect(cursor)
    assert batch.polls[0].state == "capped"
    assert "what came since 2026-09-22 00:00Z is missing" in batch.polls[0].detail


def test_values_that_are_none_are_set_aside(collect: Collect, loopback: Any, reply: Any) -> None:
    rows = [
        point(4, 4), point(9, 1), point(3, -3), point(2, "2"), {"x": 10**30, "y": 1},
        {"x": point(1.5, 1)["x"], "y": 1}, {"x": 1}, None, point(1, 1), point(8, None),
        point(5, 5), point(5, 6), point(5, 5), point(6, float("nan")), point(7, 7), point(10, 0),
        point(11, 1), point(12, 1), point(13, 1),
    ]  # fmt: skip
    loopback.answers[PATH] = reply(chart(*rows))
    (batch,) = collect(first_days=12)
    assert sorted(found([batch])) == [
        ("09-19", 1.0), ("09-20", 1.0), ("09-21", 0.0), ("09-22", 1.0), ("09-24", 7.0),
        ("09-26", 5.0), ("09-27", 4.0), ("09-30", 1.0),
    ]  # fmt: skip
    assert [(r.place.removeprefix("BTC n-transactions").strip(), r.reason) for r in batch.rejected]\
        == [
        ("", "no year that there is"),
        ("", "its time is no midnight"),
        ("", "not a day and a value"),
        ("", "not a day and a value"),
        ("2026-09-28T00:00Z", "below zero"),
        ("2026-09-29T00:00Z", "not a number"),
        ("2026-09-26T00:00Z", "another value came for the same time"),
        ("2026-09-25T00:00Z", "not finite"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "state", "told"),
    [
        (b'{"status": "ok", "values": [{"x"', "unreadable", "not whole JSON"),
        (b"<html>", "unreadable", "not whole JSON"),
        (b"[]", "unreadable", "sent no chart"),
        (b'{"values": {}}', "unreadable", "sent no chart"),
        (b'{"status": "not-found"}', "refused", "answered: not-found"),
        (b'{"error": "no such chart", "status": "error"}', "refused", "answered: no such chart"),
        (b"{}", "refused", "answered: None"),
        (chart(period="minute"), "unreadable",
         "is a chart by the minute, not by the day: take n-transactions out of blockchain.charts"),
        (chart({"x": 1, "y": 1}, 7), "unreadable", "2 of 2 values make no sense"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_gives_no_value(
    body: bytes, state: str, told: str, collect: Collect, loopback: Any, reply: Any
) -> None:
    loopback.answers[PATH] = reply(body)
    (batch,) = collect()
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), "{}", state)
    assert told in batch.polls[0].detail


def test_an_empty_answer(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers[PATH] = reply(chart())
    (batch,) = collect()
    assert (batch.polls[0].state, batch.cursor) == ("empty", "{}")
    cursor = json.dumps({"n-transactions": TODAY.isoformat()})
    (batch,) = collect(cursor)
    assert (batch.polls[0].state, batch.cursor) == ("unreadable", cursor)


@pytest.mark.parametrize("status", [403, 404, 451, 429])
def test_a_chart_that_is_refused_keeps_no_other_from_coming(
    status: int, collect: Collect, loopback: Any, chain: Chain, reply: Any
) -> None:
    loopback.answers["/charts/gone"] = reply(b"", status)
    batches = collect(charts=("gone", "n-transactions"))
    assert [(p.stream, p.state) for b in batches for p in b.polls] == [
        ("gone", "refused"), ("n-transactions", "ok")
    ]  # fmt: skip


def test_no_network(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers[PATH] = reply(hang_up=True)
    (batch,) = collect()
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), "{}", "down")


@pytest.mark.parametrize("charts", [("../stats",), ("a?b",), ("",), ("hash-rate", "hash-rate")])
def test_names_that_are_none(charts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"is no chart; write|is named twice"):
        BlockchainSection(charts=charts)


def test_every_promise_of_a_collector(
    chain: Chain, loopback: Any, make_http: Any, fake_time: Any, tmp_path: Path
) -> None:
    loopback.answers["/charts/hash-rate"] = chain
    section = BlockchainSection(
        base_url=loopback.url, charts=("n-transactions", "hash-rate"), first_days=30
    )
    counts = check_collector(
        lambda: BlockchainCharts(section, make_http(attempts=1)), fake_time.now(), tmp_path
    )
    assert (counts.new, counts.quarantined) == (60, 0)


ROWS = """
    SELECT provider, symbol, metric, period_start::VARCHAR, known_at::VARCHAR, value
    FROM metric ORDER BY known_at, period_end
"""


def test_a_restated_day_a_hole_and_a_replay(
    chain: Chain, loopback: Any, fake_time: Any, tmp_path: Path
) -> None:
    table = {"base_url": loopback.url, "charts": ("n-transactions",), "first_days": 30}
    config = Config.model_validate({"http": {"attempts": 1}, "blockchain": table})
    plan = Plan(
        Warehouse(tmp_path / "live.duckdb"), tmp_path / "staging", tmp_path, config,
        timing=fake_time.timing, answers=tmp_path / "answers",
    )  # fmt: skip
    chain.missing = {20, 19}
    (first,) = run_collectors(plan, ["blockchain"])
    assert (first.state, first.counts.new) == ("done", 28)
    fake_time.sleep(26 * 3600)
    chain.values[2] = 7.0
    (second,) = run_collectors(plan, ["blockchain"])
    assert (second.counts.new, second.counts.corrected) == (1, 1)
    chain.missing = set()
    (filled,) = backfill(plan, ["blockchain"])
    assert (filled.state, filled.counts.new) == ("done", 2)
    with plan.warehouse.read() as connection:
        live = connection.execute(ROWS).fetchall()
    who = ("blockchain_com", "BTC", "n-transactions")
    assert live[-3:] == [
        (*who, "2026-09-30 00:00:00+00", "2026-10-01 12:00:00+00", 400_001.0),
        (*who, "2026-09-29 00:00:00+00", "2026-10-02 14:00:00+00", 7.0),
        (*who, "2026-10-01 00:00:00+00", "2026-10-02 14:00:00+00", 400_000.0),
    ]
    plan.warehouse.path.unlink()
    asked = len(loopback.asked)
    replay_answers(plan, ["blockchain"])
    with plan.warehouse.read() as connection:
        assert connection.execute(ROWS).fetchall() == live
    assert len(loopback.asked) == asked
