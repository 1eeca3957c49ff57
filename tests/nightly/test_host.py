"""What a host does to those who run on it for a year: clocks, locks, damaged and old files."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from moodtape.backup import make_backup
from moodtape.errors import MoodtapeError, WarehouseLocked
from moodtape.ingest.polite import Timing
from moodtape.nightly.run import Order, RhythmResult, run_rhythm
from moodtape.restore import restore
from moodtape.settings import load_settings
from moodtape.storage import migrate

if TYPE_CHECKING:
    from tests.nightly.conftest import World

pytestmark = pytest.mark.slow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MODEL = "20260101T000000Z-aaaaaa"


def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def market_and_forecasts(world: World) -> list[list[tuple[Any, ...]]]:
    """Return what a wrong clock must neither lose nor double."""
    return [
        rows(world, "SELECT open_time, close, known_at FROM bar ORDER BY ALL"),
        rows(world, "SELECT document_id, title FROM document ORDER BY ALL"),
        rows(world, "SELECT cutoff, mean, p_up, late FROM forecast ORDER BY ALL"),
        rows(world, "SELECT cutoff, state FROM settlement ORDER BY ALL"),
    ]


def run_with_clock(world: World, at: datetime) -> RhythmResult:
    """Run a tick on a machine whose clock says something else than the market's."""
    timing = Timing(sleep=lambda s: None, monotonic=lambda: 0.0, now=lambda: at)
    settings = load_settings(world.folder, environ={})
    return run_rhythm(settings, "tick", Order(), lambda: at, timing)


@pytest.mark.parametrize("jump", [-2 * HOUR, 3 * HOUR], ids=["back", "ahead"])
def test_a_clock_that_jumps_and_comes_back_loses_and_doubles_nothing(
    make_ready: Callable[..., World], jump: timedelta
) -> None:
    calm, jumping = make_ready("calm"), make_ready("jumping")
    calm.run("tick")
    jumping.run("tick")
    result = run_with_clock(jumping, jumping.now + jump)
    assert [s.state for s in result.steps if s.state == "failed"] == []
    for world in (calm, jumping):
        world.now += 4 * HOUR
        assert world.run("tick").exit_code == 0
    ours, theirs = market_and_forecasts(jumping), market_and_forecasts(calm)
    assert [len(set(table)) for table in ours] == [len(table) for table in ours]
    assert ours[:2] == theirs[:2], "bars and texts"
    made = {cutoff: answer for cutoff, *answer in ours[2]}
    assert all(made[cutoff][:2] == answer[:2] for cutoff, *answer in theirs[2]), "no other forecast"


@contextmanager
def time_zone(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "local_hours"),
    [("STD0DST,M3.1.0/5,M11.1.0/5", [4, 6, 7]), ("STD0DST,M10.1.0/6,M3.1.0/6", [5, 5, 6])],
    ids=["an hour is left out", "an hour comes twice"],
)
def test_a_host_that_leaps_over_summer_time_makes_the_same_rows(
    make_ready: Callable[..., World], zone: str, local_hours: list[int]
) -> None:
    """The first of March 2026 is a Sunday: these zones leap while the hours are run."""
    calm, leaping = make_ready("calm"), make_ready("leaping")
    seen = []
    for _ in range(3):
        calm.run("tick")
        with time_zone(zone):
            seen.append(time.localtime(leaping.now.timestamp()).tm_hour)
            assert leaping.run("tick").exit_code == 0
        calm.now += HOUR
        leaping.now += HOUR
    assert seen == local_hours, "the zone leaps"
    for world in (calm, leaping):
        world.now = world.now.replace(minute=20) + 18 * HOUR
    calm.run("nightly")
    with time_zone(zone):
        leaping.run("nightly")
    assert market_and_forecasts(leaping) == market_and_forecasts(calm)
    pages = [sorted(p.name for p in (w.folder / "nights").iterdir()) for w in (calm, leaping)]
    assert pages[0] == pages[1]


