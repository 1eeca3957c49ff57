"""The shipped sample is what its licence page says, unchanged, and imports without a loss."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
import pytest

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.records import ImportCounts
from moodtape.sample import sample_file
from moodtape.storage.db import Warehouse

BAR_COLUMNS = ["symbol", "venue", "quote", "open_time", "open", "high", "low", "close", "volume"]
COLUMNS = {
    "btc_usd_1h.parquet": BAR_COLUMNS,
    "btc_usd_1h_2023.parquet": BAR_COLUMNS,
    "headlines_2025-05.parquet": [
        *("source", "dataset", "outlet", "id"),
        *("published_at", "collected_at", "title", "url", "categories"),
    ],
    "btc_blocks_2023.parquet": [
        *("symbol", "period_start", "n_blocks", "txs", "size_bytes"),
        *("fee_btc", "out_btc", "utxo_increase", "feerate_p50_mean"),
    ],
}
HOUR = timedelta(hours=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def column(name: str, of: str) -> list:
    return pq.read_table(sample_file(name), columns=[of])[of].to_pylist()


def test_the_files_are_those_of_the_manifest_and_small() -> None:
    manifest = sample_file("SHA256SUMS").read_text(encoding="utf-8")
    stated = {name: digest for digest, name in (line.split() for line in manifest.splitlines())}
    folder = sample_file("SHA256SUMS").parent
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.parquet")}
    assert found == stated
    assert set(found) == set(COLUMNS)
    assert sum(p.stat().st_size for p in folder.iterdir() if p.is_file()) < 3_000_000


def test_the_licence_page_names_every_file_and_both_holders() -> None:
    page = sample_file("LICENCES.md").read_text(encoding="utf-8")
    for words in (*COLUMNS, "Mouad Jaouhari", "Mateus Marques", "CryptoCompare", "MIT License"):
        assert words in page


def test_an_unknown_file_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(FileNotFoundError, match=r"no file 'eth\.parquet'.*btc_usd_1h\.parquet"):
        sample_file("eth.parquet")


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_the_needed_ones_and_times_are_utc(name: str) -> None:
    schema = pq.read_schema(sample_file(name))
    assert schema.names == COLUMNS[name]
    assert schema.metadata is None
    times = {str(f.type) for f in schema if "timestamp" in str(f.type)}
    assert times == {"timestamp[us, tz=UTC]"}


@pytest.mark.parametrize(
    ("name", "first", "last", "holes"),
    [
        (
            "btc_usd_1h.parquet", utc(2024, 11, 1), utc(2025, 5, 24, 23),
            [(utc(2025, 5, 13, 10), utc(2025, 5, 16))],
        ),
        ("btc_usd_1h_2023.parquet", utc(2022, 12, 15), utc(2023, 4, 22, 23), []),
    ],
)  # fmt: skip
def test_bars_run_hourly_over_their_span_but_for_the_one_real_gap(
    name: str, first: datetime, last: datetime, holes: list[tuple[datetime, datetime]]
) -> None:
    times = column(name, "open_time")
    assert (times[0], times[-1]) == (first, last)
    assert [(a, b) for a, b in pairwise(times) if b - a != HOUR] == holes


def test_headlines_were_collected_in_the_weeks_that_have_bars() -> None:
    published = column("headlines_2025-05.parquet", "published_at")
    collected = column("headlines_2025-05.parquet", "collected_at")
    assert collected == sorted(collected)
    assert (collected[0].date(), collected[-1].date()) == (
        utc(2025, 5, 5).date(), utc(2025, 5, 24).date(),
    )  # fmt: skip
    assert all(p <= c for p, c in zip(published, collected, strict=True))
    ids = column("headlines_2025-05.parquet", "id")
    assert len(set(ids)) == len(ids) == 3382


def test_blocks_are_whole_hours_inside_their_bars() -> None:
    starts = column("btc_blocks_2023.parquet", "period_start")
    assert (starts[0], starts[-1]) == (utc(2023, 2, 14, 1), utc(2023, 4, 21, 18))
    assert len(starts) == 1602 == (starts[-1] - starts[0]) / HOUR + 1
    bars = column("btc_usd_1h_2023.parquet", "open_time")
    assert set(starts) <= set(bars)


def take_in(
    warehouse: Warehouse,
    name: str,
    what: Literal["bars", "metrics", "documents"],
    now: datetime,
) -> ImportCounts:
    stage = warehouse.path.parent / "staging"
    options = ImportOptions(what)
    return import_file(
        warehouse, stage, sample_file(name), options, Config(), f"run-{what}-{name}", now
    ).counts


def test_bars_import_whole_under_the_symbol_venue_and_quote_of_the_file(
    tmp_warehouse: Warehouse, now: datetime
) -> None:
    assert take_in(tmp_warehouse, "btc_usd_1h.parquet", "bars", now) == ImportCounts(new=4859)
    assert take_in(tmp_warehouse, "btc_usd_1h_2023.parquet", "bars", now) == ImportCounts(new=3096)
    with tmp_warehouse.read() as connection:
        kinds = connection.execute(
            'SELECT DISTINCT symbol, venue, quote, "interval" FROM bar'
        ).fetchall()
    assert kinds == [("BTC", "cryptocompare", "USD", "1h")]


def test_headlines_import_whole_and_are_known_when_they_were_collected(
    tmp_warehouse: Warehouse, now: datetime
) -> None:
    counts = take_in(tmp_warehouse, "headlines_2025-05.parquet", "documents", now)
    assert counts == ImportCounts(new=3382)
    with tmp_warehouse.read() as connection:
        known = connection.sql("SELECT known_at FROM document ORDER BY known_at").to_arrow_table()
        kinds = connection.execute(
            "SELECT DISTINCT source, collection, assumed FROM document"
        ).fetchall()
        about = connection.execute("SELECT count(*) FROM mention WHERE symbol = 'BTC'").fetchall()[
            0
        ][0]
    assert known["known_at"].to_pylist() == column("headlines_2025-05.parquet", "collected_at")
    assert kinds == [("news", "mouadja02_2025", False)]
    assert about > 500, "too few headlines are about BTC for a demo"


def test_blocks_import_as_hourly_metrics_with_the_provider_s_lag(
    tmp_warehouse: Warehouse, now: datetime
) -> None:
    counts = take_in(tmp_warehouse, "btc_blocks_2023.parquet", "metrics", now)
    empty_hours = column("btc_blocks_2023.parquet", "n_blocks").count(0)
    assert empty_hours == 3
    filled = sum(
        value is not None
        for name in COLUMNS["btc_blocks_2023.parquet"][2:]
        for value in column("btc_blocks_2023.parquet", name)
    )
    assert counts == ImportCounts(new=filled)
    with tmp_warehouse.read() as connection:
        rows = connection.execute(
            "SELECT DISTINCT provider, symbol,"
            " epoch(known_at) - epoch(period_end), epoch(period_end) - epoch(period_start)"
            " FROM metric"
        ).fetchall()
    assert rows == [("blocks", "BTC", 3600.0, 3600.0)]


def test_the_sample_lies_inside_the_package() -> None:
    import moodtape

    assert Path(moodtape.__file__).parent in sample_file("btc_usd_1h.parquet").parents
