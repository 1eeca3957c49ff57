"""Features of how far prices move, whichever way. One step is one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import PRICE, feature
from moodtape.forecaster.features.rolling import log_change, rolling_mean

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats

VARIANCE_FLOOR = 1e-8
"""(1 basis point)^2: a bar that did not move still has a logarithm."""


def garman_klass(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Return the variance of one bar's log return from its range. (T,) -> (T,)

    Source: Garman & Klass (1980), On the estimation of security price volatilities.
    """
    spread, move = np.log(high / low), np.log(close / open)
    return np.asarray(0.5 * spread**2 - (2 * np.log(2) - 1) * move**2)


@feature(group=PRICE, inputs=["open", "high", "low", "close"], lookback=0, unit="log variance")
def log_variance_1(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Log of the last bar's Garman-Klass variance."""
    return _log(garman_klass(open, high, low, close))


@feature(group=PRICE, inputs=["open", "high", "low", "close"], lookback=5, unit="log variance")
def log_variance_6(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Log of the mean Garman-Klass variance of six bars."""
    return _log(rolling_mean(garman_klass(open, high, low, close), 6))


@feature(group=PRICE, inputs=["open", "high", "low", "close"], lookback=23, unit="log variance")
def log_variance_24(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Log of the mean Garman-Klass variance of 24 bars."""
    return _log(rolling_mean(garman_klass(open, high, low, close), 24))


@feature(group=PRICE, inputs=["open", "high", "low", "close"], lookback=167, unit="log variance")
def log_variance_168(open: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Log of the mean Garman-Klass variance of 168 bars."""
    return _log(rolling_mean(garman_klass(open, high, low, close), 168, min_share=0.5))


@feature(group=PRICE, inputs=["close"], lookback=24, unit="log variance")
def realised_24(close: Floats) -> Floats:
    """Log of the mean squared log return of 24 bars: realised variance."""
    return _log(rolling_mean(log_change(close, 1) ** 2, 24))


@feature(group=PRICE, inputs=["close"], lookback=168, unit="log variance")
def realised_168(close: Floats) -> Floats:
    """Log of the mean squared log return of 168 bars."""
    return _log(rolling_mean(log_change(close, 1) ** 2, 168, min_share=0.5))


@feature(group=PRICE, inputs=["high", "low"], lookback=23, unit="log variance")
def parkinson_24(high: Floats, low: Floats) -> Floats:
    """Log of the mean variance of 24 bars from their highs and lows. Source: Parkinson (1980)."""
    return _log(rolling_mean(np.log(high / low) ** 2 / (4 * np.log(2)), 24))


def _log(variance: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(variance, VARIANCE_FLOOR)))
