"""Texts at the decisions of one symbol: hours become bars, streams become columns.

1. hours    grid.py        complete hours of each stream, NaN where nobody watched
2. bars     by_bar         what the hours since the bar before brought
3. columns  features/      declared functions over hours or bars
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import Feature, compute_all
from moodtape.forecaster.features.chosen import Chosen
from moodtape.forecaster.features.polls import SCOPE as POLLS
from moodtape.forecaster.features.sentiment import hourly_rate
from moodtape.forecaster.grid import (
    SUM_COLUMNS,
    hour_grid,
    last_closed_hour,
    naive,
    poll_columns,
    text_stream,
)
from moodtape.records import MARKET_SYMBOL, Span

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]
    Rows = NDArray[np.int64]

WEEK_HOURS = 168
MOST_LOST = 0.05
"""A larger share of an hour's texts lost, and the hour counts as one that nobody watched."""


@dataclass(frozen=True)
class Texts:
    """What the warehouse says of texts: sums by hour, hours with any text, coverage, polls.

    lost: hours with texts that were deleted before the scorer read them; None for none.
    """

    sums: pd.DataFrame
    seen: pd.DataFrame
    coverage: pd.DataFrame
    polls: pd.DataFrame
    lost: pd.DataFrame | None = None

    def near(self, span: Span, reach: timedelta) -> Texts:
        """Return only the rows that can matter to a decision in the span."""
        first, last = span.since - reach, span.until
        over = self.coverage
        return Texts(
            _within(self.sums, first, last),
            _within(self.seen, first, last),
            over[(over["covered_until"] >= first) & (over["covered_from"] < last)],
            _within(self.polls, first, last),
            None if self.lost is None else _within(self.lost, first, last),
        )

    def without(self, hours: Sequence[datetime] | None = None) -> Texts:
        """Return the same as if some hours had brought no text; none had by default."""
        if hours is None:
            return replace(self, sums=self.sums[:0])
        return replace(self, sums=self.sums[~self.sums["hour"].isin(list(hours))])

    def of_source(self, source: str) -> Texts:
        """Return only the rows of one source."""
        sums, seen, coverage, polls = (
            frame[frame["source"] == source]
            for frame in (self.sums, self.seen, self.coverage, self.polls)
        )
        lost = None if self.lost is None else self.lost[self.lost["source"] == source]
        return Texts(sums, seen, coverage, polls, lost)

    def masked(self, symbol: str) -> Instants:
        """Return the hours of a symbol of which too many texts are lost to say how they sounded."""
        if self.lost is None:
            return np.zeros(0, dtype="datetime64[us]")
        own = self.lost[self.lost["symbol"] == symbol]
        return naive(own.loc[own["lost"] > MOST_LOST * own["texts"], "hour"])


@dataclass(frozen=True)
class Stream:
    """One stream's columns at the decisions, and the number of its regime; (T, k), (T,)."""

    name: str
    columns: Floats
    regime: Rows


def streams_at(
    names: tuple[str, ...],
    symbol: str,
    texts: Texts,
    cutoff: Instants,
    interval: timedelta,
    first: np.datetime64,
    chosen: Chosen,
) -> Iterator[Stream]:
    """Yield each stream of a symbol at its decisions.

    Args:
        names: `news`, `news_market`, `news_polls` ...
        cutoff: of each decision, in order, shape (T,).
        first: hours from here on can matter.
    """
    hours = hour_grid(first, cutoff[-1])
    since, last = hours_of_bars(cutoff, interval, hours)
    for name in names:
        source, _, scope = name.partition("_")
        features, own = chosen.of_stream(name), texts.of_source(source)
        if scope == POLLS:
            polls = polls_by_bar(poll_columns(own.polls, hours), since, last)
            yield Stream(name, compute_all(features, polls), np.zeros(len(last), dtype=np.int64))
            continue
        about = MARKET_SYMBOL if scope else symbol
        sums = own.sums[own.sums["symbol"] == about]
        hourly = text_stream(name, sums, own.seen, own.coverage, hours, own.masked(about)).columns
        columns = _columns(features, hourly, by_bar(hourly, since, last), last)
        yield Stream(name, columns, hourly["collections"].astype(np.int64)[last])


def _columns(
    features: tuple[Feature, ...], hourly: Mapping[str, Floats], bars: Mapping[str, Floats],
    last: Rows,
) -> Floats:  # fmt: skip
    """Return columns in the order of the features, each over its own steps. -> (T, k)"""
    matrix = np.full((len(last), len(features)), np.nan)
    for step, inputs in (("hour", hourly), ("bar", bars)):
        places = [i for i, f in enumerate(features) if f.step == step]
        if places:
            made = compute_all([features[i] for i in places], inputs)
            matrix[:, places] = made[last] if step == "hour" else made
    return matrix


def hours_of_bars(cutoff: Instants, interval: timedelta, hours: Instants) -> tuple[Rows, Rows]:
    """Return the first and last of the hours that each bar brought. (T,) -> 2 x (T,)

    They are those over since the bar before closed: one hour of an hourly bar; of a session
    the evening and the night before it, of Monday's the weekend too. A bar shorter than an
    hour has the hour that was over last.
    """
    last = last_closed_hour(cutoff, hours)
    before = np.concatenate([cutoff[:1] - np.timedelta64(interval, "us"), cutoff[:-1]])
    first = np.minimum(last_closed_hour(before, hours) + 1, last)
    return np.maximum(first, 0), last


def by_bar(columns: Mapping[str, Floats], first: Rows, last: Rows) -> dict[str, Floats]:
    """Return hourly counts and sums as those of each bar's watched hours. (H,) -> (T,) each

    NaN where none of them was watched. Beside them stand how many were (`watched`) and the
    texts that a watched hour of the last week brought (`usual`).
    """
    found = {name: columns[name] for name in SUM_COLUMNS}
    found = {name: _summed(np.nan_to_num(c), first, last) for name, c in found.items()}
    watched = _summed((~np.isnan(columns["n"])).astype(float), first, last)
    found = {name: np.where(watched > 0, values, np.nan) for name, values in found.items()}
    usual = hourly_rate(columns["n"], 1.0, WEEK_HOURS)[last]
    return {
        **found, "collections": columns["collections"][last], "watched": watched, "usual": usual,
    }  # fmt: skip


def polls_by_bar(columns: Mapping[str, Floats], first: Rows, last: Rows) -> dict[str, Floats]:
    """Return hourly numbers of polls as those of each bar's hours. (H,) -> (T,) each"""
    return {name: _summed(values, first, last) for name, values in columns.items()}


def _summed(values: Floats, first: Rows, last: Rows) -> Floats:
    """Return the sums of `values[first : last + 1]`, each from its own values alone."""
    edges = np.stack([first, last + 1], axis=1).ravel()
    sums: Floats = np.add.reduceat(np.append(values, 0.0), edges)[::2]
    return sums


def _within(table: pd.DataFrame, first: datetime, last: datetime) -> pd.DataFrame:
    return table[(table["hour"] >= first) & (table["hour"] < last)]
