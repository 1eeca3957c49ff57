"""The placebo `echo`: the tone that past prices alone would have given.

    1. history    returns, their size, ranges and volume of the last 1 to 168 bars
    2. fit        each column of tone on it, symbol by symbol, on a fold's training rows
    3. residual   of training rows, in blocks, from the same hour of the week
    4. echo       fitted value plus residual; rows without tone stay without

Texts tell what prices just did. A forecaster that reads them may gain by that alone, though
the prices were there to be read; real tone must be worth more than its echo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.rolling import lagged, rolling_mean
from moodtape.forecaster.seeds import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]

ECHO_BARS = (1, 2, 4, 24, 168)
WEEK = np.timedelta64(7, "D").astype("timedelta64[us]")
PENALTY = 1.0
"""Of the ridge, for columns of unit variance: it only keeps a short fit from breaking."""

MEAN_BLOCK = WEEK
"""Mean length of a block of residuals: longer than the memory of the slowest column."""

HALF_SHARE = 0.5
"""Share of a stretch that must be there for its mean."""


def price_history(bars: Mapping[str, Floats]) -> Floats:
    """Return what an echo is made of, as of each bar's close; NaN where missing. (T, 20)

    Log return over 1, 2, 4, 24 and 168 bars, its absolute value, mean log range and log of
    the mean volume over as many.

    Args:
        bars: `high`, `low`, `close` and `volume` as first known, each (T,).
    """
    close = np.log(bars["close"])
    spread = np.log(bars["high"]) - np.log(bars["low"])
    returns = [close - lagged(close, n) for n in ECHO_BARS]
    ranges = [rolling_mean(spread, n, HALF_SHARE) for n in ECHO_BARS]
    volumes = [np.log1p(rolling_mean(bars["volume"], n, HALF_SHARE)) for n in ECHO_BARS]
    return np.column_stack([*returns, *map(np.abs, returns), *ranges, *volumes])


@dataclass(frozen=True)
class Told:
    """What past prices tell of one symbol's columns of tone, and what they leave.

    own: rows of the symbol in the dataset, shape (n,). first, stop: its training rows among them,
    half-open. fitted, residuals: shape (n, k); residuals of the training rows alone.
    """

    own: Rows
    first: int
    stop: int
    fitted: Floats
    residuals: Floats


def told_by_prices(tone: Floats, present: Mask, dataset: Dataset, fold: Fold) -> dict[str, Told]:
    """Return by symbol what past prices tell of the tone; nothing of one without training rows.

    Args:
        tone: scaled columns, shape (R, k); present: where they hold a value, shape (R, k).
        fold: only its training rows are fitted.
    """
    found = {}
    for number, symbol in enumerate(dataset.symbols):
        own = np.flatnonzero(dataset.symbol == number)
        train = fold.train[dataset.symbol[fold.train] == number]
        if not len(train):
            continue
        x = standardised(dataset.history[own], np.searchsorted(own, train))
        fitted = np.zeros((len(own), tone.shape[1]))
        for column in range(tone.shape[1]):
            there = train[present[train, column]]
            if len(there):
                fitted[:, column] = fitted_values(x, tone[own, column], np.searchsorted(own, there))
        first, last = np.searchsorted(own, [train.min(), train.max()])
        residuals = carried((tone[own] - fitted), present[own], first, last + 1)
        found[symbol] = Told(own, int(first), int(last) + 1, fitted, residuals)
    return found


def echoed(
    told: Mapping[str, Told], present: Mask, dataset: Dataset, fold: Fold, seed: int, draw: int
) -> Floats:
    """Return what past prices tell of the tone, with noise of the tone's own kind. (R, k)

    Args:
        told: by symbol, from `told_by_prices`: the same for every draw.
        present: where the tone holds a value, shape (R, k).
        draw: number of the draw.
    """
    result = np.zeros(present.shape)
    for symbol, part in told.items():
        rng = generator(seed, "echo", symbol, fold.number, draw)
        source = residual_rows(dataset.open_time[part.own], part.first, part.stop, rng)
        result[part.own] = part.fitted + part.residuals[source]
    return np.where(present, result, 0.0)


def residual_rows(
    open_time: NDArray[np.datetime64], first: int, stop: int, rng: np.random.Generator
) -> Rows:
    """Return for each row of a symbol the training row whose residual it is given. (n,)

    Blocks of consecutive rows, of geometric length, each moved by whole weeks, so that hour
    and weekday stay; no row is given its own week's where there is another.

    Args:
        open_time: of the symbol's rows, in order, shape (n,).
        first, stop: the training rows, half-open.
    """
    n = len(open_time)
    source = np.empty(n, dtype=np.int64)
    begin, end = open_time[first], open_time[stop - 1]
    bar = np.median(np.diff(open_time)) if n > 1 else MEAN_BLOCK
    ending = 1 / max(1.0, MEAN_BLOCK / bar)
    at = 0
    while at < n:
        # Weeks that bring this row into the training rows: begin <= open_time + k weeks <= end.
        low = int(np.ceil((begin - open_time[at]) / WEEK))
        high = int(np.floor((end - open_time[at]) / WEEK))
        weeks = np.array([k for k in range(low, high + 1) if k != 0] or [min(max(0, low), high)])
        moved = open_time[at:] + int(rng.choice(weeks)) * WEEK
        until = at + min(int(rng.geometric(ending)), int(np.searchsorted(moved, end, "right")) or 1)
        found = np.searchsorted(open_time, moved[: until - at], side="right") - 1
        source[at:until] = np.clip(found, first, stop - 1)
        at = until
    return source


def standardised(history: Floats, train: Rows) -> Floats:
    """Return the history in units of its training rows, zero where missing, cut at five."""
    from moodtape.forecaster.scaling import Scaler

    one = np.zeros(len(history), dtype=np.int64)
    return Scaler.fit(history, one, train, 1).apply(history, one)


def fitted_values(x: Floats, y: Floats, train: Rows) -> Floats:
    """Return fitted values of every row from a regression on the training rows. (n,)"""
    design = np.column_stack([x, np.ones(len(x))])
    part = design[train]
    ridge = np.full(design.shape[1], PENALTY)
    ridge[-1] = 0.0
    weights = np.linalg.solve(part.T @ part + np.diag(ridge), part.T @ y[train])
    return np.asarray(design @ weights)


def carried(residuals: Floats, present: Mask, first: int, stop: int) -> Floats:
    """Return residuals of the training rows; one that is missing is that of the row before.

    The first ones, where none came before, are zero; so are all others outside.
    """
    result = np.zeros_like(residuals)
    index = np.arange(first, stop)
    for column in range(residuals.shape[1]):
        last = np.maximum.accumulate(np.where(present[first:stop, column], index, -1))
        found = last >= 0
        result[first:stop][found, column] = residuals[last[found], column]
    return result
