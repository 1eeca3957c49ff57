"""How the cost of hourly sums follows new texts: all of an archive, one more day, nothing.

    python benchmarks/bench_hours.py [--texts 20000] [--days 1096]

An archive of made-up headlines over three years is imported and scored, and its hours are made.
Then one more day of them comes in. `hours` were made again, `rows written` are sums that came,
changed or went; `rows read` is what DuckDB's own profile says its table scans gave on.
Three years as people collect them are `--texts 300000`, which takes some minutes to import.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.storage.db import Warehouse
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.hours import HourRules, refresh_hours

START = datetime(2023, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULES = HourRules()
NAMES = ("bitcoin", "ethereum", "solana", "the market", "dogecoin", "cardano")


def headlines(count: int, first_day: int, days: int, seed: int) -> pd.DataFrame:
    """Return headlines spread evenly over some days; one in ten tells an earlier one again."""
    rng = np.random.default_rng(seed)
    words = np.array([f"{a}{b}{c}" for a in "bdfgklmprst" for b in "aeiou" for c in "lmnrstk"])
    drawn = words[rng.integers(len(words), size=(count, 9))]
    about = np.array(NAMES)[rng.integers(len(NAMES), size=count)]
    titles = [f"{name} {' '.join(row)}" for name, row in zip(about, drawn, strict=True)]
    for i in np.flatnonzero(rng.uniform(size=count) < 0.1):
        titles[i] = titles[i - min(i, int(rng.integers(1, 20)))]
    seconds = np.sort(rng.integers(0, days * 86_400, count)) + first_day * 86_400
    published = [START + timedelta(seconds=int(s)) for s in seconds]
    return pd.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(count)],
            "title": titles,
            "published_at": published,
            "collected_at": [p + timedelta(minutes=20) for p in published],
        }
    )


def take_in(warehouse: Warehouse, folder: Path, texts: pd.DataFrame, name: str) -> None:
    """Import texts, and score them as a scorer would."""
    path = folder / f"{name}.parquet"
    texts.to_parquet(path, index=False)
    options = ImportOptions("documents", source="news")
    import_file(warehouse, folder / "staging", path, options, Config(), name, NOW)
    with warehouse.write() as connection:
        connection.execute(
            """
            INSERT INTO score
            SELECT content_hash, 'made up', h % 500000, 1000000 - h % 500000 - h // 7 % 500000,
                h // 7 % 500000, now(), 'x'
            FROM (SELECT content_hash, hash(content_hash) % 1000000007 AS h FROM scored_text)
            ANTI JOIN score USING (content_hash)
            """
        )


def scanned(operators: list[dict[str, Any]]) -> int:
    """Return how many rows the table scans of a profile gave on."""
    own = sum(o["intermediate_rows"] for o in operators if o["type"] == "TABLE_SCAN")
    return int(own + sum(scanned(o.get("children", [])) for o in operators))


class Profile:
    """A connection that adds up what the profiles of its statements say."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.rows_read = 0
        connection.execute("PRAGMA enable_profiling = 'no_output'")

    def execute(self, *arguments: Any) -> Any:
        """Run a statement, and count the rows that its scans read."""
        result = self.connection.execute(*arguments)
        profile = self.connection.get_profiling_information(format="json")
        self.rows_read += scanned(json.loads(profile).get("operator", []))
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def sums(warehouse: Warehouse) -> pd.DataFrame:
    """Return all hourly sums."""
    with warehouse.read() as connection:
        return connection.execute("FROM sentiment_hourly ORDER BY ALL").df()


def measure(name: str, warehouse: Warehouse, before: Callable[[Any], None] | None = None) -> str:
    """Refresh the hours and return a line of the table."""
    stored = sums(warehouse)
    with warehouse.write() as connection:
        if before:
            before(connection)
        profile = Profile(connection)
        started = time.perf_counter()
        hours = refresh_hours(profile, RULES)  # type: ignore[arg-type]
        seconds = time.perf_counter() - started
    same = len(stored.merge(made := sums(warehouse), how="inner"))
    written = len(stored) + len(made) - 2 * same
    return f"{name:28}{hours:>8,}{written:>14,}{profile.rows_read:>12,}{seconds:>10.3f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=1096)
    given = parser.parse_args()
    a_day = max(given.texts // given.days, 1)
    with TemporaryDirectory() as made:
        folder = Path(made)
        warehouse = Warehouse(folder / "moodtape.duckdb")
        take_in(warehouse, folder, headlines(given.texts, 0, given.days, 1), "archive")
        print(f"{given.texts:,} texts over {given.days:,} days, {a_day:,} a day more")
        print(f"{'':28}{'hours':>8}{'rows written':>14}{'rows read':>12}{'seconds':>10}")
        print(measure("all, for the first time", warehouse))
        print(measure("all again", warehouse, mark_all_hours))
        take_in(warehouse, folder, headlines(a_day, given.days, 1, 2), "day")
        print(measure("one more day", warehouse))
        take_in(warehouse, folder, headlines(a_day, given.days // 2, 1, 3), "late")
        print(measure("a day in the middle, late", warehouse))
        print(measure("nothing", warehouse))


if __name__ == "__main__":
    main()
