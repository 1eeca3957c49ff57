"""The two rhythms against real collectors, a real warehouse and a clock that the test moves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from moodtape.errors import DataMissing, TookTooLong, UsageError, WarehouseLocked
from moodtape.nightly import steps
from moodtape.nightly.limit import time_limit
from moodtape.nightly.lock import only_one
from moodtape.nightly.model import forecast_all
from moodtape.nightly.run import Order
from moodtape.nightly.slots import hour_of, night_of, nights_between
from moodtape.settings import load_settings

if TYPE_CHECKING:
    from tests.nightly.conftest import World

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
TICK = ("ingest", "score", "hours", "settle", "forecast")


def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def test_a_tick_does_the_hour_and_is_done_then(ready: World) -> None:
    first = ready.run("tick")
    assert [(s.step, s.state) for s in first.steps] == [(name, "done") for name in TICK]
    assert (first.exit_code, first.slot) == (0, ready.now - 3 * MINUTE)
    assert first.steps[0].counts["bars"] == {"state": "done", "new": 1}
    assert first.steps[3].counts == {"settled": 1, "void": 0, "waiting": 0}
    assert first.steps[4].counts == {"forecasts": 1, "late": 0, "signals": 1}
    beat = json.loads((ready.folder / "heartbeat.json").read_text())
    assert (beat["rhythm"], beat["exit_code"], beat["schema_version"]) == ("tick", 0, 1)
    assert [s["state"] for s in beat["steps"]] == ["done"] * 5
    ready.asked.clear()
    ready.now += 20 * MINUTE
    again = ready.run("tick")
    assert (again.todo, again.steps, again.exit_code) == ((), (), 0)
    assert ready.asked == []
    forced = ready.run("tick", Order(from_step="settle"))
    assert [s.step for s in forced.steps] == ["settle", "forecast"]
    assert forced.steps[1].counts == {"forecasts": 0, "late": 0, "signals": 1}
    attempts = rows(ready, "SELECT step, max(attempt) FROM step WHERE slot ="
                    f" '{first.slot.isoformat()}' GROUP BY step ORDER BY 1")  # fmt: skip
    assert attempts == [("forecast", 2), ("hours", 1), ("ingest", 1), ("score", 1), ("settle", 2)]


def test_a_source_that_fails_stops_no_other_and_comes_with_the_next_run(ready: World) -> None:
    ready.down.add("/feed")
    result = ready.run("tick")
    states = {s.step: s.state for s in result.steps}
    assert states == dict.fromkeys(TICK, "done") | {"ingest": "partial"}
    assert result.exit_code == 5
    assert "news (failed)" in str(result.steps[0].error)
    assert result.steps[4].counts["forecasts"] == 1
    ready.down.clear()
    again = ready.run("tick")
    assert again.todo == TICK, "it goes on at the first step that is not done"
    assert again.exit_code == 0
    assert again.steps[0].counts["news"]["new"] == 1


def test_a_step_that_fails_is_told_and_the_others_go_on(
    ready: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(moment: steps.Moment) -> steps.Did:
        raise DataMissing("Nothing is there. Run: moodtape score")

    def broken(moment: steps.Moment) -> steps.Did:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(steps.TICK, "score", missing)
    monkeypatch.setitem(steps.TICK, "hours", broken)
    ready.down.add("/feed")
    result = ready.run("tick")
    assert [s.state for s in result.steps] == ["partial", "failed", "failed", "done", "done"]
    assert result.exit_code == 3, "a failure on our side is told before a source's"
    assert result.steps[2].error == "Unexpected failure: ZeroDivisionError: oh"
    errors = dict(rows(ready, "SELECT step, error FROM step WHERE state = 'failed'"))
    assert errors["score"] == "Nothing is there. Run: moodtape score"
    monkeypatch.undo()
    ready.down.clear()
    assert ready.run("tick").exit_code == 0


def test_missed_hours_are_made_up_for_with_what_was_known_then(
    make_ready: Callable[..., World],
) -> None:
    ready, other = make_ready("missed"), make_ready("watched")
    for world in (ready, other):  # a correction that the decision an hour later may not see
        opened = world.now - 2 * HOUR - 3 * MINUTE
        world.restated[opened] = (world.now + 2 * HOUR, 999.0)
    for _ in range(4):
        other.run("tick")
        other.now += HOUR
    ready.now += 3 * HOUR
    result = ready.run("tick")
    assert result.steps[4].counts == {"forecasts": 4, "late": 3, "signals": 1}
    told = "SELECT cutoff, p_up, mean, volatility, quantiles, venue FROM forecast ORDER BY 1"
    assert rows(ready, "SELECT late FROM forecast ORDER BY cutoff") == [
        (False,), (True,), (True,), (True,), (False,),
    ]  # fmt: skip
    mine, theirs = rows(ready, told), rows(other, told)
    assert mine == theirs
    assert rows(ready, "SELECT count(*) FROM bar WHERE close = 999") == [(1,)]


def test_a_model_forecasts_nothing_before_the_last_answer_it_has_seen(ready: World) -> None:
    """Two hours were missed, and the newest model was trained after the first of them."""
    later = ready.now + 2 * HOUR
    cutoff = later.replace(minute=0)
    new = ready.serve_model(cutoff - 2 * HOUR, "20260102T000000Z-bbbbbb")
    ready.now = later
    ready.run("tick")
    made = rows(ready, "SELECT cutoff, model_run FROM forecast ORDER BY cutoff")
    assert [name == new.name for _, name in made] == [False, False, True, True]
    assert made[2][0] == cutoff - HOUR, "its last answer was known then"


def test_a_decision_longer_than_a_bar_after_its_close_finds_its_model(
    make_ready: Callable[..., World],
) -> None:
    """Cut off before the newest model's last answer and decided after it: the one before does."""
    ready = make_ready("slow", "[clock]\ndecision_delay_s = 5400")
    ready.now += 2 * HOUR
    ready.serve_model(ready.now - 2 * HOUR - 3 * MINUTE, "20260102T000000Z-bbbbbb")
    ready.run("tick")
    made = rows(ready, "SELECT cutoff, model_run FROM forecast ORDER BY cutoff")
    assert [(at.hour, name) for at, name in made[1:]] == [(4, "20260101T000000Z-aaaaaa")]


