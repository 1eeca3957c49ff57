"""Kills `moodtape ingest` at random points; what it lost or doubled ends the benchmark.

    python benchmarks/bench_kill.py [--points 1000] [--state kill.json]

A server on this machine stands in for feeds and an exchange. A run is forked from a warm parent
and killed with SIGKILL after a random part of the time that a whole run takes; another run ends
it; then every row and every cursor must be what a run without a kill leaves. The state file
remembers which points are done, so that it can be stopped and goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
import warnings
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_ingest import make_plan

from moodtape.clock import utc_now
from moodtape.ingest.polite import Timing
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors

SOURCES = ("news", "bars")
TABLES = ("bar", "document", "mention", "cursor", "quarantine")


def content(plan: Plan) -> dict[str, list[str]]:
    """Return what is stored, without which run stored it when."""
    left_out = "recorded_at, run_id"
    with plan.warehouse.write() as connection:
        return {
            table: [
                repr(row)
                for row in connection.execute(
                    f"SELECT * EXCLUDE ({left_out}) FROM {table} ORDER BY ALL"
                ).fetchall()
            ]
            for table in TABLES
        }


def at_one_time(plan: Plan, now: datetime) -> Plan:
    """Return a plan whose clock stands still, so that two runs can bring the same rows."""
    return replace(plan, timing=Timing(now=lambda: now))


def start_over(plan: Plan) -> None:
    """Remove the warehouse and what a killed run left beside it."""
    for path in plan.warehouse.path.parent.glob("moodtape.duckdb*"):
        path.unlink()


def killed(plan: Plan, after_s: float) -> bool:
    """Run in a child that is killed after a while; say whether it was still at work."""
    child = os.fork()
    if child == 0:
        try:
            run_collectors(plan, SOURCES)
        finally:
            os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main() -> int:
    """Go on to the last point and say how many runs were caught at work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, default=Path("kill.json"))
    told = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    state = json.loads(told.state.read_text()) if told.state.is_file() else {}
    done, caught = state.get("done", 0), state.get("caught", 0)
    with TemporaryDirectory() as folder:
        plan = at_one_time(make_plan(Path(folder), {"a": 20, "b": 20}, 400), utc_now())
        run_collectors(plan, SOURCES)
        start_over(plan)
        started = time.monotonic()
        run_collectors(plan, SOURCES)
        length, expected = time.monotonic() - started, content(plan)
        for point in range(done, told.points):
            start_over(plan)
            dice = random.Random(f"{told.seed} {point}")
            caught += killed(plan, dice.uniform(0, length))
            results = run_collectors(plan, SOURCES)
            if any(result.error for result in results) or content(plan) != expected:
                print(f"point {point}: the rows differ from those of a run that was left alone")
                return 1
            told.state.write_text(json.dumps({"done": point + 1, "caught": caught}))
            if sys.stderr.isatty():
                print(f"\r{point + 1:,} of {told.points:,}", end="", file=sys.stderr)
    print(f"{told.points:,} kills, {caught:,} of them at work: nothing lost, nothing doubled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
