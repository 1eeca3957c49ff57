"""One symbol's rows: its bars, texts and metrics on grids, features as of each decision.

1. grid        grid.py        complete grids of bars and hours
2. features    features/      declared functions over the grids
3. targets     target.py      answers, with the time each is known
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from moodtape.calendars import Calendar
from moodtape.clock import DecisionClock, from_datetime64, iso, to_datetime64
from moodtape.config import Config
from moodtape.errors import DataMissing
from moodtape.forecaster.features import calendar as calendar_features  # noqa: F401  registers
from moodtape.forecaster.features import price as price_features  # noqa: F401  registers
from moodtape.forecaster.features.base import (
    CALENDAR,
    ONCHAIN,
    PRICE,
    SENTIMENT,
    Column,
    Feature,
    compute_all,
    features_of,
)
from moodtape.forecaster.features.onchain import LEVEL_DAYS, metric_features
from moodtape.forecaster.features.polls import SCOPE as POLLS
from moodtape.forecaster.features.polls import poll_features
from moodtape.forecaster.features.sentiment import KERNEL_HALF_LIVES, decayed_features
from moodtape.forecaster.grid import (
    BarGrid,
    as_of_values,
    bar_grid,
    hour_grid,
    last_closed_hour,
    naive,
    poll_columns,
    text_stream,
)
from moodtape.forecaster.target import Target, make_targets, trailing_variance
from moodtape.records import MARKET_SYMBOL, Span

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]

LONGEST_WEEKS = timedelta(hours=168)
LONGEST_REACH = timedelta(days=40 * 365)


@dataclass(frozen=True)
class Texts:
    """What the warehouse says of texts: sums by hour, hours with any text, coverage, polls."""

    sums: pd.DataFrame
    seen: pd.DataFrame
    coverage: pd.DataFrame
    polls: pd.DataFrame

    def near(self, span: Span, reach: timedelta) -> Texts:
        """Return only the rows that can matter to a decision in the span."""
        first, last = span.since - reach, span.until
        over = self.coverage
        return Texts(
            _within(self.sums, first, last),
            _within(self.seen, first, last),
            over[(over["covered_until"] >= first) & (over["covered_from"] < last)],
            _within(self.polls, first, last),
        )


def _within(table: pd.DataFrame, first: datetime, last: datetime) -> pd.DataFrame:
    return table[(table["hour"] >= first) & (table["hour"] < last)]


@dataclass(frozen=True)
class Block:
    """Rows of one symbol, one a bar of its grid, as `Dataset` describes them."""

    grid: BarGrid
    decision_time: Instants
    features: Floats
    targets: dict[str, Target]
    trailing: Floats
    regime: NDArray[np.int64]


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one symbol after another with the same columns."""

    config: Config
    calendar: Calendar
    interval: timedelta
    span: Span
    reach: timedelta
    streams: tuple[str, ...]
    metrics: tuple[str, ...]
    as_of: datetime

    def block(self, symbol: str, bars: pd.DataFrame, texts: Texts, metrics: pd.DataFrame) -> Block:
        """Return the rows of one symbol."""
        grid = self._grid(symbol, bars)
        clock = DecisionClock(timedelta(seconds=self.config.clock.decision_delay_s))
        decision_time = clock.decision_times(grid.close_time)
        parts = []
        groups = self.config.features.groups
        parts.append(_with_missing(self._price(grid, decision_time)))
        if CALENDAR in groups:
            cutoff_s = grid.close_time.astype(np.int64) / 1e6
            parts.append(compute_all(features_of(CALENDAR), {"cutoff_s": cutoff_s}))
        regime = np.zeros(len(grid.open_time), dtype=np.int64)
        for matrix, collections in self._text_streams(symbol, texts, grid):
            parts.append(matrix)
            regime += collections
        if self.metrics:
            parts.append(_with_missing(self._onchain(metrics, decision_time)))
        first = dict(grid.first)
        targets = make_targets(
            first,
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
            targets,
            trailing_variance(first["close"]),
            regime,
        )

    def _grid(self, symbol: str, bars: pd.DataFrame) -> BarGrid:
        horizon = max(self.config.target.horizons)
        end = _following(horizon, self.calendar, self.interval, self.span.until)
        since = self.span.since - self.reach
        near = bars[(bars["open_time"] >= since) & (bars["open_time"] < end)]
        if near.empty:
            raise DataMissing(
                f"No {self.config.market.interval} bars for {symbol} between"
                f" {iso(self.span.since)} and {iso(self.span.until)}."
                f" Run: moodtape import bars FILE --symbol {symbol}"
            )
        first, last = near["open_time"].min(), near["open_time"].max()
        opens = self.calendar.expected_opens(
            first.to_pydatetime(), last.to_pydatetime() + timedelta(microseconds=1), self.interval
        )
        return bar_grid(near, opens, self.calendar.close_times(opens, self.interval))

    def _price(self, grid: BarGrid, decision_time: Instants) -> Floats:
        """Return the price columns, each stretch of rows from the bars as known there."""
        features = features_of(PRICE)
        reach = max(f.lookback for f in features)
        matrix = np.full((len(grid.open_time), len(features)), np.nan)
        for start, stop, values in grid.versions(decision_time):
            begin = max(0, start - reach)
            part = {name: column[begin:stop] for name, column in values.items()}
            matrix[start:stop] = compute_all(features, part)[start - begin :]
        return matrix

    def _text_streams(
        self, symbol: str, texts: Texts, grid: BarGrid
    ) -> list[tuple[Floats, NDArray[np.int64]]]:
        """Return each stream's columns, and the number of its regime, at the rows of the grid."""
        if not self.streams:
            return []
        first = max(grid.open_time[0], to_datetime64(self.span.since - self.reach))
        hours = hour_grid(first - np.timedelta64(self.reach, "us"), grid.close_time[-1])
        row = last_closed_hour(grid.close_time, hours)
        made = []
        for name in self.streams:
            source, _, scope = name.partition("_")
            features = self._features_of(name)
            if scope == POLLS:
                polls = poll_columns(texts.polls[texts.polls["source"] == source], hours)
                nothing = np.zeros(len(row), dtype=np.int64)
                made.append((compute_all(features, polls)[row], nothing))
                continue
            about = MARKET_SYMBOL if scope else symbol
            of_source = [
                frame[frame["source"] == source]
                for frame in (texts.sums, texts.seen, texts.coverage)
            ]
            sums, seen, coverage = of_source
            stream = text_stream(name, sums[sums["symbol"] == about], seen, coverage, hours)
            collections = stream.columns["collections"].astype(np.int64)
            made.append((compute_all(features, stream.columns)[row], collections[row]))
        return made

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

    def _features_of(self, stream: str) -> list[Feature]:
        """Return the features of a stream: of texts, or of how a source's polls ended."""
        if stream.endswith(f"_{POLLS}"):
            return poll_features()
        half_lives = self.config.sentiment.half_lives_h
        return [*features_of(SENTIMENT), *decayed_features(half_lives)]

    def columns(self) -> tuple[Column, ...]:
        """Return a description of every column, in the order in which `block` makes them."""
        groups = self.config.features.groups
        found = []
        found += [Column(f.name, PRICE, False, f.unit) for f in features_of(PRICE)]
        found.append(_missing_column(PRICE))
        if CALENDAR in groups:
            found += [Column(f.name, CALENDAR, False, f.unit) for f in features_of(CALENDAR)]
        for stream in self.streams:
            found += [
                Column(f"{stream}.{f.name}", SENTIMENT, f.polarity, f.unit)
                for f in self._features_of(stream)
            ]
        for metric in self.metrics:
            made = metric_features(metric, 24, self.config.features.metric_max_age_d)
            found += [Column(f.name, ONCHAIN, False, f.unit) for f in made]
        if self.metrics:
            found.append(_missing_column(ONCHAIN))
        return tuple(found)


