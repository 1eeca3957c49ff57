"""What is overdue, and that `status` tells it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moodtape.clock import utc_now
from moodtape.config import Config
from moodtape.nightly.watch import overdue

if TYPE_CHECKING:
    from tests.nightly.conftest import World

NOW, HOUR = datetime(2026, 3, 1, tzinfo=UTC), timedelta(hours=1)


def step(rhythm: str, hours_ago: float | None, error: str | None = None) -> dict[str, Any]:
    done = None if hours_ago is None else NOW - hours_ago * HOUR
    return {"rhythm": rhythm, "step": "ingest", "last_done": done, "error": error,
            "first_begun": NOW - 100 * HOUR}  # fmt: skip


def poll(
    collector: str, hours_ago: float | None, stream: str = "one", asked_hours_ago: float = 0
) -> dict[str, Any]:
    good = None if hours_ago is None else NOW - hours_ago * HOUR
    return {"collector": collector, "stream": stream, "last_good": good, "state": "down",
            "detail": "no route", "last_poll": NOW - asked_hours_ago * HOUR,
            "first_poll": NOW - 1000 * HOUR}  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "late"),
    [
        ([step("tick", 3)], False), ([step("tick", 3.1)], True), ([step("tick", None)], True),
        ([step("nightly", 30)], False), ([step("nightly", 30.1)], True), ([], False),
    ],
)  # fmt: skip
def test_a_rhythm_is_overdue_after_its_time(rows: list[dict[str, Any]], late: bool) -> None:
    assert bool(overdue(Config(), rows, [], NOW)) == late


def test_the_line_says_since_when_why_and_what_to_do() -> None:
    (line,) = overdue(Config(), [step("tick", 5, "the disk is full")], [], NOW)
    assert line == (
        "tick: no whole ingest for more than 3 hours: the last one was at 2026-02-28 19:00Z"
        " (the disk is full). Run: moodtape tick"
    )


def test_a_source_is_overdue_where_a_rhythm_runs_and_it_is_asked() -> None:
    polls = [poll("news", 27), poll("bars", 25), poll("x", None), poll("onchain", None)]
    lines = overdue(Config(), [step("tick", 1)], polls, NOW)
    assert [line.split(":")[0] for line in lines] == ["news one", "onchain one"]
    assert lines[0].endswith("(no route). Run: moodtape ingest news")
    assert overdue(Config(), [], polls, NOW) == []


def test_a_source_that_never_answered_has_its_time_from_the_first_question() -> None:
    fresh = poll("news", None) | {"first_poll": NOW - 25 * HOUR}
    assert overdue(Config(), [step("tick", 1)], [fresh], NOW) == []


def test_a_stream_that_is_not_asked_any_more_is_not_overdue() -> None:
    gone = poll("news", 900, "an old feed", asked_hours_ago=900)
    assert overdue(Config(), [step("tick", 1)], [poll("news", 1), gone], NOW) == []
    (line,) = overdue(Config(), [step("tick", 1)], [gone], NOW)
    assert line.startswith("news an old feed: no good answer"), "nothing of it is asked at all"


def test_status_ends_with_three_when_a_rhythm_has_stopped(
    ready: World, run: Callable[..., Any]
) -> None:
    """The world's last hour lies long ago, or ahead, of the machine's clock: it is set to now."""
    where = ("--project", ready.folder)
    shift = (utc_now() - ready.now) // HOUR
    with ready.warehouse.write() as connection:
        connection.execute(
            f"UPDATE step SET started_at = started_at + INTERVAL {shift - 50} HOUR,"
            f" finished_at = finished_at + INTERVAL {shift - 50} HOUR"
        )
    done = run("status", *where)
    assert done.code == 3
    assert "tick: no whole ingest, score, hours, settle, forecast for more than 3 hours" in done.err
    assert "model in use\n20260101T000000Z-aaaaaa, trained until 2026-03-01 01:03" in done.out
    done = run("status", *where, "--json")
    told = json.loads(done.out)
    assert done.code == 3
    assert told["champion"]["run"] == "20260101T000000Z-aaaaaa"
    assert told["overdue"] == told["warnings"] != []
    assert {row["step"]: row["state"] for row in told["steps"]} == {
        "ingest": "done", "score": "done", "hours": "done", "settle": "done", "forecast": "done",
    }  # fmt: skip
    assert told["forecasts"] == {"waiting": 1}
    with ready.warehouse.write() as connection:
        connection.execute("UPDATE step SET finished_at = finished_at + INTERVAL 50 HOUR")
        connection.execute(f"UPDATE poll SET polled_at = polled_at + INTERVAL {shift} HOUR")
    done = run("status", *where)
    assert (done.code, done.err) == (0, "")
