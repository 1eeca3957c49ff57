"""Inputs of features: a random walk with holes, hours of texts with gaps, a metric."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Inputs = dict[str, np.ndarray]


def draw_bars(rng: np.random.Generator, count: int, holes: bool = True) -> Inputs:
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(count)))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.exp(0.003 * np.abs(rng.standard_normal((2, count))))
    bars = {
        "open": opened,
        "high": np.maximum(opened, close) * wick[0],
        "low": np.minimum(opened, close) / wick[1],
        "close": close,
        "volume": rng.gamma(2.0, 100.0, count),
        "taker_buy_volume": rng.gamma(2.0, 50.0, count),
    }
    if holes:
        missing = np.concatenate([rng.integers(0, count, count // 60), np.arange(300, 320)])
        for column in bars.values():
            column[missing[missing < count]] = np.nan
    return bars


def draw_texts(rng: np.random.Generator, count: int) -> Inputs:
    n = rng.poisson(1.5, count).astype(float)
    n[rng.integers(0, count, count // 20)] = np.nan
    n[100:130] = np.nan
    tone = rng.uniform(-1, 1, count)
    return {
        "n": n,
        "n_stale": np.where(np.isnan(n), np.nan, rng.poisson(0.2, count)),
        "n_repost": np.where(np.isnan(n), np.nan, rng.poisson(0.3, count)),
        "sum_tone": n * tone,
        "sum_tone_squared": n * tone**2 + 0.1 * n,
        "collections": np.cumsum(rng.uniform(size=count) < 0.004).astype(float),
        "watched": (~np.isnan(n)).astype(float),
        "usual": rng.uniform(1, 2, count),
    }


def _draw_inputs(seed: int, count: int) -> Inputs:
    rng = np.random.default_rng(seed)
    age = rng.uniform(0, 9, count)
    return {
        **draw_bars(rng, count),
        **draw_texts(rng, count),
        "cutoff_s": 1.7e9 + 3600.0 * np.arange(count),
        "m@p.value": rng.standard_normal(count).cumsum(),
        "m@p.age_d": np.where(age < 8.5, age, np.nan),
    }


@pytest.fixture(scope="session")
def draw_inputs() -> Callable[[int, int], Inputs]:
    """Return a function that draws every input that any feature declares."""
    return _draw_inputs


@pytest.fixture(scope="session")
def bars() -> Inputs:
    """Return 700 bars with holes."""
    return draw_bars(np.random.default_rng(0), 700)


@pytest.fixture(scope="session")
def whole_bars() -> Inputs:
    """Return 700 bars without a hole."""
    return draw_bars(np.random.default_rng(1), 700, holes=False)


@pytest.fixture(scope="session")
def texts() -> Inputs:
    """Return 700 hours of texts."""
    return draw_texts(np.random.default_rng(2), 700)
