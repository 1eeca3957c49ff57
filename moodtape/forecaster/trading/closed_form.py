"""The same strategy without stops, limits and breaker, all bars at once.

Between two trades equity is linear in the price, so a path is a product over trades. It agrees
with `simulate` wherever both apply, and is what random strategies are drawn with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.trading.market import Market

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Trades:
    """Bars at whose open the position changes, and the position from then on. (k,) each."""

    bar: Rows
    share: Floats


def trades_of(wanted: Floats, band: float) -> Trades:
    """Return the trades of a wanted position: changes of side, and of size beyond the band."""
    change = np.flatnonzero(np.append(wanted[:1] != 0, wanted[1:] != wanted[:-1]))
    bars, shares, held = [], [], 0.0
    for bar, want in zip(change.tolist(), wanted[change].tolist(), strict=True):
        same_side = (want > 0) - (want < 0) == (held > 0) - (held < 0)
        if want != held and (not same_side or abs(want - held) > band):
            bars.append(bar)
            shares.append(want)
            held = want
    return Trades(np.array(bars, dtype=np.int64), np.array(shares, dtype=float))


def growth_at_trades(market: Market, trades: Trades, cost: float) -> tuple[Floats, Floats]:
    """Return equity after each trade and the position moved in it, as a share of equity. (k,)"""
    price, owed = market.open[trades.bar], market.owed[trades.bar]
    gain = (np.diff(price) - np.diff(owed)) / price[:-1]
    grown = 1.0 + trades.share[:-1] * gain
    with np.errstate(divide="ignore", invalid="ignore"):
        carried = np.where(grown > 0, trades.share[:-1] * price[1:] / price[:-1] / grown, 0.0)
    moved = np.abs(trades.share - np.append(0.0, carried))
    factor = np.append(1.0, np.maximum(grown, 0.0)) * np.maximum(1.0 - cost * moved, 0.0)
    return np.cumprod(factor), moved


def equity_at(market: Market, trades: Trades, cost: float, bars: Rows) -> Floats:
    """Return equity at the close of some bars, in order. (m,) -> (m,)

    Ruin is seen at trades and at these closes.
    """
    if not len(trades.bar):
        return np.ones(len(bars))
    after, _ = growth_at_trades(market, trades, cost)
    newest = np.searchsorted(trades.bar, bars, side="right") - 1
    place = np.maximum(newest, 0)
    price, owed = market.open[trades.bar[place]], market.owed[trades.bar[place]]
    gain = ((market.close[bars] - price) - (market.owed[bars] - owed)) / price
    equity = after[place] * (1.0 + trades.share[place] * gain)
    equity = np.where(newest < 0, 1.0, equity)
    ruined = np.logical_or.accumulate(equity <= 0)
    return np.where(ruined, 0.0, equity)


def equity_path(market: Market, wanted: Floats, cost: float, band: float) -> Floats:
    """Return equity at every close of a position that no rule of risk interrupts. (n,) -> (n,)"""
    return equity_at(market, trades_of(wanted, band), cost, np.arange(len(market)))
