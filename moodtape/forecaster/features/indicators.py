"""The chartists' indicators, as shares of the price. One step is one bar.

Their recursions are written as sums over a cut kernel, so that a value has a look-back. With
384 bars behind them they differ from the recursions of TA-Lib by less than 1e-9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import PRICE, feature
from moodtape.forecaster.features.rolling import decayed_mean, lagged, rolling_mean, rolling_std

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats

STEPS = 384
"""Where the kernels of RSI, ATR and MACD are cut: (25/27)^384 = 1.5e-13 of the weight is left."""

SIGNAL_STEPS = 128
WILDER_14 = 13 / 14


@feature(group=PRICE, inputs=["close"], lookback=STEPS, unit="0 to 1")
def rsi_14(close: Floats) -> Floats:
    """Relative strength: decayed gains over decayed gains and losses, 14 bars.

    Source: Wilder (1978), New Concepts in Technical Trading Systems.
    """
    change = close - lagged(close, 1)
    gain = np.where(np.isnan(change), np.nan, np.maximum(change, 0))
    moved = np.abs(change)
    up = decayed_mean(gain, WILDER_14, STEPS, 0.5)
    all_moves = decayed_mean(moved, WILDER_14, STEPS, 0.5)
    return np.where(all_moves > 0, up / np.where(all_moves > 0, all_moves, 1), 0.5) + 0 * up


@feature(group=PRICE, inputs=["close"], lookback=STEPS - 1, unit="share of price")
def macd_gap(close: Floats) -> Floats:
    """Moving average convergence: mean of 12 bars less mean of 26, decayed, over price."""
    return np.asarray(_macd(close) / close)


@feature(group=PRICE, inputs=["close"], lookback=STEPS + SIGNAL_STEPS - 2, unit="share of price")
def macd_histogram(close: Floats) -> Floats:
    """Moving average convergence less its own decayed mean of 9 bars, over price."""
    line = _macd(close)
    return np.asarray((line - decayed_mean(line, 1 - 2 / 10, SIGNAL_STEPS, 0.8)) / close)


@feature(group=PRICE, inputs=["close"], lookback=19, unit="standard deviations")
def bollinger_20(close: Floats) -> Floats:
    """Distance of the close from its mean of 20 bars, in their standard deviations."""
    spread = rolling_std(close, 20)
    return np.asarray((close - rolling_mean(close, 20)) / np.where(spread > 0, spread, np.nan))


@feature(group=PRICE, inputs=["close"], lookback=19, unit="share of price")
def bollinger_width_20(close: Floats) -> Floats:
    """Distance of the bands, two standard deviations of 20 bars on either side, over their mean."""
    return np.asarray(4 * rolling_std(close, 20) / rolling_mean(close, 20))


@feature(group=PRICE, inputs=["high", "low", "close"], lookback=STEPS, unit="share of price")
def atr_14(high: Floats, low: Floats, close: Floats) -> Floats:
    """Average true range of 14 bars over price. Source: Wilder (1978)."""
    before = lagged(close, 1)
    true_range = np.maximum(high, before) - np.minimum(low, before)
    return np.asarray(decayed_mean(true_range, WILDER_14, STEPS, 0.5) / close)


def _macd(close: Floats) -> Floats:
    fast = decayed_mean(close, 1 - 2 / 13, STEPS, 0.8)
    slow = decayed_mean(close, 1 - 2 / 27, STEPS, 0.8)
    return fast - slow
