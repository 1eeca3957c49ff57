"""Where values and times lie on an axis, in percent of its length, and its labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from moodtape.forecaster.report.numbers import MINUS

HOUR, DAY = 3600, 86400
OUTERMOST = 98.0
"""A label nearer to an end, in percent of an axis of values, is put inside of it."""

_TIME_STEPS = (HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)


@dataclass(frozen=True)
class Tick:
    """A label on an axis.

    minor: left out where the page is narrow. side: which part of the label lies at the
        tick: `start`, `middle` or `end`, so that long ones stay on the page.
    """

    at: float
    label: str
    minor: bool = False
    side: str = "middle"


@dataclass(frozen=True)
class Axis:
    """A line from `low` to `high` (values, or seconds since 1970) and its labels."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()

    def at(self, value: float) -> float:
        """Return where a value lies, in percent from the low end, two places."""
        return round(100.0 * (value - self.low) / (self.high - self.low), 2)

    @property
    def zero(self) -> float | None:
        """Return where zero lies, None when it is off the axis."""
        return self.at(0.0) if self.low <= 0.0 <= self.high else None


def value_axis(
    values: Sequence[float],
    parts: int = 5,
    pad: float = 0.05,
    unit: str = "",
    signed: bool = False,
    room: bool = False,
) -> Axis:
    """Return an axis that holds all finite values, labelled at round numbers.

    Args:
        pad: room at both ends, as a share of the span. unit: put after each label.
        signed: print a plus. room: stretch the ends to the next label.

    >>> [tick.label for tick in value_axis([0.0, 7.3]).ticks]
    ['0', '2', '4', '6']
    """
    finite = [float(v) for v in values if math.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1e-12):
        half = 0.05 * size if size > 1e-12 else 1.0
        low, high = low - half, high + half
    low, high = low - pad * (high - low), high + pad * (high - low)
    step = _round_step((high - low) / parts)
    if room:
        low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**places, 6) % 1:
        places += 1
    axis = Axis(low, high)
    ticks = tuple(
        Tick(
            at,
            _label(i * step, places, unit, signed),
            minor=last - first > 4 and i % 2 != 0,
            side="end" if at > OUTERMOST else "start" if at < 100 - OUTERMOST else "middle",
        )
        for i in range(first, last + 1)
        for at in [axis.at(i * step)]
    )
    return Axis(low, high, ticks)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= rough * 0.999)


def _label(value: float, places: int, unit: str, signed: bool) -> str:
    digits = f"{abs(value):,.{places}f}"
    if float(digits.replace(",", "")) == 0:
        return f"0{unit}"
    return f"{'+' if signed and value > 0 else MINUS if value < 0 else ''}{digits}{unit}"


def time_axis(first: float, last: float, parts: int = 6) -> Axis:
    """Return an axis of time, labelled at round hours, days or months of UTC.

    Args:
        first, last: seconds since 1970.

    >>> start = datetime(2022, 4, 1, tzinfo=UTC).timestamp()
    >>> [tick.label for tick in time_axis(start, start + 3 * DAY, parts=4).ticks]
    ['1 Apr 2022', '2 Apr', '3 Apr', '4 Apr']
    """
    if last <= first:
        first, last = first - HOUR, last + HOUR
    span = last - first
    step = next((s for s in _TIME_STEPS if span / s <= parts), None)
    if step is None:
        moments = _months(first, last, parts)
    else:
        whole = math.ceil(first / step)
        moments = [
            datetime.fromtimestamp(i * step, UTC) for i in range(whole, int(last // step) + 1)
        ]
    axis = Axis(first, last)
    labels = _time_labels(moments, step)
    return Axis(
        first,
        last,
        tuple(
            Tick(at, label, minor=len(moments) > 4 and i % 2 == 1, side=_side(at))
            for i, (moment, label) in enumerate(zip(moments, labels, strict=True))
            for at in [axis.at(moment.timestamp())]
        ),
    )


def _side(at: float) -> str:
    return "start" if at < 6 else "end" if at > 94 else "middle"


def _months(first: float, last: float, parts: int) -> list[datetime]:
    start, end = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    total = (end.year - start.year) * 12 + end.month - start.month
    step = next((s for s in _MONTH_STEPS if total / s <= parts), _MONTH_STEPS[-1])
    months = range((start.year * 12 + start.month - 1) // step * step, end.year * 12 + 12, step)
    moments = (datetime(m // 12, m % 12 + 1, 1, tzinfo=UTC) for m in months)
    return [moment for moment in moments if start <= moment <= end]


def _time_labels(moments: Sequence[datetime], step: int | None) -> list[str]:
    """Return labels that say the year once, the day where it changes, the hour where needed."""
    labels = []
    before: datetime | None = None
    for moment in moments:
        hour = f"{moment:%H:%M}" if step is not None and moment.hour else ""
        day = f"{moment:%b}" if step is None else f"{moment.day} {moment:%b}"
        if before is None or before.year != moment.year:
            day += f" {moment.year}"
        elif hour:
            day = ""
        labels.append(f"{day} {hour}".strip())
        before = moment
    return labels


def bucket_seconds(span: float, most: int) -> int:
    """Return the shortest round length of time that cuts a span into `most` parts or fewer.

    >>> bucket_seconds(30 * DAY, 200) / HOUR
    4.0
    """
    hours = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336, 672)
    return next((h * HOUR for h in hours if span / (h * HOUR) <= most), math.ceil(span / most))


def say_seconds(seconds: int) -> str:
    """Return a bucket's length in words.

    >>> say_seconds(HOUR), say_seconds(6 * HOUR), say_seconds(7 * DAY)
    ('one hour', '6 hours', '7 days')
    """
    length, unit = (seconds // DAY, "day") if seconds % DAY == 0 else (seconds // HOUR, "hour")
    return f"one {unit}" if length == 1 else f"{length} {unit}s"
