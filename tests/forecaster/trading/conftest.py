"""Markets of a few bars, random ones, and settings to trade with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from moodtape.config.trading import TradingSection
from moodtape.forecaster.trading.market import Market

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2025-01-06T00:00", "us")
MakeMarket = Callable[..., Market]


def _hourly(*prices: Sequence[float], funding: Sequence[float] | None = None) -> Market:
    n = len(prices[0])
    opens = START + np.arange(n) * HOUR
    paid = np.zeros(n) if funding is None else np.asarray(funding, float)
    return Market(opens, opens + HOUR, *(np.asarray(p, float) for p in prices), paid)


@pytest.fixture(scope="session")
def hourly() -> MakeMarket:
    """Return a function that makes hourly bars from opens, highs, lows and closes."""
    return _hourly


@pytest.fixture(scope="session")
def flat() -> MakeMarket:
    """Return a function that makes bars from one price to the next, with nothing beyond."""

    def make(prices: Sequence[float], funding: Sequence[float] | None = None) -> Market:
        first, last = np.asarray(prices[:-1], float), np.asarray(prices[1:], float)
        high, low = np.maximum(first, last), np.minimum(first, last)
        return _hourly(first, high, low, last, funding=funding)

    return make


@pytest.fixture(scope="session")
def random_market() -> MakeMarket:
    """Return a function that makes a random walk with gaps between close and open."""

    def make(rng: np.random.Generator, bars: int, funded: bool = False) -> Market:
        close = 100 * np.exp(np.cumsum(0.01 * rng.standard_t(4, bars)))
        first = np.append(100.0, close[:-1]) * np.exp(0.001 * rng.normal(size=bars))
        high = np.maximum(first, close) * np.exp(0.005 * rng.random(bars))
        low = np.minimum(first, close) * np.exp(-0.005 * rng.random(bars))
        rates = 1e-4 * rng.normal(size=bars) * (np.arange(bars) % 8 == 0) if funded else None
        return _hourly(first, high, low, close, funding=rates)

    return make


@pytest.fixture
def free() -> TradingSection:
    """Return settings without costs and without rules of risk."""
    return TradingSection(fee_bps=0, slippage_bps=0, max_drawdown=0, resize_band=0)
