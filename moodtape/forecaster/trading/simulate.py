"""A strategy's way through the bars, one event after the other.

At each bar, in this order: funding is paid at the open; a price that opened beyond a stop or a
limit closes the position there; the rule's new position is traded at the open; the bar's low and
high touch a stop or a limit (both: the stop, since nobody knows which came first); equity is
marked at the close, where the breaker looks at it.

Between trades the number of coins is held. Costs are a share of what is traded, taken from equity
before the new position is sized. A stop is a market order and pays fee and slippage; a limit pays
the fee. After either, the rule stays flat until its signal has changed sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.config.trading import TradingSection
    from moodtape.forecaster.trading.market import Market

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """What a strategy did; arrays have shape (n,), one entry a bar.

    equity: at each close, net of costs, 1.0 before the first bar.
    weight: position at each close as a share of equity.
    traded: notional traded in each bar, as a share of equity then.
    trades: changes of position; stops, limits, breaks: how many closed one.
    costs, funding: sums, in units of the starting equity.
    """

    equity: Floats
    weight: Floats
    traded: Floats
    trades: int
    stops: int
    limits: int
    breaks: int
    costs: float
    funding: float


class _Account:
    """Equity and position between trades, valued by price and funding owed."""

    def __init__(self, cost: float) -> None:
        self.cost = cost
        self.base, self.share = 1.0, 0.0  # equity after the last trade; position in it
        self.price, self.owed = 1.0, 0.0
        self.entry = 0.0
        self.trades, self.costs, self.funding, self.traded = 0, 0.0, 0.0, 0.0

    def value(self, price: float, owed: float) -> float:
        """Return equity at a price."""
        gain = ((price - self.price) - (owed - self.owed)) / self.price
        return max(self.base * (1.0 + self.share * gain), 0.0)

    def held(self, price: float, owed: float) -> float:
        """Return the position as a share of equity at a price."""
        equity = self.value(price, owed)
        return self.base * self.share * price / self.price / equity if equity > 0 else 0.0

    def trade(self, share: float, price: float, owed: float, cost: float) -> None:
        """Take a position, a share of equity; costs come off first."""
        equity, before = self.value(price, owed), self.held(price, owed)
        moved = abs(share - before)
        self.funding += self.base * self.share * (owed - self.owed) / self.price
        self.costs += equity * min(cost * moved, 1.0)
        self.traded += moved
        self.trades += 1
        if before * share <= 0:
            self.entry = price
        self.base, self.share = equity * max(1.0 - cost * moved, 0.0), share
        self.price, self.owed = price, owed


def simulate(market: Market, wanted: Floats, settings: TradingSection) -> Path:
    """Follow a position through the bars, with stops, limits and the breaker.

    Args:
        wanted: position in force from each bar's open on, as a share of equity; shape (n,).
    """
    n, account = len(market), _Account(settings.cost)
    owed = market.owed.tolist()
    opens, highs, lows, closes = (
        series.tolist() for series in (market.open, market.high, market.low, market.close)
    )
    times, target = market.closes, wanted.tolist()
    equity, weight, traded = np.empty(n), np.empty(n), np.zeros(n)
    stops = limits = breaks = 0
    barred, peak, rest_until = 0.0, 1.0, None
    goal = 0.0
    floor = 1.0 - settings.max_drawdown if settings.max_drawdown else -1.0
    rest = np.timedelta64(round(settings.cool_down_d * 86_400), "s")
    for i in range(n):
        price, due = opens[i], owed[i]
        account.traded = 0.0
        closed = _beyond_at_open(account, settings, price)
        if closed:
            account.trade(0.0, price, due, _exit_cost(settings, closed))
            stops, limits = stops + (closed == "stop"), limits + (closed == "limit")
            barred, goal = _side(target[i - 1]), 0.0
        want = target[i]
        if barred and _side(want) != barred:
            barred = 0.0
        if barred or (rest_until is not None and times[i - 1] <= rest_until):
            want = 0.0
        elif rest_until is not None:
            rest_until, peak = None, account.value(price, due)
        if _moves(goal, want, settings.resize_band):
            account.trade(want, price, due, settings.cost)
            goal = want
        touched, level = _touched(account, settings, highs[i], lows[i])
        if touched:
            account.trade(0.0, level, due, _exit_cost(settings, touched))
            stops, limits = stops + (touched == "stop"), limits + (touched == "limit")
            barred, goal = _side(target[i]), 0.0
        equity[i] = account.value(closes[i], due)
        if equity[i] <= 0:
            account.base = 0.0  # ruined: no later price brings it back
        weight[i] = account.held(closes[i], due)
        traded[i] = account.traded
        peak = max(peak, equity[i])
        if rest_until is None and equity[i] < floor * peak:
            breaks += 1
            rest_until = times[i] + rest
    return Path(
        equity, weight, traded, account.trades, stops, limits, breaks, account.costs,
        account.funding,
    )  # fmt: skip


def _side(position: float) -> float:
    return (position > 0) - (position < 0) + 0.0


def _moves(held: float, want: float, band: float) -> bool:
    """Say whether a change of position is traded: a change of side always, of size if it pays."""
    return want != held and (_side(want) != _side(held) or abs(want - held) > band)


def _exit_cost(settings: TradingSection, how: str) -> float:
    return settings.cost if how == "stop" else settings.fee_bps * 1e-4


def _levels(account: _Account, settings: TradingSection) -> tuple[float | None, float | None]:
    """Return the prices of the stop and of the limit of the position held."""
    side = _side(account.share)
    stop = account.entry * (1.0 - side * settings.stop_loss) if settings.stop_loss else None
    take = account.entry * (1.0 + side * settings.take_profit) if settings.take_profit else None
    return stop, take


def _beyond_at_open(account: _Account, settings: TradingSection, price: float) -> str:
    """Say whether the open lies beyond the stop or the limit: the price gapped through it."""
    if account.share == 0:
        return ""
    side = _side(account.share)
    stop, take = _levels(account, settings)
    if stop is not None and side * (price - stop) <= 0:
        return "stop"
    return "limit" if take is not None and side * (price - take) >= 0 else ""


def _touched(
    account: _Account, settings: TradingSection, high: float, low: float
) -> tuple[str, float]:
    """Say whether the bar touched the stop or the limit, and at which price."""
    if account.share == 0:
        return "", 0.0
    side = _side(account.share)
    worst, best = (low, high) if side > 0 else (high, low)
    stop, take = _levels(account, settings)
    if stop is not None and side * (worst - stop) <= 0:
        return "stop", stop
    if take is not None and side * (best - take) >= 0:
        return "limit", take
    return "", 0.0
