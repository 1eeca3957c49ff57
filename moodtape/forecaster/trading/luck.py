"""How much of a Sharpe ratio luck explains: random strategies, rivals, and many tries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.stats import Resamples
from moodtape.forecaster.trading.closed_form import Trades, equity_at
from moodtape.forecaster.trading.market import by_day, day_ends
from moodtape.forecaster.trading.ratios import sharpe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.trading.market import Market

    Floats = NDArray[np.float64]

FEWEST_TRIALS = 10
EULER = 0.5772156649015329


def shuffled(trades: Trades, bars: int, rng: np.random.Generator) -> Trades:
    """Return the same holdings, each as long as it was, in another order with other pauses.

    Holdings and the pauses between them are each put in random order; the last one ends where
    the bars end.
    """
    length, held = np.diff(np.append(trades.bar, bars)), trades.share != 0
    order = rng.permutation(int(held.sum()))
    lasts, shares = length[held][order], trades.share[held][order]
    pauses = np.diff(np.sort(rng.integers(0, bars - lasts.sum() + 1, len(order))), prepend=0)
    ends = np.cumsum(pauses + lasts)
    starts = ends - lasts
    empty = np.append(ends[:-1] < starts[1:], ends[-1:] < bars)  # a pause follows
    bar = np.concatenate([starts, ends[empty]])
    place = np.argsort(bar, kind="stable")
    return Trades(bar[place], np.concatenate([shares, np.zeros(int(empty.sum()))])[place])


def random_sharpes(
    market: Market, trades: Trades, cost: float, draws: int, rng: np.random.Generator
) -> Floats:
    """Return the Sharpe ratios of random strategies of equal holding times. (draws,)"""
    days, last = day_ends(market.closes)
    found = np.empty(draws)
    for draw in range(draws):
        ends = equity_at(market, shuffled(trades, len(market), rng), cost, last)
        found[draw] = sharpe(by_day(days, ends, 1.0, market.days_per_year), market.days_per_year)
    return found


def sharpe_difference(
    ours: Floats, theirs: Floats, days_per_year: float, draws: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return ours less theirs with a two-sided 95 % interval, days paired.

    A stationary bootstrap of days with mean blocks of n to the one third.
    Source: Ledoit & Wolf (2008), Robust performance hypothesis testing with the Sharpe ratio;
    Politis & Romano (1994).
    """
    n = len(ours)
    estimate = sharpe(ours, days_per_year) - sharpe(theirs, days_per_year)
    if n < 2 or np.isnan(estimate):
        return float("nan"), float("nan"), float("nan")
    resamples = Resamples.draw(n, max(1.0, n ** (1 / 3)), draws, rng)
    parts = []
    for values in (ours, theirs):
        mean = resamples.block_sums(values).sum(axis=1) / n
        square = resamples.block_sums(values**2).sum(axis=1) / n
        spread = np.sqrt(np.maximum(square - mean**2, 1e-300) * n / (n - 1))
        parts.append(mean / spread * np.sqrt(days_per_year))
    low, high = np.quantile(parts[0] - parts[1], (0.025, 0.975))
    return estimate, float(low), float(high)


def deflated_sharpe(daily: Floats, tried: Sequence[float]) -> float | None:
    """Return the probability that the true Sharpe ratio beats the best of as many idle tries.

    Args:
        daily: net daily returns.
        tried: Sharpe ratios, by day, of all strategies simulated on overlapping spans, this one
            among them.
    Returns:
        None with fewer than ten tries, or where returns do not vary.
    Source: Bailey & Lopez de Prado (2014), The deflated Sharpe ratio.
    """
    from scipy.stats import kurtosis, norm, skew

    tries = np.asarray([v for v in tried if np.isfinite(v)])
    own = sharpe(daily, 1.0)
    if len(tries) < FEWEST_TRIALS or np.isnan(own):
        return None
    n, count = len(daily), len(tries)
    best = np.std(tries, ddof=1) * (
        (1 - EULER) * norm.ppf(1 - 1 / count) + EULER * norm.ppf(1 - 1 / (count * np.e))
    )
    return probabilistic_sharpe(
        own, float(best), n, float(skew(daily)), float(kurtosis(daily, fisher=False))
    )


def probabilistic_sharpe(own: float, least: float, n: int, skewness: float, kurt: float) -> float:
    """Return the probability that the true Sharpe ratio exceeds `least`, both by day.

    Source: Bailey & Lopez de Prado (2012), The Sharpe ratio efficient frontier.
    """
    from scipy.stats import norm

    spread = np.sqrt(max(1 - skewness * own + (kurt - 1) / 4 * own**2, 1e-12))
    return float(norm.cdf((own - least) * np.sqrt(n - 1) / spread))
