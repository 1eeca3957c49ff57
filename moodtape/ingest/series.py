"""Values on a grid of hours or days: what the collectors of such series have in common.

1. due      a period counts when it is over and its provider's lag has passed
2. known    a value that is seen as it comes, when it was fetched; one of the past, at its
            period's end plus the lag
3. place    the end of the newest stored period of each stream
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from moodtape.clock import EPOCH, floor_to, format_duration
from moodtape.errors import CouldNotRead
from moodtape.ingest.base import Batch
from moodtape.ingest.http import Answer
from moodtape.ingest.metrics import providers
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.turn import Turn
from moodtape.records import Metric


class Point(NamedTuple):
    """A value as a provider sent it, not checked yet. end: of its period."""

    metric: str
    end: datetime
    value: Any
    above_zero: bool = False


class Bounds(NamedTuple):
    """What the user set; None: from the place of the cursor, to now."""

    since: datetime | None = None
    until: datetime | None = None


class Places:
    """Where each stream stands: a collector's cursor."""

    def __init__(self, cursor: str | None) -> None:
        self._ends: dict[str, str] = json.loads(cursor or "{}")

    def end_of(self, stream: str) -> datetime | None:
        """Return the end of the newest stored period."""
        return datetime.fromisoformat(self._ends[stream]) if stream in self._ends else None

    def move(self, stream: str, end: datetime) -> None:
        """Move on to a period; never back."""
        self._ends[stream] = max(end, self.end_of(stream) or end).isoformat()

    @property
    def cursor(self) -> str:
        """Return what the next run goes on from."""
        return json.dumps(self._ends)


@dataclass
class Series:
    """One stream in one run: the periods of one length that it is asked for.

    start: of the first period. until: end of the last one; None: whatever is due.
    stored: end of the newest stored period. bounded: the user set where it begins or ends.
    """

    stream: str
    symbol: str
    provider: str
    step: timedelta
    start: datetime
    until: datetime | None
    stored: datetime | None
    bounded: bool
    turn: Turn = field(init=False)

    def __post_init__(self) -> None:
        self.turn = Turn(self.stream, self.stored, self.step, self.bounded)

    def has(self, end: datetime) -> bool:
        """Say whether a period is one of those that are asked for."""
        return self.start < end and (self.until is None or end <= self.until)

    def batch(
        self,
        points: Sequence[Point],
        answer: Answer,
        places: Places,
        rejected: Sequence[Rejected] = (),
        is_last: bool = True,
    ) -> Batch:
        """Return the values of an answer that are due, and how the stream stands.

        Args:
            rejected: what the collector itself could make no point of.
            is_last: no further answer of the stream is asked for.
        Raises:
            CouldNotRead: most values make no sense, or those known already do not come again.
        """
        rows, refused = self._read([p for p in points if self.has(p.end)], answer, rejected)
        ends = sorted({row.period_end for row in rows})
        self.turn.take(sorted({p.end for p in points if self.has(p.end)}), ends)
        if is_last:
            self.turn.finish()
        # A stretch that does not join what is stored must not move the cursor over the gap.
        if ends and (self.stored is None or self.start <= self.stored):
            places.move(self.stream, ends[-1])
        return Batch(rows, places.cursor, (self.turn.poll(answer.fetched_at),), tuple(refused))

    def _read(
        self, points: Sequence[Point], answer: Answer, rejected: Sequence[Rejected]
    ) -> tuple[list[Metric], list[Rejected]]:
        rows: dict[tuple[str, datetime], Metric] = {}
        refused = list(rejected)
        for point in points:
            if point.end + providers()[self.provider].lag > answer.server_time:
                continue
            try:
                row = self._metric(point, answer)
                if rows.setdefault((row.metric, row.period_end), row).value != row.value:
                    raise ValueError("another value came for the same time")
            except ValueError as exc:
                place = f"{self.symbol} {point.metric} {point.end - self.step:%Y-%m-%dT%H:%MZ}"
                refused.append(Rejected(place, str(exc), payload(point.value)))
        if len(refused) > len(rows):
            raise CouldNotRead(
                f"{answer.place}: {len(refused)} of {len(refused) + len(rows)} values make no"
                f" sense, first {refused[0].place}: {refused[0].reason}."
            )
        return list(rows.values()), refused

    def _metric(self, point: Point, answer: Answer) -> Metric:
        seen_as_it_comes = self.stored is not None and not self.bounded
        return Metric(
            self.provider, self.symbol, point.metric, point.end - self.step, point.end,
            read_number(point.value, point.above_zero),
            answer.fetched_at if seen_as_it_comes else None,
        )  # fmt: skip


def begin(
    stream: str,
    symbol: str,
    provider: str,
    step: timedelta,
    places: Places,
    bounds: Bounds,
    first: datetime,
    overlap: timedelta,
) -> Series:
    """Return what a stream is asked for: from `first` on, later from some periods back on."""
    stored = places.end_of(stream)
    start = bounds.since or (first if stored is None else stored - overlap)
    return Series(
        stream, symbol, provider, step, floor_to(start, step), bounds.until, stored,
        bounds != Bounds(),
    )  # fmt: skip


def read_number(value: Any, above_zero: bool = False) -> float:
    """Return a count, price or rate. Whole numbers of any size become 64-bit floats.

    Raises:
        ValueError: it is none, and why.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")  # noqa: TRY004  a wrong value, not a wrong call
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("not finite")
    if number < 0 or (above_zero and number == 0):
        raise ValueError("not above zero" if above_zero else "below zero")
    return number


def read_time(value: Any, unit: timedelta) -> datetime:
    """Return the instant that so many units after 1970 are.

    Raises:
        ValueError: there is no such instant.
    """
    try:
        return EPOCH + read_number(value) * unit
    except OverflowError as exc:
        raise ValueError("no year that there is") from exc


def require_grid(times: Sequence[datetime], step: timedelta, place: str) -> None:
    """Make sure that points follow each other by one step: a thinned answer looks like a whole one.

    Single holes, and a last point off the grid, are let through.

    Raises:
        CouldNotRead: most of the points do not.
    """
    steps = [later - earlier for earlier, later in pairwise(sorted(times))]
    others = sorted(one for one in steps if abs(one - step) > step / 2)
    if len(others) > 1 and 2 * len(others) > len(steps):
        usual = format_duration(others[len(others) // 2])
        raise CouldNotRead(
            f"{place} sent points {usual} apart, asked for one every {format_duration(step)}."
        )


def payload(told: Any) -> str:
    """Return what stands for a value in the quarantine."""
    try:
        return json.dumps(told)[:4096]
    except RecursionError:
        return "nested too deeply"
