"""Tables become arrays: one row a bar and symbol, features as of its decision, targets.

1. read        storage.read   rows known by `as_of`
2. grid        grid.py        complete grids of bars and hours
3. features    features/      declared functions over the grids
4. targets     target.py      answers, with the time each is known
5. stack       dataset.py     symbols one under the other
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.clock import (
    format_duration,
    iso,
    parse_duration,
)
from moodtape.config import Config
from moodtape.errors import ConfigError, DataMissing
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.features.base import ONCHAIN, PRICE, SENTIMENT
from moodtape.forecaster.features.polls import SCOPE as POLLS
from moodtape.forecaster.others import others_rows
from moodtape.forecaster.reach import reach_of
from moodtape.forecaster.rows import Block, RowMaker
from moodtape.forecaster.target import Target
from moodtape.forecaster.texts import Texts
from moodtape.records import MARKET_SYMBOL, Span
from moodtape.storage import read
from moodtape.storage.db import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]


def load_dataset(warehouse: Warehouse, config: Config, request: Request) -> Dataset:
    """Read what was known by `as_of` and return it as arrays.

    Raises:
        DataMissing: no bars for a symbol, or none of any near the span.
        ConfigError: the features leave out the price.
    """
    (dataset,) = load_variants(warehouse, config, request, [lambda texts: texts])
    return dataset


@dataclass(frozen=True)
class Stored:
    """What a warehouse holds for a request, as known by its `as_of`.

    bars: every version by symbol, those of peers last. metrics: by symbol.
    """

    bars: Mapping[str, pd.DataFrame]
    texts: Texts
    metrics: Mapping[str, pd.DataFrame]


def load_variants(
    warehouse: Warehouse,
    config: Config,
    request: Request,
    changes: Sequence[Callable[[Texts], Texts]],
) -> list[Dataset]:
    """Read once what was known by `as_of`, and return a dataset for each change of its texts."""
    stored = read_stored(warehouse, config, request)
    bars, metrics = stored.bars, stored.metrics
    interval, calendar = (
        parse_duration(config.market.interval), get_calendar(config.market.calendar),
    )  # fmt: skip
    delay = timedelta(seconds=config.clock.decision_delay_s)
    span = _span(request, {s: bars[s] for s in request.symbols}, delay)
    reach = reach_of(config, calendar, interval, span.since)
    texts = stored.texts.near(span, reach)
    streams = request.streams
    if streams is None:
        streams = _streams(texts, config.sentiment.sources, config.sentiment.market_texts)
    chosen = request.metrics
    if chosen is None:
        chosen = _metric_names(metrics, span)
    others = config.features.others and len(bars) > 1
    maker = RowMaker(config, calendar, interval, span, reach, streams, chosen, others)
    _require_bars(maker, request.symbols, bars)
    return [
        stack(
            request.symbols,
            make_blocks(maker, request.symbols, bars, change(texts), metrics),
            maker,
        )
        for change in changes
    ]


def read_stored(warehouse: Warehouse, config: Config, request: Request) -> Stored:
    """Return what a warehouse holds for a request.

    Raises:
        ConfigError: the features leave out the price.
    """
    if PRICE not in config.features.groups:
        raise ConfigError("features.groups must hold 'price': the baselines are made of it.")
    interval = parse_duration(config.market.interval)
    peers = peers_of(config, request.symbols)
    with warehouse.read() as connection:
        series = [
            read.choose_series(
                connection,
                symbol,
                format_duration(interval),
                config.market.venue.get(symbol),
                config.market.quote.get(symbol),
            )
            for symbol in (*request.symbols, *peers)
        ]
        bars = {s.symbol: read.bar_versions(connection, s, request.as_of) for s in series}
        use_texts = SENTIMENT in config.features.groups and request.scorer is not None
        sources = config.sentiment.sources if use_texts else ()
        sums = read.hourly_sums(
            connection,
            [*request.symbols, MARKET_SYMBOL],
            request.scorer or "",
            sources,
            request.as_of,
            config.sentiment.kinds,
            config.sentiment.promotion == "keep",
        )
        lost = read.forgotten_hours(
            connection,
            [*request.symbols, MARKET_SYMBOL],
            request.scorer or "",
            sources,
            request.as_of,
        )
        seen = read.seen_hours(connection, request.scorer or "", sources, request.as_of)
        coverage = read.coverage(connection, sources)
        polls = read.poll_hours(connection, sources, request.as_of)
        names = config.features.metrics if ONCHAIN in config.features.groups else ()
        allowed = [n for n in names if not config.features.is_restated(n)]
        metrics = {
            s: read.metric_versions(connection, s, allowed, request.as_of) for s in request.symbols
        }
    return Stored(bars, Texts(sums, seen, coverage, polls, lost), metrics)


def peers_of(config: Config, symbols: Sequence[str]) -> tuple[str, ...]:
    """Return the assets whose bars a study of some symbols reads besides theirs."""
    if not config.features.others:
        return ()
    return tuple(s for s in dict.fromkeys(config.features.peers) if s not in symbols)


def make_blocks(
    maker: RowMaker,
    symbols: Sequence[str],
    bars: Mapping[str, pd.DataFrame],
    texts: Texts,
    metrics: Mapping[str, pd.DataFrame],
) -> list[Block]:
    """Return the rows of each symbol; `bars` are theirs and, after them, their peers'."""
    made = [maker.price(frame) for frame in bars.values()]
    others: Iterator[Floats | None] = repeat(None)
    if maker.others:
        shown = [maker.shown_to_others(rows) for rows in made]
        others = others_rows([rows.grid.close_time for rows in made], shown, len(symbols))
    return [
        maker.block(symbol, rows, other, texts, metrics[symbol])
        for symbol, rows, other in zip(symbols, made, others, strict=False)
    ]


