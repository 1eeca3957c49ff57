"""Trading calendars: which bars should exist, and when each one closes.

`24/7` is arithmetic. Any other name is an `exchange_calendars` code (`XNYS`),
where a daily bar is dated by its session and closes with it.
"""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from moodtape.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Instants = NDArray[np.datetime64]

AROUND_THE_CLOCK = "24/7"
DAY = timedelta(days=1)


class Calendar(Protocol):
    """A grid of bars."""

    name: str
    sessions_per_year: float

    def close_times(self, open_times: Instants, interval: timedelta) -> Instants:
        """Return when each bar closes; NaT where the calendar has no such bar."""

    def expected_opens(self, start: datetime, end: datetime, interval: timedelta) -> Instants:
        """Return the opens of every bar that should exist in `[start, end)`."""


def _origin(interval: timedelta) -> np.datetime64:
    """Return an instant at which a bar opens: weeks open on Mondays, 1970-01-01 was a Thursday."""
    import numpy as np

    whole_weeks = interval % timedelta(days=7) == timedelta(0)
    return np.datetime64("1970-01-05" if whole_weeks else "1970-01-01", "us")


class AroundTheClock:
    """Markets that never close: every multiple of the interval since 1970 opens a bar."""

    name = AROUND_THE_CLOCK
    sessions_per_year = 365.0

    def close_times(self, open_times: Instants, interval: timedelta) -> Instants:
        """Return open plus interval; NaT off the grid. (n,) -> (n,)"""
        import numpy as np

        step = np.timedelta64(interval, "us")
        on_grid = (open_times - _origin(interval)) % step == np.timedelta64(0, "us")
        result: Instants = np.where(on_grid, open_times + step, np.datetime64("NaT", "us"))
        return result

    def expected_opens(self, start: datetime, end: datetime, interval: timedelta) -> Instants:
        """Return every multiple of the interval in `[start, end)`."""
        import numpy as np

        from moodtape.clock import to_datetime64

        step, origin = np.timedelta64(interval, "us"), _origin(interval)
        first = origin - (origin - to_datetime64(start)) // step * step
        return np.arange(first, to_datetime64(end), step)


class ExchangeSessions:
    """A stock exchange's sessions, from `exchange_calendars`."""

    def __init__(self, name: str) -> None:
        import exchange_calendars

        self.name = name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its own use of pandas
            self._calendar: Any = exchange_calendars.get_calendar(name, start="1990-01-02")
        self.sessions_per_year = 252.0

    def _sessions(self) -> tuple[Instants, Instants, Instants]:
        """Return session days, opens and closes, each (n,) as `datetime64[us]` in UTC."""
        schedule = self._calendar.schedule
        days = schedule.index.to_numpy().astype("datetime64[us]")
        opens = schedule["open"].dt.tz_convert(None).to_numpy().astype("datetime64[us]")
        closes = schedule["close"].dt.tz_convert(None).to_numpy().astype("datetime64[us]")
        return days, opens, closes

    def close_times(self, open_times: Instants, interval: timedelta) -> Instants:
        """Return the session's close for daily bars, `open + interval` capped by it otherwise."""
        import numpy as np

        days, opens, closes = self._sessions()
        nat = np.datetime64("NaT", "us")
        if interval == DAY:
            at = np.searchsorted(days, open_times)
            hit = days[np.minimum(at, len(days) - 1)] == open_times
            return np.where(hit, closes[np.minimum(at, len(days) - 1)], nat)
        step = np.timedelta64(interval, "us")
        at = np.searchsorted(opens, open_times, side="right") - 1
        on_grid = (open_times - opens[at]) % step == np.timedelta64(0, "us")
        inside = (at >= 0) & (open_times < closes[at]) & on_grid
        return np.where(inside, np.minimum(open_times + step, closes[at]), nat)

    def expected_opens(self, start: datetime, end: datetime, interval: timedelta) -> Instants:
        """Return session days (daily bars) or the opens inside each session."""
        import numpy as np

        from moodtape.clock import to_datetime64

        days, opens, closes = self._sessions()
        low, high = to_datetime64(start), to_datetime64(end)
        if interval == DAY:
            return days[(days >= low) & (days < high)]
        step = np.timedelta64(interval, "us")
        grids = [np.arange(o, c, step) for o, c in zip(opens, closes, strict=True) if c > low]
        every = np.concatenate(grids) if grids else np.array([], dtype="datetime64[us]")
        return every[(every >= low) & (every < high)]


@lru_cache(maxsize=8)
def get_calendar(name: str) -> Calendar:
    """Return a calendar by name; an unknown name is refused with the nearest valid one."""
    if name == AROUND_THE_CLOCK:
        return AroundTheClock()
    import exchange_calendars

    known = exchange_calendars.get_calendar_names(include_aliases=True)
    if name not in known:
        raise UsageError(
            f"{name!r} is not a calendar.{did_you_mean(name, [AROUND_THE_CLOCK, *known])}"
            f" Use {AROUND_THE_CLOCK} or an exchange code such as XNYS."
        )
    return ExchangeSessions(name)
