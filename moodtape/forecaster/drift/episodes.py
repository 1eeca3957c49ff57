"""How often alarms would come by chance, and the threshold at which they come seldom enough.

An alarm is an episode: after it there is silence for a week, then it may come again.

1. over       nights on which something is over a level, as episodes
2. tail       episodes beyond a middling level, and how far their peaks reach: exponential
3. resample   the same of resampled nights, so that a short past makes a high threshold
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

FEWEST_PEAKS = 1.0


def episode_peaks(nights: Floats, level: float) -> tuple[Floats, Floats]:
    """Return how many episodes begin, and the sum of their peaks' excess, in each row of nights.

    (draws, nights) -> 2 x (draws,)
    """
    draws, count = nights.shape
    began, excess = np.zeros(draws), np.zeros(draws)
    armed = np.zeros(draws)
    peak = np.zeros(draws)
    for night in range(count):
        over = nights[:, night] - level
        starts = (over > 0) & (armed <= 0)
        excess += np.where(starts, peak, 0.0)  # the peak of the one before is settled
        peak = np.where(starts, over, np.where(armed > 0, np.maximum(peak, over), peak))
        began += starts
        armed = np.where(starts, SILENT_DAYS - 1, armed - 1)
    return began, excess + np.where(began > 0, peak, 0.0)


def resampled(
    stretches: Sequence[Floats], block: int, draws: int, rng: np.random.Generator
) -> Floats:
    """Return nights resampled in blocks, none of which crosses the end of a stretch.

    Source: Kuensch (1989), moving blocks.

    Args:
        stretches: a value for each of some nights that follow each other.
    Returns:
        As many nights as there are in all, shape (draws, nights).
    """
    whole = np.concatenate(stretches)
    starts: list[int] = []
    at = 0
    for stretch in stretches:
        starts += range(at, at + max(len(stretch) - block, 0) + 1)
        at += len(stretch)
    block = min(block, *(len(s) for s in stretches))
    blocks = int(np.ceil(len(whole) / block))
    first = rng.choice(np.array(starts), size=(draws, blocks))
    rows = (first[:, :, None] + np.arange(block)).reshape(draws, -1)[:, : len(whole)]
    return np.asarray(whole[rows])


def alarm_threshold(
    stretches: Sequence[Floats],
    alarms_per_quarter: float,
    rng: np.random.Generator,
    block: int = 28,
    draws: int = 200,
) -> float:
    """Return the level that nights without a break begin to exceed so many times a quarter.

    Source: Davison & Smith (1990), peaks over a threshold; the mean over resamples lets the
        tail's own uncertainty raise the level.
    """
    nights = resampled(stretches, block, draws, rng)
    level = float(np.quantile(np.concatenate(stretches), MIDDLING))
    began, excess = episode_peaks(nights, level)
    rate = began / nights.shape[1] * QUARTER_DAYS
    overall = max(float(excess.sum() / max(began.sum(), 1)), 1e-6)
    # A resample with few peaks says little of their size: it is drawn to what all say.
    scale = (excess + FEWEST_PEAKS * overall) / (began + FEWEST_PEAKS)
    low, high = level, level + 100 * overall
    for _ in range(60):
        middle = (low + high) / 2
        expected = float(np.mean(rate * np.exp(-(middle - level) / scale)))
        low, high = (middle, high) if expected > alarms_per_quarter else (low, middle)
    return high
