"""One symbol's rows: its bars, texts and metrics on grids, features as of each decision.

1. grid        grid.py        complete grids of bars and hours
2. features    features/      declared functions over the grids
3. targets     target.py      answers, with the time each is known
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from moodtape.calendars import Calendar
from moodtape.clock import DecisionClock, to_datetime64
from moodtape.config import Config
from moodtape.forecaster.echo import price_history
from moodtape.forecaster.features.base import (
    CALENDAR,
    ONCHAIN,
    PRICE,
    SENTIMENT,
    Column,
    Feature,
    compute_all,
)
from moodtape.forecaster.features.chosen import Chosen, chosen_features, is_of_polls
from moodtape.forecaster.features.onchain import metric_features
from moodtape.forecaster.grid import BarGrid, as_of_values, bar_grid, naive
from moodtape.forecaster.missing import mask_columns, with_masks
from moodtape.forecaster.others import LABEL as OTHERS
from moodtape.forecaster.others import MEANS, others_columns
from moodtape.forecaster.reach import following
from moodtape.forecaster.target import Target, make_targets, trailing_variance
from moodtape.forecaster.texts import Texts, streams_at
from moodtape.records import Span

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]


@dataclass(frozen=True)
class PriceRows:
    """One symbol's bars on their grid, and the price columns as of each decision."""

    grid: BarGrid
    decision_time: Instants
    features: Floats


@dataclass(frozen=True)
class Block:
    """Rows of one symbol, one a bar of its grid, as `Dataset` describes them."""

    grid: BarGrid
    decision_time: Instants
    features: Floats
    history: Floats
    targets: dict[str, Target]
    trailing: Floats
    regime: NDArray[np.int64]


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one symbol after another with the same columns.

    others: the columns hold what other assets did.
    """

    config: Config
    calendar: Calendar
    interval: timedelta
    span: Span
    reach: timedelta
    streams: tuple[str, ...]
    metrics: tuple[str, ...]
    others: bool = False

    @cached_property
    def chosen(self) -> Chosen:
        """Return the declared features in use."""
        return chosen_features(self.config)

    def price(self, bars: pd.DataFrame) -> PriceRows:
        """Return the bars of one symbol and their price columns, as of each decision.

        A correction begins a new stretch of rows, made from the bars as known there.
        """
        grid = self._grid(bars)
        clock = DecisionClock(timedelta(seconds=self.config.clock.decision_delay_s))
        decision_time = clock.decision_times(grid.close_time)
        features = self.chosen.price
        reach = max(f.lookback for f in features)
        matrix = np.full((len(grid.open_time), len(features)), np.nan)
        for start, stop, values in grid.versions(decision_time):
            begin = max(0, start - reach)
            part = {name: column[begin:stop] for name, column in values.items()}
            matrix[start:stop] = compute_all(features, part)[start - begin :]
        return PriceRows(grid, decision_time, matrix)

    def shown_to_others(self, rows: PriceRows) -> Floats:
        """Return the columns of a symbol that the others see. -> (T, len(MEANS))"""
        names = [f.name for f in self.chosen.price]
        return rows.features[:, [names.index(name) for name in MEANS]]

    def block(
        self, symbol: str, rows: PriceRows, others: Floats | None, texts: Texts,
        metrics: pd.DataFrame,
    ) -> Block:  # fmt: skip
        """Return the rows of one symbol.

        Args:
            others: what the other assets show at its rows, if they have columns.
        """
        grid, decision_time, settings = rows.grid, rows.decision_time, self.config.features
        parts = [with_masks(rows.features, settings)]
        if others is not None:
            parts.append(with_masks(others, settings))
        if self.chosen.calendar:
            cutoff_s = grid.close_time.astype(np.int64) / 1e6
            parts.append(compute_all(self.chosen.calendar, {"cutoff_s": cutoff_s}))
        regime = np.zeros(len(grid.open_time), dtype=np.int64)
        if self.streams:
            first = max(grid.open_time[0], to_datetime64(self.span.since - self.reach))
            first -= np.timedelta64(self.reach, "us")
            for stream in streams_at(
                self.streams, symbol, texts, grid.close_time, self.interval, first, self.chosen
            ):
                of_polls = is_of_polls(stream.name)
                parts.append(stream.columns if of_polls else with_masks(stream.columns, settings))
                regime += stream.regime
        if self.metrics:
            parts.append(with_masks(self._onchain(metrics, decision_time), settings))
        targets = make_targets(
            dict(grid.first),
            grid.close_time,
            self.config.target.names,
            self.config.target.horizons,
            self.config.target.volatility_floor_bps,
            (decision_time >= to_datetime64(self.span.since))
            & (decision_time < to_datetime64(self.span.until)),
        )
        return Block(
            grid,
            decision_time,
            np.hstack(parts),
            price_history(grid.first),
            targets,
            trailing_variance(grid.first["close"]),
            regime,
        )

    def near(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Return the bars that a decision of the span, or its answer, can see."""
        horizon = max(self.config.target.horizons)
        end = following(horizon, self.calendar, self.interval, self.span.until)
        since = self.span.since - self.reach
        return bars[(bars["open_time"] >= since) & (bars["open_time"] < end)]

    def _grid(self, bars: pd.DataFrame) -> BarGrid:
        """Return the bars of one symbol on the calendar: near the span all missing, if it has none.

        So a stock whose bars ended long ago keeps its number among the others.
        """
        near = self.near(bars)
        first, last = self.span.since - self.reach, self.span.until
        if len(near):
            first = near["open_time"].min().to_pydatetime()
            last = near["open_time"].max().to_pydatetime() + timedelta(microseconds=1)
        opens = self.calendar.expected_opens(first, last, self.interval)
        return bar_grid(near, opens, self.calendar.close_times(opens, self.interval))

    def _onchain(self, metrics: pd.DataFrame, decision_time: Instants) -> Floats:
        inputs: dict[str, Floats] = {}
        features: list[Feature] = []
        per_day = timedelta(days=1) / self.interval
        for label in self.metrics:
            metric, _, provider = label.partition("@")
            rows = metrics[(metrics["metric"] == metric) & (metrics["provider"] == provider)]
            value, age = as_of_values(
                naive(rows["known_at"]),
                rows["value"].to_numpy("float64"),
                naive(rows["period_end"]),
                decision_time,
            )
            inputs |= {f"{label}.value": value, f"{label}.age_d": age}
            features += metric_features(label, per_day, self.config.features.metric_max_age_d)
        return compute_all(features, inputs)

    def columns(self) -> tuple[Column, ...]:
        """Return a description of every column, in the order in which `block` makes them."""
        found = self._masked(PRICE, [_column(f, PRICE) for f in self.chosen.price])
        if self.others:
            found += self._masked(OTHERS, others_columns())
        found += [_column(f, CALENDAR) for f in self.chosen.calendar]
        for stream in self.streams:
            own = [_column(f, SENTIMENT, f"{stream}.") for f in self.chosen.of_stream(stream)]
            found += own if is_of_polls(stream) else self._masked(stream, own)
        made = []
        for metric in self.metrics:
            made += metric_features(metric, 24, self.config.features.metric_max_age_d)
        if made:
            found += self._masked(ONCHAIN, [_column(f, ONCHAIN) for f in made])
        return tuple(found)

    def _masked(self, label: str, columns: list[Column]) -> list[Column]:
        return [*columns, *mask_columns(label, columns, self.config.features)]


def _column(made: Feature, group: str, prefix: str = "") -> Column:
    return Column(f"{prefix}{made.name}", group, made.polarity, made.unit, made.coverage)
