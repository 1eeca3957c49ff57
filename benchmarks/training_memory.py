"""Peak memory of fits beyond what the framework takes, in multiples of the feature matrix.

    python benchmarks/bench_training.py --memory [--rows 70000] [--repeats 3]

What a process holds at most is read from the kernel (VmHWM), in a process of its own for each
line. TensorFlow, its kernels and the compiled step take several hundred MiB whatever the data:
that floor is the same work on SMALL windows, measured the same way and subtracted. What is left
is due to the data. What of it was there before the work began is told apart (`read`).

    fit      `NetworkForecaster` on scaled inputs that are there, float32: one feature matrix
    study    two cells of a fold as a study has them, from a `Dataset`, whose features are
             float64: scaled once, then an arm's inputs, fit and forecast, and another's

The unit is the feature matrix as it is held, float32 in `fit` and float64 in `study`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import reference_keras as reference

SMALL = 2_048
PARTS = ("fit", "study")
KEY = "return_1"


def held_mib(line: str) -> float:
    """Return VmHWM, the most this process ever held, or VmRSS, what it holds now."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(row for row in status if row.startswith(line)).split()[1]) / 1024


def made_dataset(rows: int) -> Any:
    """Return a `Dataset` of noise with one symbol and one return to forecast."""
    from datetime import UTC, datetime

    from moodtape.clock import to_datetime64
    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.features.base import Column
    from moodtape.forecaster.target import Target
    from moodtape.records import Span

    rng = np.random.default_rng(0)
    columns = reference.MARKET_COLUMNS + reference.SUBJECT_COLUMNS
    groups = ["price"] * reference.MARKET_COLUMNS + ["sentiment"] * reference.SUBJECT_COLUMNS
    since = datetime(2018, 1, 1, tzinfo=UTC)
    opens = to_datetime64(since) + np.timedelta64(1, "h") * np.arange(rows)
    hour = np.timedelta64(1, "h")
    answers = 0.01 * rng.standard_normal(rows)
    return Dataset(
        symbols=("BTC",), interval="1h", symbol=np.zeros(rows, dtype=np.int64), open_time=opens,
        cutoff=opens + hour, decision_time=opens + hour,
        features=rng.standard_normal((rows, columns)), history=np.zeros((rows, 0)),
        columns=tuple(Column(f"c{i}", g, False, "1") for i, g in enumerate(groups)),
        targets={KEY: Target("return", 1, answers, opens + 2 * hour)},
        close=np.ones(rows), run_length=np.arange(rows), trailing_variance=np.full(rows, 1e-4),
        regime=np.zeros(rows, dtype=np.int64), span=Span(since, since), streams=(), metrics=(),
    )  # fmt: skip


def made_fold(rows: int) -> Any:
    """Return a fold that trains on all but the last rows of each part."""
    from moodtape.forecaster.splits import Fold

    usable, never = np.arange(reference.LOOKBACK, rows), np.datetime64("2100-01-01", "us")
    parts = np.split(usable, [len(usable) - 384, len(usable) - 256, len(usable) - 128])
    return Fold(0, *parts, never, never, never)


def measure(part: str, rows: int, batch: int) -> dict[str, float]:
    """Fit in this process, and return in MiB what it held at most and what the data take."""
    from moodtape.config import Config
    from moodtape.forecaster.device import prepare

    device = prepare("cpu")
    from moodtape.forecaster.arms import Arm
    from moodtape.forecaster.inputs import Inputs, build_inputs
    from moodtape.forecaster.scaling import scaled_features
    from moodtape.forecaster.train import NetworkForecaster

    training = {"epochs": 1, "batch_size": batch}
    forecaster = NetworkForecaster(Config.model_validate({"training": training}), device)
    dataset, fold = made_dataset(rows), made_fold(rows)
    at = np.concatenate([fold.calibrate, fold.test])
    if part == "fit":
        both = dataset.features.astype(np.float32)
        dataset = replace(dataset, features=np.zeros((rows, 0)))
        market = reference.MARKET_COLUMNS
        given = Inputs(both[:, :market], both[:, market:])
        matrix, before = both.nbytes, held_mib("VmRSS")
        forecaster(dataset, given, fold, at, seed=0)
    else:
        matrix, before = dataset.features.nbytes, held_mib("VmRSS")
        scaled = scaled_features(dataset, fold)
        for seed, treatment in enumerate(("as_is", "constant")):
            arm = Arm(treatment, ("price", "sentiment"), "sentiment", treatment)
            forecaster(dataset, build_inputs(dataset, scaled, arm), fold, at, seed=seed)
    return {"peak": held_mib("VmHWM"), "before": before, "matrix": matrix / 2**20}


def in_process(part: str, rows: int, batch: int) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, part, str(rows), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{part}:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(rows: int, batch: int, repeats: int, parts: tuple[str, ...] = PARTS) -> None:
    """Print what each part takes beyond its floor; medians of the repeats."""
    print(f"\n{rows:,} windows, batch {batch}; MiB, medians of {repeats}")
    heads = ("", "matrix", "floor", "peak", "due to data", "read", "added", "added / matrix")
    print(f"{heads[0]:8}" + "".join(f"{head:>{max(8, len(head) + 2)}}" for head in heads[1:]))
    for part in parts:
        found = [(in_process(part, rows, batch), in_process(part, SMALL, batch))
                 for _ in range(repeats)]  # fmt: skip
        matrix = found[0][0]["matrix"]
        floor, peak = np.median([(small["peak"], whole["peak"]) for whole, small in found], axis=0)
        read = float(np.median([whole["before"] - small["before"] for whole, small in found]))
        added = peak - floor - read
        print(
            f"{part:8}{matrix:8.1f}{floor:8.0f}{peak:8.0f}{peak - floor:13.1f}{read:8.1f}"
            f"{added:8.1f}{added / matrix:16.2f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("rows", type=int)
    parser.add_argument("batch", type=int)
    given = parser.parse_args()
    print(json.dumps(measure(given.part, given.rows, given.batch)))