def test_a_reader_that_holds_the_file_is_named_and_nothing_is_lost(
    make_ready: Callable[..., World],
) -> None:
    calm, ready = make_ready("calm"), make_ready("ready")
    code = (
        "import duckdb, sys, time\nheld = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print('held', flush=True); time.sleep(600)"
    )
    path = str(ready.warehouse.path)
    reader = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "held\n"
        with pytest.raises(WarehouseLocked, match=str(reader.pid)):
            ready.run("tick", **{"storage.lock_wait_s": 0.1})
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()
    for world in (calm, ready):
        assert world.run("tick").exit_code == 0
    assert market_and_forecasts(ready) == market_and_forecasts(calm)


def leave_damaged_log(path: Path) -> Path:
    """Leave a write-ahead log as a killed process does, and turn one of its bits over."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "SET checkpoint_threshold = '1TB'; PRAGMA disable_checkpoint_on_shutdown"
        )
        connection.execute("INSERT INTO meta VALUES ('in the log', 'yes')")
    log = path.with_name(f"{path.name}.wal")
    content = bytearray(log.read_bytes())
    content[-5] ^= 0x10
    log.write_bytes(content)
    return log


def test_after_a_damaged_log_either_way_out_leads_on(ready: World) -> None:
    settings = load_settings(ready.folder, environ={})
    make_backup(settings, ready.warehouse, ready.now)
    before = market_and_forecasts(ready)
    log = leave_damaged_log(ready.warehouse.path)
    with pytest.raises(MoodtapeError, match=r"\.wal.* is damaged: .* moodtape backup restore"):
        ready.run("tick")
    damaged = log.read_bytes()
    aside = restore(settings, ready.warehouse, None, ready.now)
    assert aside.with_name(f"{aside.name}.wal").read_bytes() == damaged, "kept for whoever can"
    assert market_and_forecasts(ready) == before
    leave_damaged_log(ready.warehouse.path)
    log.rename(log.with_name("away"))
    assert ready.run("tick").exit_code == 0
    assert len(rows(ready, "SELECT * FROM forecast")) == len(before[2]) + 1


def test_a_warehouse_of_an_older_schema_is_brought_up_to_date_by_a_tick(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = migrate.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "migrations", lambda: shipped[:8])
        with world.warehouse.write() as connection:
            connection.execute("INSERT INTO meta VALUES ('of old', 'kept')")
    world.now += 3 * HOUR
    result = world.run("tick")
    assert [s.state for s in result.steps] == ["done"] * 4 + ["skipped"]
    assert rows(world, "SELECT value FROM meta WHERE name = 'of old'") == [("kept",)]
    assert rows(world, "SELECT count(*) FROM migration") == [(len(shipped),)]
    assert rows(world, "SELECT count(*) > 100 FROM bar") == [(True,)]


def test_a_model_whose_file_is_gone_or_damaged_is_told_and_made_up_for(
    make_ready: Callable[..., World],
) -> None:
    calm, ready = make_ready("calm"), make_ready("ready")
    network = ready.folder / "runs" / MODEL / "model.onnx"
    whole = network.read_bytes()
    network.unlink()
    gone = ready.run("tick").steps[-1]
    assert gone.state == "failed"
    assert f"{MODEL} has no model.onnx" in str(gone.error)
    network.write_bytes(whole[: len(whole) // 2])
    ready.now += HOUR
    cut = ready.run("tick").steps[-1]
    assert cut.state == "failed"
    assert "model.onnx cannot be loaded" in str(cut.error)
    assert "moodtape models back" in str(cut.error)
    network.write_bytes(whole)
    ready.now += HOUR
    assert ready.run("tick").exit_code == 0
    calm.now = ready.now
    assert calm.run("tick").exit_code == 0
    cutoffs = "SELECT cutoff, mean, p_up, volatility FROM forecast ORDER BY ALL"
    assert rows(ready, cutoffs) == rows(calm, cutoffs), "missed decisions are made up for"
