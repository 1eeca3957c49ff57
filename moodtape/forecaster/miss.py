"""How far a plain rule has missed lately: what the intervals of volatility are wide by.

Log volatility jumps about more in some seasons than in others, and the months that calibrate
may be of the calmer kind. A rule without a model shows which season it is: what it missed by
over the last two weeks is known at every bar and owes nothing to any fit. It is to volatility
what the trailing variance, the misses of "the price stays", is to returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.rolling import lagged, rolling_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RULE_ANSWERS = 8
"""The rule: the mean of so many answers, the last that are known, comes again."""

MISS_BARS = 336
"""Misses of so many bars are averaged: two weeks of hours. Half of it is noisy at 24 bars
ahead, twice of it late; chosen on hourly BTC (docs/forecasts.md)."""

FEWEST_MISSES = 8
LEAST_MISS = 0.05
"""A log volatility is never taken to be surer than this."""


def trailing_miss(y: Floats, horizon_bars: int) -> Floats:
    """Return the rule's root mean square miss as known at each row, NaN before there was one.

    Args:
        y: log volatility over the `horizon_bars` bars after each row of one symbol's complete
            grid, NaN where there is none, shape (T,). So it is known that many rows later.
    Returns:
        In the unit of `y`, shape (T,).
    """
    known = lagged(y, horizon_bars)
    rule = rolling_mean(known, RULE_ANSWERS, 1 / RULE_ANSWERS)
    squares = (known - lagged(rule, horizon_bars)) ** 2
    mean = rolling_mean(squares, MISS_BARS, FEWEST_MISSES / MISS_BARS)
    return np.maximum(np.sqrt(mean), LEAST_MISS)


def miss_reach(horizon_bars: int) -> int:
    """Return how many bars before a row its trailing miss depends on."""
    return MISS_BARS + RULE_ANSWERS + 2 * horizon_bars
