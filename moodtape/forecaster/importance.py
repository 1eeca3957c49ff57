"""What forecasts rest on: the loss when one group of features tells of another time.

    1. copies    copies.py: the windows of the tested rows once more for each group and draw, the
                 group's columns shuffled in blocks of time, the others as they were
    2. fit       cells.py: once a fold, on the training rows as ever; forecasts at rows and copies
    3. losses    the deciding loss of both, row by row

Source: Breiman (2001), permutation importance; blocks since hours are no independent draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.cells import CellFitter, CellStore, fit_or_load, importance_cells
from moodtape.forecaster.copies import copies_of
from moodtape.forecaster.forecasters import FitPredict
from moodtape.forecaster.metrics import deciding_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Importance:
    """Deciding losses of one forecaster and arm on all test rows, NaN without an answer.

    rows: shape (n,). whole: by target key, as it is. shuffled: by group, then target key: with
        that group of another time, the mean over draws. Each shape (n,).
    """

    forecaster: str
    arm: Arm
    rows: Rows
    whole: Mapping[str, Floats]
    shuffled: Mapping[str, Mapping[str, Floats]]


def importance(
    dataset: Dataset,
    folds: Sequence[Fold],
    arm: Arm,
    config: Config,
    forecaster: str,
    fit_predict: FitPredict,
    progress: Callable[[str], None] | None = None,
    kept: CellStore | None = None,
) -> Importance:
    """Fit each fold once and return its losses with and without each group's own time.

    Args:
        progress, kept: as of `run_study`.
    """
    folds = [fold for fold in folds if len(fold.test)]
    plans = copies_of(dataset, arm, folds, config)
    fitter = CellFitter(dataset, folds, [arm], config)
    whole: dict[str, list[Floats]] = {}
    shuffled: dict[str, dict[str, list[Floats]]] = {}
    for fold, cell in zip(folds, importance_cells(forecaster, folds, arm), strict=True):
        plan = plans[fold.number]
        forecasts = fit_or_load(cell, fitter, fit_predict, kept, progress)
        for key in dataset.targets:
            parts = [
                _losses(dataset, key, fold.test, part)
                for part in np.split(forecasts[key], 1 + len(plan.rows))
            ]
            whole.setdefault(key, []).append(parts[0])
            for group in plan.groups:
                drawn = [p for (g, _), p in zip(plan.rows, parts[1:], strict=True) if g == group]
                by_key = shuffled.setdefault(group, {})
                by_key.setdefault(key, []).append(np.mean(drawn, axis=0))
    return Importance(
        forecaster,
        arm,
        np.concatenate([fold.test for fold in folds]),
        {key: np.concatenate(parts) for key, parts in whole.items()},
        {
            group: {key: np.concatenate(parts) for key, parts in by_key.items()}
            for group, by_key in shuffled.items()
        },
    )


def _losses(dataset: Dataset, key: str, rows: Rows, forecast: Floats) -> Floats:
    target, variance = dataset.targets[key], dataset.trailing_variance[rows]
    return deciding_loss(target.name, target.y[rows], forecast, variance, target.horizon_bars)
