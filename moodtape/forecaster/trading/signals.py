"""From forecasts to the position that a rule wants, bar by bar, and when it can have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.config.trading import TradingSection
    from moodtape.forecaster.trading.market import Market

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]

TRAILING_BARS = 168
"""Bars behind the volatility that sizes a position."""


def sides(forecast: Floats, target: str, settings: TradingSection, shorts: bool) -> Floats:
    """Return +1 (long), 0 (flat) or -1 (short) for each forecast. (m,) -> (m,)

    Args:
        forecast: mean log return, or P(return > 0) of the target `direction`.
        shorts: whether short positions may be held; else they are flat.
    """
    if target == "direction":
        lean, least = forecast - 0.5, settings.threshold_p
    else:
        lean, least = forecast, settings.threshold_bps * 1e-4
    found = np.where(np.abs(lean) > least, np.sign(lean), 0.0)
    found[np.isnan(forecast)] = 0.0
    return found if shorts else np.maximum(found, 0.0)


def signal_on_bars(market: Market, cutoffs: Instants, side: Floats, horizon_bars: int) -> Floats:
    """Return the wanted side at each bar's close: the mean of the last `horizon_bars` signals.

    A bar without a forecast signals nothing. (m,) -> (n,)
    """
    signal = np.zeros(len(market))
    bar = np.searchsorted(market.closes, cutoffs)
    there = (bar < len(market)) & (market.closes[np.minimum(bar, len(market) - 1)] == cutoffs)
    signal[bar[there]] = side[there]
    total = np.cumsum(np.append(np.zeros(horizon_bars), signal))
    return np.asarray((total[horizon_bars:] - total[:-horizon_bars]) / horizon_bars)


def size(market: Market, settings: TradingSection) -> Floats:
    """Return the largest position at each bar's close, as a share of equity. (n,)

    With a volatility target: the target over the trailing volatility of closes up to that bar,
    at most the leverage cap; nothing before there are enough bars.
    """
    if settings.volatility_target == 0:
        return np.full(len(market), settings.leverage_cap)
    returns = np.append(0.0, np.diff(np.log(market.close)))
    squares = np.cumsum(np.append(0.0, returns**2))
    count = np.minimum(np.arange(1, len(market) + 1), TRAILING_BARS)
    last = np.arange(1, len(market) + 1)
    mean = (squares[last] - squares[last - count]) / count
    yearly: Floats = np.sqrt(np.maximum(mean, 1e-16) * market.bars_per_year)
    found: Floats = np.minimum(settings.volatility_target / yearly, settings.leverage_cap)
    found[: min(TRAILING_BARS, len(market))] = 0.0
    return found


def fillable(market: Market, wanted: Floats, delay: np.timedelta64, optimistic: bool) -> Floats:
    """Return the position in force from each bar's open on: the newest that could be filled.

    An order is sent when the decision is made, `delay` after a close, and is filled at the open
    of the first bar that opens then or later. Optimistic: at the open that follows the close at
    once, which nobody can get. (n,) -> (n,)
    """
    sent = market.closes + (np.timedelta64(0, "us") if optimistic else delay)
    fill = np.searchsorted(market.opens, sent, side="left")
    newest = np.searchsorted(fill, np.arange(len(market)), side="right") - 1
    return np.where(newest >= 0, wanted[np.maximum(newest, 0)], 0.0)
