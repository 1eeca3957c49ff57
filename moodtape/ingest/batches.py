"""A collector's rows go through the same checks as a file's, into the same staged tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from moodtape.calendars import get_calendar
from moodtape.config import Config
from moodtape.ingest import bars, documents, metrics
from moodtape.ingest.base import BarTable, Batch
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.symbols import load_aliases
from moodtape.records import Bar, Document, Metric, Row
from moodtape.storage.staging import Stage, storable

if TYPE_CHECKING:
    import pandas as pd

_LINE = re.compile(r"line (\d+)")
R = TypeVar("R", Bar, Metric, Document)


def stage_batch(stage: Stage, collector: str, batch: Batch, config: Config, now: datetime) -> None:
    """Stage the good rows of a batch, and the others for the quarantine.

    Raises:
        TypeError: a row is none of Bar, Metric, Document.
    """
    if isinstance(batch.rows, BarTable):
        refused = _stage_table(stage, batch.rows, config, now)
    else:
        refused = _stage_rows(stage, batch.rows, config, now)
    rejected = [*batch.rejected, *refused]
    stage.append(
        "quarantine",
        [
            {"source": collector, "place": r.place, "reason": r.reason, "payload": r.payload}
            for r in rejected
        ],
    )


def _stage_rows(
    stage: Stage, batch_rows: Sequence[Row], config: Config, now: datetime
) -> Iterator[Rejected]:
    rows: dict[type, list[Any]] = {Bar: [], Metric: [], Document: []}
    for row in batch_rows:
        if type(row) not in rows:
            raise TypeError(f"a batch holds bars, metrics and documents, not {type(row).__name__}")
        rows[type(row)].append(row)
    yield from _stage_bars(stage, rows[Bar], config, now)
    yield from _stage_metrics(stage, rows[Metric], config, now)
    yield from _stage_documents(stage, rows[Document], config, now)


def _stage_table(stage: Stage, rows: BarTable, config: Config, now: datetime) -> Iterator[Rejected]:
    context = bars.BarContext(
        rows.symbol, rows.quote, rows.venue, rows.interval,
        get_calendar(config.market.calendar), load_aliases().symbols,
    )  # fmt: skip
    columns = {str(name): str(name) for name in rows.table}
    good, rejected = bars.read_bars(rows.table, columns, context, now)
    stage.append("bar", good)
    for one in rejected:
        found = _LINE.match(one.place)
        yield replace(one, place=rows.place(int(found[1]))) if found else one


def _stage_bars(
    stage: Stage, rows: Sequence[Bar], config: Config, now: datetime
) -> Iterator[Rejected]:
    symbols = load_aliases().symbols
    for interval, part in _groups(rows, lambda row: row.interval):
        context = bars.BarContext(
            None, None, "", interval, get_calendar(config.market.calendar), symbols
        )
        table, columns = _table(part, {})
        good, rejected = bars.read_bars(table, columns, context, now)
        stage.append("bar", good)
        yield from _named(rejected, part)


def _stage_metrics(
    stage: Stage, rows: Sequence[Metric], config: Config, now: datetime
) -> Iterator[Rejected]:
    symbols = load_aliases().symbols
    names = {"time": "period_start", "stamp": "completed_at"}
    for (name, length), part in _groups(
        rows, lambda row: (row.provider, row.period_end - row.period_start)
    ):
        provider = metrics.choose_provider(name, None, "start", (), None, config.imports.metric_lag)
        context = metrics.MetricContext(None, provider, symbols, period=_period(length))
        table, columns = _table(part, names)
        good, rejected, _ = metrics.read_metrics(table, columns, [], context, now)
        stage.append("metric", good)
        yield from _named(rejected, part)


def _stage_documents(
    stage: Stage, rows: Sequence[Document], config: Config, now: datetime
) -> Iterator[Rejected]:
    if not rows:
        return
    context = documents.DocumentContext(
        None, "", None, load_aliases(), config.clock, config.imports, config.sentiment
    )
    table, columns = _table(rows, {"collected_at": "fetched_at"})
    records, rejected = documents.read_documents(table, columns, context, now)
    documents.stage_records(stage, records)
    yield from _named(rejected, rows)


def _table(rows: Sequence[Row], renamed: dict[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return rows as a table, and its column for each of ours."""
    import pandas as pd

    names = [field.name for field in fields(rows[0])]
    cells = [[getattr(row, name) for name in names] for row in rows]
    try:
        table = pd.DataFrame(cells, columns=names)
    except UnicodeEncodeError:
        table = pd.DataFrame([[storable(cell) for cell in row] for row in cells], columns=names)
    theirs = set(renamed.values())
    return table, {**{n: n for n in names if n not in theirs}, **renamed}


def _groups(rows: Sequence[R], key: Callable[[R], Any]) -> Iterable[tuple[Any, list[R]]]:
    for value, part in groupby(sorted(rows, key=key), key):
        yield value, list(part)


def _named(rejected: Iterable[Rejected], rows: Sequence[Row]) -> Iterator[Rejected]:
    """Yield refused rows under names that say more than a line of a table that is gone."""
    for one in rejected:
        found = _LINE.match(one.place)
        yield replace(one, place=rows[int(found[1])].place) if found else one


def _period(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError(f"a period ends after it starts; this one is {length} long")
    return length
