"""Features of how much was traded, and who took. One step is one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import PRICE, feature
from moodtape.forecaster.features.rolling import decayed_sum, rolling_mean, rolling_std

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats

LEAST = 1e-12
"""Added to volumes, so that a bar without trades has a logarithm."""


@feature(group=PRICE, inputs=["volume"], lookback=47, unit="log ratio")
def volume_surprise(volume: Floats) -> Floats:
    """Log of the last bar's volume over its mean of 48 bars."""
    return np.asarray(np.log((volume + LEAST) / (rolling_mean(volume, 48) + LEAST))).clip(-10, 10)


@feature(group=PRICE, inputs=["volume"], lookback=167, unit="log ratio")
def volume_trend(volume: Floats) -> Floats:
    """Log of mean volume of 12 bars over that of 168."""
    slow = rolling_mean(volume, 168, min_share=0.5)
    return np.asarray(np.log((rolling_mean(volume, 12) + LEAST) / (slow + LEAST))).clip(-10, 10)


@feature(group=PRICE, inputs=["volume"], lookback=167, unit="standard deviations")
def volume_score(volume: Floats) -> Floats:
    """Log volume less its mean of 168 bars, in their standard deviations, cut at -8 and 8."""
    level = np.log(volume + LEAST)
    spread = rolling_std(level, 168, min_share=0.5)
    gap = level - rolling_mean(level, 168, min_share=0.5)
    return np.where(spread > 0, gap / np.where(spread > 0, spread, 1), 0 * gap).clip(-8, 8)


@feature(group=PRICE, inputs=["volume", "taker_buy_volume"], lookback=0, unit="-1 to 1")
def taker_imbalance(volume: Floats, taker_buy_volume: Floats) -> Floats:
    """Takers' purchases less their sales over all volume; NaN where unknown or nothing traded."""
    return _imbalance(volume, taker_buy_volume)


@feature(group=PRICE, inputs=["volume", "taker_buy_volume"], lookback=23, unit="-1 to 1")
def taker_imbalance_24(volume: Floats, taker_buy_volume: Floats) -> Floats:
    """Takers' purchases less their sales over all volume of 24 bars, of those that tell."""
    known = ~np.isnan(volume) & ~np.isnan(taker_buy_volume)
    bought = decayed_sum(np.where(known, taker_buy_volume, np.nan), 1.0, 24)
    traded = decayed_sum(np.where(known, volume, np.nan), 1.0, 24)
    return _imbalance(traded, bought)


def _imbalance(traded: Floats, bought: Floats) -> Floats:
    some = np.where(traded > 0, traded, np.nan)
    return np.asarray((2 * bought / some - 1).clip(-1, 1))
