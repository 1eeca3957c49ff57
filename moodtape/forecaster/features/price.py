"""Features of price: returns, ranges, gaps to means. One step is one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import PRICE, feature
from moodtape.forecaster.features.rolling import (
    lagged,
    log_change,
    rolling_max,
    rolling_mean,
    rolling_min,
)

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats


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


@feature(group=PRICE, inputs=["close"], lookback=168, unit="log return")
def ret_168(close: Floats) -> Floats:
    """Log return over 168 bars."""
    return log_change(close, 168)


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


@feature(group=PRICE, inputs=["close"], lookback=72, unit="share of range")
def place_in_range_72(close: Floats) -> Floats:
    """Where the close lies between the lowest (0) and highest (1) close of 72 bars."""
    low, high = rolling_min(close, 72), rolling_max(close, 72)
    spread = high - low
    return np.asarray((close - low) / np.where(spread > 0, spread, np.nan))


@feature(group=PRICE, inputs=["close"], lookback=11, unit="log price")
def gap_to_mean_12(close: Floats) -> Floats:
    """Log of close over its mean of twelve bars."""
    return np.asarray(np.log(close / rolling_mean(close, 12)))


@feature(group=PRICE, inputs=["close"], lookback=47, unit="log price")
def gap_to_mean_48(close: Floats) -> Floats:
    """Log of close over its mean of 48 bars."""
    return np.asarray(np.log(close / rolling_mean(close, 48)))


@feature(group=PRICE, inputs=["close"], lookback=167, unit="log price")
def gap_to_mean_168(close: Floats) -> Floats:
    """Log of close over its mean of 168 bars."""
    return np.asarray(np.log(close / rolling_mean(close, 168)))
