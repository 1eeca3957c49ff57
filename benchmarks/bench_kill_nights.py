"""Kills `tick` and `nightly` at random points; what they lost or doubled ends the benchmark.

    python benchmarks/bench_kill_nights.py [--points 40] [--state kill_nights.json]

The market and the newspaper are those of tests/nightly, on a server of this machine, and the
clock stands still. A run is forked from a warm parent and killed with SIGKILL after a random part
of the time that a whole run takes; another run ends it; then every row must be what a run without
a kill leaves. The state file remembers which points are done, so that it goes on from there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import moodtape.backup
import moodtape.ingest.run
import moodtape.nightly.pages
import moodtape.nightly.signal
import moodtape.nlp.onnx_scorer
import moodtape.nlp.score
import moodtape.study.settling  # noqa: F401  imported before the fork, so that children are quick

LEDGERS = ("run", "step", "meta", "migration", "host_limit")
VERBS = ("tick", "nightly")
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
ADDRESS = re.compile(r'"address": "[0-9a-f]+"|http://127[^ \']*')


def world_module() -> Any:
    """Return the world of the tests."""
    path = Path(__file__).parent.parent / "tests" / "nightly" / "conftest.py"
    spec = importlib.util.spec_from_file_location("world_of_nights", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def in_child(work: Callable[[], None], kill_after_s: float | None = None) -> tuple[bool, float]:
    """Run work in a fork; return whether it was killed at work, and how long it took."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001  nothing may leave a fork
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if kill_after_s is None and status:
        raise SystemExit("a run that nobody killed failed")
    return os.WIFSIGNALED(status), time.monotonic() - started


def prepare(world: Any) -> None:
    """Live until 04:03: bars, texts, a model and its first forecasts.

    The server is in this process, so that the clock is moved here and the runs are forked.
    """
    world.now += 3 * HOUR + 3 * MINUTE
    in_child(lambda: world.run("tick"))
    in_child(lambda: world.serve_model(world.now - 2 * HOUR))
    world.now += HOUR
    in_child(lambda: world.run("tick"))


def dump(world: Any, path: Path) -> None:
    """Write every row but those of ledgers, without who stored it."""
    rows = {}
    with world.warehouse.write() as connection:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY 1"
        ).fetchall()
        for (name,) in tables:
            if name not in LEDGERS:
                found = connection.execute(
                    "SELECT COLUMNS(lambda c: c NOT IN ('run_id', 'settled_at'))"
                    f" FROM {name} ORDER BY ALL"
                ).fetchall()
                rows[name] = [ADDRESS.sub("", repr(row)) for row in found]
    signals = json.loads((world.folder / "signals.json").read_text())["signals"]
    path.write_text(json.dumps({"rows": rows, "signals": signals}))


def main() -> int:
    """Go on to the last point and say how many runs were caught at work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, default=Path("kill_nights.json"))
    told = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    state = json.loads(told.state.read_text()) if told.state.is_file() else {}
    done, caught = state.get("done", 0), state.get("caught", 0)
    builder = world_module().build.__wrapped__()  # what the fixture wraps
    build = next(builder)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        world = build(folder / "nights")
        prepare(world)
        kept = folder / "kept"
        shutil.copytree(world.folder, kept)
        times = {
            "tick": world.now + 5 * HOUR + 3 * MINUTE,
            "nightly": world.now + DAY + 20 * MINUTE,
        }
        length, expected = {}, {}
        for verb in VERBS:
            world.now = times[verb]
            _, length[verb] = in_child(lambda verb=verb: world.run(verb))
            in_child(lambda: dump(world, folder / "rows.json"))
            expected[verb] = (folder / "rows.json").read_text()
            start_over(world, kept)
        for point in range(done, told.points):
            dice, verb = random.Random(f"{told.seed} {point}"), VERBS[point % 2]
            world.now = times[verb]
            after_s = dice.uniform(0, length[verb])
            caught += in_child(lambda verb=verb: world.run(verb), after_s)[0]
            shutil.copytree(world.folder, folder / "killed")
            try:
                in_child(lambda verb=verb: world.run(verb))
            except SystemExit:
                shutil.copytree(folder / "killed", f"kill_nights_{point}")
                print(f"point {point}: {verb} killed after {after_s:.3f} s left what another run"
                      f" cannot end; see kill_nights_{point}")  # fmt: skip
                raise
            shutil.rmtree(folder / "killed")
            in_child(lambda: dump(world, folder / "rows.json"))
            if (folder / "rows.json").read_text() != expected[verb]:
                shutil.copytree(world.folder, f"kill_nights_{point}")
                print(f"point {point}: {verb} killed after {after_s:.3f} s left other rows; see"
                      f" kill_nights_{point}")  # fmt: skip
                return 1
            start_over(world, kept)
            told.state.write_text(json.dumps({"done": point + 1, "caught": caught}))
            if sys.stderr.isatty():
                print(f"\r{point + 1:,} of {told.points:,}", end="", file=sys.stderr)
        builder.close()
    print(f"{told.points:,} kills, {caught:,} of them at work: nothing lost, nothing doubled")
    return 0


def start_over(world: Any, kept: Path) -> None:
    """Put the project back to where it was before the run."""
    shutil.rmtree(world.folder)
    shutil.copytree(kept, world.folder)


if __name__ == "__main__":
    sys.exit(main())
