"""The forecast for the newest bar, from a saved run: no keras, no TensorFlow."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import DecisionClock, iso, parse_duration, to_datetime64
from moodtape.config import Config
from moodtape.errors import DataStale, UsageError
from moodtape.forecaster.dataset import Dataset, Request, load_dataset
from moodtape.forecaster.served import Served, forecast_rows
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.records import Span
from moodtape.storage import read, summary
from moodtape.storage.db import Warehouse
from moodtape.study.ground import with_look_back

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

STALE_BARS = 3
"""A newest bar older than this many bars at the moment of asking is too old to forecast from."""


def forecast_newest(
    warehouse: Warehouse, config: Config, folder: Path, as_of: datetime
) -> list[dict[str, Any]]:
    """Return a forecast for each symbol and horizon, as of an instant.

    Raises:
        DataMissing: no bars, or texts known by then without a score.
        DataStale: the newest bar is too old.
        UsageError: the config no longer fits the model.
    """
    served = Served.read(folder)
    interval = parse_duration(served.interval)
    if config.market.interval != served.interval:
        raise UsageError(
            f"The model reads {served.interval} bars, market.interval is {config.market.interval}."
            " Run: moodtape train"
        )
    scorer = _same_scorer(config, served)
    span = Span(as_of - (STALE_BARS + 1) * interval - _weekend(config), as_of)
    with warehouse.read() as connection:
        _require_fresh(connection, config, served, as_of)
        if scorer is not None:
            read.require_scored(
                connection, scorer, config.sentiment.sources, with_look_back(config, span)
            )
    request = Request(served.symbols, as_of, scorer, span, served.streams, served.metrics)
    dataset = load_dataset(warehouse, config, request)
    clock = DecisionClock(timedelta(seconds=config.clock.decision_delay_s))
    rows = [_newest_row(dataset, s, served, as_of) for s in range(len(served.symbols))]
    forecasts = forecast_rows(folder, served, dataset, np.array(rows, dtype=np.int64))
    for item in forecasts:
        item["late"] = as_of > clock.decision_time(item["cutoff"]) + timedelta(
            seconds=config.clock.late_after_s
        )
    return forecasts


def _require_fresh(connection: Connection, config: Config, served: Served, as_of: datetime) -> None:
    """Make sure that every symbol has a bar that is new enough to forecast from.

    Raises:
        DataStale: one has not, with how far its bars reach.
    """
    market = config.market
    interval = parse_duration(served.interval)
    for symbol in served.symbols:
        series = read.choose_series(
            connection, symbol, served.interval, market.venue.get(symbol), market.quote.get(symbol)
        )
        last = summary.last_close(connection, series, as_of)
        if last is None or last < as_of - STALE_BARS * interval - _weekend(config):
            reach, hint = "there is none", ""
            if last is not None:
                reach = f"the newest closed at {iso(last)}"
                decided = last + timedelta(seconds=config.clock.decision_delay_s)
                hint = (
                    ", or ask for a time that has bars: moodtape predict --as-of"
                    f" {decided:%Y-%m-%dT%H:%M:%SZ}"
                )
            raise DataStale(
                f"No {served.interval} bar of {symbol} is new enough at {iso(as_of)}: {reach}."
                f" Run: moodtape import bars FILE --symbol {symbol}{hint}"
            )


def _same_scorer(config: Config, served: Served) -> str | None:
    """Return the scorer the model was trained with; another one's scores would mislead it."""
    if served.scorer is None:
        return None
    present = scorer_id(load_scorer(config.sentiment.scorer))
    if present != served.scorer:
        raise UsageError(
            f"The model was trained on scores of {served.scorer}, sentiment.scorer is now"
            f" {present}. Run: moodtape train"
        )
    return present


def _weekend(config: Config) -> timedelta:
    """Return how long an exchange may be closed; markets around the clock never are."""
    return timedelta(0) if config.market.calendar == "24/7" else timedelta(days=5)


def _newest_row(dataset: Dataset, symbol: int, served: Served, as_of: datetime) -> int:
    """Return the row of the newest bar whose decision time has come.

    Raises:
        DataStale: there is none, or the bars before it have a hole.
    """
    name = dataset.symbols[symbol]
    usable = (
        (dataset.symbol == symbol)
        & ~np.isnan(dataset.close)
        & (dataset.decision_time <= to_datetime64(as_of))
    )
    rows = np.flatnonzero(usable)
    if not len(rows):
        raise DataStale(f"No decision on a bar of {name} has come by {iso(as_of)}. Wait a little.")
    row = int(rows[-1])
    if dataset.run_length[row] < served.lookback_bars or np.isnan(dataset.trailing_variance[row]):
        raise DataStale(
            f"{name} has a hole in the last {served.lookback_bars} bars before {iso(as_of)};"
            " a window may not cross it. Import the missing bars, or wait until they are past."
        )
    return row
