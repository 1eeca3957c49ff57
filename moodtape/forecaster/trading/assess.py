"""Everything there is to say about one rule on one market: figures, rivals, luck, rules of risk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import from_datetime64
from moodtape.forecaster.trading import ratios
from moodtape.forecaster.trading.closed_form import trades_of
from moodtape.forecaster.trading.luck import random_sharpes, sharpe_difference
from moodtape.forecaster.trading.market import Market, daily_returns
from moodtape.forecaster.trading.signals import fillable, sides, signal_on_bars, size
from moodtape.forecaster.trading.simulate import Path, simulate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.config.trading import TradingSection

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]

COSTS_BPS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
WORST = 10
DRAWS = 2_000
RULES = ("volatility_target", "stop_loss", "take_profit", "max_drawdown")


@dataclass(frozen=True)
class Rule:
    """Forecasts of one target, and how a rule trades on them.

    cutoffs: closes at which the forecasts were made, in order; shape (m,).
    target: `return` or `direction`; horizon_bars: bars ahead.
    delay: from a close to its decision; shorts: whether a position may be short.
    """

    cutoffs: Instants
    target: str
    horizon_bars: int
    delay: np.timedelta64
    shorts: bool


def positions(
    market: Market, rule: Rule, forecast: Floats, settings: TradingSection, optimistic: bool = False
) -> Floats:
    """Return the position in force from each bar's open on. (m,) -> (n,)"""
    side = sides(forecast, rule.target, settings, rule.shorts)
    wanted = signal_on_bars(market, rule.cutoffs, side, rule.horizon_bars) * size(market, settings)
    return fillable(market, wanted, rule.delay, optimistic or settings.fill == "optimistic")


def traded_span(market: Market, rule: Rule) -> tuple[int, int]:
    """Return the bars that a rule may trade in: from its first forecast to its last one's end."""
    first = int(np.searchsorted(market.closes, rule.cutoffs[0]))
    last = int(np.searchsorted(market.closes, rule.cutoffs[-1]))
    return first, min(last + rule.horizon_bars + 3, len(market))


def figures(market: Market, path: Path) -> dict[str, Any]:
    """Return a path's figures: returns and ratios from daily net returns, trades, risk."""
    year, daily = market.days_per_year, daily_returns(market, path.equity)
    notional = float((path.traded * np.append(1.0, path.equity[:-1])).sum())
    return {
        "total_return": ratios.total_return(daily),
        "yearly_return": ratios.yearly_return(daily, year),
        "volatility": ratios.volatility(daily, year),
        "sharpe": ratios.sharpe(daily, year),
        "sortino": ratios.sortino(daily, year),
        "calmar": ratios.calmar(daily, year),
        "max_drawdown": ratios.max_drawdown(path.equity),
        "exposure": float(np.mean(np.abs(path.weight))),
        "time_in_market": float(np.mean(path.weight != 0)),
        "turnover": notional / max(len(daily) / year, 1e-9),
        "traded": notional,
        "trades": path.trades,
        "stops": path.stops,
        "limits": path.limits,
        "breaks": path.breaks,
        "costs": path.costs,
        "funding": path.funding,
        "days": len(daily),
    }


