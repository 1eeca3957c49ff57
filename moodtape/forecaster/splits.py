"""The boundary between past and future.

    train | purge | stop | purge | calibrate | purge + embargo | test

All symbols are split at the same instants, and the instants follow from the span and the
first usable decision alone: what happens after a fold never moves its edges. A row belongs
to a part only if its label was known before the next part begins; there is no shuffle.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import from_datetime64, iso, to_datetime64
from moodtape.config import WalkForwardSection
from moodtape.config.study import MOST_FOLDS
from moodtape.errors import ConfigError, DataMissing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Rows = NDArray[np.int64]
    Instants = NDArray[np.datetime64]

NEVER = np.datetime64("9999-01-01", "us")
MICROSECOND = np.timedelta64(1, "us")


@dataclass(frozen=True)
class Fold:
    """Rows of a dataset, by what they may be used for.

    train: fits weights, scalers, encoders. stop: early stopping and choice of penalty.
    calibrate: conformal and probability calibration. test: scored, nothing else.
    train_from: first cut-off that may train. test_from, test_until: the tested cut-offs,
    half-open; equal where nothing is tested.
    """

    number: int
    train: Rows
    stop: Rows
    calibrate: Rows
    test: Rows
    train_from: np.datetime64
    test_from: np.datetime64
    test_until: np.datetime64


@dataclass(frozen=True)
class Edges:
    """The instants of one fold, in order. Each part holds cut-offs from its own to the next."""

    train_from: np.datetime64
    stop_from: np.datetime64
    calibrate_from: np.datetime64
    past_until: np.datetime64
    test_from: np.datetime64
    test_until: np.datetime64


def make_folds(
    dataset: Dataset,
    lookback_bars: int,
    settings: WalkForwardSection,
    before: np.datetime64 | None = None,
) -> list[Fold]:
    """Return consecutive folds over the decisions of a dataset.

    A fold whose whole test span is a hole in the bars has an empty `test`.

    Args:
        before: only folds whose test begins before this instant; all by default.
    Raises:
        DataMissing: there are too few decisions for the asked number of folds.
    """
    rows = _decisions(dataset, lookback_bars)
    grid = np.unique(dataset.cutoff)
    first, until = dataset.cutoff[rows[0]], to_datetime64(dataset.span.until)
    edges = fold_edges(first, until, grid, settings)
    known_at = latest_label(dataset)
    folds = []
    for number, edge in enumerate(edges):
        if before is not None and edge.test_from >= before:
            break
        fold = cut_fold(number, rows, dataset.cutoff, known_at, edge)
        require_rows(fold, len(rows), settings)
        folds.append(fold)
    if before is None and not any(len(fold.test) for fold in folds):
        raise DataMissing(
            f"No decision between {iso(from_datetime64(edges[0].test_from))} and"
            f" {iso(from_datetime64(until))} can be tested: the bars there are missing or full"
            f" of gaps (a window needs {lookback_bars} in a row)."
        )
    return folds


def final_fold(dataset: Dataset, lookback_bars: int, settings: WalkForwardSection) -> Fold:
    """Return one fold over every decision whose labels are known, with nothing to test.

    It fits the model that is served.

    Raises:
        DataMissing: there are too few decisions to train on.
    """
    rows = _decisions(dataset, lookback_bars)
    grid = np.unique(dataset.cutoff)
    last = grid[-1] + MICROSECOND
    end = min(last, to_datetime64(dataset.span.until))
    first = dataset.cutoff[rows[0]]
    if settings.rolling_bars:
        first = max(first, bars_before(grid, end, settings.rolling_bars))
    edge = Edges(first, *tails(first, end, settings), end, last, last)
    fold = cut_fold(0, rows, dataset.cutoff, latest_label(dataset), edge)
    require_rows(fold, len(rows), settings)
    return fold


def latest_label(dataset: Dataset) -> Instants:
    """Return when the last of a row's labels is known; far in the future where one never is."""
    latest = np.full(len(dataset.cutoff), np.datetime64("1970-01-01", "us"))
    for target in dataset.targets.values():
        latest = np.maximum(latest, np.where(np.isnat(target.known_at), NEVER, target.known_at))
    return latest


