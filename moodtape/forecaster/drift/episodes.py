"""How often alarms would come by chance, and the threshold at which they come seldom enough.

An alarm is an episode: after it there is silence for a week, then it may come again.

1. episodes   nights on which something is over a level
2. tail       episodes beyond a middling level, and how far their peaks reach: exponential
3. resample   the same of blocks of nights, so that a short past makes a high threshold
4. threshold  where the mean over all resamples comes to the alarms that are allowed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SILENT_DAYS = 7
QUARTER_DAYS = 365.25 / 4
MIDDLING = 0.7
"""The tail is fitted to peaks beyond this quantile of the nights."""

BLOCK_DAYS, DRAWS = 28, 200
FEWEST_PEAKS = 1.0


def episodes(nights: Floats, level: float) -> tuple[Floats, Floats]:
    """Return on which nights an episode over a level begins, and how far it reaches beyond.

    (n,) -> 2 x (n,): 1 or 0, and the largest excess on the night on which it began.
    """
    began, excess = np.zeros(len(nights)), np.zeros(len(nights))
    first = -SILENT_DAYS
    for night in map(int, np.flatnonzero(nights > level)):
        if night - first >= SILENT_DAYS:
            first = night
            began[night] = 1.0
        excess[first] = max(excess[first], nights[night] - level)
    return began, excess


def block_sums(began: Floats, excess: Floats, block: int) -> Floats:
    """Return how many episodes begin in every block of nights, and their excess. -> (n', 2)"""
    ends = np.cumsum(np.vstack([(0.0, 0.0), np.column_stack([began, excess])]), axis=0)
    return np.asarray(ends[block:] - ends[:-block])


def alarm_threshold(
    stretches: Sequence[Floats], alarms_per_quarter: float, rng: np.random.Generator
) -> float:
    """Return the level that nights without a break begin to exceed so many times a quarter.

    Episodes are told from nights as they followed each other; what is resampled are blocks of
    them, so that no episode begins where two blocks meet.

    Source: Davison & Smith (1990), peaks over a threshold; Kuensch (1989), moving blocks. The mean
        over resamples lets the tail's own uncertainty raise the level.

    Args:
        stretches: a value for each of some nights that follow each other.
    """
    level = float(np.quantile(np.concatenate(stretches), MIDDLING))
    told = [episodes(stretch, level) for stretch in stretches]
    block = min(BLOCK_DAYS, *(len(stretch) for stretch in stretches))
    within = [block_sums(began, excess, block) for began, excess in told]
    every = np.concatenate(within)  # (places, 2)
    blocks = -(-sum(map(len, stretches)) // block)
    drawn = every[rng.integers(0, len(every), size=(DRAWS, blocks))].sum(axis=1)
    began, excess = drawn.T
    rate = began / (blocks * block) * QUARTER_DAYS
    overall = max(float(excess.sum() / max(began.sum(), 1)), 1e-6)
    # A resample with few peaks says little of their size: it is drawn to what all say.
    scale = (excess + FEWEST_PEAKS * overall) / (began + FEWEST_PEAKS)
    low, high = level, level + 100 * overall
    for _ in range(60):
        middle = (low + high) / 2
        expected = float(np.mean(rate * np.exp(-(middle - level) / scale)))
        low, high = (middle, high) if expected > alarms_per_quarter else (low, middle)
    return high
