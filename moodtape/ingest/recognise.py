"""What a file of bars, metrics or texts means: its columns, its symbol, its provider.

Each function stages the good rows, sets the others aside, and returns the step that
takes the staged rows into the warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    volume_columns,
)
from moodtape.ingest.files import Chunk, Rejected
from moodtape.ingest.symbols import load_aliases
from moodtape.ingest.text import TEXT_VERSION
from moodtape.records import ImportCounts
from moodtape.storage.staging import Stage
from moodtape.storage.write import Merge, merge_bars, merge_documents, merge_metrics

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
class Job:
    """One file on its way into the stage.

    first: the first rows, from which columns and lengths are told.
    chunks: all rows, the first ones included.
    """

    stage: Stage
    path: Path
    first: Chunk
    chunks: Iterable[Chunk]
    options: ImportOptions
    config: Config
    now: datetime

    def quarantine(self, rejected: Iterable[Rejected]) -> None:
        """Set rows aside with their reasons."""
        set_aside(self.stage, self.path, rejected)


def set_aside(stage: Stage, path: Path, rejected: Iterable[Rejected]) -> None:
    """Stage rows that cannot be used, for the quarantine."""
    rows = [
        {"source": path.name, "place": r.place, "reason": r.reason, "payload": r.payload}
        for r in rejected
    ]
    stage.append("quarantine", rows)


def stage_bars(job: Job) -> tuple[Merger, list[str]]:
    """Stage the bars of a file; return how to take them in, and notes for the user."""
    stage, path, options, config = job.stage, job.path, job.options, job.config
    aliases = load_aliases()
    names = list(job.first.table.columns)
    mapping = {**volume_columns(names), **_mapping(options, config, BAR_NAMES)}
    columns = find_columns(names, BAR_NAMES, bars.REQUIRED, mapping, path)
    hints = read_file_name(path, aliases.symbols)
    calendar = options.calendar or config.market.calendar
    symbol, quote = _asset(options.symbol, aliases.symbols)
    context = bars.BarContext.from_hints(
        hints,
        {
            "symbol": symbol,
            "quote": options.quote or quote,
            "venue": options.venue,
            "interval": options.interval,
            "calendar": get_calendar(calendar),
            "known_symbols": aliases.symbols,
            "assume_utc": options.assume_utc,
        },
    )
    if "symbol" not in columns and context.symbol is None:
        raise UsageError(f"{path} does not say which asset it is about. Add: --symbol BTC")
    if "symbol" in columns:
        context = replace(context, symbol=symbol)
    context = bars.settle_interval(context, job.first.table, columns, path)
    for chunk in job.chunks:
        good, rejected = bars.read_bars(chunk.table, columns, context, job.now)
        stage.append("bar", good)
        job.quarantine(rejected)
    notes = [_about_bars(context, columns), *_unused(names, columns)]
    notes += _outvoted(symbol, columns)
    if context.symbol and "symbol" not in columns and context.symbol not in aliases.symbols:
        notes.append(
            f"{context.symbol} is in no alias table: only texts that declare it will reach it"
        )
    return lambda connection, merge: merge_bars(connection, stage, merge, calendar), notes


def _about_bars(context: bars.BarContext, columns: Mapping[str, str]) -> str:
    asset = "symbols of the file" if "symbol" in columns else str(context.symbol)
    quote = "" if "symbol" in columns and context.quote is None else f"/{context.quote or 'USD'}"
    return f"{asset}{quote} {context.interval} bars, venue {context.venue}"


def stage_metrics(job: Job) -> tuple[Merger, list[str]]:
    """Stage the metric values of a file; return how to take them in, and notes for the user."""
    stage, path, options, config = job.stage, job.path, job.options, job.config
    aliases = load_aliases()
    mapping = _mapping(options, config, METRIC_NAMES)
    names = list(job.first.table.columns)
    columns = find_columns(names, METRIC_NAMES, ["time"], mapping, path)
    hints = read_file_name(path, aliases.symbols)
    is_long = "metric" in columns and "value" in columns
    stated = job.first.table[columns["metric"]].unique() if is_long else names
    provider = metrics.choose_provider(
        options.provider,
        options.lag,
        options.label,
        list(stated),
        hints.venue,
        config.imports.metric_lag,
    )
    symbol = _asset(options.symbol, aliases.symbols)[0]
    if "symbol" not in columns:
        symbol = symbol or hints.symbol
    notes = [f"provider {provider.name}, time is the {provider.label} of the period"]
    if "symbol" not in columns:
        if symbol is None:
            symbol = "MARKET"
            notes.append("no symbol was named: these values reach every symbol")
        notes.append(f"symbol {symbol}")
    notes += _outvoted(symbol, columns)
    context = metrics.MetricContext(
        symbol, provider, aliases.symbols, options.only, options.assume_utc
    )
    context = metrics.settle_period(context, job.first.table, columns, path)
    values = []
    if not is_long:
        values = metrics.value_columns(job.first.table, columns, options.only, path)
    empty = 0
    for chunk in job.chunks:
        good, rejected, absent = metrics.read_metrics(
            chunk.table, columns, values, context, job.now
        )
        stage.append("metric", good)
        job.quarantine(rejected)
        empty += absent
    if empty:
        notes.append(f"{empty} empty cells left out")
    return lambda connection, merge: merge_metrics(connection, stage, merge), notes


def stage_documents(job: Job) -> tuple[Merger, list[str]]:
    """Stage the texts of a file; return how to take them in, and notes for the user."""
    stage, path, options, config = job.stage, job.path, job.options, job.config
    aliases = load_aliases()
    mapping = _mapping(options, config, DOCUMENT_NAMES)
    names = list(job.first.table.columns)
    columns = find_columns(names, DOCUMENT_NAMES, documents.REQUIRED, mapping, path)
    if options.source is not None and "source" in columns and "outlet" not in columns:
        columns["outlet"] = columns.pop("source")
    if "title" not in columns and "body" not in columns:
        raise UnreadableFile(
            f"{path} has no column of text. It has: {', '.join(names)}."
            " Say which one it is: --map title=COLUMN"
        )
    for part in re.split(r"[|;,]", options.symbol or "BTC"):
        _asset(part, aliases.symbols)
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
    for chunk in job.chunks:
        records, rejected = documents.read_documents(chunk.table, columns, context, job.now)
        documents.stage_records(stage, records)
        job.quarantine(rejected)
        assumed += sum(r["assumed"] for r in records)
    notes = [*_unused(names, columns), *_outvoted(options.symbol, columns)]
    if assumed:
        notes.append(f"{assumed} texts have no collection time: publication plus a delay is used")
    if not options.crawled:
        notes.append("empty hours count as unknown; add --crawled if the crawl missed nothing")
    state = "crawled" if options.crawled else "partial"

    def take_in(connection: Connection, merge: Merge) -> ImportCounts:
        return merge_documents(connection, stage, merge, TEXT_VERSION, aliases.version, state)

    return take_in, notes


def _unused(names: Iterable[str], columns: Mapping[str, str]) -> list[str]:
    """Return a note about the file's columns that nothing is read from, if there are any."""
    left = [name for name in names if name not in columns.values()]
    return [f"columns not read: {', '.join(left)}"] if left else []


def _outvoted(symbol: str | None, columns: Mapping[str, str]) -> list[str]:
    """Return a note where the user names a symbol and the file names its own."""
    if symbol is None or "symbol" not in columns:
        return []
    return [f"column {columns['symbol']} names the symbols; {symbol} only where it is empty"]


def _mapping(options: ImportOptions, config: Config, names: Mapping[str, Any]) -> dict[str, str]:
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
