"""Whether losses have grown against persistence: a sum that falls back to zero when all is well.

1. thin         every h-th forecast of a horizon of h bars, so that answers do not overlap
2. difference   loss less what persistence's losses explain of it, in its own mean and spread
3. sum          S = max(0, S + x - slack), looked at every night
4. threshold    from resampled quarters of the losses before the reset, whose mean is as unsure
                as the one that is subtracted
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.drift.episodes import QUARTER_DAYS
from moodtape.forecaster.stats import block_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SLACK = 0.1
"""Half of the shift it is tuned to: a fifth of the spread, about 20 % of a volatility's loss."""

CUT = 4.0
"""Standardised differences are cut here: one wild bar is no trend."""

FEWEST_DAYS = 42


@dataclass(frozen=True)
class Cusum:
    """What losses were like before the reset, and the sum from which on they have grown.

    slopes: how much of each of persistence's losses is taken off, shape (k,).
    center, spread: of the difference.
    """

    slopes: Floats
    center: float
    spread: float
    threshold: float

    def path(self, loss: Floats, references: Floats) -> Floats:
        """Return the sum after each forecast since the reset. (n,), (n, k) -> (n,)"""
        return np.asarray(sums(self.steps(loss, references)[None, :])[0])

    def steps(self, loss: Floats, references: Floats) -> Floats:
        """Return the standardised differences. (n,), (n, k) -> (n,)"""
        difference = loss - references @ self.slopes - self.center
        return np.clip(difference / self.spread, -CUT, CUT)


def sums(steps: Floats) -> Floats:
    """Return the running sum that never falls below zero. (draws, n) -> (draws, n)

    Source: Page (1954).
    """
    walk = np.cumsum(steps - SLACK, axis=1)
    return np.asarray(walk - np.minimum(np.minimum.accumulate(walk, axis=1), 0.0))


def fit_cusum(
    loss: Floats,
    references: Floats,
    bars_per_day: float,
    alarms_per_quarter: float,
    rng: np.random.Generator,
    draws: int = 300,
) -> Cusum:
    """Return what to hold later losses to.

    Args:
        loss, references: of thinned forecasts before the reset in order of time, the model's
            and those of persistence, of one kind or several, shapes (n,) and (n, k).
        bars_per_day: thinned forecasts a day.
        alarms_per_quarter: how many false alarms it may raise.
    """
    centred = references - references.mean(axis=0)
    slopes = np.linalg.lstsq(centred, loss - loss.mean(), rcond=1e-8)[0]
    difference = loss - references @ slopes
    center, spread = float(difference.mean()), max(float(difference.std()), 1e-12)
    x = np.clip((difference - center) / spread, -CUT, CUT)
    block = max(1, round(block_length(x, 1, bars_per_day)))
    quarter = max(int(QUARTER_DAYS * bars_per_day), 2)
    paths = _moving_blocks(x, quarter, block, draws, rng)
    # The mean that is subtracted is as unsure as that of another past of the same length.
    paths -= _moving_blocks(x, len(x), block, draws, rng).mean(axis=1, keepdims=True)
    threshold = _threshold(paths, max(round(bars_per_day), 1), alarms_per_quarter)
    return Cusum(slopes, center, spread, threshold)


def _threshold(paths: Floats, per_night: int, alarms_per_quarter: float) -> float:
    """Return the sum that paths of a quarter reach so many times on average.

    A sum that has raised an alarm begins again, so that one path may raise several: where the
    mean that was subtracted is too low, they come in rows.
    """
    low, high = SLACK, float(sums(paths).max()) + 1.0
    for _ in range(12):
        middle = (low + high) / 2
        more = _alarms(paths, per_night, middle) > alarms_per_quarter
        low, high = (middle, high) if more else (low, middle)
    return high


def _alarms(paths: Floats, per_night: int, threshold: float) -> float:
    """Return how many alarms a path raises on average, looked at every night."""
    nights = paths.shape[1] // per_night
    walk = np.cumsum((paths - SLACK)[:, : nights * per_night].reshape(-1, nights, per_night), 2)
    gain = walk[:, :, -1].T
    # What a night ends with that began at zero: it is the sum since its lowest point.
    own = (walk[:, :, -1] - np.minimum(walk.min(axis=2), 0.0)).T
    level, count = np.zeros(len(paths)), 0
    for added, least in zip(gain, own, strict=True):
        level = np.maximum(level + added, least)
        over = level >= threshold
        count += int(over.sum())
        level[over] = 0.0
    return count / len(paths)


def _moving_blocks(
    x: Floats, length: int, block: int, draws: int, rng: np.random.Generator
) -> Floats:
    """Return series resampled in blocks. (n,) -> (draws, length)

    Source: Kuensch (1989), moving blocks.
    """
    first = rng.integers(0, max(len(x) - block, 0) + 1, size=(draws, -(-length // block)))
    rows = (first[:, :, None] + np.arange(block)).reshape(draws, -1)[:, :length]
    return np.asarray(x[np.minimum(rows, len(x) - 1)])
