"""Tables become arrays: one row a bar and symbol, features as of its decision, targets.

    1. read        storage.read   rows known by `as_of`
    2. grid        grid.py        complete grids of bars and hours
    3. features    features/      declared functions over the grids
    4. targets     target.py      answers, with the time each is known
    5. stack       here           symbols one under the other
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from moodtape.calendars import Calendar, get_calendar
from moodtape.clock import DecisionClock, format_duration, iso, parse_duration, to_datetime64
from moodtape.config import Config
from moodtape.errors import DataMissing
from moodtape.forecaster.features import calendar as calendar_features  # noqa: F401  registers
from moodtape.forecaster.features import price as price_features  # noqa: F401  registers
from moodtape.forecaster.features.base import (
    CALENDAR,
    ONCHAIN,
    PRICE,
    SENTIMENT,
    Feature,
    compute_all,
    features_of,
)
from moodtape.forecaster.features.onchain import LEVEL_DAYS, metric_features
from moodtape.forecaster.features.sentiment import KERNEL_HALF_LIVES, decayed_features
from moodtape.forecaster.grid import (
    BarGrid,
    TextStream,
    as_of_values,
    bar_grid,
    hour_grid,
    last_closed_hour,
    naive,
    text_stream,
)
from moodtape.forecaster.target import Target, make_targets, trailing_variance
from moodtape.records import MARKET_SYMBOL, Span
from moodtape.storage import read
from moodtape.storage.db import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]

LONGEST_WEEKS = timedelta(hours=168)


@dataclass(frozen=True)
class Column:
    """A column of the feature matrix."""

    name: str
    group: str
    polarity: bool
    unit: str


@dataclass(frozen=True)
class Dataset:
    """Everything a study computes on; made once, then pure arrays.

    Rows are the bars of a complete grid, symbol after symbol; R in all.

    symbols: in order; symbol: index into it, shape (R,).
    open_time, cutoff, decision_time: of each row's bar, shape (R,).
    features: shape (R, F), NaN where missing; columns describes the F.
    targets: by key, `direction_1` ...
    close: first-known close, NaN where the bar is missing, shape (R,).
    run_length: bars without a hole that end at the row, shape (R,).
    trailing_variance: of one bar's log return as known at the row, shape (R,).
    regime: number that changes with the set of text collections, shape (R,).
    span: every decision of the study lies in it.
    streams: text streams that have columns.
    notes: what a reader should know about the data.
    """

    symbols: tuple[str, ...]
    interval: str
    symbol: NDArray[np.int64]
    open_time: Instants
    cutoff: Instants
    decision_time: Instants
    features: Floats
    columns: tuple[Column, ...]
    targets: Mapping[str, Target]
    close: Floats
    run_length: NDArray[np.int64]
    trailing_variance: Floats
    regime: NDArray[np.int64]
    span: Span
    streams: tuple[str, ...]
    metrics: tuple[str, ...]
    notes: Mapping[str, float] = field(default_factory=dict)

    def group(self, name: str) -> NDArray[np.int64]:
        """Return the numbers of the columns of one group."""
        return np.array([i for i, c in enumerate(self.columns) if c.group == name], dtype=np.int64)

    @property
    def polarity(self) -> NDArray[np.int64]:
        """Return the numbers of the columns that carry the tone of texts."""
        return np.array([i for i, c in enumerate(self.columns) if c.polarity], dtype=np.int64)

    def decisions(self, lookback_bars: int) -> NDArray[np.int64]:
        """Return the rows at which a forecast can be made, in order of time.

        In the span, with a whole window of bars behind them and a scale for the loss.
        """
        low, high = to_datetime64(self.span.since), to_datetime64(self.span.until)
        usable = (
            (self.decision_time >= low)
            & (self.decision_time < high)
            & (self.run_length >= lookback_bars)
            & ~np.isnan(self.trailing_variance)
        )
        rows = np.flatnonzero(usable)
        return rows[np.lexsort((self.symbol[rows], self.cutoff[rows]))]

    def fingerprint(self) -> str:
        """Return a hash of all the numbers, for the plan and the run folder."""
        digest = hashlib.sha256()
        for array in (self.features, self.close, *(t.y for t in self.targets.values())):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(self.cutoff.tobytes())
        digest.update(repr([c.name for c in self.columns]).encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Request:
    """What a dataset is made of.

    span: bounds of every decision; None means all bars there are.
    as_of: rows known by then.
    scorer: `name@revision`, or None for a study without texts.
    streams, metrics: fix the columns; None means: those that have rows in the span.
    """

    symbols: tuple[str, ...]
    as_of: datetime
    scorer: str | None
    span: Span | None = None
    streams: tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None


def load_dataset(warehouse: Warehouse, config: Config, request: Request) -> Dataset:
    """Read what was known by `as_of` and return it as arrays.

    Raises:
        DataMissing: no bars for a symbol, or none in the span.
    """
    interval = parse_duration(config.market.interval)
    calendar = get_calendar(config.market.calendar)
    with warehouse.read() as connection:
        series = [
            read.choose_series(
                connection, symbol, format_duration(interval),
                config.market.venue.get(symbol), config.market.quote.get(symbol),
            )
            for symbol in request.symbols
        ]
        span = request.span or _whole_span([read.bar_span(connection, s) for s in series])
        bars = {s.symbol: read.bar_versions(connection, s, request.as_of) for s in series}
        use_texts = SENTIMENT in config.features.groups and request.scorer is not None
        sources = config.sentiment.sources if use_texts else ()
        sums = read.hourly_sums(
            connection, [*request.symbols, MARKET_SYMBOL], request.scorer or "", sources,
            request.as_of,
        )
        seen = read.seen_hours(connection, request.scorer or "", sources, request.as_of)
        coverage = read.coverage(connection, sources)
        names = config.features.metrics if ONCHAIN in config.features.groups else ()
        allowed = [n for n in names if not config.features.is_restated(n)]
        metrics = {
            s: read.metric_versions(connection, s, allowed, request.as_of) for s in request.symbols
        }
    reach = _reach(config, interval)
    texts = _Texts(*_near(sums, seen, coverage, span, reach))
    streams = request.streams
    if streams is None:
        streams = _streams(texts.sums, sources, config.sentiment.market_texts)
    chosen = request.metrics
    if chosen is None:
        chosen = _metric_names(metrics, span)
    maker = _Maker(config, calendar, interval, span, reach, streams, chosen, request.as_of)
    blocks = [
        maker.block(s, bars[s], texts, metrics[s]) for s in request.symbols
    ]
    return _stack(request.symbols, blocks, maker)


def _whole_span(spans: Sequence[Span]) -> Span:
    return Span(min(s.since for s in spans), max(s.until for s in spans) + timedelta(days=1))


def _reach(config: Config, interval: timedelta) -> timedelta:
    """Return how far before the first decision rows can matter."""
    bars = max(f.lookback for f in features_of(PRICE)) + config.network.lookback_bars + 1
    half_life = timedelta(hours=KERNEL_HALF_LIVES * max(config.sentiment.half_lives_h))
    texts = max(half_life, LONGEST_WEEKS) + config.network.sentiment_lookback_bars * interval
    month = timedelta(days=LEVEL_DAYS) + config.network.lookback_bars * interval
    return max(bars * interval, texts, month) + timedelta(days=1)


@dataclass(frozen=True)
class _Texts:
    """What the warehouse says of texts: sums by hour, hours with any text, coverage."""

    sums: pd.DataFrame
    seen: pd.DataFrame
    coverage: pd.DataFrame


def _near(
    sums: pd.DataFrame, seen: pd.DataFrame, coverage: pd.DataFrame, span: Span, reach: timedelta
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return only the text rows that can matter to a decision in the span."""
    first, last = span.since - reach, span.until
    touching = (coverage["covered_until"] >= first) & (coverage["covered_from"] < last)
    return (
        sums[(sums["hour"] >= first) & (sums["hour"] < last)],
        seen[(seen["hour"] >= first) & (seen["hour"] < last)],
        coverage[touching],
    )


