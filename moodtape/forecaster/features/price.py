"""Features of price and volume. One step is one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import PRICE, feature
from moodtape.forecaster.features.rolling import (
    decayed_mean,
    lagged,
    log_change,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_std,
)

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats

VARIANCE_FLOOR = 1e-8
"""(1 basis point)^2: a bar that did not move still has a logarithm."""

WILDER_14 = 13 / 14
WILDER_STEPS = 256


def garman_klass(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Return the variance of one bar's log return from its range. (T,) -> (T,)

    Source: Garman & Klass (1980), On the estimation of security price volatilities.
    """
    spread, move = np.log(high / low), np.log(close / open)
    return np.asarray(0.5 * spread**2 - (2 * np.log(2) - 1) * move**2)


@feature(group=PRICE, inputs=["close"], lookback=1, unit="log return")
def ret_1(close: Floats) -> Floats:
    """Log return over the last bar."""
    return log_change(close, 1)


@feature(group=PRICE, inputs=["close"], lookback=2, unit="log return")
def ret_1_lag_1(close: Floats) -> Floats:
    """Log return of the bar before the last."""
    return lagged(log_change(close, 1), 1)


@feature(group=PRICE, inputs=["close"], lookback=3, unit="log return")
def ret_1_lag_2(close: Floats) -> Floats:
    """Log return of the bar two before the last."""
    return lagged(log_change(close, 1), 2)


@feature(group=PRICE, inputs=["close"], lookback=4, unit="log return")
def ret_4(close: Floats) -> Floats:
    """Log return over four bars."""
    return log_change(close, 4)


@feature(group=PRICE, inputs=["close"], lookback=12, unit="log return")
def ret_12(close: Floats) -> Floats:
    """Log return over twelve bars."""
    return log_change(close, 12)


@feature(group=PRICE, inputs=["close"], lookback=24, unit="log return")
def ret_24(close: Floats) -> Floats:
    """Log return over 24 bars."""
    return log_change(close, 24)


@feature(group=PRICE, inputs=["close"], lookback=72, unit="log return")
def ret_72(close: Floats) -> Floats:
    """Log return over 72 bars."""
    return log_change(close, 72)


@feature(group=PRICE, inputs=["high", "low"], lookback=0, unit="log price")
def bar_range(high: Floats, low: Floats) -> Floats:
    """Log of high over low of the last bar."""
    return np.asarray(np.log(high / low))


@feature(group=PRICE, inputs=["high", "low", "close"], lookback=0, unit="share of range")
def close_location(high: Floats, low: Floats, close: Floats) -> Floats:
    """Where the close lies between low (-1) and high (1); 0 in a bar without range."""
    spread = high - low
    safe = np.where(spread > 0, spread, 1.0)
    return np.where(
        np.isnan(spread), np.nan, np.where(spread > 0, (2 * close - high - low) / safe, 0)
    )


