"""Whether the last two weeks of the inputs are like the training span.

1. windows    counts of every 14 days of the training span
2. measure    PSI and KS of histograms, changes of shares and rates, against the other days
3. standard   each monitor by the mean and spread it has over such windows: slow series, whose
              fortnights differ much, are held to less than quick ones
4. family     monitors that one break would move together become one value (families.py)
5. level      each family by what it reaches by chance as often as is allowed: forty columns of
              the market do not drown two series of scores
6. threshold  one for the largest of all families, from stretches of the span that had no part in
              the standard (episodes.py)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.drift.episodes import QUARTER_DAYS, alarm_threshold
from moodtape.forecaster.drift.families import families_of, pooled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

WINDOW_DAYS = 14
FEWEST_DAYS = 84
FOLD_DAYS = 42
MOST_FOLDS = 8
CHUNK = 128
"""Windows that are measured at once, so that memory stays small."""

LEAST_SPREAD = {"psi": 0.01, "ks": 0.01, "share": 0.01, "rate": 0.05}
"""A monitor that never moved in training is held to this: a point of a share, 5 % of a rate."""

LEAST_LEVEL = 1.0
"""In spreads: a family that never moved in training has no level of its own."""

LUCK_QUARTERS = 2.0
"""A past of so many quarters says half of a family's level; what is common to all, the rest."""


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

    center, spread: of each monitor, shape (M,). families: of which each is, shape (M,).
    levels: of each family, shape (F,). threshold: of the largest family, in its level.
    """

    reference: Days
    center: Floats
    spread: Floats
    families: Rows
    levels: Floats
    threshold: float

    def scores(self, window: Days) -> Floats:
        """Return each family in units of the threshold: above 1 it has moved. -> (n, F)"""
        z = self._standardised(window)
        return pooled(z, self.families, self.monitors_of_histograms) / self._alarms

    def monitors(self, window: Days) -> Floats:
        """Return each monitor in units of what its family has to reach. -> (n, M)"""
        return np.asarray(self._standardised(window) / self._alarms[self.families])

    @property
    def monitors_of_histograms(self) -> int:
        """Return how many monitors come before those of shares and rates."""
        return self.reference.histogram_monitors

    @property
    def _alarms(self) -> Floats:
        return np.asarray(self.levels * self.threshold)

    def _standardised(self, window: Days) -> Floats:
        distance = measures(window, self.reference)
        return standardised(distance, self.center, self.spread, self.monitors_of_histograms)


def fit_standard(
    days: Days, kinds: Sequence[str], alarms_per_quarter: float, rng: np.random.Generator
) -> Standard:
    """Return the standard of a training span.

    Args:
        days: of the span, at least `FEWEST_DAYS`.
        kinds: of which kind each of the J series is; those of a kind are a family.
        alarms_per_quarter: how many false alarms all monitors together may raise.
    """
    windows, total, count = days.windows(), days.summed(), days.histogram_monitors
    least = least_spreads(days)
    own = measures(windows, total.without(windows))
    families = families_of(kinds, days.shares.shape[1] + days.rates.shape[1])
    folds = max(2, min(MOST_FOLDS, days.count // FOLD_DAYS))
    edges = np.linspace(0, days.count, folds + 1).astype(int)
    stretches = []
    for first, last in pairwise(edges):
        inside = slice(first, max(last - WINDOW_DAYS + 1, first + 1))
        touching = slice(max(first - WINDOW_DAYS + 1, 0), last)
        center, spread = _moments(np.delete(own, touching, axis=0), least)
        fresh = measures(
            windows.part(inside.start, inside.stop), total.without(days.part(first, last).summed())
        )
        stretches.append(pooled(standardised(fresh, center, spread, count), families, count))
    levels = _family_levels(stretches, alarms_per_quarter, rng)
    largest = [(stretch / levels).max(axis=1) for stretch in stretches]
    threshold = max(alarm_threshold(largest, alarms_per_quarter, rng), 1.0)
    return Standard(total, *_moments(own, least), families, levels, threshold)


def _family_levels(
    stretches: Sequence[Floats], alarms_per_quarter: float, rng: np.random.Generator
) -> Floats:
    """Return what each family reaches by chance as often as is allowed. n x (., F) -> (F,)

    The shorter the past, the more of a level is luck, and the nearer they are drawn to each other.
    """
    own = np.log(
        [
            max(alarm_threshold(list(nights), alarms_per_quarter, rng), LEAST_LEVEL)
            for nights in zip(*(stretch.T for stretch in stretches), strict=True)
        ]
    )
    quarters = sum(len(stretch) for stretch in stretches) / QUARTER_DAYS
    trust = quarters / (quarters + LUCK_QUARTERS)
    return np.asarray(np.exp(trust * own + (1 - trust) * own.mean()))


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
