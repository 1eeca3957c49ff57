"""Puts stored rows on complete grids: bars by the calendar, texts by the hour.

A hole in a grid is NaN. Bars are given as of each decision: a bar that its venue
corrected later shows its old values to every decision made before the correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import BAR_INPUTS as BAR_COLUMNS
from moodtape.forecaster.features.polls import POLL_COLUMNS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]

HOUR = np.timedelta64(1, "h").astype("timedelta64[us]")


@dataclass(frozen=True)
class BarGrid:
    """A symbol's bars on its calendar.

    open_time, close_time: shape (T,), every bar that should exist.
    first: first-known values by column, NaN where a bar is missing, each (T,).
    corrections: later versions: row of the grid, when known, values (k, n_columns).
    """

    open_time: Instants
    close_time: Instants
    first: Mapping[str, Floats]
    correction_row: NDArray[np.int64]
    correction_known_at: Instants
    correction_values: Floats

    @property
    def run_length(self) -> NDArray[np.int64]:
        """Return for each row how many bars without a hole end at it. (T,)"""
        present = ~np.isnan(self.first["close"])
        index = np.arange(len(present))
        last_hole = np.maximum.accumulate(np.where(present, -1, index))
        return np.where(present, index - last_hole, 0)

    def versions(self, decision_time: Instants) -> Iterator[tuple[int, int, Mapping[str, Floats]]]:
        """Yield `(start, stop, values)`: rows start..stop decide on these values of the grid.

        Without corrections there is one stretch. Each correction begins a new one at the
        first decision that knew it.
        """
        values = {name: column.copy() for name, column in self.first.items()}
        order = np.argsort(self.correction_known_at, kind="stable")
        starts = np.searchsorted(decision_time, self.correction_known_at[order], side="left")
        begin = 0
        for start in np.unique(starts):
            if start > begin:
                yield begin, int(start), {k: v.copy() for k, v in values.items()}
                begin = int(start)
            for item in order[starts == start]:
                for column, name in enumerate(BAR_COLUMNS):
                    values[name][self.correction_row[item]] = self.correction_values[item, column]
        if begin < len(decision_time):
            yield begin, len(decision_time), values


def bar_grid(versions: pd.DataFrame, opens: Instants, closes: Instants) -> BarGrid:
    """Return stored bar versions on the grid of expected opens.

    Args:
        versions: from `storage.read.bar_versions`.
        opens, closes: the calendar's bars, shape (T,).
    """
    stored_open = naive(versions["open_time"])
    row = np.searchsorted(opens, stored_open)
    row = np.minimum(row, max(len(opens) - 1, 0))
    on_grid = opens[row] == stored_open if len(opens) else np.zeros(len(row), dtype=bool)
    is_first = versions["version"].to_numpy() == 1
    first = {}
    for name in BAR_COLUMNS:
        column = np.full(len(opens), np.nan)
        keep = on_grid & is_first
        column[row[keep]] = versions[name].to_numpy("float64", na_value=np.nan)[keep]
        first[name] = column
    later = on_grid & ~is_first
    values = versions.loc[later, list(BAR_COLUMNS)].to_numpy("float64", na_value=np.nan)
    return BarGrid(opens, closes, first, row[later], naive(versions["known_at"])[later], values)


@dataclass(frozen=True)
class TextStream:
    """Hourly sums of one source's texts about one symbol (or the market).

    Each column has shape (H,), NaN in hours that nobody watched. `collections` is a
    number that grows whenever a collection begins or ends.
    """

    name: str
    columns: Mapping[str, Floats]


SUM_COLUMNS = ("n", "n_stale", "n_repost", "sum_tone", "sum_tone_squared")
_UNITS = {"sum_tone": 1e-6, "sum_tone_squared": 1e-12}


def text_stream(
    name: str, sums: pd.DataFrame, seen: pd.DataFrame, coverage: pd.DataFrame, hours: Instants,
    masked: Instants | None = None,
) -> TextStream:  # fmt: skip
    """Return one stream on a grid of hours.

    An hour counts as watched when the source brought a text about anything in it, or
    when a stated crawl covers it.

    Args:
        sums: rows of one symbol and source, from `storage.read.hourly_sums`.
        seen: rows of that source, from `storage.read.seen_hours`.
        coverage: rows of that source, from `storage.read.coverage`.
        hours: starts of the hours, shape (H,).
        masked: hours that count as unwatched whatever was seen in them.
    """
    crawled = np.zeros(len(hours), dtype=bool)
    changed = np.zeros(len(hours), dtype=bool)
    for _, part in coverage.groupby("collection", sort=True):
        since, until = naive(part["covered_from"]), naive(part["covered_until"])
        # The hours at the edges were watched in part only: they count where they have texts.
        touched = _covered(hours, _floor_hour(since), _floor_hour(until) + HOUR)
        changed[1:] |= touched[1:] != touched[:-1]
        whole = (part["state"] == "crawled").to_numpy(bool)
        crawled |= _covered(hours, since[whole], until[whole])
    stored_hour = naive(sums["hour"])
    row = np.searchsorted(hours, stored_hour)
    inside = (row < len(hours)) & (hours[np.minimum(row, len(hours) - 1)] == stored_hour)
    columns = {}
    for column in SUM_COLUMNS:
        total = np.zeros(len(hours))
        stored = sums[column].to_numpy("float64") * _UNITS.get(column, 1.0)
        np.add.at(total, row[inside], stored[inside])
        columns[column] = total
    known = crawled | np.isin(hours, naive(seen["hour"]))
    if masked is not None:
        known &= ~np.isin(hours, masked)
    columns = {column: np.where(known, values, np.nan) for column, values in columns.items()}
    columns["collections"] = np.cumsum(changed).astype(float)
    return TextStream(name, columns)


def poll_columns(polls: pd.DataFrame, hours: Instants) -> dict[str, Floats]:
    """Return how many of one source's polls ended how, on a grid of hours; 0 without polls.

    Args:
        polls: rows of that source, from `storage.read.poll_hours`.
        hours: starts of the hours, shape (H,).
    """
    stored_hour = naive(polls["hour"])
    row = np.searchsorted(hours, stored_hour)
    inside = (row < len(hours)) & (hours[np.minimum(row, len(hours) - 1)] == stored_hour)
    columns = {name: np.zeros(len(hours)) for name in POLL_COLUMNS}
    for name, column in columns.items():
        column[row[inside]] = polls[name].to_numpy("float64")[inside]
    return columns


def _covered(hours: Instants, since: Instants, until: Instants) -> NDArray[np.bool_]:
    """Return which hours lie wholly inside one of some spans. (H,), (k,), (k,) -> (H,)"""
    first = np.searchsorted(hours, since, side="left")
    last = np.searchsorted(hours, until - HOUR, side="right")
    long_enough = last > first
    step = np.zeros(len(hours) + 1)
    np.add.at(step, first[long_enough], 1)
    np.add.at(step, last[long_enough], -1)
    return np.cumsum(step)[:-1] > 0


def hour_grid(first: np.datetime64, last: np.datetime64) -> Instants:
    """Return the starts of all hours from that of `first` to before `last`."""
    start = first.astype("datetime64[h]").astype("datetime64[us]")
    return np.arange(start, last, HOUR)


def last_closed_hour(cutoff: Instants, hours: Instants) -> NDArray[np.int64]:
    """Return the row of the last hour that was over at each cut-off; -1 if none was."""
    result: NDArray[np.int64] = np.searchsorted(hours + HOUR, cutoff, side="right") - 1
    return result


def as_of_values(
    known_at: Instants, values: Floats, period_end: Instants, decision_time: Instants
) -> tuple[Floats, Floats]:
    """Return the newest value known at each decision and its age in days. (k,) -> 2 x (T,)"""
    row = np.searchsorted(known_at, decision_time, side="right") - 1
    found = row >= 0
    safe = np.maximum(row, 0)
    value = np.full(len(decision_time), np.nan)
    age = np.full(len(decision_time), np.nan)
    if len(values):
        value[found] = values[safe][found]
        elapsed = (decision_time - period_end[safe]) / np.timedelta64(timedelta(days=1), "us")
        age[found] = elapsed[found]
    return value, age


def naive(column: pd.Series) -> Instants:
    """Return an aware column as `datetime64[us]` read as UTC."""
    instants: Instants = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    return instants


def _floor_hour(instants: Instants) -> Instants:
    hours: Instants = instants.astype("datetime64[h]").astype("datetime64[us]")
    return hours
