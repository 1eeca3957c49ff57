"""Time has one home: what time it is, when a bar closes, when a row was known.

Every instant is UTC and aware at the edges (`datetime`), and `datetime64[us]`
read as UTC inside arrays. Nothing here rounds a `known_at` down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moodtape.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Instants = NDArray[np.datetime64]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FUTURE_TOLERANCE = timedelta(minutes=10)
"""A provider's clock may run this far ahead of ours before a row is refused."""

BACKFILL_STAMP_AGE = timedelta(days=10)
"""A completion stamp later than this after its period is a back-fill stamp, not news."""

_DURATION = re.compile(r"^(\d+)\s*(s|min|m|h|d|w)$")
_UNIT_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def utc_now() -> datetime:
    """Return the present instant; the only place in the package that asks the machine."""
    return datetime.now(UTC)


def parse_duration(text: str) -> timedelta:
    """Return a length of time written as `90min`, `1h`, `6h`, `1d` or `2w`.

    >>> parse_duration("90min")
    datetime.timedelta(seconds=5400)
    """
    match = _DURATION.match(text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"{text!r} is not a length of time. Write it as 15min, 1h, 6h, 1d or 2w.")
    return timedelta(seconds=int(match[1]) * _UNIT_SECONDS[match[2]])


def format_duration(length: timedelta) -> str:
    """Return the shortest writing of a whole number of minutes, hours, days or weeks.

    >>> format_duration(timedelta(hours=1)), format_duration(timedelta(days=1))
    ('1h', '1d')
    """
    seconds = int(length.total_seconds())
    for unit in ("d", "h", "min"):
        if seconds % _UNIT_SECONDS[unit] == 0:
            return f"{seconds // _UNIT_SECONDS[unit]}{unit}"
    return f"{seconds}s"


def microseconds(length: timedelta) -> int:
    """Return a length of time in whole microseconds, as SQL wants it."""
    return length // timedelta(microseconds=1)


def parse_instant(text: str) -> datetime:
    """Return the UTC instant of an ISO date or time; a bare date or a naive time is UTC.

    Only for what a person types at the terminal. Times inside data files go
    through `moodtape.ingest.times`, which refuses naive ones.

    >>> parse_instant("2022-04-01").isoformat()
    '2022-04-01T00:00:00+00:00'
    """
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise UsageError(
            f"{text!r} is not an ISO date or time. Write 2022-04-01 or 2022-04-01T06:00Z."
        ) from exc
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def require_utc(value: datetime, name: str) -> datetime:
    """Return the instant in UTC; a naive one is a programming error and raises."""
    if value.tzinfo is None:
        raise ValueError(f"{name} is naive; every instant in Moodtape is aware")
    return value.astimezone(UTC)


def to_datetime64(value: datetime) -> np.datetime64:
    """Return an aware instant as `datetime64[us]` read as UTC."""
    import numpy as np

    return np.datetime64(require_utc(value, "instant").replace(tzinfo=None), "us")


def from_datetime64(value: Any) -> datetime:
    """Return a `datetime64` read as UTC as an aware instant."""
    import numpy as np

    micros = int(np.datetime64(value, "us").astype(np.int64))
    return EPOCH + timedelta(microseconds=micros)


def iso(value: datetime) -> str:
    """Return an instant as people read it in tables: `2022-04-01 06:00Z`.

    >>> iso(parse_instant("2022-04-01T06:00"))
    '2022-04-01 06:00Z'
    """
    value = require_utc(value, "instant")
    pattern = "%Y-%m-%d %H:%M:%SZ" if value.second or value.microsecond else "%Y-%m-%d %H:%MZ"
    return value.strftime(pattern)


def floor_to(value: datetime, length: timedelta) -> datetime:
    """Return the last multiple of `length` since 1970 that is not after `value`."""
    return value - (value - EPOCH) % length


@dataclass(frozen=True)
class DecisionClock:
    """When a forecast may be made for a bar that closed at `cutoff`.

    delay: from the bar's close to the decision (venue, collection, scoring).
    late_after: a live forecast made later than this after its decision is late.
    """

    delay: timedelta = timedelta(seconds=120)
    late_after: timedelta = timedelta(minutes=15)

    def decision_time(self, cutoff: datetime) -> datetime:
        """Return the instant up to which rows count for the decision at `cutoff`."""
        return cutoff + self.delay

    def decision_times(self, cutoffs: Instants) -> Instants:
        """Return `decision_time` for an array of cut-offs. (n,) -> (n,)"""
        import numpy as np

        result: Instants = cutoffs + np.timedelta64(int(self.delay.total_seconds() * 1e6), "us")
        return result


def metric_known_at(
    period_end: Instants, stamp: Instants, lag: timedelta | NDArray[np.timedelta64]
) -> Instants:
    """Return when each metric value was known.

    The provider's completion stamp when there is one and it lies in the ten days
    after the period's end; otherwise the period's end plus the lag, since an earlier
    stamp completes nothing and a later one was filled in.

    Args:
        period_end: end of each period, shape (n,).
        stamp: completion stamps, NaT where the provider gives none, shape (n,).
        lag: one length for all, or one for each row, shape (n,).
    """
    import numpy as np

    step = np.timedelta64(lag, "us") if isinstance(lag, timedelta) else lag
    backfill = np.timedelta64(BACKFILL_STAMP_AGE, "us")
    usable = ~np.isnat(stamp) & (stamp >= period_end) & (stamp <= period_end + backfill)
    result: Instants = np.where(usable, stamp, period_end + step)
    return result


def document_known_at(
    published_at: Instants,
    collected_at: Instants,
    delay: timedelta,
    date_only: NDArray[np.bool_],
) -> tuple[Instants, NDArray[np.bool_]]:
    """Return when each back-filled text was known, and whether that is an assumption.

    The archive's own collection time when it has one. Without one, publication plus
    a delay, where a bare date counts as that day's end.

    Args:
        published_at: shape (n,).
        collected_at: NaT where the archive kept none, shape (n,).
        delay: assumed time from publication to a collector's hands.
        date_only: true where publication is a bare date, shape (n,).
    Returns:
        known_at (n,) and assumed (n,), true where no collection time was kept.
    """
    import numpy as np

    day = np.timedelta64(1, "D").astype("timedelta64[us]")
    effective = np.where(date_only, published_at + day, published_at)
    assumed = np.isnat(collected_at)
    known = np.where(assumed, effective + np.timedelta64(delay, "us"), collected_at)
    return known, assumed
