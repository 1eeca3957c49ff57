"""Columns that a model is fed become days of counts, symbol by symbol.

1. choose   columns of two values are shares; marks of what is missing likewise; the clock is left
            out; all others are series
2. count    by a ruler for each symbol, made of the training span
3. add      how many texts a bar brought, and how texts were scored
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.drift.inputs import Days
from moodtape.forecaster.drift.ruler import BINS, Ruler, daily_sums
from moodtape.forecaster.features.base import CALENDAR, SENTIMENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

COUNT = ".count_last"
MASK = "missing"
MARKET, TEXTS, SCORES = "market", "texts", "scores"
"""Kinds of series; what is known of a coin from its chain is of its market."""


@dataclass(frozen=True)
class Fed:
    """What is watched of a dataset; made on the training rows, then used for any days.

    symbols: those with training rows. series, shares: columns of the dataset; counts: those that
    hold the logarithm of a number of texts. groups: of each series' column.
    """

    symbols: tuple[int, ...]
    series: Rows
    shares: Rows
    counts: Rows
    rulers: tuple[Ruler, ...]
    groups: tuple[str, ...]

    @classmethod
    def fit(cls, dataset: Dataset, rows: Rows) -> Fed:
        """Return what is watched, by the rows of the training span."""
        values = dataset.features[rows]
        columns = dataset.columns
        shares = [
            i for i, c in enumerate(columns)
            if c.name.rpartition(".")[2] == MASK or _two_valued(values[:, i])
        ]  # fmt: skip
        left_out = {i for i, c in enumerate(columns) if c.group == CALENDAR}
        series = [i for i in range(len(columns)) if i not in left_out.union(shares)]
        counts = [i for i, c in enumerate(columns) if c.name.endswith(COUNT)]
        symbols = tuple(int(s) for s in np.unique(dataset.symbol[rows]))
        rulers = []
        for symbol in symbols:
            own = rows[dataset.symbol[rows] == symbol]
            rulers.append(Ruler.fit(dataset.features[own][:, series], dataset.open_time[own]))
        return cls(
            symbols,
            series=np.array(series, dtype=np.int64),
            shares=np.array(shares, dtype=np.int64),
            counts=np.array(counts, dtype=np.int64),
            rulers=tuple(rulers),
            groups=tuple(columns[i].group for i in series),
        )

    def kinds(self, streams: int) -> list[str]:
        """Return of which kind each series of `count` is; columns of texts are not the market's.

        Args:
            streams: how many series of scores come last.
        """
        own = [TEXTS if group == SENTIMENT else MARKET for group in self.groups]
        return [*own * len(self.symbols), *[SCORES] * streams]

    def count(
        self, dataset: Dataset, rows: Rows, scores: Floats, first: np.datetime64, days: int
    ) -> Days:
        """Return the days from the first one on.

        Args:
            rows: those that may be looked at.
            scores: counts of tones and doubts by day, shape (days, S, BINS).
        """
        parts: list[list[Floats]] = [[], [], []]
        for symbol, ruler in zip(self.symbols, self.rulers, strict=True):
            own = rows[dataset.symbol[rows] == symbol]
            values, opened = dataset.features[own], dataset.open_time[own]
            parts[0].append(ruler.counts(values[:, self.series], opened, first, days))
            parts[1].append(daily_sums(values[:, self.shares], opened, first, days))
            texts = np.expm1(values[:, self.counts])
            parts[2].append(daily_sums(texts, opened, first, days))
        parts[0].append(scores)
        return Days(*(np.concatenate(part, axis=1) for part in parts))

    def moved(
        self, dataset: Dataset, number: int, before: Rows, now: Rows, scores: tuple[Floats, Floats],
        streams: Sequence[str],
    ) -> str:  # fmt: skip
        """Return in words what the monitor of that number saw, from what to what.

        Args:
            before, now: rows of the training span and of the last days.
            scores: counts of both, shape (S, BINS). streams: what each of the S is of.
        """
        symbols, series = len(self.symbols), len(self.series)
        histograms = symbols * series + len(streams)
        if number < 2 * histograms:
            place, how = number % histograms, ("PSI", "KS")[number // histograms]
            if place >= symbols * series:
                stream = place - symbols * series
                old, new = (_middle(counts[stream]) for counts in scores)
                return f"{streams[stream]} went from {old:.2f} to {new:.2f} on average ({how})"
            which, column = divmod(place, series)
            return self._told(dataset, which, int(self.series[column]), before, now, how)
        number -= 2 * histograms
        if number < symbols * len(self.shares):
            which, column = divmod(number, len(self.shares))
            return self._told(dataset, which, int(self.shares[column]), before, now, "share")
        which, column = divmod(number - symbols * len(self.shares), len(self.counts))
        return self._told(dataset, which, int(self.counts[column]), before, now, "rate")

    def _told(
        self, dataset: Dataset, which: int, column: int, before: Rows, now: Rows, how: str
    ) -> str:
        symbol = self.symbols[which]
        name = f"{dataset.symbols[symbol]} {dataset.columns[column].name}"
        old, new = (
            dataset.features[rows[dataset.symbol[rows] == symbol], column] for rows in (before, now)
        )
        if not np.isfinite(new).any() or not np.isfinite(old).any():
            return f"{name} had values on one side alone"
        if how == "share":
            return f"{name} went from {np.nanmean(old):.1%} to {np.nanmean(new):.1%}"
        if how == "rate":
            stream = name.removesuffix(COUNT)
            rates = (float(np.nanmean(np.expm1(values))) for values in (old, new))
            return f"the texts of {stream} went from {next(rates):.2f} to {next(rates):.2f} a bar"
        unit = dataset.columns[column].unit
        halves = [np.nanquantile(values, (0.25, 0.5, 0.75)) for values in (old, new)]
        spans = [f"{q[1]:.3g} (middle half {q[0]:.3g} to {q[2]:.3g})" for q in halves]
        return f"{name} went from {spans[0]} to {spans[1]}, {unit} ({how})"


def _two_valued(values: Floats) -> bool:
    present = values[np.isfinite(values)]
    return len(present) > 0 and bool(np.isin(present, (present.min(), present.max())).all())


def _middle(counts: Floats) -> float:
    """Return the mean of shares 0 to 1 from their counts in equal bins."""
    places = (np.arange(BINS) + 0.5) / BINS
    return float((counts * places).sum() / max(counts.sum(), 1))
