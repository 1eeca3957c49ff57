"""Columns become counts by day: each value against what its hour of the week usually shows.

The training span alone says what is usual and where the bins lie; later days are counted by the
same ruler. Days are those of UTC in which bars open, since counts of days add up to any window.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.scaling import MIDDLE_HALF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]
    Rows = NDArray[np.int64]

BINS = 20
CELL_ROWS = 20
"""Rows that an hour of the week needs for a usual value of its own; else hours of the day do."""

HOURS_OF_WEEK, HOURS_OF_DAY = 168, 24
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Ruler:
    """What is usual of each column, and the bins of what differs from it.

    usual: by hour of the week or of the day, shape (C, J). edges: shape (J, B - 1).
    middle, spread: median and robust standard deviation of the plain values, shape (J,).
    """

    usual: Floats
    edges: Floats
    middle: Floats
    spread: Floats

    @classmethod
    def fit(cls, values: Floats, open_time: Instants) -> Ruler:
        """Return the ruler of a training span. (n, J), (n,)"""
        for cells in (HOURS_OF_WEEK, HOURS_OF_DAY):
            cell = cell_of(open_time, cells)
            if np.bincount(cell).max(initial=0) >= CELL_ROWS:
                break
        with warnings.catch_warnings():  # a column without any value in a cell, or at all
            warnings.simplefilter("ignore", RuntimeWarning)
            middle = np.nanmedian(values, axis=0)
            usual = np.tile(middle, (cells, 1))
            for number in np.unique(cell):
                found = np.nanmedian(values[cell == number], axis=0)
                usual[number] = np.where(np.isnan(found), middle, found)
            adjusted = values - usual[cell]
            edges = np.array([_edges(column[~np.isnan(column)]) for column in adjusted.T])
            quartiles = np.nanquantile(values, (0.25, 0.75), axis=0)
            spread = (quartiles[1] - quartiles[0]) / MIDDLE_HALF
            spread = np.where(spread > 0, spread, np.nanstd(values, axis=0))
        return cls(np.nan_to_num(usual), edges, middle, spread)

    def counts(
        self, values: Floats, open_time: Instants, first: np.datetime64, days: int
    ) -> Floats:
        """Return how many values of each day lie in each bin. -> (days, J, B)

        Args:
            values: shape (n, J), NaN where missing; open_time: of their bars, shape (n,).
            first: the first day; days: how many.
        """
        adjusted = values - self.usual[cell_of(open_time, len(self.usual))]
        day, (series, bins) = day_of(open_time, first), (values.shape[1], self.edges.shape[1] + 1)
        found = np.zeros((series, days * bins))
        for column in range(series):
            place = np.searchsorted(self.edges[column], adjusted[:, column], side="right")
            use = ~np.isnan(adjusted[:, column]) & (day >= 0) & (day < days)
            where = day[use] * bins + place[use]
            found[column] = np.bincount(where, minlength=days * bins)
        return np.ascontiguousarray(found.reshape(series, days, bins).swapaxes(0, 1))


def _edges(values: Floats) -> Floats:
    """Return edges between bins of equal counts; fewer where values tie. (n,) -> (B - 1,)

    A bin holds at least half of its due, so that no rare value makes an index of its own.
    """
    found = np.full(BINS - 1, np.inf)
    if len(values):
        ordered = np.sort(values)
        below, kept = 0.0, 0
        for edge in np.quantile(ordered, np.linspace(0, 1, BINS + 1)[1:-1]):
            share = float(np.searchsorted(ordered, edge)) / len(ordered)
            if share - below >= 0.5 / BINS and 1 - share >= 0.5 / BINS:
                found[kept], below, kept = edge, share, kept + 1
    return found


def cell_of(open_time: Instants, cells: int) -> Rows:
    """Return the hour of the week, or of the day, in which bars open. (n,) -> (n,)"""
    hour = (open_time.astype("datetime64[h]") - np.datetime64("1970-01-05", "h")).astype(np.int64)
    return np.asarray(hour % cells)


def day_of(open_time: Instants, first: np.datetime64) -> Rows:
    """Return how many days after the first one bars open. (n,) -> (n,)"""
    start = first.astype("datetime64[D]")
    return np.asarray((open_time.astype("datetime64[D]") - start).astype(np.int64))


def daily_sums(values: Floats, open_time: Instants, first: np.datetime64, days: int) -> Floats:
    """Return the sum and the number of each day's values. (n, K) -> (days, K, 2)"""
    day = day_of(open_time, first)
    inside = (day >= 0) & (day < days)
    found = np.zeros((days, values.shape[1], 2))
    for column in range(values.shape[1]):
        use = inside & ~np.isnan(values[:, column])
        found[:, column, 0] = np.bincount(day[use], weights=values[use, column], minlength=days)
        found[:, column, 1] = np.bincount(day[use], minlength=days)
    return found
