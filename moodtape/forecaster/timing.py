"""How closely each column of tone goes with the bars around its decision.

A column that goes with the bar before tells what prices told; one that goes with the bar at
the decision more than a forecast could may have a stamp that is too early.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import to_datetime64
from moodtape.forecaster.arms import tone_columns
from moodtape.forecaster.stats import FEWEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Timing:
    """Rank correlations of a column with log returns; None where too few bars can tell.

    before: of the bar that had closed by the decision. at: of the one that runs then, which is
        forecast. after: of the next one.
    n: decisions with a value of the column.
    """

    symbol: str
    column: str
    before: float | None
    at: float | None
    after: float | None
    n: int


def timings(dataset: Dataset, subject: str) -> list[Timing]:
    """Return the correlations of every column of tone (or of metrics), symbol by symbol."""
    return list(_timings(dataset, subject))


def _timings(dataset: Dataset, subject: str) -> Iterator[Timing]:
    low, high = to_datetime64(dataset.span.since), to_datetime64(dataset.span.until)
    inside = (dataset.decision_time >= low) & (dataset.decision_time < high)
    for number, symbol in enumerate(dataset.symbols):
        own = dataset.symbol == number
        returns = dataset.history[own, 0]
        bars = [_ahead(returns, bars)[inside[own]] for bars in range(3)]
        for column in tone_columns(dataset, subject):
            values = dataset.features[own, column][inside[own]]
            name, n = dataset.columns[column].name, int(np.isfinite(values).sum())
            before, at, after = (rank_correlation(values, bar) for bar in bars)
            yield Timing(symbol, name, before, at, after, n)


def _ahead(series: Floats, bars: int) -> Floats:
    """Return what came so many bars later, NaN at the end. (T,) -> (T,)"""
    return np.concatenate([series[bars:], np.full(bars, np.nan)])


def rank_correlation(left: Floats, right: Floats) -> float | None:
    """Return Spearman's correlation of two series, pairs with a hole left out."""
    from scipy.stats import rankdata

    both = np.isfinite(left) & np.isfinite(right)
    if both.sum() < FEWEST:
        return None
    ranks = [rankdata(series[both]) for series in (left, right)]
    if min(rank.std() for rank in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])
