"""How long a forecast takes: from a cold process, and from one that has the rows at hand.

    python benchmarks/bench_predict.py [--repeats 5] [--hours 4000]

A made-up market is stored and the default network trained on it for one epoch. `cold` is the
whole command, `moodtape predict`, in a process of its own: start, warehouse, features, network.
`warm` is the network on the newest rows of a dataset in memory, 1,000 times.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from moodtape.forecaster.runs import SERVED
from moodtape.settings import load_settings
from moodtape.testing import store_market, synthetic_market

SETTINGS = """
[sentiment]
scorer = "lexicon"
[training]
epochs = 1
"""


def make_project(folder: Path, hours: int) -> str:
    """Store a market, train on it, and return the instant of its newest decision."""
    from moodtape.forecasts import train
    from moodtape.study.ground import Question
    from moodtape.study.project import warehouse_of

    (folder / "moodtape.toml").write_text(SETTINGS)
    settings = load_settings(folder)
    market = synthetic_market(np.random.default_rng(0), hours)
    store_market(warehouse_of(settings), folder / "files", market, settings.config)
    train(settings, Question("sentiment", None, None, None, None), "bench")
    return f"{market.end + timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}"


def cold(folder: Path, as_of: str, repeats: int) -> None:
    """Print wall and CPU seconds of whole commands."""
    command = [
        sys.executable, "-m", "moodtape", "predict", "--project", str(folder), "--as-of", as_of,
        "--json",
    ]  # fmt: skip
    wall, cpu = [], []
    for _ in range(repeats + 1):
        before, started = os.times(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        wall.append(time.perf_counter() - started)
        cpu.append(
            after.children_user - before.children_user
            + after.children_system - before.children_system
        )  # fmt: skip
    print(
        f"cold: {np.median(wall[1:]):.2f} s (best {min(wall[1:]):.2f}),"
        f" {np.median(cpu[1:]):.2f} CPU seconds, {repeats} runs after one"
    )


def warm(folder: Path, as_of: str) -> None:
    """Print milliseconds of a forecast whose rows are in memory."""
    from moodtape.clock import parse_instant
    from moodtape.forecaster.dataset import Request
    from moodtape.forecaster.loading import load_dataset
    from moodtape.forecaster.served import Served, forecast_rows
    from moodtape.study.project import warehouse_of

    settings = load_settings(folder)
    run = next((folder / "runs").glob(f"*/{SERVED}")).parent
    served = Served.read(run)
    request = Request(
        served.symbols, parse_instant(as_of), served.scorer, None, served.streams, served.metrics
    )
    dataset = load_dataset(warehouse_of(settings), settings.config, request)
    rows = np.array([len(dataset.close) - 1])
    spent = []
    for _ in range(1_001):
        started = time.perf_counter()
        forecast_rows(run, served, dataset, rows)
        spent.append(1e3 * (time.perf_counter() - started))
    median, high = np.quantile(spent[1:], (0.5, 0.99))
    print(f"warm: {median:.2f} ms, 99 of 100 within {high:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a forecast takes.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hours", type=int, default=4_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        as_of = make_project(folder, given.hours)
        cold(folder, as_of, given.repeats)
        warm(folder, as_of)


if __name__ == "__main__":
    main()
