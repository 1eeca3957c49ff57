"""The hold-out: the newest fifth of the decisions, which no fold, fit or placebo may touch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import from_datetime64, to_datetime64
from moodtape.config import WalkForwardSection
from moodtape.forecaster.splits import (
    Edges,
    Fold,
    bars_before,
    cut_fold,
    latest_label,
    require_rows,
    tails,
)
from moodtape.records import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Rows = NDArray[np.int64]

SHARE = 0.2
"""Of the decision times, the newest ones."""

SHORTEST = timedelta(days=60)
"""A shorter one could not tell anything, so there is none."""


def holdout_of(dataset: Dataset, lookback_bars: int) -> Span | None:
    """Return the newest fifth of the decision times; None where it spans less than sixty days."""
    times = np.unique(dataset.decision_time[dataset.decisions(lookback_bars)])
    if not len(times):
        return None
    since = from_datetime64(times[min(int(np.ceil((1 - SHARE) * len(times))), len(times) - 1)])
    if from_datetime64(times[-1]) - since < SHORTEST:
        return None
    return Span(since, dataset.span.until)


def held_out_fold(
    dataset: Dataset, rows: Rows, test_from: np.datetime64, number: int,
    settings: WalkForwardSection,
) -> Fold:  # fmt: skip
    """Return the fold that tests everything from an instant on, and is fitted on all before it.

    Args:
        rows: the decisions, in order of time, shape (n,).
        number: of the fold; test_from: its first tested cut-off.
    """
    grid = np.unique(dataset.cutoff)
    first = dataset.cutoff[rows[0]]
    past_until = max(first, bars_before(grid, test_from, settings.embargo_bars))
    train_from = first
    if settings.rolling_bars:
        train_from = max(first, bars_before(grid, past_until, settings.rolling_bars))
    until = to_datetime64(dataset.span.until)
    edge = Edges(train_from, *tails(train_from, past_until, settings), past_until, test_from, until)
    fold = cut_fold(number, rows, dataset.cutoff, latest_label(dataset), edge)
    require_rows(fold, len(rows), settings)
    return fold
