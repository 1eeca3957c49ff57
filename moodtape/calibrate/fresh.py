"""What fitted models are worth in the long run: their losses on bars that nobody fitted or tested.

    1. behind    fresh rows of the same world stand behind those of a study
    2. fit       each fold's cells as the study fitted them; only the rows to forecast are others
    3. mean      of null's loss less that of the arm in question, over seeds, each fold's by what
                 it tested

That is what the printed interval is about, so it can be asked how often it held it. The interval
of a network is about all seeds, of which those that were fitted are a few: it is the wider one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.forecaster.arms import NULL, real_arm
from moodtape.forecaster.cells import CellFitter, cells_of
from moodtape.forecaster.forecasters import FORECASTERS, FitPredict
from moodtape.forecaster.metrics import deciding_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.config import Config
    from moodtape.forecaster.arms import Arm
    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold
    from moodtape.study.ground import Ground

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]


def expected_gains(ground: Ground, fresh: Dataset) -> dict[str, float]:
    """Return by target key by how much the mean loss of `null` is above the real arm's. (loss)

    Args:
        fresh: rows of the same world; every fold's models are asked about another part.
    """
    fit_predict = FORECASTERS[ground.config.verdict.forecaster].open(ground.config)
    tested = [fold for fold in ground.folds if len(fold.test)]
    parts = np.array_split(np.arange(len(fresh.cutoff)), len(tested))
    sums = dict.fromkeys(ground.dataset.targets, 0.0)
    weights = dict.fromkeys(ground.dataset.targets, 0)
    for fold, part in zip(tested, parts, strict=True):
        for key, gain in _gains_of_fold(ground, fold, fresh, part, fit_predict).items():
            count = int(np.sum(~np.isnan(ground.dataset.targets[key].y[fold.test])))
            sums[key] += count * gain
            weights[key] += count
    return {key: sums[key] / weights[key] for key in sums}


def _gains_of_fold(
    ground: Ground, fold: Fold, fresh: Dataset, part: Rows, fit_predict: FitPredict
) -> dict[str, float]:
    joined = behind(ground.dataset, fresh, part)
    asked = joined.decisions(ground.config.network.lookback_bars)
    asked = asked[asked >= len(ground.dataset.cutoff)]
    fold = replace(fold, calibrate=asked[:0], test=asked)
    arms = [next(arm for arm in ground.arms if arm.name == NULL), real_arm(ground.arms)]
    fitter = CellFitter(joined, [fold], arms, ground.config)
    null, real = (_losses(ground.config, fitter, joined, fold, arm, fit_predict) for arm in arms)
    return {key: float(np.nanmean(null[key] - real[key])) for key in null}


def _losses(
    config: Config, fitter: CellFitter, joined: Dataset, fold: Fold, arm: Arm, fit: FitPredict
) -> dict[str, Floats]:
    """Return the mean loss over an arm's seeds at each tested row, by target key."""
    scale, losses = joined.trailing_variance[fold.test], {}
    cells = cells_of(config.verdict.forecaster, [fold], [arm], config.training.seeds)
    told = [fitter.fit(cell, fit) for cell in cells]
    for key, target in joined.targets.items():
        y, bars = target.y[fold.test], target.horizon_bars
        own = [deciding_loss(target.name, y, each[key], scale, bars) for each in told]
        losses[key] = np.mean(own, axis=0)
    return losses


def behind(dataset: Dataset, fresh: Dataset, rows: Rows) -> Dataset:
    """Return a dataset with some rows of another one behind its own; the span holds both.

    Both have the same columns and targets. A window of the first of these rows is never whole.
    """
    span = replace(dataset.span, until=max(dataset.span.until, fresh.span.until))
    columns: dict[str, Any] = {
        name: np.concatenate([values, _part(fresh, name, rows)])
        for name, values in vars(dataset).items()
        if isinstance(values, np.ndarray) and len(values) == len(dataset.cutoff)
    }
    targets = {
        key: replace(
            target,
            y=np.concatenate([target.y, fresh.targets[key].y[rows]]),
            known_at=np.concatenate([target.known_at, fresh.targets[key].known_at[rows]]),
        )
        for key, target in dataset.targets.items()
    }
    return replace(dataset, **columns, targets=targets, span=span)


def _part(fresh: Dataset, name: str, rows: Rows) -> Any:
    values = vars(fresh)[name][rows]
    if name == "run_length":
        return np.minimum(values, np.arange(1, len(rows) + 1))
    return values
