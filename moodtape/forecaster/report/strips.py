"""Spans of time as rows of bars: the folds, and the texts that were there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodtape.forecaster.report.numbers import missing, moment
from moodtape.forecaster.report.scales import Axis, time_axis


@dataclass(frozen=True)
class Strip:
    """Rows of spans in time: folds, or the texts that were there."""

    x: Axis
    rows: tuple[tuple[str, tuple[tuple[str, float, float], ...]], ...]


def fold_strip(folds: Sequence[Mapping[str, Any]]) -> Strip | None:
    """Return each fold's fitting and test spans in time."""
    known = [
        (f, [_second(f[name]) for name in ("train_from", "test_from", "test_until")]) for f in folds
    ]
    rows = [(f"fold {f['number']}", times) for f, times in known if None not in times]
    return _strip([(label, [("fit", t[0], t[1]), ("test", t[1], t[2])]) for label, t in rows])


def coverage_strip(coverage: Sequence[Mapping[str, Any]]) -> Strip | None:
    """Return from when to when each collection has texts."""
    rows = []
    for part in coverage:
        first, last = _second(part["first"]), _second(part["last"])
        if first is not None and last is not None:
            label = str(part["source"])
            if not missing(part["collection"]):
                label += f" · {part['collection']}"
            rows.append((label, [("fit", first, last)]))
    return _strip(rows)


def _strip(rows: Sequence[tuple[str, Sequence[tuple[str, Any, Any]]]]) -> Strip | None:
    times = [t for _, spans in rows for _, first, last in spans for t in (first, last)]
    if not times:
        return None
    x = time_axis(min(times), max(times))
    return Strip(
        x,
        tuple(
            (
                label,
                tuple(
                    (kind, x.at(first), max(round(x.at(last) - x.at(first), 2), 0.3))
                    for kind, first, last in spans
                ),
            )
            for label, spans in rows
        ),
    )


def _second(value: Any) -> float | None:
    known = moment(value)
    return None if known is None else known.timestamp()
