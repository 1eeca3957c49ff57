"""Arrays of a study: one row a bar and symbol, features as of its decision, targets.

`loading.py` makes them of stored rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import (
    to_datetime64,
)
from moodtape.forecaster.features.base import Column
from moodtape.forecaster.miss import trailing_miss
from moodtape.forecaster.scaling import Scaling
from moodtape.forecaster.target import Target
from moodtape.records import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]


@dataclass(frozen=True)
class Dataset:
    """Everything a study computes on; made once, then pure arrays.

    Rows are the bars of a complete grid, symbol after symbol; R in all.

    symbols: in order; symbol: index into it, shape (R,).
    open_time, cutoff, decision_time: of each row's bar, shape (R,).
    features: shape (R, F), NaN where missing; columns describes the F.
    history: what past prices tell at each row, from `echo.price_history`, shape (R, 20).
    targets: by key, `direction_1` ...
    close: first-known close, NaN where the bar is missing, shape (R,).
    run_length: bars without a hole that end at the row, shape (R,).
    trailing_variance: of one bar's log return as known at the row, shape (R,).
    regime: number that changes with the set of text collections, shape (R,).
    span: every decision of the study lies in it.
    streams: text streams that have columns.
    notes: what a reader should know about the data.
    variants: by the name of an arm that reads other texts, its features, shape (R, F).
    scaling: how a fold's training rows scale the features.
    """

    symbols: tuple[str, ...]
    interval: str
    symbol: NDArray[np.int64]
    open_time: Instants
    cutoff: Instants
    decision_time: Instants
    features: Floats
    history: Floats
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
    variants: Mapping[str, Floats] = field(default_factory=dict)
    scaling: Scaling = "z-score"

    def group(self, name: str) -> NDArray[np.int64]:
        """Return the numbers of the columns of one group."""
        return np.array([i for i, c in enumerate(self.columns) if c.group == name], dtype=np.int64)

    def for_arm(self, name: str) -> Dataset:
        """Return the dataset as an arm sees it: this one, unless it reads other texts."""
        if name not in self.variants:
            return self
        return replace(self, features=self.variants[name], variants={})

    @property
    def polarity(self) -> NDArray[np.int64]:
        """Return the numbers of the columns that carry the tone of texts."""
        return np.array([i for i, c in enumerate(self.columns) if c.polarity], dtype=np.int64)

    @cached_property
    def trailing_miss(self) -> Mapping[str, Floats]:
        """Return how far a rule has lately missed each volatility, by key, as known. (R,)"""
        found = {}
        for key, target in self.targets.items():
            if target.name == "volatility":
                found[key] = np.full(len(target.y), np.nan)
                for number in range(len(self.symbols)):
                    own = self.symbol == number
                    found[key][own] = trailing_miss(target.y[own], target.horizon_bars)
        return found

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
        answers = (t.y for t in self.targets.values())
        for array in (self.features, self.close, *answers, *self.variants.values()):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(self.cutoff.tobytes())
        digest.update(repr(self.columns).encode())
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