@feature(group=PRICE, inputs=["open", "high", "low", "close"], lookback=0, unit="log variance")
def log_variance_1(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Log of the last bar's Garman-Klass variance."""
    return np.asarray(np.log(np.maximum(garman_klass(open, high, low, close), VARIANCE_FLOOR)))


@feature(group=PRICE, inputs=["open", "high", "low", "close"], lookback=5, unit="log variance")
def log_variance_6(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Log of the mean Garman-Klass variance of six bars."""
    mean = rolling_mean(garman_klass(open, high, low, close), 6)
    return np.asarray(np.log(np.maximum(mean, VARIANCE_FLOOR)))


@feature(group=PRICE, inputs=["open", "high", "low", "close"], lookback=23, unit="log variance")
def log_variance_24(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Log of the mean Garman-Klass variance of 24 bars."""
    mean = rolling_mean(garman_klass(open, high, low, close), 24)
    return np.asarray(np.log(np.maximum(mean, VARIANCE_FLOOR)))


@feature(group=PRICE, inputs=["open", "high", "low", "close"], lookback=167, unit="log variance")
def log_variance_168(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Log of the mean Garman-Klass variance of 168 bars."""
    mean = rolling_mean(garman_klass(open, high, low, close), 168, min_share=0.5)
    return np.asarray(np.log(np.maximum(mean, VARIANCE_FLOOR)))


@feature(group=PRICE, inputs=["close"], lookback=11, unit="log price")
def gap_to_mean_12(close: Floats) -> Floats:
    """Log of close over its mean of twelve bars."""
    return np.asarray(np.log(close / rolling_mean(close, 12)))


@feature(group=PRICE, inputs=["close"], lookback=47, unit="log price")
def gap_to_mean_48(close: Floats) -> Floats:
    """Log of close over its mean of 48 bars."""
    return np.asarray(np.log(close / rolling_mean(close, 48)))


@feature(group=PRICE, inputs=["close"], lookback=WILDER_STEPS, unit="0 to 1")
def rsi_14(close: Floats) -> Floats:
    """Relative strength: decayed gains over decayed gains and losses, 14 bars.

    Source: Wilder (1978), New Concepts in Technical Trading Systems.
    """
    change = close - lagged(close, 1)
    gain = np.where(np.isnan(change), np.nan, np.maximum(change, 0))
    moved = np.abs(change)
    up = decayed_mean(gain, WILDER_14, WILDER_STEPS, 0.5)
    all_moves = decayed_mean(moved, WILDER_14, WILDER_STEPS, 0.5)
    return np.where(all_moves > 0, up / np.where(all_moves > 0, all_moves, 1), 0.5) + 0 * up


@feature(group=PRICE, inputs=["close"], lookback=160, unit="share of price")
def macd_gap(close: Floats) -> Floats:
    """Moving average convergence: mean of 12 bars less mean of 26, decayed, over price."""
    fast = decayed_mean(close, 1 - 2 / 13, 160, 0.8)
    slow = decayed_mean(close, 1 - 2 / 27, 160, 0.8)
    return np.asarray((fast - slow) / close)


@feature(group=PRICE, inputs=["close"], lookback=19, unit="standard deviations")
def bollinger_20(close: Floats) -> Floats:
    """Distance of the close from its mean of 20 bars, in their standard deviations."""
    spread = rolling_std(close, 20)
    return np.asarray((close - rolling_mean(close, 20)) / np.where(spread > 0, spread, np.nan))


@feature(group=PRICE, inputs=["high", "low", "close"], lookback=WILDER_STEPS, unit="share of price")
def atr_14(high: Floats, low: Floats, close: Floats) -> Floats:
    """Average true range of 14 bars over price. Source: Wilder (1978)."""
    before = lagged(close, 1)
    true_range = np.maximum(high, before) - np.minimum(low, before)
    return np.asarray(decayed_mean(true_range, WILDER_14, WILDER_STEPS, 0.5) / close)


@feature(group=PRICE, inputs=["close"], lookback=72, unit="share of range")
def place_in_range_72(close: Floats) -> Floats:
    """Where the close lies between the lowest (0) and highest (1) close of 72 bars."""
    low, high = rolling_min(close, 72), rolling_max(close, 72)
    spread = high - low
    return np.asarray((close - low) / np.where(spread > 0, spread, np.nan))


@feature(group=PRICE, inputs=["volume"], lookback=47, unit="log ratio")
def volume_surprise(volume: Floats) -> Floats:
    """Log of the last bar's volume over its mean of 48 bars."""
    return np.asarray(np.log((volume + 1e-12) / (rolling_mean(volume, 48) + 1e-12))).clip(-10, 10)


@feature(group=PRICE, inputs=["volume"], lookback=167, unit="log ratio")
def volume_trend(volume: Floats) -> Floats:
    """Log of mean volume of 12 bars over that of 168."""
    slow = rolling_mean(volume, 168, min_share=0.5)
    return np.asarray(np.log((rolling_mean(volume, 12) + 1e-12) / (slow + 1e-12))).clip(-10, 10)
