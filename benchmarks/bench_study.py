"""How long a whole study takes, from the warehouse to its page: audit, every cell, verdict.

    python benchmarks/bench_study.py                                       a small one
    python benchmarks/bench_study.py --hours 17520 --preset default --jobs 2    of the docs
    python benchmarks/bench_study.py --hours 17520 --preset quick --jobs 2      of the docs
    python benchmarks/bench_study.py --bars btc_usdt_1h.parquet ...        on bars of your own

A drawn market of BTC with two texts an hour is imported and scored by the word list; with
`--bars` the newest so many hours of a file take the place of the drawn ones. What is measured
is `moodtape ablate`, in this process and those it starts. Stages are told by their first
message; "from" is when it came. CPU seconds are those of all processes together: they hardly
depend on what else the machine does, as wall seconds do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moodtape.cluster import Workers
from moodtape.commands.options import preset_values
from moodtape.settings import load_settings
from moodtape.studies import ablate
from moodtape.study.ground import Question
from moodtape.study.project import warehouse_of
from moodtape.testing import store_market, synthetic_market


def cpu_s() -> float:
    """Return the CPU seconds of this process and of those it has started and that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def newest_bars(path: Path, hours: int) -> pd.DataFrame:
    """Return the newest bars of a file as an import takes them."""
    table = pd.read_parquet(path)
    names = {"ts": "open_time", "timestamp": "open_time", "time": "open_time", "date": "open_time"}
    table = table.rename(columns=names).sort_values("open_time").tail(hours)
    columns = ["open_time", "open", "high", "low", "close", "volume"]
    return table[columns].assign(symbol="BTC")


def prepared(folder: Path, hours: int, bars: Path | None, preset: str) -> Any:
    """Fill a project's warehouse; return its settings."""
    overrides = {"sentiment.scorer": "lexicon", "market.symbols": ["BTC"], **preset_values(preset)}
    settings = load_settings(folder, (), overrides)
    rng = np.random.default_rng(7)
    if bars is None:
        market = synthetic_market(rng, hours)
    else:
        own = newest_bars(bars, hours)
        start = own["open_time"].iloc[0].to_pydatetime()
        market = replace(synthetic_market(rng, hours, start=start), bars=own)
    store_market(warehouse_of(settings), folder / "market", market, settings.config)
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=int, default=1_500)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--bars", type=Path)
    parser.add_argument("--out", type=Path, help="JSON of the figures")
    given = parser.parse_args()
    stages: list[tuple[float, float, str]] = []

    def tell(done: int, total: int, what: str) -> None:
        stage = what.partition(":")[0]
        if not stages or stages[-1][2] != stage:
            stages.append((time.perf_counter() - started, cpu_s() - used, stage))

    with tempfile.TemporaryDirectory() as folder:
        settings = prepared(Path(folder), given.hours, given.bars, given.preset)
        load, started, used = os.getloadavg()[0], time.perf_counter(), cpu_s()
        question, workers = Question(preset=given.preset), Workers(given.jobs)
        results = ablate(settings, question, "bench", tell, workers)
        wall, cpu = time.perf_counter() - started, cpu_s() - used
    found = {
        "preset": given.preset, "hours": given.hours, "jobs": given.jobs,
        "wall_s": round(wall), "cpu_s": round(cpu), "load_before": load,
        "load_after": os.getloadavg()[0], "texts": results["texts_used"],
        "words": {f"{r['forecaster']} {r['target']}": r["verdict"] for r in results["results"]},
        "stages": [{"from_s": round(at), "cpu_s": round(own), "stage": stage}
                   for at, own, stage in stages],
    }  # fmt: skip
    print(f"{given.preset}, {given.hours:,} hours, {given.jobs} jobs:")
    print(f"{wall:,.0f} s, {cpu:,.0f} s of CPU")
    print(f"load of the machine before and after: {load:.1f}, {found['load_after']:.1f}")
    for at, own, stage in stages:
        print(f"  from {at:7.0f} s, {own:7.0f} s of CPU: {stage}")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    sys.exit(main())
