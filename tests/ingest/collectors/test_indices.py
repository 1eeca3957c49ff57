"""The Fear & Greed index through the real client."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.config import IndicesSection
from moodtape.ingest.base import Batch
from moodtape.ingest.indices import FearGreed
from moodtape.records import Metric

DAY = timedelta(days=1)
TODAY = datetime(2026, 10, 1, tzinfo=UTC)
Collect = Callable[..., Batch]


def answer(*values: Any, first: datetime = TODAY) -> bytes:
    """Return days in the shape that the provider documents: newest first, all of it text."""
    rows = [
        {"value": value, "timestamp": str(int((first - i * DAY).timestamp()))}
        for i, value in enumerate(values)
    ]
    if rows:
        rows[0]["time_until_update"] = "2723"
    return json.dumps({"name": "Fear and Greed Index", "data": rows, "metadata": {}}).encode()


@pytest.fixture
def collect(loopback: Any, make_http: Any, fake_time: Any) -> Collect:
    def poll(cursor: str | None = None, **bounds: Any) -> Batch:
        made = FearGreed(IndicesSection(base_url=loopback.url), make_http(attempts=1), **bounds)
        (batch,) = made.collect(cursor, fake_time.now())
        return batch

    return poll


def found(batch: Batch) -> list[tuple[str, float]]:
    return [(f"{r.period_end:%m-%d}", r.value) for r in batch.rows if isinstance(r, Metric)]


def test_the_first_poll_takes_all_days(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers["/fng/"] = reply(answer("69", "71"))
    batch = collect()
    assert loopback.asked[0].query == {"limit": "0"}
    assert batch.rows == [
        Metric("alternative_me", "MARKET", "fear_greed", TODAY - 2 * DAY, TODAY - DAY, 71.0),
        Metric("alternative_me", "MARKET", "fear_greed", TODAY - DAY, TODAY, 69.0),
    ], "the index of a day is made from the day before and stands at its midnight"
    assert batch.cursor == "2026-10-01T00:00:00+00:00"
    assert (batch.polls[0].state, batch.polls[0].items) == ("ok", 2)


def test_the_next_poll_reads_a_week_again(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers["/fng/"] = reply(answer("69", "71"))
    batch = collect("2026-09-30T00:00:00+00:00")
    assert loopback.asked[0].query == {"limit": "10"}
    assert (len(batch.rows), batch.polls[0].items) == (2, 1)
    again = collect(batch.cursor)
    assert (again.polls[0].state, again.cursor) == ("empty", batch.cursor)


def test_a_bounded_stretch(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers["/fng/"] = reply(answer(*map(str, range(60, 50, -1))))
    batch = collect("2026-09-01T00:00:00+00:00", since=TODAY - 3 * DAY, until=TODAY - DAY)
    assert found(batch) == [("09-28", 57.0), ("09-29", 58.0)]
    assert batch.cursor == "2026-09-01T00:00:00+00:00", "no cursor moves over a gap"


@pytest.mark.parametrize("body", [b"<html>", b"[]", answer(), b'{"data": null}'])
def test_an_answer_without_days(body: bytes, collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers["/fng/"] = reply(body)
    batch = collect("2026-09-30T00:00:00+00:00")
    assert (batch.rows, batch.cursor) == ((), "2026-09-30T00:00:00+00:00")
    assert batch.polls[0].state == "unreadable"


def test_days_that_are_none_are_set_aside(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers["/fng/"] = reply(answer("69", "101", "nan", "", None, "50"))
    batch = collect()
    assert found(batch) == [("09-26", 50.0), ("10-01", 69.0)]
    assert [r.place for r in batch.rejected] == ["2026-09-30", "2026-09-29", "a day", "a day"]
    loopback.answers["/fng/"] = reply(answer("69", first=TODAY + timedelta(hours=1)))
    assert collect().rejected[0].reason == "not a number from 0 to 100 at a midnight"


def test_a_refusal(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers["/fng/"] = reply(b"", 451)
    assert collect().polls[0].state == "refused"
