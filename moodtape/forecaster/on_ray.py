"""Cells of a study fitted on a ray cluster; the bits are those of this machine's own fits.

Each machine gets the dataset once. Forecasts come back to the process that asks, which keeps
them: the machines need no folder in common.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moodtape.cluster import over_cluster
from moodtape.config import Config
from moodtape.errors import UsageError
from moodtape.forecaster.cells import Cell, CellFitter, CellStore, chains_of
from moodtape.forecaster.checkpoint import computed_by
from moodtape.forecaster.pool import Fits

if TYPE_CHECKING:
    from moodtape.forecaster.arms import Arm
    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold


class Worker:
    """Fits any cell of one study, under the code and the libraries of the process that asks."""

    def __init__(
        self,
        dataset: Dataset,
        folds: Sequence[Fold],
        arms: Sequence[Arm],
        config: Config,
        asked_by: Mapping[str, str],
    ) -> None:
        os.environ["KERAS_BACKEND"] = asked_by["backend"]
        agree(asked_by, computed_by())
        self._fits = Fits(CellFitter(dataset, folds, arms, config), config)

    def do(self, chain: Sequence[Cell]) -> list[tuple[Cell, Mapping[str, Any], Mapping[str, Any]]]:
        """Return cells with their forecasts and what their fits measured."""
        return [(cell, *self._fits.fit(cell)) for cell in chain]


def agree(here: Mapping[str, str], there: Mapping[str, str]) -> None:
    """Require that a machine of the cluster computes the bits of the one that asks.

    Raises:
        UsageError: its code or its libraries are others.
    """
    for name in here:
        if here[name] != there.get(name):
            raise UsageError(
                f"A machine of the ray cluster would compute other bits: its {name} is"
                f" {there.get(name)}, here it is {here[name]}. Install the same on all of them."
            )


def fit_cells_on_ray(
    cells: Sequence[Cell],
    dataset: Dataset,
    folds: Sequence[Fold],
    arms: Sequence[Arm],
    config: Config,
    store: CellStore,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Fit what the store does not hold, a cell on every core of a cluster.

    Args:
        progress: told the name of each cell when it is done.
    Raises:
        UsageError: the `ray` extra is missing; a GPU is asked for; the machines are unlike.
        MoodtapeError: what a worker raised; the cells that were finished are kept.
    """
    if config.training.device == "gpu":
        raise UsageError("--executor ray fits on CPUs alone. Leave out one of ray and gpu.")
    left = [cell for cell in cells if store.load(cell) is None]
    if not left:
        return
    study = (dataset, tuple(folds), tuple(arms), config, computed_by())
    for chain in over_cluster(Worker, study, chains_of(left, config), threads=1):
        for cell, forecasts, log in chain:
            store.save(cell, forecasts, log)
            if progress is not None:
                progress(str(cell))
