"""How fast files of bars come into the warehouse, and whether memory stays flat, as a table.

    python benchmarks/bench_dumps.py [--rows 10000]

Bars of a minute come from monthly archives of a server on this machine, through the real client
and the collector `dumps`; once so many, once ten times as many, once more when all are known. The
floor reads the same rows from a CSV file with pandas and inserts them into a DuckDB table that
has the same columns. Memory is the peak of the process before the floor is measured, each case in
a process of its own; `at first` is what it was before the collector began.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import resource
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench_ingest import floor

from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FOLDER = "data/spot/monthly/klines/BTCUSDT/1m"


class Quiet(SimpleHTTPRequestHandler):
    """Serves the files of a folder."""

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def write_archives(folder: Path, rows: int) -> datetime:
    """Write so many bars up to the start of this month, as the provider does; return the first."""
    folder.mkdir(parents=True)
    until = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = since = until - rows * MINUTE
    while since < until:
        month = since.replace(day=1, hour=0, minute=0)
        after = (month + 31 * DAY).replace(day=1)
        name = f"BTCUSDT-1m-{since:%Y-%m}"
        path = folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}.csv", "".join(lines(since, after)))
        stated = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / f"{name}.zip.CHECKSUM").write_text(f"{stated}  {name}.zip\n")
        since = after
    return first


def lines(since: datetime, until: datetime) -> Iterator[str]:
    """Yield the bars of a file, with times in microseconds."""
    minute = 60 * 10**6
    for micros in range(int(since.timestamp()) * 10**6, int(until.timestamp()) * 10**6, minute):
        k = micros // minute
        price, volume = 30_000 + k * 7919 % 100_003 / 100, k * 104_729 % 1_000_003 / 10**5
        cells = [f"{value:.8f}" for value in (price, price + 9, price - 9, price + 1, volume)]
        more = f"{price * volume:.8f},{k % 5000},{volume / 2:.8f},{price * volume / 2:.8f},0"
        yield f"{micros},{','.join(cells)},{micros + minute - 1},{more}\n"


def make_plan(folder: Path, rows: int) -> tuple[Plan, datetime]:
    """Return a project whose source is a server in a thread, and its first bar."""
    first = write_archives(folder / "served" / FOLDER, rows)
    handler = partial(Quiet, directory=str(folder / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (folder / "moodtape.toml").write_text(
        f"""
        [market]
        symbols = ["BTC"]
        interval = "1min"
        [dumps]
        base_url = "http://127.0.0.1:{server.server_address[1]}"
        first_days = {(datetime.now(UTC) - first) / DAY}
        """
    )
    settings = load_settings(folder, environ={})
    plan = Plan(
        Warehouse(settings.warehouse), settings.staging, folder, settings.config,
        answers=settings.answers,
    )  # fmt: skip
    return plan, first


def peak_mib() -> float:
    """Return the peak of this process's memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(rows: int) -> tuple[float, ...]:
    """Run one size and return its figures."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        plan, first = make_plan(folder, rows)
        at_first, started = peak_mib(), time.perf_counter()
        (result,) = run_collectors(plan, ["dumps"])
        seconds, peak = time.perf_counter() - started, peak_mib()
        assert result.counts.new == rows, result
        started = time.perf_counter()
        (again,) = run_collectors(replace(plan, since=first), ["dumps"])
        assert again.counts.known == rows, again
        known = time.perf_counter() - started
        least = floor(plan, "FROM bar", folder)
    return rows, rows / seconds, rows / known, rows / least, at_first, peak


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    heads = ("rows", "new rows/s", "known rows/s", "floor rows/s", "at first MiB", "peak MiB")
    print(" ".join(f"{head:>13}" for head in heads))
    context = multiprocessing.get_context("spawn")
    for size in (rows, 10 * rows):
        with ProcessPoolExecutor(1, context) as pool:
            figures = pool.submit(measured, size).result()
        print(" ".join(f"{figure:>13,.0f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
