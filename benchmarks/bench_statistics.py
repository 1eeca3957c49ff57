"""What statistics and the page take once all forecasts are there.

    python benchmarks/bench_statistics.py [--forecasts 70000] [--draws 2000]

A drawn market of one asset, the linear forecaster, three targets and ten arms. Forecasts are made
first and kept; then the same study is asked again, which reads them and does everything else:
losses, resamples, tests, intervals, words, descriptive tests and regimes. Then its page is made
as `ablate` makes it. No planted effects are looked for: those are fits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from moodtape.calibrate.study import ground_of_world, settings_for_worlds
from moodtape.calibrate.worlds import draw_world
from moodtape.config import Config
from moodtape.forecaster.cells import CellStore
from moodtape.forecaster.report.page import render_page, write_csvs
from moodtape.forecaster.runs import plain, write_table
from moodtape.storage.db import Warehouse
from moodtape.study.ablate import run_ablation
from moodtape.study.before import Before
from moodtape.study.beside import Beside
from moodtape.study.results import ablation_results
from moodtape.study.series import month_effects, predictions_table, report_series

ARMS = (
    *("full", "null", "shift", "echo", "planted", "price"),
    *("counts", "counts_shift", "counts_echo", "block_shuffle"),
)
HELD_OUT, TESTED = 0.2, 0.8
"""Shares: of all decisions, and of those that are not held out."""


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what some lines took."""
    began, used = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    print(f"{what:40} {wall:7.1f} s, {cpu:7.1f} CPU s")


def main() -> None:
    """Make the forecasts, then time what is made of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forecasts", type=int, default=70_000)
    parser.add_argument("--draws", type=int, default=2_000)
    given = parser.parse_args()
    config = settings_for_worlds(
        Config(),
        {
            "ablation": {"arms": ARMS},
            "verdict": {"planted_draws": 0, "draws": given.draws},
            "walk_forward": {"test_fraction": TESTED},
        },
    )
    hours = round(given.forecasts / TESTED / (1 - HELD_OUT)) + 2_000
    ground = ground_of_world(draw_world(np.random.default_rng(1), "nothing", hours), config)
    before = Before(config.verdict.level)
    with TemporaryDirectory() as scratch:
        folder, kept = Path(scratch), CellStore(Path(scratch, "cells"))
        warehouse = Warehouse(folder / "moodtape.duckdb")
        with warehouse.write():
            pass  # an empty one: a drawn market has no single texts
        with timed("forecasts"):
            run_ablation(ground, True, before=before, kept=kept, words_alone=True)
        with timed("statistics"):
            outcome = run_ablation(ground, True, before=before, kept=kept)
            results = ablation_results(
                warehouse, ground, outcome,
                {"clean": True, "checked": 0, "cuts": [], "offenders": []}, before, "run",
                "bench_statistics.py", datetime.now(UTC), Beside(),
            )  # fmt: skip
        with timed("page, tables and forecasts as files"):
            results |= {"report": "report.html", "deviations": []}
            series = report_series(ground, outcome)
            results["months"] = month_effects(series.losses, results["results"])
            found = plain(results)
            write_table(folder / "predictions.parquet", predictions_table(ground, outcome.studies))
            write_csvs(found, series, folder)
            page = render_page(found, series)
        answer = outcome.answers[0]
        print(f"{answer.n:,} tested forecasts of each arm, {len(ground.arms)} arms,"
              f" {len(outcome.answers)} answers, {given.draws:,} draws;"
              f" page {len(page.encode()) / 2**20:.2f} MiB")  # fmt: skip


if __name__ == "__main__":
    main()
