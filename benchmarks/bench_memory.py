"""Runs nights one after the other in one process and says how its memory grows.

    python benchmarks/bench_memory.py [--nights 3]

The market and the newspaper are those of tests/nightly. Real runs are processes of their own; here
they share one, so that what a run leaves behind would pile up. From the eleventh night on memory
has to be flat: the median of the last ten nights within 5 % of that of nights 11 to 20.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_kill_nights import world_module

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
WARM, SPAN = 10, 10
LARGEST = 0.05


def resident_mib() -> float:
    """Return the memory that the process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> int:
    """Run the nights and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=3)
    nights = parser.parse_args().nights
    builder = world_module().build.__wrapped__()  # what the fixture wraps
    build = next(builder)
    held = []
    with TemporaryDirectory() as scratch:
        world = build(Path(scratch) / "nights")
        world.now += 3 * HOUR + 3 * MINUTE
        world.run("tick")
        world.serve_model(world.now - 2 * HOUR)
        for number in range(nights):
            world.now = world.now.replace(hour=0, minute=20) + DAY
            # Hours between are left out: they are what the other rhythm does.
            code = world.run("nightly", **{"nightly.catch_up_days": 0.05}).exit_code
            if code:
                print(f"night {number + 1} ended with {code}")
                return 1
            world.asked.clear()
            gc.collect()
            held.append(resident_mib())
            print(f"night {number + 1:>3}: {held[-1]:,.1f} MiB", flush=True)
    builder.close()
    if nights < WARM + 2 * SPAN:
        print("too few nights to compare")
        return 0
    early = statistics.median(held[WARM : WARM + SPAN])
    late = statistics.median(held[-SPAN:])
    growth = late / early - 1
    print(f"{nights} nights: {early:,.1f} MiB in nights 11 to 20, {late:,.1f} MiB in the last ten:"
          f" {growth:+.1%}")  # fmt: skip
    return int(growth > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
