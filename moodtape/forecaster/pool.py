"""Cells of a study fitted by several processes at once, where possible on cores of their own.

A process gets the dataset once, then names of cells; what it fits goes to the store, whence
anybody reads it. A cell has the same bits whoever fits it, so nothing depends on who does.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any

from moodtape.config import Config
from moodtape.errors import MoodtapeError
from moodtape.forecaster.cells import (
    BASELINE,
    Cell,
    CellFitter,
    CellStore,
    chains_of,
    fit_logged,
)
from moodtape.forecaster.forecasters import FitPredict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moodtape.forecaster.arms import Arm
    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]


@dataclass
class Fits:
    """What one process needs to fit any cell; forecasters are opened when first asked for."""

    fitter: CellFitter
    config: Config
    opened: dict[tuple[str, bool], FitPredict] = field(default_factory=dict)

    def fit(self, cell: Cell) -> tuple[Mapping[str, Floats], Mapping[str, Any]]:
        """Return the forecasts of a cell and what its fit measured."""
        name = cell.forecaster, cell.kind == BASELINE
        if name not in self.opened:
            self.opened[name] = cell.open(self.config)
        return fit_logged(cell, self.fitter, self.opened[name])


_process: tuple[Fits, CellStore] | None = None
"""Of this process; None in the one that asks."""


def fit_cells(
    cells: Sequence[Cell],
    dataset: Dataset,
    folds: Sequence[Fold],
    arms: Sequence[Arm],
    config: Config,
    store: CellStore,
    jobs: int,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Fit what the store does not hold, so many cells at once.

    Args:
        jobs: processes; no more are started than there are cells.
        progress: told the name of each cell when it is done.
    Raises:
        MoodtapeError: a process died; the cells that were finished are kept.
    """
    left = [cell for cell in cells if store.load(cell) is None]
    jobs = min(jobs, len(left))
    if jobs == 0:
        return
    context = multiprocessing.get_context("spawn")  # a fork would inherit TensorFlow's threads
    cores: SimpleQueue[list[int]] = context.SimpleQueue()
    for share in shares(_cores(), jobs):
        cores.put(share)
    pool = ProcessPoolExecutor(
        jobs, context, _begin, (cores, dataset, tuple(folds), tuple(arms), config, store)
    )
    try:
        waiting = {pool.submit(_fit, chain): chain for chain in chains_of(left, config)}
        for done in as_completed(waiting):
            done.result()
            for cell in waiting[done]:
                if progress is not None:
                    progress(str(cell))
    except BrokenProcessPool as exc:
        raise MoodtapeError(
            "A process that fitted cells was killed, perhaps for want of memory. The finished"
            " cells are kept: run the same command again, with fewer --jobs."
        ) from exc
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def shares(cores: Sequence[int], jobs: int) -> list[list[int]]:
    """Return the cores of each process: a share of its own if that holds two, else all of them.

    A fit hands its work from one thread to another: held to a single core, it leaves the core
    idle for two fifths of the time (docs/performance.md).

    >>> shares([0, 1, 2, 3, 4], 2), shares([0, 1], 2)
    ([[0, 2, 4], [1, 3]], [[0, 1], [0, 1]])
    """
    if len(cores) < 2 * jobs:
        return [list(cores)] * jobs
    return [list(cores[number::jobs]) for number in range(jobs)]


def _cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _begin(
    cores: SimpleQueue[list[int]],
    dataset: Dataset,
    folds: Sequence[Fold],
    arms: Sequence[Arm],
    config: Config,
    store: CellStore,
) -> None:
    """Make this process ready to fit cells, on cores of its own where the system can."""
    global _process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    mine = cores.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, mine)
    _process = Fits(CellFitter(dataset, folds, arms, config), config), store


def _end_with_parent() -> None:
    """Wait for the process that asks, and end with it however it ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _fit(chain: Sequence[Cell]) -> None:
    assert _process is not None
    fits, store = _process
    for cell in chain:
        store.save(cell, *fits.fit(cell))
