"""A saved model with the rows it may be asked about, and whether they are new enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import DecisionClock, iso, parse_duration, to_datetime64
from moodtape.config import Config
from moodtape.errors import DataStale, UsageError
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.served import Served, forecast_rows
from moodtape.nlp.in_use import InUse, scorer_in_use
from moodtape.nlp.registry import scorer_id
from moodtape.records import Span
from moodtape.storage import read, summary
from moodtape.storage.db import Warehouse
from moodtape.study.ground import with_look_back

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

STALE_BARS = 3
"""A newest bar older than this many bars at the moment of asking is too old to forecast from."""


@dataclass(frozen=True)
class Desk:
    """A model and the rows it may be asked about.

    series: venue and quote of each symbol. stale: why a symbol's newest bar is too old.
    """

    served: Served
    dataset: Dataset
    folder: Path
    config: Config
    as_of: datetime
    series: Mapping[str, Mapping[str, str]]
    stale: Mapping[str, str]

    @classmethod
    def open(
        cls, warehouse: Warehouse, config: Config, folder: Path, as_of: datetime, since: datetime
    ) -> Desk:
        """Read the model and the rows of decisions from before `since` until `as_of`.

        Raises:
            DataMissing: no bars, or texts known by then without a score.
            DataStale: the newest bars of every symbol are too old.
            UsageError: the config no longer fits the model.
        """
        served = Served.read(folder)
        interval = parse_duration(served.interval)
        if config.market.interval != served.interval:
            raise UsageError(
                f"The model reads {served.interval} bars, market.interval is"
                f" {config.market.interval}. Run: moodtape train"
            )
        in_use = None if served.scorer is None else _same_scorer(warehouse, config, served.scorer)
        span = Span(min(as_of, since) - (STALE_BARS + 1) * interval - _weekend(config), as_of)
        with warehouse.read() as connection:
            series, stale = _freshness(connection, config, served, as_of)
            if in_use is not None:
                read.require_scored(
                    connection, scorer_id(in_use.scorer), config.sentiment.sources,
                    with_look_back(config, span), in_use.advice,
                )  # fmt: skip
        request = Request(
            served.symbols, as_of, served.scorer, span, served.streams, served.metrics
        )
        dataset = load_dataset(warehouse, config, request)
        return cls(served, dataset, folder, config, as_of, series, stale)

    def newest(self) -> tuple[list[int], list[str]]:
        """Return the rows of the newest bars, and why symbols cannot be forecast from theirs."""
        rows, held = [], []
        for place, symbol in enumerate(self.served.symbols):
            try:
                if symbol in self.stale:
                    raise DataStale(self.stale[symbol])
                rows.append(_newest_row(self.dataset, place, self.served, self.as_of))
            except DataStale as exc:
                held.append(str(exc))
        return rows, held

    def rows_between(self, after: datetime, until: datetime) -> list[int]:
        """Return rows with a whole window, cut off in `(after, until]` and decided, by time."""
        dataset = self.dataset
        usable = (
            ~np.isnan(dataset.close)
            & (dataset.run_length >= self.served.lookback_bars)
            & ~np.isnan(dataset.trailing_variance)
            & (dataset.cutoff > to_datetime64(after))
            & (dataset.cutoff <= to_datetime64(until))
            & (dataset.decision_time <= to_datetime64(self.as_of))
        )
        rows = np.flatnonzero(usable)
        return [int(row) for row in rows[np.lexsort((dataset.symbol[rows], dataset.cutoff[rows]))]]

    def forecasts(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return a forecast for each row and horizon, with its series and if it is late."""
        clock = DecisionClock(timedelta(seconds=self.config.clock.decision_delay_s))
        late_after = timedelta(seconds=self.config.clock.late_after_s)
        made = forecast_rows(self.folder, self.served, self.dataset, np.array(rows, dtype=np.int64))
        for item in made:
            item |= self.series[item["symbol"]]
            item["late"] = self.as_of > clock.decision_time(item["cutoff"]) + late_after
        return made


def _freshness(
    connection: Connection, config: Config, served: Served, as_of: datetime
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return venue and quote by symbol, and how far bars reach that are too old to forecast from.

    Raises:
        DataStale: those of every symbol are.
    """
    market = config.market
    interval = parse_duration(served.interval)
    found, stale = {}, {}
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
            stale[symbol] = (
                f"No {served.interval} bar of {symbol} is new enough at {iso(as_of)}: {reach}."
                f" Run: moodtape import bars FILE --symbol {symbol}{hint}"
            )
        found[symbol] = {"venue": series.venue, "quote": series.quote}
    if len(stale) == len(found):
        raise DataStale(next(iter(stale.values())))
    return found, stale


def _same_scorer(warehouse: Warehouse, config: Config, trained_on: str) -> InUse:
    """Return the scorer the model was trained with; another one's scores would mislead it."""
    in_use = scorer_in_use(warehouse, config.sentiment)
    present = scorer_id(in_use.scorer)
    if present != trained_on:
        raise UsageError(
            f"The model was trained on scores of {trained_on}, sentiment.scorer is now"
            f" {present}. Run: moodtape train"
        )
    return in_use


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