def fold_edges(
    first: np.datetime64, until: np.datetime64, grid: Instants, settings: WalkForwardSection
) -> list[Edges]:
    """Return the instants of every fold, spaced evenly in time or by `refit_bars` of the grid.

    Args:
        first: cut-off of the first usable decision.
        until: end of the span.
        grid: every cut-off of the calendar in order, holes too; embargo and rolling past
            count along it, shape (n,).
    Raises:
        ConfigError: `refit_bars` asks for too many folds.
    """
    edges = []
    for test_from, test_until in pairwise(_borders(first, until, grid, settings)):
        past_until = max(first, bars_before(grid, test_from, settings.embargo_bars))
        train_from = first
        if settings.rolling_bars:
            train_from = max(first, bars_before(grid, past_until, settings.rolling_bars))
        parts = tails(train_from, past_until, settings)
        edges.append(Edges(train_from, *parts, past_until, test_from, test_until))
    return edges


def _borders(
    first: np.datetime64, until: np.datetime64, grid: Instants, settings: WalkForwardSection
) -> list[np.datetime64]:
    """Return where test spans begin, and where the last one ends; it may be a short one."""
    if not settings.refit_bars:
        return [
            _between(first, until, 1 - settings.test_fraction * (1 - number / settings.folds))
            for number in range(settings.folds + 1)
        ]
    begin = _between(first, until, 1 - settings.test_fraction)
    refits = grid[(grid >= begin) & (grid < until)][:: settings.refit_bars][1:]
    if len(refits) >= MOST_FOLDS:
        raise ConfigError(
            f"walk_forward.refit_bars: a fit every {settings.refit_bars} bars makes"
            f" {len(refits) + 1} folds; {MOST_FOLDS} is the most. Take more bars, or a smaller"
            " walk_forward.test_fraction."
        )
    return [begin, *refits, until]


def cut_fold(number: int, rows: Rows, cutoff: Instants, known_at: Instants, edge: Edges) -> Fold:
    """Return the fold that some instants cut out of the decisions.

    Args:
        rows: the decisions, in order of time, shape (n,).
        cutoff, known_at: of every row of the dataset; known_at of its last label, shape (R,).
    """
    at, known = cutoff[rows], known_at[rows]

    def part(since: np.datetime64, until: np.datetime64, before: np.datetime64) -> Rows:
        """Return rows with cut-off in [since, until) whose labels were known before `before`."""
        return rows[(at >= since) & (at < until) & (known < before)]

    return Fold(
        number=number,
        train=part(edge.train_from, edge.stop_from, edge.stop_from),
        stop=part(edge.stop_from, edge.calibrate_from, edge.calibrate_from),
        calibrate=part(edge.calibrate_from, edge.past_until, edge.test_from),
        test=rows[(at >= edge.test_from) & (at < edge.test_until)],
        train_from=edge.train_from,
        test_from=edge.test_from,
        test_until=edge.test_until,
    )


def _between(first: np.datetime64, last: np.datetime64, share: float) -> np.datetime64:
    """Return the instant at a share of the way, to the microsecond."""
    return first + np.timedelta64(round((last - first) / MICROSECOND * share), "us")


def tails(
    first: np.datetime64, end: np.datetime64, settings: WalkForwardSection
) -> tuple[np.datetime64, np.datetime64]:
    """Return where `stop` and `calibrate` begin in a fold's past."""
    calibrate = settings.calibrate_fraction
    return (
        _between(first, end, max(0.0, 1 - calibrate - settings.stop_fraction)),
        _between(first, end, 1 - calibrate),
    )


def bars_before(grid: Instants, instant: np.datetime64, bars: int) -> np.datetime64:
    """Return the cut-off `bars` bars before the first one at or after an instant."""
    if bars == 0:
        return instant
    at = int(np.searchsorted(grid, instant))
    found: np.datetime64 = grid[max(0, at - bars)]
    return found


def _decisions(dataset: Dataset, lookback_bars: int) -> Rows:
    rows = dataset.decisions(lookback_bars)
    if not len(rows):
        raise DataMissing(
            f"There is no decision with {lookback_bars} bars in a row before it between"
            f" {iso(dataset.span.since)} and {iso(dataset.span.until)}."
            " Take a longer span (--since, --until), or import the missing bars."
        )
    return rows


def require_rows(fold: Fold, decisions: int, settings: WalkForwardSection) -> None:
    """Make sure that a fold has enough to train and to stop on.

    Raises:
        DataMissing: it has not; says how many it has of how many decisions.
    """
    have = len(fold.train)
    if have < settings.min_train_rows or not len(fold.stop):
        raise DataMissing(
            f"Fold {fold.number + 1} has {have} training and {len(fold.stop)} stopping rows of"
            f" {decisions} decisions; walk_forward.min_train_rows asks for"
            f" {settings.min_train_rows}."
            " Take a longer span (--since), fewer folds or a smaller test_fraction."
        )