def _streams(sums: pd.DataFrame, sources: Sequence[str], market_texts: bool) -> tuple[str, ...]:
    """Return `news`, `news_market` ... for the sources that have rows."""
    present = set(sums["source"])
    names = []
    for source in sources:
        if source in present:
            names.append(source)
            if market_texts:
                names.append(f"{source}_market")
    return tuple(names)


def _metric_names(metrics: Mapping[str, pd.DataFrame], span: Span) -> tuple[str, ...]:
    """Return `metric@provider` of the metrics that have rows in the span."""
    found = set()
    for frame in metrics.values():
        near = frame[(frame["known_at"] >= span.since) & (frame["known_at"] < span.until)]
        found |= {f"{m}@{p}" for m, p in zip(near["metric"], near["provider"], strict=True)}
    return tuple(sorted(found))


@dataclass(frozen=True)
class _Block:
    """The rows of one symbol."""

    grid: BarGrid
    decision_time: Instants
    features: Floats
    targets: dict[str, Target]
    trailing: Floats
    regime: NDArray[np.int64]


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one symbol after another with the same columns."""

    config: Config
    calendar: Calendar
    interval: timedelta
    span: Span
    reach: timedelta
    streams: tuple[str, ...]
    metrics: tuple[str, ...]
    as_of: datetime

    def block(
        self, symbol: str, bars: pd.DataFrame, texts: _Texts, metrics: pd.DataFrame
    ) -> _Block:
        grid = self._grid(symbol, bars)
        clock = DecisionClock(timedelta(seconds=self.config.clock.decision_delay_s))
        decision_time = clock.decision_times(grid.close_time)
        parts = []
        groups = self.config.features.groups
        if PRICE in groups:
            parts.append(_with_missing(self._price(grid, decision_time)))
        if CALENDAR in groups:
            cutoff_s = grid.close_time.astype(np.int64) / 1e6
            parts.append(compute_all(features_of(CALENDAR), {"cutoff_s": cutoff_s}))
        streams = self._text_streams(symbol, texts, grid)
        parts += [matrix for _, matrix in streams]
        if self.metrics:
            parts.append(_with_missing(self._onchain(metrics, decision_time)))
        first = dict(grid.first)
        targets = make_targets(
            first, grid.close_time, self.config.target.names, self.config.target.horizons,
            self.config.target.volatility_floor_bps,
        )
        regime = self._regime(streams, len(grid.open_time))
        return _Block(
            grid, decision_time, np.hstack(parts), targets, trailing_variance(first["close"]), regime
        )

    def _grid(self, symbol: str, bars: pd.DataFrame) -> BarGrid:
        near = bars[
            (bars["open_time"] >= self.span.since - self.reach)
            & (bars["open_time"] < self.span.until + max(self.config.target.horizons) * self.interval)
        ]
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
        self, symbol: str, texts: _Texts, grid: BarGrid
    ) -> list[tuple[TextStream, Floats]]:
        """Return each stream with its columns at the rows of the grid of bars."""
        if not self.streams:
            return []
        first = max(grid.open_time[0], to_datetime64(self.span.since - self.reach))
        hours = hour_grid(first - np.timedelta64(self.reach, "us"), grid.close_time[-1])
        row = last_closed_hour(grid.close_time, hours)
        features = [*features_of(SENTIMENT), *decayed_features(self.config.sentiment.half_lives_h)]
        made = []
        for name in self.streams:
            source, _, scope = name.partition("_")
            about = MARKET_SYMBOL if scope else symbol
            of_source = [frame[frame["source"] == source] for frame in
                         (texts.sums, texts.seen, texts.coverage)]
            sums, seen, coverage = of_source
            stream = text_stream(name, sums[sums["symbol"] == about], seen, coverage, hours)
            made.append((stream, compute_all(features, stream.columns)[row]))
        return made

    def _regime(self, streams: Sequence[tuple[TextStream, Floats]], count: int) -> NDArray[np.int64]:
        """Return a number per row that changes when a source's set of collections does."""
        changed = np.zeros(count, dtype=bool)
        names = [f.name for f in features_of(SENTIMENT)]
        age = names.index("regime_age") if "regime_age" in names else 0
        for _, matrix in streams:
            changed |= matrix[:, age] == 0.0
        return np.cumsum(changed).astype(np.int64)

    def _onchain(self, metrics: pd.DataFrame, decision_time: Instants) -> Floats:
        inputs: dict[str, Floats] = {}
        features: list[Feature] = []
        per_day = timedelta(days=1) / self.interval
        for label in self.metrics:
            metric, _, provider = label.partition("@")
            rows = metrics[(metrics["metric"] == metric) & (metrics["provider"] == provider)]
            value, age = as_of_values(
                naive(rows["known_at"]), rows["value"].to_numpy("float64"),
                naive(rows["period_end"]), decision_time,
            )
            inputs |= {f"{label}.value": value, f"{label}.age_d": age}
            features += metric_features(label, per_day, self.config.features.metric_max_age_d)
        return compute_all(features, inputs)

    def columns(self) -> tuple[Column, ...]:
        """Return a description of every column, in the order in which `block` makes them."""
        groups = self.config.features.groups
        found = []
        if PRICE in groups:
            found += [Column(f.name, PRICE, False, f.unit) for f in features_of(PRICE)]
            found.append(_missing_column(PRICE))
        if CALENDAR in groups:
            found += [Column(f.name, CALENDAR, False, f.unit) for f in features_of(CALENDAR)]
        texts = [*features_of(SENTIMENT), *decayed_features(self.config.sentiment.half_lives_h)]
        for stream in self.streams:
            found += [Column(f"{stream}.{f.name}", SENTIMENT, f.polarity, f.unit) for f in texts]
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