def _require_bars(
    maker: RowMaker, symbols: Sequence[str], bars: Mapping[str, pd.DataFrame]
) -> None:
    """Refuse a span near which no symbol has bars, or a peer has none.

    Raises:
        DataMissing: names the asset and the command that gets its bars.
    """
    empty = [symbol for symbol, frame in bars.items() if maker.near(frame).empty]
    needed = [symbol for symbol in empty if symbol not in symbols]
    if set(symbols) <= set(empty):
        needed = [*symbols, *needed]
    if needed:
        raise DataMissing(
            f"No {maker.config.market.interval} bars for {needed[0]} between"
            f" {iso(maker.span.since)} and {iso(maker.span.until)}."
            f" Run: moodtape import bars FILE --symbol {needed[0]}"
        )


def _span(request: Request, bars: Mapping[str, pd.DataFrame], delay: timedelta) -> Span:
    """Return the span asked for, as far as there are bars to decide on."""
    closes = [frame["close_time"].max() for frame in bars.values() if len(frame)]
    opens = [frame["open_time"].min() for frame in bars.values() if len(frame)]
    if not closes:
        raise DataMissing(
            f"No bars of {', '.join(bars)} were known by {iso(request.as_of)} (--as-of)."
        )
    first = min(opens).to_pydatetime()
    end = max(closes).to_pydatetime() + delay + timedelta(microseconds=1)
    if request.span is None:
        return Span(first, end)
    return Span(request.span.since, max(request.span.since, min(request.span.until, end)))


def _streams(texts: Texts, sources: Sequence[str], market_texts: bool) -> tuple[str, ...]:
    """Return `news`, `news_market`, `news_polls` ... for the sources that have rows or polls."""
    present, polled = set(texts.sums["source"]), set(texts.polls["source"])
    names = []
    for source in sources:
        if source in present:
            names.append(source)
            if market_texts:
                names.append(f"{source}_market")
            if source in polled:
                names.append(f"{source}_{POLLS}")
    return tuple(names)


def _metric_names(metrics: Mapping[str, pd.DataFrame], span: Span) -> tuple[str, ...]:
    """Return `metric@provider` of the metrics that have rows in the span."""
    found = set()
    for frame in metrics.values():
        near = frame[(frame["known_at"] >= span.since) & (frame["known_at"] < span.until)]
        found |= {f"{m}@{p}" for m, p in zip(near["metric"], near["provider"], strict=True)}
    return tuple(sorted(found))


def stack(symbols: tuple[str, ...], blocks: Sequence[Block], maker: RowMaker) -> Dataset:
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
        history=np.vstack([b.history for b in blocks]),
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
        scaling=maker.config.features.scaling,
    )
