"""Whether the last two weeks of the inputs are like the training span.

1. windows    counts of every 14 days of the training span
2. measure    PSI and KS of histograms, changes of shares and rates, against the other days
3. standard   each monitor by the mean and spread it has over such windows: slow series, whose
              fortnights differ much, are held to less than quick ones
4. threshold  one for the largest of all monitors, from quarters of the span that had no part in
              the standard (episodes.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.drift.episodes import alarm_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WINDOW_DAYS = 14
FEWEST_DAYS = 84
FOLD_DAYS = 42
MOST_FOLDS = 4
CHUNK = 128
"""Windows that are measured at once, so that memory stays small."""

LEAST_SPREAD = {"psi": 0.01, "ks": 0.01, "share": 0.01, "rate": 0.05}
"""A monitor that never moved in training is held to this: a point of a share, 5 % of a rate."""


@dataclass(frozen=True)
class Days:
    """What each day held, in counts that add up.

    histograms: shape (D, J, B), of J series. shares, rates: shape (D, K, 2) and (D, L, 2),
        how many and out of how many.
    """

    histograms: Floats
    shares: Floats
    rates: Floats

    @property
    def count(self) -> int:
        """Return the number of days."""
        return len(self.histograms)

    @property
    def histogram_monitors(self) -> int:
        """Return how many monitors watch histograms: two for each series."""
        return 2 * int(self.histograms.shape[1])

    def summed(self) -> Days:
        """Return one row that holds all."""
        parts = (self.histograms, self.shares, self.rates)
        return Days(*(part.sum(axis=0, keepdims=True) for part in parts))

    def windows(self, days: int = WINDOW_DAYS) -> Days:
        """Return the sums of every `days` days that follow each other. (D, ...) -> (D - 13, ...)"""
        return Days(*(_moving(p, days) for p in (self.histograms, self.shares, self.rates)))

    def part(self, first: int, last: int) -> Days:
        """Return the days [first, last)."""
        return Days(self.histograms[first:last], self.shares[first:last], self.rates[first:last])

    def without(self, other: Days) -> Days:
        """Return the counts less those of another."""
        return Days(
            self.histograms - other.histograms, self.shares - other.shares,
            self.rates - other.rates,
        )  # fmt: skip


def _moving(values: Floats, days: int) -> Floats:
    ends = np.cumsum(np.concatenate([np.zeros((1, *values.shape[1:])), values]), axis=0)
    return np.asarray(ends[days:] - ends[:-days])


def measures(window: Days, reference: Days) -> Floats:
    """Return how far windows are from a reference. -> (n, 2 J + K + L)

    The root of the population stability index and the Kolmogorov-Smirnov distance of each
    series, then by how much each share has changed, then each rate's logarithm. 0 where a window
    or the reference has nothing.

    Args:
        window: n rows. reference: one row, or n.
    """
    if window.count > CHUNK:
        cuts = [(i, min(i + CHUNK, window.count)) for i in range(0, window.count, CHUNK)]
        whole = reference.count > 1
        return np.vstack(
            [measures(window.part(*c), reference.part(*c) if whole else reference) for c in cuts]
        )
    now, then = _shares(window.histograms), _shares(reference.histograms)
    psi = np.sqrt(((now - then) * np.log(now / then)).sum(axis=2))
    ks = np.abs(np.cumsum(now - then, axis=2)).max(axis=2)
    empty = (window.histograms.sum(axis=2) == 0) | (reference.histograms.sum(axis=2) == 0)
    psi, ks = np.where(empty, 0.0, psi), np.where(empty, 0.0, ks)
    share = _ratio(window.shares) - _ratio(reference.shares)
    rate = np.log(_ratio(window.rates) + 1e-3) - np.log(_ratio(reference.rates) + 1e-3)
    return np.hstack([psi, ks, np.nan_to_num(share), np.nan_to_num(rate)])


def _shares(counts: Floats) -> Floats:
    """Return shares of bins, each with half a count more so that none is empty."""
    more = counts + 0.5
    return np.asarray(more / more.sum(axis=2, keepdims=True))


def _ratio(values: Floats) -> Floats:
    total = values[..., 1]
    return np.where(total > 0, values[..., 0] / np.where(total > 0, total, 1), np.nan)


@dataclass(frozen=True)
class Standard:
    """What fortnights without a break look like, and from where on one counts as moved.

    center, spread: of each monitor, shape (M,). threshold: of the largest standardised one.
    """

    reference: Days
    center: Floats
    spread: Floats
    threshold: float

    def scores(self, window: Days) -> Floats:
        """Return each monitor in units of the threshold: above 1 it has moved. -> (n, M)"""
        distance = measures(window, self.reference)
        z = standardised(distance, self.center, self.spread, self.reference.histogram_monitors)
        return z / self.threshold


def fit_standard(days: Days, alarms_per_quarter: float, rng: np.random.Generator) -> Standard:
    """Return the standard of a training span.

    Args:
        days: of the span, at least `FEWEST_DAYS`.
        alarms_per_quarter: how many false alarms all monitors together may raise.
    """
    windows, total = days.windows(), days.summed()
    least = least_spreads(days)
    own = measures(windows, total.without(windows))
    folds = max(2, min(MOST_FOLDS, days.count // FOLD_DAYS))
    edges = np.linspace(0, days.count, folds + 1).astype(int)
    stretches = []
    for first, last in pairwise(edges):
        inside = slice(first, max(last - WINDOW_DAYS + 1, first + 1))
        touching = slice(max(first - WINDOW_DAYS + 1, 0), last)
        others = np.delete(own, touching, axis=0)
        center, spread = _moments(others, least)
        fresh = measures(
            windows.part(inside.start, inside.stop), total.without(days.part(first, last).summed())
        )
        stretches.append(standardised(fresh, center, spread, days.histogram_monitors).max(axis=1))
    center, spread = _moments(own, least)
    threshold = alarm_threshold(stretches, alarms_per_quarter, rng)
    return Standard(total, center, spread, max(threshold, 1.0))


def standardised(values: Floats, center: Floats, spread: Floats, histogram_monitors: int) -> Floats:
    """Return values in their own mean and spread; of shares and rates how far off, either way."""
    z = (values - center) / spread
    z[:, histogram_monitors:] = np.abs(z[:, histogram_monitors:])
    return np.asarray(z)


def least_spreads(days: Days) -> Floats:
    """Return the least spread of each monitor, shape (M,)."""
    series, shares, rates = (p.shape[1] for p in (days.histograms, days.shares, days.rates))
    kinds = ["psi"] * series + ["ks"] * series + ["share"] * shares + ["rate"] * rates
    return np.array([LEAST_SPREAD[kind] for kind in kinds])


def _moments(values: Floats, least: Floats) -> tuple[Floats, Floats]:
    return values.mean(axis=0), np.maximum(values.std(axis=0), least)