def test_an_earlier_model_that_fits_no_more_does_not_bar_the_newest(ready: World) -> None:
    """The scorer was changed and a model trained on its scores: the one before cannot help."""
    old = ready.folder / "runs" / "20260101T000000Z-aaaaaa" / "served.json"
    old.write_text(json.dumps(json.loads(old.read_text()) | {"scorer": "another one"}))
    with pytest.raises(UsageError, match="trained on scores of another one"):
        forecast_all(load_settings(ready.folder, environ={}), ready.now)
    ready.now += 2 * HOUR
    new = ready.serve_model(ready.now - HOUR - 3 * MINUTE, "20260102T000000Z-bbbbbb")
    first = ready.run("tick").steps[-1]
    assert (first.state, first.counts["forecasts"]) == ("partial", 1)
    assert "Decisions after 2026-03-01 03:00Z that the newest model may not" in str(first.error)
    assert "the one before, 20260101T000000Z-aaaaaa, cannot be asked any more" in str(first.error)
    ready.now += HOUR
    assert ready.run("tick").exit_code == 0
    made = rows(ready, "SELECT cutoff, model_run FROM forecast ORDER BY cutoff")
    assert [name for _, name in made[1:]] == [new.name] * 2
    ready.now += HOUR
    ready.serve_model(ready.now - 2 * HOUR, "20260103T000000Z-cccccc")
    shutil.rmtree(new)
    assert ready.run("tick").exit_code == 0, "nothing was missed: no other model is asked"


def test_one_run_at_a_time_says_who_holds_it(ready: World, tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom moodtape.nightly.lock import only_one\n"
        "with only_one(Path(sys.argv[1]), 'tick', 0): print('held', flush=True); time.sleep(60)"
    )
    path = ready.folder / ".moodtape" / "tick.lock"
    holder = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseLocked, match=rf"process {holder.pid}\. Wait .* kill"):
            ready.run("tick", **{"storage.lock_wait_s": 0.1})
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with only_one(path, "tick", 0):
        pass  # a killed process holds nothing


def test_a_step_has_its_time(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(moment: steps.Moment) -> steps.Did:
        while True:
            time.sleep(0.01)

    monkeypatch.setitem(steps.TICK, "hours", endless)
    result = ready.run("tick", Order(only="hours"), **{"nightly.step_limit_min": 0.002})
    assert result.steps[0].state == "failed"
    assert "nightly.step_limit_min" in str(result.steps[0].error)
    assert result.exit_code == TookTooLong.exit_code
    inside: list[bool] = []
    thread = threading.Thread(target=lambda: _limited(inside))
    thread.start()
    thread.join()
    assert inside == [True], "another thread cannot be stopped, and does its work"


def _limited(inside: list[bool]) -> None:
    with time_limit(1, "a.b"):
        inside.append(True)


def test_a_dry_run_and_a_wrong_step_do_nothing(world: World) -> None:
    planned = world.run("nightly", Order(dry_run=True))
    assert planned.todo[0] == "ingest"
    assert world.run("nightly", Order(from_step="settle", dry_run=True)).todo[0] == "settle"
    with pytest.raises(UsageError, match=r"tick has no step 'retrain'.*Its steps are: ingest,"):
        world.run("tick", Order(only="retrain"))
    assert not world.warehouse.path.exists()
    assert world.asked == []


def test_hours_and_nights() -> None:
    now = datetime.fromisoformat("2026-03-02T00:19:59+00:00")
    assert hour_of(now) == datetime.fromisoformat("2026-03-02T00:00+00:00")
    last = night_of(now, "00:20")
    assert last == datetime.fromisoformat("2026-03-01T00:20+00:00")
    assert night_of(now + timedelta(seconds=1), "00:20") == last + DAY
    assert nights_between(last, last + 4 * DAY) == [last + DAY, last + 2 * DAY, last + 3 * DAY]
    assert nights_between(last, last + DAY) == []
    assert nights_between(None, last) == []


def test_the_verbs_say_what_they_would_do(ready: World, run: Callable[..., Any]) -> None:
    where = ("--project", ready.folder)
    done = run("nightly", "--dry-run", "--json", *where)
    told = json.loads(done.out)
    assert (done.code, told["command"], told["dry_run"], told["steps"]) == (0, "nightly", True, [])
    assert told["todo"] == [*TICK[:4], "drift", "retrain", "forecast", "report", "backup"]
    done = run("tick", "--from-step", "settle", "--dry-run", *where)
    assert done.out.splitlines()[1:] == ["would run: settle, forecast"]
    done = run("tick", "--only", "settle", *where)
    assert done.code == 0
    assert done.out.splitlines()[-1].split()[:2] == ["settle", "done"]
    assert run("tick", "--only", "setle", *where).code == 2
