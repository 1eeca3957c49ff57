"""What every collector must hold to, built-in or not; `moodtape.testing` offers it to users.

1. name       a word, the same each time
2. rows       bars, metrics and documents that pass the checks of every import
3. again      a second reading of the same source stores nothing new
4. go on      from any cursor on, no row is lost: a crash there costs nothing
5. the end    from the last cursor on, nothing is new
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from moodtape.config import Config
from moodtape.ingest.base import Batch, Collector
from moodtape.ingest.round import Plan, keep_batch
from moodtape.records import ImportCounts
from moodtape.storage.db import Warehouse
from moodtape.storage.write import Merge

_KEYS = """
SELECT 'bar ' || concat_ws(' ', symbol, venue, quote, "interval", open_time) FROM bar
UNION SELECT 'metric ' || concat_ws(' ', provider, symbol, metric, period_end) FROM metric
UNION SELECT 'document ' || concat_ws(' ', source, collection, document_id) FROM document
"""
MOST_RESTARTS = 10


def check_collector(
    make: Callable[[], Collector], now: datetime, folder: Path, config: Config | None = None
) -> ImportCounts:
    """Hold a collector to its promises against a source that does not change meanwhile.

    Args:
        make: makes it anew, as each run does.
        now: when the runs take place, for the collector and for the checks of its rows.
        folder: an empty place for some small warehouses.
    Returns:
        What it stored.
    Raises:
        AssertionError: a promise is broken; says which and by what.
    """
    plan = Plan(Warehouse(folder / "whole.duckdb"), folder / "staging", folder, config or Config())
    name = _named(make)
    batches = _batches(make, None, now)
    counts = _store(plan, name, batches, now, "first")
    if counts.quarantined:
        raise AssertionError(f"{name}: {counts.quarantined} rows are refused: {counts.reasons}")
    again = _store(plan, name, _batches(make, None, now), now, "again")
    if again.new or again.corrected:
        raise AssertionError(
            f"{name}: read a second time, {again.new} rows are new and {again.corrected} changed."
            " A row's key must be the same each time."
        )
    whole = _keys(plan.warehouse)
    for place in _some(range(len(batches))):
        _go_on(make, plan, name, batches[: place + 1], now, whole)
    if batches:
        rest = _store(plan, name, _batches(make, batches[-1].cursor, now), now, "rest")
        if rest.new or rest.corrected:
            raise AssertionError(f"{name}: after its last cursor, {rest.new} rows are new.")
    return counts


def _named(make: Callable[[], Collector]) -> str:
    first, second = make().name, make().name
    if not isinstance(first, str) or not first.isidentifier() or first != second:
        raise AssertionError(f"a collector's name is a word, always the same; not {first!r}")
    return first


def _batches(make: Callable[[], Collector], cursor: str | None, now: datetime) -> list[Batch]:
    batches: list[Any] = list(make().collect(cursor, now))
    for batch in batches:
        if not isinstance(batch, Batch) or not isinstance(batch.cursor, str):
            told = f"a collector yields Batch(rows, cursor: str), not {batch!r}"
            raise AssertionError(told)  # noqa: TRY004  one kind of error for all promises
    return batches


def _store(
    plan: Plan, name: str, batches: Sequence[Batch], now: datetime, run_id: str
) -> ImportCounts:
    counts = ImportCounts()
    for batch in batches:
        try:
            counts += keep_batch(plan, name, batch, Merge(run_id, now))
        except (TypeError, ValueError) as exc:
            raise AssertionError(f"{name}: a row cannot be stored: {exc}") from exc
    return counts


def _go_on(
    make: Callable[[], Collector],
    plan: Plan,
    name: str,
    stored: Sequence[Batch],
    now: datetime,
    whole: set[Any],
) -> None:
    """Store some batches, go on from the cursor of the last, and compare with all of them."""
    path = plan.folder / f"after-{len(stored)}.duckdb"
    part = Plan(Warehouse(path), plan.stage_parent, plan.folder, plan.config)
    _store(part, name, stored, now, "before")
    _store(part, name, _batches(make, stored[-1].cursor, now), now, "after")
    lost = sorted(whole - _keys(part.warehouse))
    if lost:
        raise AssertionError(
            f"{name}: after batch {len(stored)}, the cursor {stored[-1].cursor[:80]!r} passes over"
            f" {len(lost)} rows that were not stored yet, first: {lost[0]}."
        )


def _some(places: range) -> list[int]:
    """Return at most `MOST_RESTARTS` places, spread over all."""
    step = max(-(-len(places) // MOST_RESTARTS), 1)
    return list(places[::step])


def _keys(warehouse: Warehouse) -> set[Any]:
    if not warehouse.path.exists():
        return set()
    with warehouse.read() as connection:
        return {row[0] for row in connection.execute(_KEYS).fetchall()}
