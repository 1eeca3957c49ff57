"""Bars of a world: fat tails, clusters of volatility, loud and quiet hours, jumps and holes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

START = datetime(2022, 1, 3, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEPS = 12
"""Moves inside one bar; its high and low come from them."""

TAIL_DEGREES, HEAVY_DEGREES = 5, 3
"""Returns follow Student's t with so many degrees of freedom."""

JUMPS, JUMP_SIZE = 0.002, 5.0
"""Share of the bars that jump, and the deviation of a jump, in units of the bar's own."""

DAY_SWING, LOUDEST_HOUR = 0.25, 15
"""Log volatility of the loudest hour (UTC) above the day's mean; twelve hours later as far below.
"""

HOLES, HOLE_BARS = 1 / 1500, 6
"""A bar is the first of a hole so often; mean length of a hole in bars."""

REVERSAL = 0.08
"""Share of a move that the next bar takes back: 53.9 % of hours turn on BTC."""

VOLATILITY, VOLATILITY_SPREAD, VOLATILITY_MEMORY = 0.004, 0.35, 0.97
"""Usual deviation of an hour's move; deviation and hourly memory of its logarithm."""

RANGE_NOISE = 0.54
"""Deviation of half the log of a bar's measured variance from what older bars tell, measured."""


def draw_bars(
    rng: np.random.Generator, count: int, pull: Floats, stir: Floats, turns: float,
    degrees: int = TAIL_DEGREES, bar: timedelta = HOUR,
) -> pd.DataFrame:  # fmt: skip
    """Return bars as `storage.read.bar_versions` gives them, from `START` on.

    Args:
        pull: what a bar's move has besides its noise, in units of the bar's deviation; the noise
            shrinks by as much variance as the pull has. (T,)
        stir: is added to log volatility. (T,)
        turns: share of a move that the next bar takes back.
        degrees: of freedom of the noise. bar: length of one.
    """
    import pandas as pd

    log_volatility = VOLATILITY_SPREAD * autoregression(rng, count, VOLATILITY_MEMORY) + stir
    noise = np.sqrt(1 - pull.var()) * _noise(rng, count, degrees)
    size = volatility(bar) * np.exp(log_volatility + _loudness(count, bar))
    moves = size[:, None] * (noise + pull[:, None] / STEPS)
    if turns:
        from scipy.signal import lfilter

        whole = lfilter([1.0], [1.0, turns], moves.sum(axis=1))
        moves[1:] -= turns / STEPS * whole[:-1, None]
    path = np.cumsum(moves.ravel()).reshape(count, STEPS) + np.log(30_000)
    close = path[:, -1]
    opened = np.concatenate([[np.log(30_000)], close[:-1]])
    high, low = np.maximum(path.max(axis=1), opened), np.minimum(path.min(axis=1), opened)
    opens = pd.date_range(START, periods=count, freq=bar).as_unit("us")
    closes = opens + bar
    volume = np.exp(5 + np.log(high - low + 1e-6) + 0.3 * rng.standard_normal(count))
    return pd.DataFrame(
        {
            "open_time": opens, "close_time": closes, "known_at": closes,
            "open": np.exp(opened), "high": np.exp(high), "low": np.exp(low),
            "close": np.exp(close), "volume": volume, "taker_buy_volume": np.nan, "version": 1,
        }
    )  # fmt: skip


def volatility(bar: timedelta) -> float:
    """Return the usual deviation of a bar's move."""
    return VOLATILITY * float(np.sqrt(bar / HOUR))


def _loudness(count: int, bar: timedelta) -> Floats:
    """Return what the hour of the day adds to log volatility; nothing where a bar is a day. (T,)"""
    if bar >= DAY:
        return np.zeros(count)
    hour = np.arange(count) * (bar / HOUR)
    return DAY_SWING * np.cos(2 * np.pi * (hour - LOUDEST_HOUR) / 24)


def _noise(rng: np.random.Generator, count: int, degrees: int) -> Floats:
    """Return the moves of each bar but for its size; their sums have unit variance. (T, STEPS)"""
    tail = np.sqrt((degrees - 2) / rng.chisquare(degrees, count))
    noise = rng.standard_normal((count, STEPS)) / np.sqrt(STEPS) * tail[:, None]
    at = np.flatnonzero(rng.random(count) < JUMPS)
    noise[at, rng.integers(0, STEPS, len(at))] += JUMP_SIZE * rng.standard_normal(len(at))
    return np.asarray(noise / np.sqrt(1 + JUMPS * JUMP_SIZE**2))


def without_holes(rng: np.random.Generator, count: int) -> NDArray[np.bool_]:
    """Return which bars are there; the first and the last are. (T,)"""
    there = np.ones(count, dtype=bool)
    starts = np.flatnonzero(rng.random(count) < HOLES)
    for start, length in zip(starts, rng.geometric(1 / HOLE_BARS, len(starts)), strict=True):
        there[start : start + length] = False
    there[[0, -1]] = True
    return there


def autoregression(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """Return a stationary series of unit variance whose next value keeps a share of the last."""
    from scipy.signal import lfilter

    shocks = rng.standard_normal(count)
    shocks[1:] *= np.sqrt(1 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks))


def moving_sum(x: Floats, ago: int, bars: int) -> Floats:
    """Return the sum of `bars` values up to the one `ago` rows before; zero before the first.

    >>> moving_sum(np.arange(5.0), 1, 2).tolist()
    [0.0, 0.0, 1.0, 3.0, 5.0]
    """
    sums = np.cumsum(np.concatenate([np.zeros(ago + bars), x]))
    return np.asarray(sums[bars : bars + len(x)] - sums[: len(x)])
