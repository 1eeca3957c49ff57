"""Small data sets made of arrays, and small warehouses made of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from moodtape.clock import from_datetime64
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.echo import price_history
from moodtape.forecaster.features.base import CALENDAR, PRICE, SENTIMENT, Column
from moodtape.forecaster.features.rolling import lagged, rolling_mean
from moodtape.forecaster.features.volatility import garman_klass
from moodtape.forecaster.target import make_targets, trailing_variance
from moodtape.records import Span

COLUMNS = (
    Column("ret_1", PRICE, False, ""),
    Column("log_variance_1", PRICE, False, ""),
    Column("log_variance_6", PRICE, False, ""),
    Column("log_variance_24", PRICE, False, ""),
    Column("log_variance_168", PRICE, False, ""),
    Column("hour_sine", CALENDAR, False, ""),
    Column("news.tone_last", SENTIMENT, True, ""),
    Column("news.count_last", SENTIMENT, False, ""),
    Column("news.observed", SENTIMENT, False, "", coverage=True),
)

MakeDataset = Callable[..., Dataset]


@pytest.fixture(scope="session")
def make_dataset() -> MakeDataset:
    """Return a function that draws a data set: bars, their usual columns, and a tone."""
    return _make_dataset


def _make_dataset(
    count: int = 500,
    symbols: Sequence[str] = ("BTC",),
    names: tuple[str, ...] = ("return", "direction", "volatility"),
    horizons: tuple[int, ...] = (1,),
    step: timedelta = timedelta(hours=1),
    holes: Sequence[int] = (),
    pull: float = 0.0,
    regime: Any = None,
    seed: int = 0,
) -> Dataset:
    """Return `count` bars of each symbol. `pull`: share of the next return's size from tone."""
    blocks = [
        _block(np.random.default_rng([seed, i]), count, names, horizons, step, holes, pull)
        for i in range(len(symbols))
    ]
    opens = np.concatenate([b["open_time"] for b in blocks])
    length = np.timedelta64(step, "us")
    targets = {}
    for key, first in blocks[0]["targets"].items():
        parts = [b["targets"][key] for b in blocks]
        y = np.concatenate([p.y for p in parts])
        known_at = np.concatenate([p.known_at for p in parts])
        targets[key] = type(first)(first.name, first.horizon_bars, y, known_at)
    shifted = [np.zeros(count, dtype=np.int64) if regime is None else np.asarray(regime)]
    return Dataset(
        symbols=tuple(symbols),
        interval="1h",
        symbol=np.repeat(np.arange(len(symbols)), count),
        open_time=opens,
        cutoff=opens + length,
        decision_time=opens + length + np.timedelta64(120, "s"),
        features=np.vstack([b["features"] for b in blocks]),
        history=np.vstack([b["history"] for b in blocks]),
        columns=COLUMNS,
        targets=targets,
        close=np.concatenate([b["close"] for b in blocks]),
        run_length=np.concatenate([b["run_length"] for b in blocks]),
        trailing_variance=np.concatenate([b["trailing"] for b in blocks]),
        regime=np.concatenate(shifted * len(symbols)),
        span=Span(from_datetime64(opens[0]), from_datetime64(opens[-1] + 2 * length)),
        streams=("news",),
        metrics=(),
    )


def _block(
    rng: np.random.Generator,
    count: int,
    names: tuple[str, ...],
    horizons: tuple[int, ...],
    step: timedelta,
    holes: Sequence[int],
    pull: float,
) -> dict[str, Any]:
    opens = np.datetime64("2024-01-01", "us") + np.timedelta64(step, "us") * np.arange(count)
    tone = rng.standard_normal(count)
    change = rng.standard_normal(count) + pull * np.concatenate([[0.0], tone[:-1]])
    close = 100 * np.exp(np.cumsum(0.01 * change))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.exp(0.004 * np.abs(rng.standard_normal((2, count))))
    bars = {
        "open": opened,
        "high": np.maximum(opened, close) * wick[0],
        "low": np.minimum(opened, close) / wick[1],
        "close": close,
    }
    for column in bars.values():
        column[list(holes)] = np.nan
    variance = garman_klass(bars["open"], bars["high"], bars["low"], bars["close"])
    present = ~np.isnan(close)
    run_length = np.zeros(count, dtype=np.int64)
    for i in range(count):
        run_length[i] = run_length[i - 1] + 1 if present[i] else 0
    hour = (opens.astype("datetime64[h]").astype(np.int64) + 1) % 24
    features = np.column_stack(
        [
            np.log(close) - np.log(lagged(close, 1)),
            *(np.log(rolling_mean(variance, n, 0.5)) for n in (1, 6, 24, 168)),
            np.sin(2 * np.pi * hour / 24),
            tone,
            np.log1p(rng.poisson(2, count)),
            np.ones(count),
        ]
    )
    return {
        "open_time": opens,
        "close": close,
        "run_length": run_length,
        "features": features,
        "history": price_history({**bars, "volume": rng.lognormal(3, 1, count)}),
        "targets": make_targets(bars, opens + np.timedelta64(step, "us"), names, horizons, 1.0),
        "trailing": trailing_variance(close),
    }
