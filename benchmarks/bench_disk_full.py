"""Runs nights on a disk that is full; what is lost, doubled or not told ends the benchmark.

    mount -t tmpfs -o size=40m tmpfs /mnt/small
    python benchmarks/bench_disk_full.py /mnt/small

The market and the newspaper are those of tests/nightly. First the disk is full from the moment on
at which a step begins, for each step of `tick` and `nightly`; then each night it is filled but for
a few KiB, so that another place inside of a step is the first that finds no room. The run has to
say so. Then there is room again, it is run once more, and every row must be what runs with room
leave.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench_kill_nights import dump, world_module

from moodtape.errors import DiskFull
from moodtape.nightly.run import STEPS
from moodtape.nightly.steps import Did, Moment

FREE_KIB = (0, 10, 30, 100, 250, 400, 700, 1500, 9000)
EVERY_STEP = [(rhythm, step) for rhythm in STEPS for step in STEPS[rhythm]]
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def next_moment(now: datetime, rhythm: str) -> datetime:
    """Return the next hour at which a tick begins, or the next night."""
    if rhythm == "tick":
        return now.replace(minute=3) + HOUR
    return now.replace(hour=0, minute=20) + DAY


def begin(world: Any) -> None:
    """Live until a model has forecast."""
    world.now += 3 * HOUR + 3 * MINUTE
    world.run("tick")
    world.serve_model(world.now - 2 * HOUR)
    world.now += HOUR
    world.run("tick")


def fill(disk: Path, free_kib: int) -> Path:
    """Leave so much room; return the file that takes the rest."""
    filler = disk / "filler"
    with filler.open("wb") as handle:
        handle.write(b"x" * max(0, shutil.disk_usage(disk).free - 1024 * free_kib))
    return filler


def full_from(world: Any, disk: Path, rhythm: str, step: str) -> str:
    """Run a rhythm on a disk that is full once a step has begun; return what was told."""
    steps, filler = STEPS[rhythm], disk / "filler"
    whole = steps[step]

    def full(moment: Moment) -> Did:
        fill(disk, 0)
        return whole(moment)

    steps[step] = full
    try:
        result = world.run(rhythm)
        return "; ".join(f"{s.step}: {s.error}" for s in result.steps if s.exit_code)
    except DiskFull as exc:
        return str(exc)
    finally:
        steps[step] = whole
        filler.unlink(missing_ok=True)


def full_night(world: Any, disk: Path, free_kib: int) -> str:
    """Run a night with so much room; return what was told."""
    filler = fill(disk, free_kib)
    try:
        result = world.run("nightly")
        troubled = [f"{s.step}: {s.error}" for s in result.steps if s.state == "failed"]
        return "; ".join(troubled)
    except DiskFull as exc:
        return str(exc)
    finally:
        filler.unlink()


def main() -> int:
    """Live through the nights and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("disk", type=Path, nargs="?", help="an empty file system of 40-100 MiB")
    disk = parser.parse_args().disk
    if disk is None:
        print("skipped: name a small file system to fill")
        return 0
    if shutil.disk_usage(disk).total > 100 * 2**20:
        print(f"{disk} is no small file system", file=sys.stderr)
        return 2
    builder = world_module().build.__wrapped__()  # what the fixture wraps
    build = next(builder)
    with TemporaryDirectory() as scratch:
        calm, tight = build(Path(scratch) / "nights"), build(disk / "nights")
        for world in (calm, tight):
            begin(world)
        for rhythm, step in EVERY_STEP:
            for world in (calm, tight):
                world.now = next_moment(world.now, rhythm)
            told = full_from(tight, disk, rhythm, step)
            if not told:
                print(f"{rhythm} {step}: nothing was told")
                return 1
            print(f"{rhythm} {step}: {told[:80]}", flush=True)
            if tight.run(rhythm).exit_code or calm.run(rhythm).exit_code:
                print("a run with room again failed")
                return 1
            for backup in (tight.folder / "backups").glob("*"):
                shutil.rmtree(backup)
        for free_kib in FREE_KIB:
            for world in (calm, tight):
                world.now = world.now.replace(hour=0, minute=20) + DAY
            told = full_night(tight, disk, free_kib)
            if not told:
                print(f"{free_kib} KiB: nothing was told")
                return 1
            print(f"{free_kib:>5} KiB: {told[:90]}")
            if tight.run("nightly").exit_code or calm.run("nightly").exit_code:
                print("a night with room again failed")
                return 1
            for backup in (tight.folder / "backups").iterdir():
                shutil.rmtree(backup)
        for world in (calm, tight):
            dump(world, Path(scratch) / f"{world.folder.parent.name}.json")
        one, other = (Path(scratch) / f"{w.folder.parent.name}.json" for w in (calm, tight))
        if one.read_text() != other.read_text():
            print("the rows differ from those of nights with room")
            return 1
    shutil.rmtree(tight.folder)
    builder.close()
    times = len(EVERY_STEP) + len(FREE_KIB)
    print(f"{times} full disks: told each time, nothing lost, nothing doubled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