def _with_missing(matrix: Floats) -> Floats:
    """Return the columns and, beside them, the share that is missing in each row."""
    return np.hstack([matrix, np.isnan(matrix).mean(axis=1, keepdims=True)])


def _missing_column(group: str) -> Column:
    return Column(f"{group}.missing", group, False, "share of columns")


def reach_of(config: Config, calendar: Calendar, interval: timedelta, since: datetime) -> timedelta:
    """Return how far before the first decision rows can matter."""
    month = round(timedelta(days=LEVEL_DAYS) / interval)
    bars = max([month, *(f.lookback for f in features_of(PRICE))]) + config.network.lookback_bars
    half_life = timedelta(hours=KERNEL_HALF_LIVES * max(config.sentiment.half_lives_h))
    texts = max(half_life, LONGEST_WEEKS) + config.network.sentiment_lookback_bars * interval
    return max(_lasting(bars + 1, calendar, interval, since), texts) + timedelta(days=1)


def _lasting(bars: int, calendar: Calendar, interval: timedelta, until: datetime) -> timedelta:
    """Return how long the last `bars` bars of a calendar before an instant took."""
    length = bars * interval
    while True:
        opens = calendar.expected_opens(until - length, until, interval)
        if len(opens) >= bars:
            return until - from_datetime64(opens[-bars])
        if length > LONGEST_REACH:
            return length
        length *= 2


def _following(bars: int, calendar: Calendar, interval: timedelta, since: datetime) -> datetime:
    """Return when the bar opens that has `bars` bars between itself and an instant."""
    length = (bars + 1) * interval
    while True:
        opens = calendar.expected_opens(since, since + length, interval)
        if len(opens) > bars:
            return from_datetime64(opens[bars])
        if length > LONGEST_REACH:
            return since + length
        length *= 2
