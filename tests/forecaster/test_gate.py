"""A new model follows when it is shown to be no worse; a worse one seldom does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.gate import bound, compare

START, HOUR = datetime(2025, 1, 1, tzinfo=UTC), timedelta(hours=1)


def losses(rng: np.random.Generator, n: int, increase: float) -> tuple[np.ndarray, np.ndarray]:
    """Return losses of a new and an old model whose noise lasts for some hours."""
    shocks = rng.standard_normal((2, n))
    level, wild = 0.0, np.empty(n)
    for t in range(n):
        level = 0.9 * level + 0.3 * shocks[0, t]
        wild[t] = np.exp(level)
    old = wild * rng.chisquare(3, n)
    return (1 + increase) * old + 0.1 * wild * shocks[1], old


@pytest.mark.parametrize(
    ("increase", "fewest", "most"), [(0.01, 0.0, 0.12), (0.0, 0.3, 1.0), (-0.02, 0.9, 1.0)]
)
def test_worse_by_the_margin_seldom_passes(increase: float, fewest: float, most: float) -> None:
    rng, worlds = np.random.default_rng(3), 100
    passed = sum(
        bound("return_1", *losses(rng, 840, increase), 1, 24).upper < 0.01 for _ in range(worlds)
    )
    assert fewest * worlds <= passed <= most * worlds


def test_a_bound_by_hand() -> None:
    old = np.tile([1.0, 3.0], 420)
    found = bound("x", old * 1.5, old, 1, 24)
    assert found.increase == pytest.approx(0.5)
    assert found.upper == pytest.approx(0.5), "it is worse by the same share at every row"
    assert (found.n, found.blocks) == (840, pytest.approx(35, abs=0.5))


def table(hours: int, symbols: tuple[str, ...], p_up: float, rng_seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(rng_seed)
    rows = []
    for symbol in symbols:
        for hour in range(hours):
            change = 0.01 * rng.standard_normal()
            rows.append(
                {"symbol": symbol, "horizon_bars": 1, "cutoff": START + hour * HOUR, "mean": 0.0,
                 "p_up": p_up, "volatility": np.nan, "log_return": change, "realised": 0.01,
                 "trailing_variance": 1e-4, "volatility_before": 0.01}
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_only_what_both_have_forecast_is_compared() -> None:
    old = table(100, ("BTC", "ETH"), 0.5)
    new = table(100, ("BTC", "ETH", "SOL"), 0.9).iloc[20:]
    found = {b.target: b for b in compare(new, old, "1h")}
    assert set(found) == {"return_1", "direction_1"}, "nobody forecast the volatility"
    assert found["direction_1"].n == 100, "the first twenty of one symbol; the other has all"
    assert found["return_1"].increase == 0
    wins = old.assign(up=old["log_return"] > 0)
    brier = np.where(wins["up"], 0.01, 0.81)
    brier[:20] = np.nan
    by_hour = pd.Series(brier).groupby(old["cutoff"]).mean()
    assert found["direction_1"].increase == pytest.approx(by_hour.mean() / 0.25 - 1)


def test_too_few_forecasts_give_no_bound() -> None:
    assert compare(table(29, ("BTC",), 0.9), table(29, ("BTC",), 0.5), "1h") == []
