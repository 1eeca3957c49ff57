"""What a path of equity was worth: return, risk, and their ratios, from daily net returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def total_return(daily: Floats) -> float:
    """Return the growth over all days, less one."""
    return float(np.prod(1.0 + daily) - 1.0)


def yearly_return(daily: Floats, days_per_year: float) -> float:
    """Return the compound growth of a year, less one; nan without a day."""
    if not len(daily):
        return float("nan")
    growth = max(float(np.prod(1.0 + daily)), 0.0)
    return float(growth ** (days_per_year / len(daily)) - 1.0)


def volatility(daily: Floats, days_per_year: float) -> float:
    """Return the standard deviation of a year; nan with fewer than two days."""
    if len(daily) < 2:
        return float("nan")
    return float(np.std(daily, ddof=1) * np.sqrt(days_per_year))


def sharpe(daily: Floats, days_per_year: float) -> float:
    """Return mean over standard deviation by year, flat days included; nan where none varies.

    Source: Sharpe (1994), The Sharpe ratio.
    """
    spread = np.std(daily, ddof=1) if len(daily) > 1 else 0.0
    if spread <= 1e-15:
        return float("nan")
    return float(np.mean(daily) / spread * np.sqrt(days_per_year))


def sortino(daily: Floats, days_per_year: float) -> float:
    """Return mean over downside deviation by year; nan where nothing fell.

    Source: Sortino & Price (1994). The deviation is over all days, with zero as the target.
    """
    if not len(daily):
        return float("nan")
    down = np.sqrt(np.mean(np.minimum(daily, 0.0) ** 2))
    if down <= 1e-15:
        return float("nan")
    return float(np.mean(daily) / down * np.sqrt(days_per_year))


def max_drawdown(equity: Floats, start: float = 1.0) -> float:
    """Return the deepest fall from the highest equity before it, as a negative share."""
    path = np.append(start, equity)
    return float((path / np.maximum.accumulate(path) - 1.0).min())


def calmar(daily: Floats, days_per_year: float) -> float:
    """Return yearly return over the deepest fall, by days; nan where nothing fell.

    Source: Young (1991), Calmar ratio.
    """
    deepest = max_drawdown(np.asarray(np.cumprod(1.0 + daily)))
    return float("nan") if deepest >= 0 else yearly_return(daily, days_per_year) / -deepest


def break_even_bps(gross: float, traded: float) -> float:
    """Return the cost in basis points of traded notional that eats the gross profit; nan if idle.

    Args:
        gross: profit before costs, in units of the starting equity.
        traded: notional traded, in the same units.
    """
    return gross / traded * 1e4 if traded > 0 else float("nan")
