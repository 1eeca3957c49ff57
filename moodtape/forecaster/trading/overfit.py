"""How likely the best of the strategies that were tried is only the luckiest of them.

    1. common    days that most of the tried strategies share
    2. halves    every way to take half of ten stretches of them: choose there, look at the rest
    3. rank      how often the best of a half, by Sharpe ratio, is below the median of the other

The halves and the rank are those of `descriptive.luck_of_the_best`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.descriptive import PARTS, luck_of_the_best

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Days = NDArray[np.datetime64]

FEWEST_STRATEGIES = 4
FEWEST_DAYS = 40
OVERLAP = 0.5
"""A strategy counts whose days are more than this share of ours."""


def overfitting_of(days: Days, tried: Sequence[tuple[Days, Floats]]) -> dict[str, float | None]:
    """Return `{probability, strategies, days}` of what was tried on mostly the same days.

    Args:
        days: of the strategy in question, in order.
        tried: days and net returns of every strategy, that one among them.
    Returns:
        No probability with fewer than four strategies that differ, or fewer than forty days that
        all of them share.
    """
    near = [(own, r) for own, r in tried if np.isin(days, own).mean() > OVERLAP]
    common = days
    for own, _ in near:
        common = np.intersect1d(common, own)
    rows = [returns[np.isin(own, common)] for own, returns in near]
    different = np.unique(np.array(rows), axis=0) if rows and len(common) else np.zeros((0, 0))
    enough = len(different) >= FEWEST_STRATEGIES and len(common) >= FEWEST_DAYS
    probability = overfitting_probability(different.T) if enough else None
    return {"probability": probability, "strategies": len(different), "days": len(common)}


def overfitting_probability(daily: Floats, parts: int = PARTS) -> float:
    """Return how often the best of one half of the time is below the median in the other.

    Args:
        daily: net returns, shape (days, strategies). parts: even.
    """
    cut = np.array_split(daily, parts)
    count = np.array([len(part) for part in cut])
    first = np.stack([part.sum(axis=0) for part in cut])
    second = np.stack([(part**2).sum(axis=0) for part in cut])

    def ratios(chosen: NDArray[np.bool_]) -> Floats:
        n = count[chosen].sum()
        mean = first[chosen].sum(axis=0) / n
        spread = np.sqrt(np.maximum(second[chosen].sum(axis=0) / n - mean**2, 0.0))
        # One that never trades has a ratio of nothing, not none.
        found: Floats = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 1e-12)
        return found

    return luck_of_the_best(ratios, parts)
