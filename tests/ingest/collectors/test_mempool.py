"""mempool.space through the real client: large whole numbers, readings, days block by block."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config, MempoolSection
from moodtape.errors import Refused
from moodtape.ingest.backfill import backfill
from moodtape.ingest.base import Batch
from moodtape.ingest.mempool import Mempool
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.run import open_door, run_collectors
from moodtape.records import Metric
from moodtape.storage.db import Warehouse
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
TODAY, DAY = datetime(2026, 10, 1, tzinfo=UTC), timedelta(days=1)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FEES, BLOCKS = "/api/v1/fees/precise", "/api/v1/mining/blocks/fees/3d"
Collect = Callable[..., dict[str, Batch]]


def rates(*days: tuple[float, Any]) -> bytes:
    """Return the hash rate in the shape that the provider documents; a time ends its day."""
    rows = [
        {"timestamp": int((TODAY - ago * DAY).timestamp()), "avgHashrate": value}
        for ago, value in days
    ]
    told = {"hashrates": rows, "difficulty": [], "currentHashrate": 5, "currentDifficulty": 6.5}
    return json.dumps(told).encode()


def fees(*values: Any) -> bytes:
    names = ("fastestFee", "halfHourFee", "hourFee", "economyFee", "minimumFee")
    return json.dumps(dict(zip(names, values, strict=False))).encode()


class Node:
    """Blocks every ten minutes, whose fees are the number of days since; rates by the day."""

    def __init__(self, reply: Any, now: Callable[[], datetime]) -> None:
        self.reply, self.now = reply, now
        self.rates: dict[int, int] = {}
        self.no_rates: set[int] = set()
        self.hidden: set[int] = set()
        self.fees = fees(12.5, 8.25, 4, 0.2, 0.1)

    def hashrate(self, asked: Any) -> Any:
        days = {"1w": 7, "1m": 31, "3m": 92}[asked.path.rpartition("/")[2]]
        first = -((self.now() - TODAY) // DAY)
        shown = [n for n in range(days, first - 1, -1) if n not in self.no_rates]
        return self.reply(rates(*((n, self.rates.get(n, 900 * 10**18 + n)) for n in shown)))

    def blocks(self, asked: Any) -> Any:
        rows = []
        for n in range(144 * 20):
            at = TODAY - 4 * DAY + 10 * n * MINUTE
            if self.now() - 3 * DAY <= at <= self.now() and n not in self.hidden:
                day = (at - TODAY) // DAY
                rows.append(
                    {
                        "avgHeight": 960_000 + n, "timestamp": int(at.timestamp()),
                        "avgFees": 5_000_000 + 1000 * day + n % 2, "USD": 60_000,
                    }
                )  # fmt: skip
        return self.reply(json.dumps(rows).encode())


@pytest.fixture
def node(loopback: Any, reply: Any, fake_time: Any) -> Node:
    made = Node(reply, fake_time.now)
    for period in ("1w", "1m", "3m"):
        loopback.answers[f"/api/v1/mining/hashrate/{period}"] = made.hashrate
    loopback.answers |= {BLOCKS: made.blocks, FEES: lambda asked: reply(made.fees)}
    return made


@pytest.fixture
def collect(loopback: Any, make_http: Any, fake_time: Any) -> Collect:
    def poll(cursor: str | None = None, **options: Any) -> dict[str, Batch]:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        section = MempoolSection(base_url=f"{loopback.url}/", **{"first_days": 4, **options})
        made = Mempool(section, make_http(attempts=1), **bounds)
        return {b.polls[0].stream: b for b in made.collect(cursor, fake_time.now())}

    return poll


def last_cursor(batches: dict[str, Batch]) -> str:
    return list(batches.values())[-1].cursor


def told(batch: Batch) -> tuple[str, int]:
    return batch.polls[0].state, batch.polls[0].items


def test_whole_numbers_above_64_bits_are_read_as_floats(
    collect: Collect, node: Node, loopback: Any, reply: Any
) -> None:
    loopback.answers["/api/v1/mining/hashrate/1w"] = reply(
        rates((1, 236_499_762_108_771_800_000), (0, 10**21))
    )
    batch = collect()["hashrate"]
    assert batch.rows == [
        Metric("mempool", "BTC", "hashrate_hs", TODAY - 2 * DAY, TODAY - DAY, 2.364997621087718e20),
        Metric("mempool", "BTC", "hashrate_hs", TODAY - DAY, TODAY, 1e21),
    ], "a day is stamped with the midnight that ends it"
    assert told(batch) == ("ok", 2)


@pytest.mark.parametrize(
    ("days", "period"),
    [(4, "1w"), (7, "1m"), (27, "1m"), (28, "3m"), (364, "1y"), (1094, "3y"), (1095, "all")],
)
def test_no_more_is_asked_for_than_is_needed(
    days: float, period: str, collect: Collect, loopback: Any
) -> None:
    collect(first_days=days - 0.5)
    assert loopback.asked[0].path == f"/api/v1/mining/hashrate/{period}"


def test_a_reading_of_fees(collect: Collect, node: Node, fake_time: Any) -> None:
    fake_time.sleep(7 * 60 + 31.5)
    batch = collect()["fees"]
    end = NOON + 7 * MINUTE
    read = NOON + timedelta(minutes=7, seconds=31.5)
    assert batch.rows == [
        Metric("mempool_fees", "BTC", f"fee_{name}_sat_vb", end - HOUR, end, value, read)
        for name, value in (
            ("fastest", 12.5), ("half_hour", 8.25), ("hour", 4.0), ("economy", 0.2),
            ("minimum", 0.1),
        )
    ]  # fmt: skip
    assert json.loads(batch.cursor)["fees"] == "2026-10-01T12:07:00+00:00"


def test_a_reading_begins_at_the_one_before_or_an_hour_earlier(
    collect: Collect, node: Node, fake_time: Any
) -> None:
    cursor = last_cursor(collect())
    assert told(collect(cursor)["fees"]) == ("empty", 0), "one reading a minute"
    fake_time.sleep(20 * 60)
    batch = collect(cursor)["fees"]
    assert {(r.period_start, r.period_end) for r in batch.rows if isinstance(r, Metric)} == {
        (NOON, NOON + 20 * MINUTE)
    }
    fake_time.sleep(5 * 3600)
    batch = collect(batch.cursor)["fees"]
    assert {r.period_end - r.period_start for r in batch.rows if isinstance(r, Metric)} == {HOUR}


def test_fees_of_whole_days_only(collect: Collect, node: Node) -> None:
    """Three days back is noon of the 28th, so the 28th is not whole; nor is today."""
    batch = collect()["block fees"]
    assert batch.rows == [
        Metric(
            "mempool_fees", "BTC", "fees_per_block_sat", TODAY - 2 * DAY, TODAY - DAY, 4998000.5
        ),
        Metric("mempool_fees", "BTC", "fees_per_block_sat", TODAY - DAY, TODAY, 4999000.5),
    ]
    assert told(batch) == ("ok", 2)


def test_a_day_of_which_blocks_are_missing_is_left(collect: Collect, node: Node) -> None:
    node.hidden = set(range(300, 310))
    batch = collect()["block fees"]
    assert [r.period_end for r in batch.rows if isinstance(r, Metric)] == [TODAY]
    assert [(r.place, r.reason) for r in batch.rejected] == [
        ("BTC fees_per_block_sat 2026-09-29T00:00Z", "only 134 of 144 blocks are shown")
    ]
    node.hidden = set(range(300, 306))
    assert len(collect()["block fees"].rows) == 2, "two blocks of one second are shown as one"


def test_a_day_is_due_two_hours_after_its_end_and_then_known_when_fetched(
    collect: Collect, node: Node, fake_time: Any
) -> None:
    cursor = last_cursor(collect())
    fake_time.sleep(14 * 3600 - 1)
    batches = collect(cursor)
    assert [told(batches[s]) for s in ("hashrate", "block fees")] == [("empty", 0)] * 2
    fake_time.sleep(1801)
    batches = collect(cursor)
    for stream in ("hashrate", "block fees"):
        row = batches[stream].rows[-1]
        assert isinstance(row, Metric)
        assert (row.period_end, row.completed_at) == (TODAY + DAY, TODAY + DAY + 2.5 * HOUR)


def test_days_that_are_not_shown_any_more_are_told(
    collect: Collect, node: Node, fake_time: Any
) -> None:
    cursor = last_cursor(collect())
    fake_time.sleep(4 * 86_400)
    batches = collect(cursor)
    assert [told(b)[0] for b in batches.values()] == ["ok", "capped", "ok"]
    assert "what came since 2026-10-01 00:00Z is missing" in batches["block fees"].polls[0].detail


def test_between_bounds_only_what_has_a_past_is_asked_for(
    collect: Collect, node: Node, loopback: Any
) -> None:
    cursor = json.dumps({"hashrate": (TODAY - 30 * DAY).isoformat()})
    batches = collect(cursor, since=TODAY - 5 * DAY, until=TODAY - 3 * DAY)
    assert list(batches) == ["hashrate"]
    rows = [r for r in batches["hashrate"].rows if isinstance(r, Metric)]
    assert [r.period_end for r in rows] == [TODAY - 4 * DAY, TODAY - 3 * DAY]
    assert {r.completed_at for r in rows} == {None}
    assert batches["hashrate"].cursor == cursor, "no cursor moves over a gap"
    assert len(loopback.asked) == 1


def test_values_that_are_none_are_set_aside(
    collect: Collect, node: Node, loopback: Any, reply: Any
) -> None:
    loopback.answers["/api/v1/mining/hashrate/1w"] = reply(
        rates((3, 7), (2, 0), (1.5, 9), (1, -1), (0, 8), (-30, 1), (4, 6), (5, 5))
    )
    loopback.answers[FEES] = reply(fees(12.5, -1, 4, None, 0))
    batches = collect(first_days=5.5)
    rows = [r for r in batches["hashrate"].rows if isinstance(r, Metric)]
    assert sorted((TODAY - r.period_end).days for r in rows) == [0, 3, 4]
    assert [r.reason for r in batches["hashrate"].rejected] == [
        "its time is no midnight", "not above zero", "not above zero"
    ]  # fmt: skip
    assert [r.metric for r in batches["fees"].rows if isinstance(r, Metric)] == [
        "fee_fastest_sat_vb", "fee_hour_sat_vb", "fee_minimum_sat_vb"
    ]  # fmt: skip
    assert [(r.place, r.reason) for r in batches["fees"].rejected] == [
        ("BTC fee_half_hour_sat_vb 2026-10-01T12:00Z", "below zero"),
        ("BTC fee_economy_sat_vb 2026-10-01T12:00Z", "not a number"),
    ]


def test_a_thinned_answer_is_found_out(
    collect: Collect, node: Node, loopback: Any, reply: Any
) -> None:
    loopback.answers["/api/v1/mining/hashrate/1m"] = reply(rates(*((n, 1) for n in (9, 6, 3, 0))))
    batch = collect(first_days=12)["hashrate"]
    assert (batch.rows, told(batch)) == ((), ("unreadable", 0))
    assert "sent points 3d apart, asked for one every 1d" in batch.polls[0].detail


@pytest.mark.parametrize(
    "body", [b'{"hashrates": [', b"<html>", b"[]", b"{}", b"null", b'{"hashrates": [1]}', b"[1]",
             b'{"hashrates": {}}', b'{"fastestFee": "fast"}', b"7", b'"x"'],
)  # fmt: skip
def test_an_answer_that_is_none_gives_no_value(
    body: bytes, collect: Collect, node: Node, loopback: Any, reply: Any
) -> None:
    cursor = last_cursor(collect())
    loopback.answers = {path: reply(body) for path in loopback.answers}
    for batch in collect(cursor).values():
        if batch.polls[0].stream == "fees" and body[:1] not in b"[<n7":
            continue  # in the same minute a further reading is not looked at
        assert batch.rows == ()
        assert batch.cursor == cursor
    first = collect()
    assert {b.polls[0].state for b in first.values()} <= {"unreadable", "empty"}
    assert all(not b.rows for b in first.values())


@pytest.mark.parametrize("status", [403, 404, 451, 429])
def test_a_stream_that_is_refused_keeps_no_other_from_coming(
    status: int, collect: Collect, node: Node, loopback: Any, reply: Any
) -> None:
    loopback.answers[BLOCKS] = reply(b"", status)
    states = {name: batch.polls[0].state for name, batch in collect().items()}
    assert states == {"hashrate": "ok", "block fees": "refused", "fees": "ok"}


def test_no_network(collect: Collect, node: Node, loopback: Any, reply: Any) -> None:
    loopback.answers = {path: reply(hang_up=True) for path in loopback.answers}
    batches = collect()
    assert {told(b) for b in batches.values()} == {("down", 0)}
    assert last_cursor(batches) == "{}"


def test_a_node_of_ones_own_may_have_a_private_address(tmp_path: Path) -> None:
    """What it is asked first is not whether it may be asked: nobody answers there."""
    private = {"base_url": "http://127.0.0.1:9"}
    config = Config.model_validate({"mempool": private, "http": {"attempts": 1}})
    door = open_door(config, tmp_path)
    batches = list(Mempool(config.mempool, door).collect(None, NOON))
    assert {b.polls[0].state for b in batches} == {"down"}
    with pytest.raises(Refused, match="is a private host"):
        open_door(Config(), tmp_path).get("http://127.0.0.1:9/api/v1/fees/precise")


def test_every_promise_of_a_collector(
    node: Node, loopback: Any, make_http: Any, fake_time: Any, tmp_path: Path
) -> None:
    section = MempoolSection(base_url=loopback.url, first_days=20)
    counts = check_collector(
        lambda: Mempool(section, make_http(attempts=1)), fake_time.now(), tmp_path
    )
    assert (counts.new, counts.quarantined) == (20 + 2 + 5, 0)


ROWS = """
    SELECT provider, metric, period_end::VARCHAR, known_at::VARCHAR, value
    FROM metric ORDER BY ALL
