"""How long the fits of a study take: told before a large one begins, and while it goes on.

    1. work     what each cell costs beside the others, by what it fits and on how many rows
    2. time     of the work that is over, measured here; so it counts processes and their load

Work is in CPU seconds of the machine of docs/performance.md. Only its ratios matter, since the
time comes from this machine; how early a network stops is known of no cell before it is fitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from moodtape.cluster import Workers
from moodtape.forecaster.cells import BASELINE, CellFitter, fit_or_load
from moodtape.forecaster.forecasters import BOOSTING, LINEAR, NETWORK
from moodtape.study.ground import Ground

if TYPE_CHECKING:
    from moodtape.forecaster.cells import Cell, CellStore
    from moodtape.forecaster.forecasters import FitPredict

Progress = Callable[[int, int, str], None]

PER_ROW = {NETWORK: 175e-6, LINEAR: 40e-6, "ridge": 40e-6, BOOSTING: 120e-6, "arima": 320e-6}
"""CPU seconds of a fit for each training row; of a network, of each epoch."""

USUAL_EPOCHS = 9
"""After so many a network has stopped, on average."""


def work_of(cell: Cell, ground: Ground) -> float:
    """Return what a cell costs, in CPU seconds of one certain machine."""
    (fold,) = (fold for fold in ground.folds if fold.number == cell.fold)
    rows, training = len(fold.train), ground.config.training
    if cell.forecaster != NETWORK or cell.kind == BASELINE:
        return PER_ROW[cell.forecaster] * rows
    rows = min(rows, training.max_rows or rows)
    return PER_ROW[NETWORK] * rows * min(training.epochs, USUAL_EPOCHS)


class Counter:
    """Tells which cell is at hand, how many are over, and how much time is left."""

    def __init__(
        self,
        progress: Progress | None,
        ground: Ground,
        cells: Sequence[Cell],
        kept: CellStore | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        left = [cell for cell in cells if kept is None or kept.load(cell) is None]
        self._progress = progress or (lambda done, total, what: None)
        self._work = {str(cell): work_of(cell, ground) for cell in left}
        self._done, self._total = len(cells) - len(left), len(cells)
        self._worked, self._at = 0.0, ""
        self._clock, self._since = clock, clock()

    def begun(self, cell: str) -> None:
        """Say that a cell is fitted from now on; the one before is over."""
        if self._at:
            self._over(self._at)
        self._at = cell
        self._tell(cell)

    def done(self, cell: str) -> None:
        """Say that one of the cells that are fitted at once is over."""
        self._over(cell)
        self._tell(cell)

    def _over(self, cell: str) -> None:
        self._done += 1
        self._worked += self._work.get(cell, 0.0)

    def _tell(self, cell: str) -> None:
        self._progress(self._done, self._total, cell + self._time_left())

    def _time_left(self) -> str:
        if not self._worked:
            return ""
        left = sum(self._work.values()) - self._worked
        return f", {span((self._clock() - self._since) * left / self._worked)} left"


def span(seconds: float) -> str:
    """Return a length of time as one would say it.

    >>> span(42.4), span(600), span(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def measured(
    ground: Ground,
    cells: Sequence[Cell],
    kept: CellStore,
    workers: Workers,
    fit_predict: FitPredict,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Fit the smallest cell that is left, keep it, and say what the others will take.

    Args:
        cells: of a study, those of the forecaster that gives the word first.
        fit_predict: that forecaster's.
    Returns:
        A sentence, empty where that forecaster has no cell left.
    """
    left = [cell for cell in cells if kept.load(cell) is None]
    own = [cell for cell in left if (cell.forecaster, cell.kind) == _first(cells)]
    if not own:
        return ""
    work = {cell: work_of(cell, ground) for cell in left}
    smallest = min(own, key=lambda cell: work[cell])
    fitter, began = CellFitter(ground.dataset, ground.folds, ground.arms, ground.config), clock()
    fit_or_load(smallest, fitter, fit_predict, kept)
    rate = (clock() - began) / work[smallest]
    seconds = rate * (sum(work.values()) - work[smallest])
    by = "one after the other"
    if workers.executor == "ray":
        by = "on one core, to be shared among those of the cluster"
    elif workers.jobs > 1:
        by, seconds = f"by {workers.jobs} processes", seconds / workers.jobs
    return (
        f"{len(left) - 1} fits will take about {span(seconds)} {by}. Shorter:"
        " more --jobs, --preset default or quick, fewer seeds (training.seeds) or folds"
        " (walk_forward.folds). What is finished is kept if you stop it."
    )


def _first(cells: Sequence[Cell]) -> tuple[str, str]:
    return cells[0].forecaster, cells[0].kind
