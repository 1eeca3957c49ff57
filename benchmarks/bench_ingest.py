"""How fast collected rows come into the warehouse, as a table.

    python benchmarks/bench_ingest.py [--rows 10000]

`bars` come page by page from a server on this machine through the real client, `documents`
are made again from kept answers. The floor for each is what any program would need: read a
CSV file with pandas and insert it into a DuckDB table that has the same columns. `unchanged` is
a poll of twenty feeds that have nothing new: a request each and one transaction, or it fails.
`hosts` is a poll of eighteen feeds on as many hosts that take half a second to answer; its rows
are feeds, and its floor is one after the other. Memory is the peak of the process before the
floor, each case in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import duckdb
import pandas as pd

from moodtape.config import HttpSection, NewsSection
from moodtape.ingest.http import Http
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.rss import FeedSource, NewsFeeds
from moodtape.ingest.run import run_collectors
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse

HOUR = timedelta(hours=1)
ITEMS = 1000
"""Texts that one feed shows."""


class Provider(BaseHTTPRequestHandler):
    """Answers questions for bars and for feeds, as the providers do."""

    protocol_version = "HTTP/1.1"
    feeds: dict[str, bytes] = {}  # noqa: RUF012
    asked = 0

    def do_GET(self) -> None:
        """Answer one question."""
        type(self).asked += 1
        parts = urlsplit(self.path)
        status, body = 200, b""
        if parts.path in self.feeds:
            status = 304 if self.headers.get("if-none-match") else 200
            body = b"" if status == 304 else self.feeds[parts.path]
        else:
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            body = page(int(query["startTime"]), int(query["limit"]))
        self.send_response_only(status)
        self.send_header("etag", '"1"')
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server that says nothing of clients that are killed."""

    def handle_error(self, *args: Any) -> None:
        """Say nothing."""


class Slow(Provider):
    """Takes half a second to say that nothing has changed."""

    def do_GET(self) -> None:
        """Answer one question."""
        time.sleep(0.5)
        self.send_response_only(304)
        self.end_headers()


class Counted(Warehouse):
    """A warehouse that counts its transactions that write."""

    written: ClassVar[list[int]] = []

    def write(self) -> Any:
        """Count one."""
        self.written.append(1)
        return super().write()


