"""`moodtape import`: a file's rows, checked in chunks, taken in by one short transaction.

    1. read       files.py       chunks of constant memory
    2. recognise  columns.py     our columns among theirs
    3. check      bars.py, metrics.py, documents.py: good rows and refused ones
    4. stage      staging.py     Parquet files beside the warehouse
    5. merge      write.py       all rows of a file, or none
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moodtape.calendars import get_calendar
from moodtape.config import Config
from moodtape.errors import UnreadableFile, UsageError
from moodtape.ingest import bars, documents, metrics
from moodtape.ingest.columns import (
    BAR_NAMES,
    DOCUMENT_NAMES,
    METRIC_NAMES,
    find_columns,
    is_symbol,
    read_file_name,
    split_pair,
)
from moodtape.ingest.files import Chunk, Progress, Rejected, read_chunks
from moodtape.ingest.symbols import load_aliases
from moodtape.ingest.text import TEXT_VERSION
from moodtape.records import ImportCounts
from moodtape.storage.db import Warehouse
from moodtape.storage.staging import Stage, staging
from moodtape.storage.write import (
    Merge,
    begin_run,
    finish_run,
    merge_bars,
    merge_documents,
    merge_metrics,
    store_quarantine,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

What = Literal["bars", "metrics", "documents"]
Merger = Callable[["Connection", Merge], ImportCounts]


@dataclass(frozen=True)
class ImportOptions:
    """What the user said about the files; None means: see for yourself."""

    what: What
    symbol: str | None = None
    quote: str | None = None
    venue: str | None = None
    interval: str | None = None
    calendar: str | None = None
    provider: str | None = None
    lag: str | None = None
    label: str | None = None
    only: tuple[str, ...] = ()
    source: str | None = None
    collection: str | None = None
    crawled: bool = False
    assume_utc: bool = False
    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FileResult:
    """What came of one file."""

    path: Path
    counts: ImportCounts
    notes: tuple[str, ...] = ()


def import_file(
    warehouse: Warehouse,
    stage_parent: Path,
    path: Path,
    options: ImportOptions,
    config: Config,
    run_id: str,
    now: datetime,
    progress: Progress | None = None,
) -> FileResult:
    """Bring one file into the warehouse: all its good rows or, on any failure, none.

    Raises:
        UnreadableFile: the file cannot be used; nothing was stored.
        UsageError: it cannot be told what the rows mean.
        WarehouseLocked: another process is writing.
    """
    with staging(stage_parent) as stage:
        merge_rows, notes = _stage_file(stage, path, options, config, now, progress)
        stage.close()
        merge = Merge(run_id, now)
        with warehouse.write() as connection:
            arguments = {"file": path.name, "options": _said(options)}
            exists = connection.execute("SELECT 1 FROM run WHERE run_id = ?", [run_id]).fetchall()
            if not exists:
                begin_run(connection, run_id, f"import {options.what}", arguments, now)
            counts = merge_rows(connection, merge)
            reasons = store_quarantine(connection, stage, merge)
            counts += ImportCounts(quarantined=sum(reasons.values()), reasons=reasons)
            finish_run(connection, run_id, "done", counts.as_dict(), now)
    return FileResult(path, counts, tuple(notes))


def _said(options: ImportOptions) -> dict[str, Any]:
    return {k: v for k, v in vars(options).items() if v not in (None, (), {}, False)}


def _stage_file(
    stage: Stage,
    path: Path,
    options: ImportOptions,
    config: Config,
    now: datetime,
    progress: Progress | None,
) -> tuple[Merger, list[str]]:
    chunks = read_chunks(path, progress)
    first = next(chunks, None)
    if first is None or (first.table.empty and not first.rejected):
        raise UnreadableFile(f"{path} has no rows.")
    _quarantine(stage, path, first.rejected)
    every = _chain(first, chunks, stage, path)
    stager = {"bars": _stage_bars, "metrics": _stage_metrics, "documents": _stage_documents}
    return stager[options.what](stage, path, first, every, options, config, now)


def _chain(first: Chunk, rest: Iterable[Chunk], stage: Stage, path: Path) -> Iterable[Chunk]:
    if not first.table.empty:
        yield first
    for chunk in rest:
        _quarantine(stage, path, chunk.rejected)
        if not chunk.table.empty:
            yield chunk


def _quarantine(stage: Stage, path: Path, rejected: Iterable[Rejected]) -> None:
    rows = [
        {"source": path.name, "place": r.place, "reason": r.reason, "payload": r.payload}
        for r in rejected
    ]
    stage.append("quarantine", rows)


def _stage_bars(
    stage: Stage, path: Path, first: Chunk, chunks: Iterable[Chunk],
    options: ImportOptions, config: Config, now: datetime,
) -> tuple[Merger, list[str]]:
    aliases = load_aliases()
    mapping = _mapping(options, config, BAR_NAMES)
    columns = find_columns(list(first.table.columns), BAR_NAMES, bars.REQUIRED, mapping, path)
    hints = read_file_name(path, aliases.symbols)
    calendar = options.calendar or config.market.calendar
    symbol, quote = _asset(options.symbol, aliases.symbols)
    context = bars.BarContext.from_hints(
        hints,
        {
            **{"symbol": symbol, "quote": options.quote or quote, "venue": options.venue},
            **{"interval": options.interval, "calendar": get_calendar(calendar)},
            **{"known_symbols": aliases.symbols, "assume_utc": options.assume_utc},
        },
    )
    if "symbol" not in columns and context.symbol is None:
        raise UsageError(f"{path} does not say which asset it is about. Add: --symbol BTC")
    context = bars.settle_interval(context, first.table, columns, path)
    for chunk in chunks:
        good, rejected = bars.read_bars(chunk.table, columns, context, now)
        stage.append("bar", good)
        _quarantine(stage, path, rejected)
    notes = [_about_bars(context, columns)]
    return lambda connection, merge: merge_bars(connection, stage, merge, calendar), notes


def _about_bars(context: bars.BarContext, columns: Mapping[str, str]) -> str:
    asset = "symbols of the file" if "symbol" in columns else str(context.symbol)
    quote = "" if "symbol" in columns and context.quote is None else f"/{context.quote or 'USD'}"
    return f"{asset}{quote} {context.interval} bars, venue {context.venue}"


def _stage_metrics(
    stage: Stage, path: Path, first: Chunk, chunks: Iterable[Chunk],
    options: ImportOptions, config: Config, now: datetime,
) -> tuple[Merger, list[str]]:
    aliases = load_aliases()
    mapping = _mapping(options, config, METRIC_NAMES)
    names = list(first.table.columns)
    columns = find_columns(names, METRIC_NAMES, ["time"], mapping, path)
    hints = read_file_name(path, aliases.symbols)
    provider = metrics.choose_provider(
        options.provider, options.lag, options.label, names, hints.venue,
        config.imports.metric_lag,
    )
    symbol = _asset(options.symbol, aliases.symbols)[0] or hints.symbol
    notes = [f"provider {provider.name}, time is the {provider.label} of the period"]
    if "symbol" not in columns:
        if symbol is None:
            symbol = "MARKET"
            notes.append("no symbol was named: these values reach every symbol")
        notes.append(f"symbol {symbol}")
    context = metrics.MetricContext(
        symbol, provider, aliases.symbols, options.only, options.assume_utc
    )
    context = metrics.settle_period(context, first.table, columns, path)
    is_long = "metric" in columns and "value" in columns
    values = [] if is_long else metrics.value_columns(first.table, columns, options.only, path)
    empty = 0
    for chunk in chunks:
        good, rejected, absent = metrics.read_metrics(chunk.table, columns, values, context, now)
        stage.append("metric", good)
        _quarantine(stage, path, rejected)
        empty += absent
    if empty:
        notes.append(f"{empty} empty cells left out")
    return lambda connection, merge: merge_metrics(connection, stage, merge), notes


def _stage_documents(
    stage: Stage, path: Path, first: Chunk, chunks: Iterable[Chunk],
    options: ImportOptions, config: Config, now: datetime,
) -> tuple[Merger, list[str]]:
    aliases = load_aliases()
    mapping = _mapping(options, config, DOCUMENT_NAMES)
    columns = find_columns(
        list(first.table.columns), DOCUMENT_NAMES, documents.REQUIRED, mapping, path
    )
    if "title" not in columns and "body" not in columns:
        raise UnreadableFile(
            f"{path} has no column of text. It has: {', '.join(first.table.columns)}."
            " Say which one it is: --map title=COLUMN"
        )
    context = documents.DocumentContext(
        source=_source(options.source),
        collection=options.collection or path.name.split(".")[0],
        symbol=options.symbol,
        aliases=aliases,
        clock=config.clock,
        imports=config.imports,
        sentiment=config.sentiment,
        assume_utc=options.assume_utc,
    )
    assumed = 0
    for chunk in chunks:
        records, rejected = documents.read_documents(chunk.table, columns, context, now)
        documents.stage_records(stage, records)
        _quarantine(stage, path, rejected)
        assumed += sum(r["assumed"] for r in records)
    notes = []
    if assumed:
        notes.append(f"{assumed} texts have no collection time: publication plus a delay is used")
    if not options.crawled:
        notes.append("empty hours count as unknown; add --crawled if the crawl missed nothing")
    state = "crawled" if options.crawled else "partial"

    def take_in(connection: Connection, merge: Merge) -> ImportCounts:
        return merge_documents(
            connection, stage, merge, TEXT_VERSION, aliases.version, state
        )

    return take_in, notes


def _mapping(
    options: ImportOptions, config: Config, names: Mapping[str, Any]
) -> dict[str, str]:
    """Return the config's map as far as it fits these rows, and the command line's on top."""
    fitting = {ours: theirs for ours, theirs in config.imports.map.items() if ours in names}
    return {**fitting, **options.mapping}


def _asset(symbol: str | None, known: tuple[str, ...]) -> tuple[str | None, str | None]:
    if symbol is None:
        return None, None
    asset, quote = split_pair(symbol, known)
    if not is_symbol(asset):
        raise UsageError(f"{symbol!r} cannot name an asset. Write it like BTC, ETH or BRK.B.")
    return asset, quote


def _source(source: str | None) -> str | None:
    if source is None:
        return None
    if source.lower() not in documents.SOURCES:
        raise UsageError(f"--source {source} is none of news, reddit, x.")
    return documents.SOURCES[source.lower()]
