"""The bars that a simulation trades on, and the funding that a position pays."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]

DAY = np.timedelta64(1, "D")
INSTANT = np.timedelta64(1, "us")


@dataclass(frozen=True)
class Market:
    """Bars of one symbol in order of time; all arrays have shape (n,).

    opens, closes: UTC instants at which each bar opens and closes.
    open, high, low, close: prices.
    funding: sum of the funding rates that fell due after the bar before opened and until this
        one opened; a long position pays it at the open, before anything is traded. Zeros where
        there is none.
    days_per_year: 365, or the calendar's sessions.
    due: when a rate fell due, in order; shape (k,). Empty where nobody pays funding.
    """

    opens: Instants
    closes: Instants
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    funding: Floats
    days_per_year: float = 365.0
    due: Instants = field(default_factory=lambda: np.array([], dtype="datetime64[us]"))

    def __len__(self) -> int:
        return len(self.opens)

    @cached_property
    def owed(self) -> Floats:
        """Return what one unit held since the first bar has paid by each open. (n,)"""
        return np.cumsum(self.open * self.funding)

    @property
    def bars_per_year(self) -> float:
        """Return how many bars make a year, from the usual distance between closes."""
        if len(self) < 2:
            return self.days_per_year
        step = np.median(np.diff(self.closes)) / DAY
        return self.days_per_year / max(float(step), 1e-9)

    def part(self, first: int, last: int) -> Market:
        """Return the bars `first` up to, not including, `last`."""
        cut = slice(first, last)
        return Market(
            self.opens[cut], self.closes[cut], self.open[cut], self.high[cut], self.low[cut],
            self.close[cut], self.funding[cut], self.days_per_year, self.due,
        )  # fmt: skip

    def is_funded(self, first: int, last: int) -> bool:
        """Say whether rates reach over the bars `first` to `last` without a hole of over a day."""
        since, until = self.opens[first], self.closes[last]
        within = self.due[(self.due > since) & (self.due < until)]
        edges = np.concatenate([[since], within, [until]])
        return bool((np.diff(edges) <= DAY).all()) and len(within) > 0


def fund_bars(opens: Instants, due: Instants, rates: Floats) -> Floats:
    """Return each bar's funding: rates that fell due since the bar before opened. -> (n,)

    A rate due at 08:00 is paid by what is held when the bar of 08:00 opens.
    """
    paid = np.zeros(len(opens))
    bar = np.searchsorted(opens, due, side="left")
    inside = (bar < len(opens)) & (bar > 0)
    np.add.at(paid, bar[inside], rates[inside])
    return paid


def day_ends(closes: Instants) -> tuple[Instants, NDArray[np.int64]]:
    """Return the UTC days on which bars closed, and each day's last bar.

    A bar that closes at midnight belongs to the day that ends there.
    """
    days = (closes - INSTANT).astype("datetime64[D]")
    last = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    return days[last], last


def daily_returns(market: Market, equity: Floats, start: float = 1.0) -> Floats:
    """Return net returns by day from equity at each bar's close; days without a bar are flat.

    On a calendar of sessions only days with bars count. (n,) -> (days,)
    """
    days, last = day_ends(market.closes)
    return by_day(days, equity[last], start, market.days_per_year)


def return_days(market: Market) -> NDArray[np.datetime64]:
    """Return the days that `daily_returns` are of, as dates; (days,)"""
    days = day_ends(market.closes)[0].astype("datetime64[D]")
    if market.days_per_year < 365 or len(days) == 0:
        return days
    return np.arange(days[0], days[-1] + 1)


def by_day(days: Instants, ends: Floats, start: float, days_per_year: float) -> Floats:
    """Return net returns of every day from equity at the ends of those with bars."""
    before = np.append(start, ends[:-1])
    returns = np.divide(ends, before, out=np.ones_like(ends), where=before > 0) - 1.0
    if days_per_year < 365 or len(days) == 0:
        return np.asarray(returns)
    every = np.zeros(int((days[-1] - days[0]) / DAY) + 1)
    every[((days - days[0]) / DAY).astype(np.int64)] = returns
    return every