def page(start: int, limit: int) -> bytes:
    """Return hourly bars from `start` (milliseconds) until now."""
    now, rows = int(time.time() * 1000), []
    while start <= now and len(rows) < limit:
        price = 30_000 + (start // 3_600_000 * 7919) % 1000 / 10
        cells = [f"{value:.8f}" for value in (price, price + 9, price - 9, price + 1, 12.5)]
        rows.append([start, *cells, start + 3_599_999, "375000.5", 900, "6.2", "186000.0", "0"])
        start += 3_600_000
    return json.dumps(rows).encode()


def feed(name: str, count: int) -> bytes:
    """Return a feed of so many texts, a minute apart."""
    now = datetime.now(UTC)
    items = "".join(
        f"<item><guid>{name}-{i}</guid><title>Bitcoin moves in case {i} of desk {name}</title>"
        f"<description>It went on for {i} minutes, says {name}.</description>"
        f"<link>https://example.org/{name}/{i}</link>"
        f"<pubDate>{format_datetime(now - timedelta(minutes=i))}</pubDate></item>"
        for i in range(count)
    )
    return f'<rss version="2.0"><channel>{items}</channel></rss>'.encode()


def make_plan(folder: Path, feeds: dict[str, int], rows: int) -> Plan:
    """Return a project in `folder` whose sources are a server in a thread."""
    Provider.feeds = {f"/{name}": feed(name, count) for name, count in feeds.items()}
    server = Server(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    tables = [f'[{name}]\nurl = "{base}/{name}"\nabout = "x"\n' for name in feeds]
    (folder / "feeds.toml").write_text("".join(tables))
    (folder / "moodtape.toml").write_text(
        f'[news]\nfeeds = "feeds.toml"\n[bars]\nbase_url = "{base}"\nfirst_days = {rows / 24}\n'
    )
    settings = load_settings(folder, environ={})
    return Plan(
        Warehouse(settings.warehouse), settings.staging, folder, settings.config,
        answers=settings.answers,
    )  # fmt: skip


def floor(plan: Plan, sql: str, folder: Path) -> float:
    """Return the seconds to read the rows of a query from CSV and insert them elsewhere."""
    path = folder / "floor.csv"
    with plan.warehouse.read() as connection:
        connection.execute(f"COPY ({sql}) TO '{path}' (HEADER)")
        columns = connection.execute(f"DESCRIBE {sql}").fetchall()
    with duckdb.connect(str(folder / "floor.duckdb")) as other:
        typed = ", ".join(f'"{name}" {kind}' for name, kind, *_ in columns)
        other.execute(f"CREATE TABLE t ({typed})")
        started = time.perf_counter()
        other.register("read", pd.read_csv(path))
        other.execute("INSERT INTO t FROM read")
        return time.perf_counter() - started


def bars(folder: Path, rows: int) -> dict[str, Any]:
    """Time bars from pages."""
    plan = make_plan(folder, {}, rows)
    started = time.perf_counter()
    (result,) = run_collectors(plan, ["bars"])
    seconds = time.perf_counter() - started
    return {"rows": result.counts.new, "seconds": seconds, "peak": peak_mib(),
            "floor": floor(plan, "FROM bar", folder)}  # fmt: skip


def documents(folder: Path, rows: int) -> dict[str, Any]:
    """Time documents from kept answers."""
    names = {f"desk{i}": min(ITEMS, rows - i * ITEMS) for i in range(-(-rows // ITEMS))}
    plan = make_plan(folder, names, 24)
    run_collectors(plan, ["news"])
    plan.warehouse.path.unlink()
    started = time.perf_counter()
    (result,) = replay_answers(plan, ["news"])
    seconds = time.perf_counter() - started
    return {"rows": result.counts.new, "seconds": seconds, "peak": peak_mib(),
            "floor": floor(plan, "FROM document", folder)}  # fmt: skip


def unchanged(folder: Path, rows: int) -> dict[str, Any]:
    """Time a poll of twenty feeds that have not changed."""
    plan = make_plan(folder, {f"desk{i}": 50 for i in range(20)}, 24)
    run_collectors(plan, ["news"])
    plan = replace(plan, warehouse=Counted(plan.warehouse.path))
    asked, started = Provider.asked, time.perf_counter()
    (result,) = run_collectors(plan, ["news"])
    seconds = time.perf_counter() - started
    assert (Provider.asked - asked, result.rows, len(Counted.written)) == (20, 0, 1)
    return {"rows": 0, "seconds": seconds, "floor": float("nan")}


def hosts(folder: Path, rows: int) -> dict[str, Any]:
    """Time a poll of feeds on hosts that are slow."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Slow) for _ in range(18)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    urls = [f"http://127.0.0.1:{server.server_address[1]}/" for server in servers]
    feeds = [FeedSource(url, url, "") for url in urls]
    seconds = {}
    for at_once in (1, HttpSection().hosts_at_once):
        http, started = Http(HttpSection(hosts_at_once=at_once), urls), time.perf_counter()
        list(NewsFeeds(feeds, NewsSection(), http).collect(None, http.now()))
        seconds[at_once] = time.perf_counter() - started
    return {"rows": len(feeds), "seconds": min(seconds.values()), "floor": seconds[1]}


def peak_mib() -> float:
    """Return the peak of memory so far, before the floor has read all rows at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(case: Callable[[Path, int], dict[str, Any]], rows: int, told: Any) -> None:
    """Run one case and tell its figures and the peak of memory."""
    with TemporaryDirectory() as folder:
        found = case(Path(folder), rows)
    told.put({"case": case.__name__, "peak": peak_mib(), **found})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    print(f"{'case':<10} {'rows':>8} {'s':>7} {'rows/s':>8} {'floor rows/s':>13} {'peak MiB':>9}")
    context = multiprocessing.get_context("spawn")
    for case in (bars, documents, unchanged, hosts):
        told = context.Queue()
        process = context.Process(target=measured, args=(case, rows, told))
        process.start()
        f = told.get()
        process.join()
        speed, least = f["rows"] / f["seconds"], f["rows"] / f["floor"]
        print(
            f"{f['case']:<10} {f['rows']:>8,} {f['seconds']:>7.1f} {speed:>8,.0f}"
            f" {least:>13,.0f} {f['peak']:>9,.0f}"
        )


if __name__ == "__main__":
    main()