def assess(
    market: Market,
    rule: Rule,
    forecasts: Mapping[str, Floats],
    name: str,
    settings: TradingSection,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return what a rule on `forecasts[name]` did, and everything it has to be compared with.

    Args:
        market: bars from long enough before the first forecast to size a position.
        forecasts: by model, each of shape (m,): the one that is judged, `null`, baselines.
        rng: for random strategies and resamples.
    """
    first, last = traded_span(market, rule)
    span = market.part(first, last)

    def run(forecast: Floats, rules: TradingSection, optimistic: bool = False) -> Path:
        wanted = positions(market, rule, forecast, rules, optimistic)[first:last]
        return simulate(span, wanted, rules)

    own = forecasts[name]
    path = run(own, settings)
    free = run(own, settings.model_copy(update={"fee_bps": 0.0, "slippage_bps": 0.0}))
    gross, traded = float(free.equity[-1] - 1.0), figures(span, free)["traded"]
    return {
        "from": from_datetime64(span.opens[0]),
        "until": from_datetime64(span.closes[-1]),
        "bars": len(span),
        "figures": figures(span, path),
        "optimistic": figures(span, run(own, settings, optimistic=True)),
        "break_even_bps": ratios.break_even_bps(gross, traded),
        "costs": _cost_curve(span, lambda rules: run(own, rules), settings),
        "rivals": _rivals(span, path, {k: run(v, settings) for k, v in forecasts.items()
                                       if k != name}, settings, rng),
        "random": _random(span, path, settings, rng),
        "rules": _rules(span, path, lambda rules: run(own, rules), settings),
        "worst": worst_hours(span, path, rule, own),
        "path": path,
    }  # fmt: skip


def _cost_curve(market: Market, run: Any, settings: TradingSection) -> list[dict[str, Any]]:
    """Return total return and Sharpe ratio by cost of a trade."""
    found = []
    for bps in COSTS_BPS:
        path = run(settings.model_copy(update={"fee_bps": bps, "slippage_bps": 0.0}))
        got = figures(market, path)
        found.append({"cost_bps": bps, **{k: got[k] for k in ("total_return", "sharpe")}})
    return found


def _rivals(
    market: Market,
    path: Path,
    others: Mapping[str, Path],
    settings: TradingSection,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return the figures of buying and holding, of constant exposure, and of the other models."""
    idle = settings.model_copy(update={"max_drawdown": 0.0, "stop_loss": 0.0, "take_profit": 0.0})
    mean = float(np.mean(path.weight))
    paths = {
        "buy and hold": simulate(market, np.ones(len(market)), idle),
        f"{mean:.0%} bought and held": simulate(market, np.full(len(market), mean), idle),
        **others,
    }
    ours, found = daily_returns(market, path.equity), []
    for name, other in paths.items():
        theirs = daily_returns(market, other.equity)
        value, low, high = sharpe_difference(ours, theirs, market.days_per_year, DRAWS, rng)
        got = figures(market, other)
        found.append(
            {
                "name": name,
                **{k: got[k] for k in ("total_return", "sharpe", "max_drawdown", "exposure",
                                       "trades")},
                "sharpe_gain": value,
                "sharpe_gain_low": low,
                "sharpe_gain_high": high,
            }
        )  # fmt: skip
    return found


def _random(
    market: Market, path: Path, settings: TradingSection, rng: np.random.Generator
) -> dict[str, Any]:
    """Return how a rule stands among random ones that hold as long and as much as it did."""
    own = ratios.sharpe(daily_returns(market, path.equity), market.days_per_year)
    held = path.weight[path.weight != 0]
    usual = float(np.mean(np.abs(held))) if len(held) else 0.0
    trades = trades_of(np.sign(path.weight) * usual, band=0.0)
    if np.isnan(own) or len(trades.bar) < 2:
        return {"draws": 0, "median_sharpe": None, "share_better": None}
    drawn = random_sharpes(market, trades, settings.cost, settings.random_entries, rng)
    drawn = drawn[~np.isnan(drawn)]
    return {
        "draws": len(drawn),
        "median_sharpe": float(np.median(drawn)),
        "share_better": float((1 + np.sum(drawn >= own)) / (1 + len(drawn))),
    }


def _rules(market: Market, path: Path, run: Any, settings: TradingSection) -> list[dict[str, Any]]:
    """Return figures with and without each rule of risk that is switched on."""
    found = []
    for rule in RULES:
        if not getattr(settings, rule):
            continue
        without = figures(market, run(settings.model_copy(update={rule: 0.0})))
        pair = {"with": figures(market, path), "without": without}
        shown = ("total_return", "sharpe", "max_drawdown", "trades")
        found.append(
            {"rule": rule, "setting": getattr(settings, rule),
             **{k: {f: v[f] for f in shown} for k, v in pair.items()}}
        )  # fmt: skip
    return found


def worst_hours(market: Market, path: Path, rule: Rule, forecast: Floats) -> list[dict[str, Any]]:
    """Return the bars that fell most, what the forecast before them said, and what they cost."""
    before = np.append(market.open[0], market.close[:-1])
    move = market.close / before - 1.0
    held, equity = np.append(0.0, path.weight[:-1]), np.append(1.0, path.equity)
    found = []
    for bar in np.argsort(move, kind="stable")[:WORST]:
        seen = int(np.searchsorted(rule.cutoffs, market.opens[bar] - rule.delay, "right")) - 1
        found.append(
            {
                "close_time": from_datetime64(market.closes[bar]),
                "market_return": float(move[bar]),
                "forecast": float(forecast[seen]) if seen >= 0 else None,
                "position": float(held[bar]),
                "equity_return": float(equity[bar + 1] / equity[bar] - 1.0)
                if equity[bar] > 0
                else 0.0,
            }
        )
    return found
