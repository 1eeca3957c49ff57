"""A small market whose answers follow two columns, and one fit of it for all tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.dataset import Column, Dataset
from moodtape.forecaster.device import Device, prepare
from moodtape.forecaster.inputs import Inputs
from moodtape.forecaster.splits import Fold
from moodtape.forecaster.target import Target
from moodtape.forecaster.train import Fit, NetworkForecaster
from moodtape.records import Span

ROWS, MARKET, SUBJECT = 900, 4, 3
SMALL = Config.model_validate(
    {
        "network": {
            "lookback_bars": 8, "sentiment_lookback_bars": 4, "filters": 4, "kernel": 3,
            "pool": 2, "market_units": 8, "sentiment_units": 4, "hidden": 8, "dropout": 0.1,
        },
        "training": {"epochs": 8, "patience": 2, "batch_size": 32, "learning_rate": 0.01},
    }
)  # fmt: skip


def small_dataset(symbols: int = 1, seed: int = 0) -> Dataset:
    """Return rows whose next return is the first column, whose volatility is the second."""
    rng = np.random.default_rng(seed)
    count = ROWS * symbols
    features = rng.normal(size=(count, MARKET + SUBJECT))
    hour = np.timedelta64(1, "h").astype("timedelta64[us]")
    opens = np.tile(np.datetime64("2024-01-01", "us") + np.arange(ROWS) * hour, symbols)
    push = 0.9 * features[:, 0] + 0.3 * rng.normal(size=count)
    up = np.where(np.abs(push) < 0.02, np.nan, (push > 0).astype(float))
    targets = {
        "return_1": Target("return", 1, 0.01 * push, opens + 2 * hour),
        "direction_1": Target("direction", 1, up, opens + 2 * hour),
        "volatility_1": Target("volatility", 1, features[:, 1] - 5, opens + 2 * hour),
    }
    names = [f"price_{i}" for i in range(MARKET)] + [f"news_{i}" for i in range(SUBJECT)]
    groups = ["price"] * MARKET + ["sentiment"] * SUBJECT
    return Dataset(
        symbols=("BTC", "ETH", "SOL")[:symbols],
        interval="1h",
        symbol=np.repeat(np.arange(symbols), ROWS),
        open_time=opens,
        cutoff=opens + hour,
        decision_time=opens + hour,
        features=features,
        history=np.zeros((count, 20)),
        columns=tuple(Column(n, g, False, "") for n, g in zip(names, groups, strict=True)),
        targets=targets,
        close=np.ones(count),
        run_length=np.tile(np.arange(1, ROWS + 1), symbols),
        trailing_variance=np.full(count, 1e-4),
        regime=np.zeros(count, dtype=np.int64),
        span=Span(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        streams=("news",),
        metrics=(),
    )


def inputs_of(dataset: Dataset) -> Inputs:
    return Inputs(dataset.features[:, :MARKET], dataset.features[:, MARKET:])


def fold_of(dataset: Dataset) -> Fold:
    at = np.tile(np.arange(ROWS), len(dataset.symbols))
    edge = np.datetime64("2024-01-01", "us")

    def rows(first: int, last: int) -> np.ndarray:
        return np.flatnonzero((at >= first) & (at < last))

    return Fold(0, rows(12, 600), rows(601, 700), rows(701, 780), rows(800, 900), edge, edge, edge)


@pytest.fixture(scope="session")
def device() -> Device:
    return prepare("cpu")


@pytest.fixture(scope="session")
def small_config() -> Config:
    return SMALL


Cell = tuple[Dataset, Inputs, Fold]


@pytest.fixture(scope="session")
def make_cell() -> Callable[..., Cell]:
    """Return a function that draws a data set with the inputs and fold of one fit."""

    def make(symbols: int = 1, seed: int = 0) -> Cell:
        dataset = small_dataset(symbols, seed)
        return dataset, inputs_of(dataset), fold_of(dataset)

    return make


@pytest.fixture(scope="session")
def cell(make_cell: Callable[..., Cell]) -> Cell:
    return make_cell()


@pytest.fixture(scope="session")
def forecaster(small_config: Config, device: Device) -> NetworkForecaster:
    return NetworkForecaster(small_config, device)


@pytest.fixture(scope="session")
def fit(forecaster: NetworkForecaster, cell: Cell) -> Fit:
    """Return a fit of the cell. Its network is shared: read it before another fit resets it."""
    return forecaster.fit(*cell, seed=0)
