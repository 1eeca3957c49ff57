"""The boundary between past and future: train | purge | stop | purge | calibrate | purge + embargo | test.

All symbols are split at the same instants. A row belongs to a part only if its label
was known before the next part's first decision; there is no shuffle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import WalkForwardSection
from moodtape.errors import DataMissing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Rows = NDArray[np.int64]
    Instants = NDArray[np.datetime64]


@dataclass(frozen=True)
class Fold:
    """Rows of a dataset, by what they may be used for.

    train: fits weights, scalers, encoders. stop: early stopping and choice of penalty.
    calibrate: conformal and probability calibration. test: scored, nothing else.
    """

    number: int
    train: Rows
    stop: Rows
    calibrate: Rows
    test: Rows


def make_folds(dataset: Dataset, lookback_bars: int, settings: WalkForwardSection) -> list[Fold]:
    """Return consecutive folds over the decisions of a dataset.

    Raises:
        DataMissing: there are too few decisions for the asked number of folds.
    """
    rows = dataset.decisions(lookback_bars)
    known_at = latest_label(dataset)[rows]
    return split_rows(rows, dataset.cutoff[rows], known_at, settings)


def latest_label(dataset: Dataset) -> Instants:
    """Return when the last of a row's labels is known; far in the future where one never is."""
    never = np.datetime64("9999-01-01", "us")
    latest = np.full(len(dataset.cutoff), np.datetime64("1970-01-01", "us"))
    for target in dataset.targets.values():
        latest = np.maximum(latest, np.where(np.isnat(target.known_at), never, target.known_at))
    return latest


def split_rows(
    rows: Rows, cutoff: Instants, known_at: Instants, settings: WalkForwardSection
) -> list[Fold]:
    """Return the folds over some rows.

    Args:
        rows: row numbers, ordered by cut-off, shape (n,).
        cutoff: cut-off of each, shape (n,).
        known_at: when each row's last label is known, shape (n,).
    """
    times = np.unique(cutoff)
    first_test = int(len(times) * (1 - settings.test_fraction))
    edges = np.linspace(first_test, len(times), settings.folds + 1).astype(int)
    folds = []
    for number, (begin, end) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        past = times[: max(0, begin - settings.embargo_bars)]
        if settings.rolling_bars:
            past = past[-settings.rolling_bars :]
        fold = None
        if len(past) and end > begin:
            fold = _fold(number, rows, cutoff, known_at, past, times[begin:end], settings)
        if fold is None or len(fold.train) < settings.min_train_rows or not len(fold.stop):
            have = 0 if fold is None else len(fold.train)
            raise DataMissing(
                f"Fold {number} has {have} training rows of {len(rows)} decisions;"
                f" walk_forward.min_train_rows asks for {settings.min_train_rows}."
                " Take a longer span (--since), fewer folds or a smaller test_fraction."
            )
        folds.append(fold)
    return folds


def _fold(
    number: int,
    rows: Rows,
    cutoff: Instants,
    known_at: Instants,
    past: Instants,
    test: Instants,
    settings: WalkForwardSection,
) -> Fold:
    calibrate_from = past[_tail(len(past), settings.calibrate_fraction)]
    both = settings.calibrate_fraction + settings.stop_fraction
    stop_from = past[_tail(len(past), both)]

    def part(since: np.datetime64, until: np.datetime64, before: np.datetime64) -> Rows:
        """Return rows with cut-off in [since, until) whose labels were known before `before`."""
        keep = (cutoff >= since) & (cutoff < until) & (known_at < before)
        return rows[keep]

    last = past[-1] + np.timedelta64(1, "us")
    in_test = (cutoff >= test[0]) & (cutoff <= test[-1])
    return Fold(
        number=number,
        train=part(past[0], stop_from, stop_from),
        stop=part(stop_from, calibrate_from, calibrate_from),
        calibrate=part(calibrate_from, last, test[0]),
        test=rows[in_test],
    )


def _tail(count: int, fraction: float) -> int:
    """Return where the last `fraction` of `count` items begins."""
    return min(count - 1, int(np.floor(count * (1 - fraction))))
