"""Indicators agree with TA-Lib to 1e-9 on real bars with holes, once warm.

TA-Lib knows no holes, so it is given each unbroken run of bars; ours get the whole grid. An
indicator is warm in a run when its whole look-back lies in it. Where TA-Lib is not installed,
the values that it gave are compared at some bars: `REFRESH_GOLDEN=1` writes them anew.
"""

from __future__ import annotations

import os
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.features import chosen  # noqa: F401  registers
from moodtape.forecaster.features.base import REGISTRY, compute_all

GOLDEN = Path(__file__).parent / "golden" / "talib.csv"
EVERY = 149
LOST = slice(2000, 2003)
"""Three bars taken out of the sample, which has 62 missing bars of its own."""

Inputs = dict[str, np.ndarray]
needs_talib = pytest.mark.skipif(
    find_spec("talib") is None, reason="TA-Lib is not installed (dev extra)"
)


@pytest.fixture(scope="module")
def real_bars() -> Inputs:
    """Return the shipped bars of BTC on a complete grid of hours, NaN in two holes."""
    with as_file(files("moodtape") / "sample" / "btc_usd_1h.parquet") as path:
        table = pd.read_parquet(path).set_index("open_time")
    grid = table.reindex(pd.date_range(table.index[0], table.index[-1], freq="h"))
    bars = {n: grid[n].to_numpy("float64", copy=True) for n in ("open", "high", "low", "close")}
    for column in bars.values():
        column[LOST] = np.nan
    assert np.isnan(bars["close"]).sum() == 62 - 1 + 3
    return bars


def by_talib(open: Any, high: Any, low: Any, close: Any) -> Inputs:
    """Return TA-Lib's indicators of one run of bars in the units of ours."""
    import talib

    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2, nbdevdn=2)
    line, _, histogram = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    return {
        "rsi_14": talib.RSI(close, timeperiod=14) / 100,
        "atr_14": talib.ATR(high, low, close, timeperiod=14) / close,
        "macd_gap": line / close,
        "macd_histogram": histogram / close,
        "bollinger_20": (close - middle) / ((upper - lower) / 4),
        "bollinger_width_20": (upper - lower) / middle,
        "ret_24": np.log1p(talib.ROCP(close, timeperiod=24)),
        "gap_to_mean_12": np.log(close / talib.SMA(close, timeperiod=12)),
        "gap_to_mean_168": np.log(close / talib.SMA(close, timeperiod=168)),
        "place_in_range_72": (close - talib.MIN(close, timeperiod=72))
        / (talib.MAX(close, timeperiod=72) - talib.MIN(close, timeperiod=72)),
    }


NAMES = (
    *("rsi_14", "atr_14", "macd_gap", "macd_histogram", "bollinger_20", "bollinger_width_20"),
    *("ret_24", "gap_to_mean_12", "gap_to_mean_168", "place_in_range_72"),
)


def runs(close: np.ndarray) -> list[slice]:
    """Return the stretches of bars without a hole."""
    there = np.concatenate([[0], ~np.isnan(close), [0]]).astype(int)
    starts, ends = np.flatnonzero(np.diff(there) == 1), np.flatnonzero(np.diff(there) == -1)
    return [slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]


def warm(close: np.ndarray, lookback: int) -> np.ndarray:
    """Return the rows that have so many bars of their run behind them."""
    rows = [np.arange(r.start + lookback, r.stop) for r in runs(close)]
    return np.concatenate(rows)


@needs_talib
@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_talib(name: str, real_bars: Inputs) -> None:
    theirs = np.full(len(real_bars["close"]), np.nan)
    for run in runs(real_bars["close"]):
        theirs[run] = by_talib(**{n: c[run] for n, c in real_bars.items()})[name]
    rows = warm(real_bars["close"], REGISTRY[name].lookback + 1)
    ours = compute_all([REGISTRY[name]], real_bars)[rows, 0]
    assert len(rows) > 3_000
    np.testing.assert_allclose(ours, theirs[rows], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_what_talib_said(name: str, real_bars: Inputs) -> None:
    rows = warm(real_bars["close"], REGISTRY[name].lookback + 1)[::EVERY]
    ours = compute_all([REGISTRY[name]], real_bars)[rows, 0]
    kept = pd.read_csv(GOLDEN, index_col="row")[name]
    assert len(rows) > 20
    np.testing.assert_allclose(ours, kept.loc[rows], rtol=0, atol=1e-9)


def test_a_sloppy_kernel_would_not_pass(real_bars: Inputs) -> None:
    """Cut at 160 bars, as one might, the slow mean of MACD still misses by more than 1e-9."""
    from moodtape.forecaster.features.rolling import decayed_mean

    close = real_bars["close"]
    rows = warm(close, REGISTRY["macd_gap"].lookback + 1)[::EVERY]
    kept = pd.read_csv(GOLDEN, index_col="row")["macd_gap"]
    fast, slow = (decayed_mean(close, 1 - 2 / (n + 1), 160, 0.8) for n in (12, 26))
    sloppy = ((fast - slow) / close)[rows]
    assert np.abs(sloppy - kept.loc[rows]).max() > 1e-9


@pytest.mark.skipif(not os.environ.get("REFRESH_GOLDEN"), reason="set REFRESH_GOLDEN=1 to run")
def test_refresh(real_bars: Inputs) -> None:
    table = pd.DataFrame(index=pd.RangeIndex(len(real_bars["close"]), name="row"))
    for name in NAMES:
        column = np.full(len(table), np.nan)
        for run in runs(real_bars["close"]):
            column[run] = by_talib(**{n: c[run] for n, c in real_bars.items()})[name]
        kept = warm(real_bars["close"], REGISTRY[name].lookback + 1)[::EVERY]
        table[name] = np.where(np.isin(table.index, kept), column, np.nan)
    table.dropna(how="all").to_csv(GOLDEN, float_format="%.17g")
