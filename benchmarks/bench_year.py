"""Lives through a year of nights twice, with faults and without; a row that differs ends it.

    python benchmarks/bench_year.py [--nights 365]

The market and the newspaper are those of tests/nightly, made sparse. The years run beside each
other, each with a server of its own; runs are forked from its process, which is warm. Every run is
whole: a page, a backup and figures each night. Every 15th day has three ticks besides, and another
model comes into use in the middle. Faults: each source leaves one run in twenty without an answer,
and every tenth night and third tick is killed with SIGKILL at a random moment and run again.

What the years may differ in is said in `year_rows.py`; all other cells of all rows are compared,
and the names of all files. Every backup that is left is verified, the newest against the
warehouse; all hours are made anew and must be what they were. Then the processor time of a night
is shown, month by month.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from year_rows import differences, rows_of
from year_world import (
    HOUR,
    SETTINGS,
    Moment,
    SparseWorld,
    first_hours,
    let_bars_change,
    moments,
    outages,
    worlds,
)

from moodtape.backup import list_backups, verify
from moodtape.errors import DataStale, SourceFailed
from moodtape.forecaster.stats import block_length
from moodtape.settings import load_settings
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.sums import table_sums
from moodtape.study.project import refresh_hours_if_dirty

KILLED = {"nightly": 10, "tick": 3}
"""Every so many runs of a rhythm one is killed."""
MONTH = 30
NEXT_MODEL = "20260102T000000Z-bbbbbb"
OF_TRIES = "raw/answers"
"""Files that each try leaves its own of."""


@dataclass
class Lived:
    """What a year came to. seconds: processor time of each night that was run to its end."""

    seconds: list[float] = field(default_factory=list)
    down: int = 0
    kills: int = 0
    caught: int = 0


def forked(work: Callable[[], int], kill_after_s: float | None = None) -> tuple[int, float, float]:
    """Run work in a fork; return its code (-9 where killed), how long it took, processor time."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    took = time.monotonic() - started
    return os.waitstatus_to_exitcode(status), took, used.ru_utime + used.ru_stime


def live(world: SparseWorld, plan: list[Moment], faults: bool, seed: int) -> Lived:
    """Live through the nights and say what they came to."""
    down, dice, lived = outages(plan, seed), random.Random(f"kills {seed}"), Lived()
    let_bars_change(world, plan, down)
    count, took = Counter[str](), {"tick": 1.0, "nightly": 2.0}
    nights = sum(rhythm == "nightly" for rhythm, _ in plan)
    for rhythm, world.now in plan:
        world.down = down[world.now] if faults else set()
        world.asked.clear()
        count[rhythm] += 1
        if rhythm == "nightly" and count[rhythm] == nights // 2:
            forked(partial(_next_model, world))
        work = partial(_run, world, rhythm)
        if faults and count[rhythm] % KILLED[rhythm] == 0:
            lived.kills += 1
            lived.caught += forked(work, dice.uniform(0, took[rhythm]))[0] == -signal.SIGKILL
        code, took[rhythm], used = forked(work)
        expected = (SourceFailed.exit_code, DataStale.exit_code) if world.down else (0,)
        if code not in expected:
            raise SystemExit(f"{rhythm} of {world.now} ended with {code}; down: {world.down}")
        lived.down += len(world.down)
        if rhythm == "nightly":
            lived.seconds.append(used)
    return lived


def _run(world: SparseWorld, rhythm: str) -> int:
    return int(world.run(rhythm, **SETTINGS).exit_code)


def _next_model(world: SparseWorld) -> int:
    world.serve_model(world.now - 2 * HOUR, NEXT_MODEL, 0.9)
    return 0


def year(folder: Path, plan: list[Moment], faults: bool, seed: int) -> dict[str, Any]:
    """Live a year in a new project and return what it left.

    wrong: what is not as it must be, whatever the other year left.
    """
    builder = worlds.build.__wrapped__()  # what the fixture wraps
    world = next(builder)(folder, of=SparseWorld)
    first_hours(world)  # here and not in a fork, so that forks are warm
    block_length(np.arange(100.0) % 7, 1, 24)  # likewise
    lived = live(world, plan, faults, seed)
    builder.close()
    settings, wrong = load_settings(folder, environ={}), []
    backups = [verify(backup.folder) for backup in list_backups(settings)]
    with world.warehouse.read() as connection:
        rows, sums = rows_of(connection), table_sums(connection)
    copied, last = backups[0]["tables"], json.loads(json.dumps(sums))
    # Of steps the copy does not yet hold that it was made.
    if plan[-1][0] == "nightly" and {**copied, "step": None} != {**last, "step": None}:
        wrong.append("the newest backup is not the warehouse")
    with world.warehouse.write() as connection:
        mark_all_hours(connection)
    refresh_hours_if_dirty(settings)
    with world.warehouse.read() as connection:
        if rows_of(connection)["sentiment_hourly"] != rows["sentiment_hourly"]:
            wrong.append("hours made anew are others")
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    files = sorted(name for name in names if not name.startswith(OF_TRIES))
    return {"rows": rows, "files": files, "backups": len(backups), "wrong": wrong, **asdict(lived)}


def beside_each_other(works: list[Callable[[], dict[str, Any]]], scratch: Path) -> list[Any]:
    """Run each work in a process of its own, at the same time, and return what they return.

    Raises:
        SystemExit: one of them failed; it has told why.
    """
    children = []
    for number, work in enumerate(works):
        path = scratch / f"{number}.json"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                path.write_text(json.dumps(work()))
                code = 0
            except SystemExit as exc:
                print(exc, file=sys.stderr, flush=True)
            except Exception:  # noqa: BLE001  a fork has to end here
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append((child, path))
    states = [os.waitpid(child, 0)[1] for child, _ in children]
    if any(states):
        raise SystemExit(1)
    return [json.loads(path.read_text()) for _, path in children]


def main() -> int:
    """Live both years and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    plan, started = moments(told.nights), time.monotonic()
    with TemporaryDirectory() as name:
        scratch = Path(name)
        calm, faulty = beside_each_other(
            [partial(year, scratch / str(f), plan, f, told.seed) for f in (False, True)], scratch
        )
    wrong = [*calm["wrong"], *faulty["wrong"]]
    wrong += differences(calm["rows"], faulty["rows"], outages(plan, told.seed))
    if calm["files"] != faulty["files"]:
        wrong.append(f"other files: {sorted(set(calm['files']) ^ set(faulty['files']))[:10]}")
    for line in wrong:
        print(line)
    if wrong:
        return 1
    months = range(0, told.nights, MONTH)
    costs = [f"{statistics.median(calm['seconds'][m : m + MONTH]):.2f}" for m in months]
    print(
        f"{told.nights:,} nights and {len(plan) - told.nights} ticks in"
        f" {(time.monotonic() - started) / 60:.1f} minutes: {faulty['down']} times a source was"
        f" down, {faulty['kills']} kills, {faulty['caught']} of them at work. Every row is that of"
        f" nights without: {sum(map(len, calm['rows'].values())):,} in all,"
        f" {len(calm['rows']['forecast']):,} forecasts. {faulty['backups']} backups are whole."
    )
    print(f"processor seconds a night, median of each month: {', '.join(costs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