def _stack(symbols: tuple[str, ...], blocks: Sequence[_Block], maker: _Maker) -> Dataset:
    """Put the rows of all symbols under each other."""
    targets = {
        key: Target(
            target.name,
            target.horizon_bars,
            np.concatenate([b.targets[key].y for b in blocks]),
            np.concatenate([b.targets[key].known_at for b in blocks]),
            sum(b.targets[key].left_out for b in blocks),
        )
        for key, target in blocks[0].targets.items()
    }
    missing = sum(int(np.isnan(b.grid.first["close"]).sum()) for b in blocks)
    corrected = sum(len(b.grid.correction_row) for b in blocks)
    return Dataset(
        symbols=symbols,
        interval=format_duration(maker.interval),
        symbol=np.concatenate(
            [np.full(len(b.decision_time), i, dtype=np.int64) for i, b in enumerate(blocks)]
        ),
        open_time=np.concatenate([b.grid.open_time for b in blocks]),
        cutoff=np.concatenate([b.grid.close_time for b in blocks]),
        decision_time=np.concatenate([b.decision_time for b in blocks]),
        features=np.vstack([b.features for b in blocks]),
        columns=maker.columns(),
        targets=targets,
        close=np.concatenate([b.grid.first["close"] for b in blocks]),
        run_length=np.concatenate([b.grid.run_length for b in blocks]),
        trailing_variance=np.concatenate([b.trailing for b in blocks]),
        regime=np.concatenate([b.regime for b in blocks]),
        span=maker.span,
        streams=maker.streams,
        metrics=maker.metrics,
        notes={"missing_bars": missing, "corrected_bars": corrected},
    )