"""


def test_a_restated_day_a_hole_and_a_replay(
    node: Node, loopback: Any, fake_time: Any, tmp_path: Path
) -> None:
    config = Config.model_validate(
        {"http": {"attempts": 1}, "mempool": {"base_url": loopback.url, "first_days": 20}}
    )
    plan = Plan(
        Warehouse(tmp_path / "live.duckdb"), tmp_path / "staging", tmp_path, config,
        timing=fake_time.timing, answers=tmp_path / "answers",
    )  # fmt: skip
    node.no_rates = {15, 14}
    (first,) = run_collectors(plan, ["mempool"])
    assert (first.state, first.counts.new) == ("done", 18 + 2 + 5)
    fake_time.sleep(16 * 3600)
    node.rates[2] = 7
    (second,) = run_collectors(plan, ["mempool"])
    assert (second.counts.new, second.counts.corrected) == (1 + 1 + 5, 1)
    node.no_rates = set()
    (filled,) = backfill(plan, ["mempool"])
    assert (filled.state, filled.counts.new) == ("done", 2), "missing readings are not asked for"
    with plan.warehouse.read() as connection:
        live = connection.execute(ROWS).fetchall()
    known = {row[:3]: row[3:] for row in live}
    assert known["mempool", "hashrate_hs", "2026-09-29 00:00:00+00"] == (
        "2026-10-02 04:00:00+00", 7.0
    )  # fmt: skip
    assert known["mempool_fees", "fee_hour_sat_vb", "2026-10-01 12:00:00+00"] == (
        "2026-10-01 12:00:00+00", 4.0
    )  # fmt: skip
    plan.warehouse.path.unlink()
    asked = len(loopback.asked)
    replay_answers(plan, ["mempool"])
    with plan.warehouse.read() as connection:
        assert connection.execute(ROWS).fetchall() == live
    assert len(loopback.asked) == asked
