"""How long the features of a panel of hourly bars take, and how their memory grows.

    python benchmarks/bench_features.py [--symbols 3] [--years 2]
    python benchmarks/bench_features.py --symbols 10 --years 10     the figure of the docs

Bars lie in memory as a study reads them from the warehouse; measured is all that makes rows of
them: complete grids, every column of price, volume, others and clock, targets, one matrix. Each
line is a process of its own. `memory` is the peak above what the process held with its bars;
per row it stays the same when the years double, if memory is linear.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

START = datetime(2015, 1, 1, tzinfo=UTC)
HOURS_A_YEAR = 8_766


def drawn_bars(seed: int, hours: int) -> pd.DataFrame:
    """Return one asset's bars as `storage.read.bar_versions` does, one in a thousand missing."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.005 * rng.standard_normal(hours)))
    opened = np.concatenate([[100.0], close[:-1]])
    volume = rng.lognormal(3, 1, hours)
    opens = pd.DatetimeIndex(
        np.datetime64(START.replace(tzinfo=None), "us") + np.arange(hours) * np.timedelta64(1, "h")
    ).tz_localize("UTC")
    table = pd.DataFrame(
        {
            "open_time": opens,
            "close_time": opens + pd.Timedelta(hours=1),
            "known_at": opens + pd.Timedelta(hours=1),
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": volume,
            "taker_buy_volume": volume * rng.uniform(0.2, 0.8, hours),
            "version": 1,
        }
    )
    return table[rng.uniform(size=hours) > 0.001]


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(symbols: int, years: int) -> dict[str, Any]:
    """Return seconds and memory of one panel."""
    from moodtape.calendars import get_calendar
    from moodtape.config import Config
    from moodtape.forecaster.loading import make_blocks, stack
    from moodtape.forecaster.reach import reach_of
    from moodtape.forecaster.rows import RowMaker
    from moodtape.forecaster.texts import Texts
    from moodtape.records import Span

    hours = years * HOURS_A_YEAR
    names = tuple(f"S{i}" for i in range(symbols))
    bars = {name: drawn_bars(seed, hours) for seed, name in enumerate(names)}
    config, calendar, interval = Config(), get_calendar("24/7"), timedelta(hours=1)
    span = Span(START, START + hours * interval)
    none = pd.DataFrame()
    held, started, cpu = peak_mib(), time.perf_counter(), time.process_time()
    reach = reach_of(config, calendar, interval, span.since)
    maker = RowMaker(config, calendar, interval, span, reach, (), (), symbols > 1)
    blocks = make_blocks(
        maker, names, bars, Texts(none, none, none, none), dict.fromkeys(names, none)
    )
    dataset = stack(names, blocks, maker)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    rows, columns = dataset.features.shape
    mib = peak_mib() - held
    return {
        "symbols": symbols,
        "years": years,
        "rows": rows,
        "columns": columns,
        "seconds": seconds,
        "cpu": cpu,
        "mib": mib,
        "bytes a row": mib * 2**20 / rows,
        "matrix": dataset.features.nbytes / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Features of a panel of hourly bars.")
    parser.add_argument("--symbols", type=int, default=3)
    parser.add_argument("--years", type=int, default=2)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.symbols, given.years)))
        return
    print("symbols  years     rows  columns   wall s    CPU s  memory MiB  matrix MiB  bytes a row")
    for years in sorted({max(1, given.years // 2), given.years}):
        command = [sys.executable, __file__, "--one", "--symbols", str(given.symbols)]
        out = subprocess.run(
            [*command, "--years", str(years)], check=True, capture_output=True, text=True
        ).stdout
        found = json.loads(out.splitlines()[-1])
        print(
            f"{found['symbols']:7}  {found['years']:5}  {found['rows']:7,}  {found['columns']:7}"
            f"  {found['seconds']:7.2f}  {found['cpu']:7.2f}  {found['mib']:10,.0f}"
            f"  {found['matrix']:10,.0f}  {found['bytes a row']:11,.0f}"
        )


if __name__ == "__main__":
    main()
