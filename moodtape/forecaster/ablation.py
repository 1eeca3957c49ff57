"""With and without: every arm on the same folds, rows and seeds.

A study is made of cells, one for each arm, fold and seed: fit, then forecast the test
rows. What the forecasts say is told by `answers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.arms import Arm, real_arm
from moodtape.forecaster.baselines import baselines
from moodtape.forecaster.calibration import Calibrated, calibrated
from moodtape.forecaster.cells import (
    CellFitter,
    CellStore,
    baseline_cells,
    cells_of,
    fit_or_load,
)
from moodtape.forecaster.fitted import called
from moodtape.forecaster.forecasters import FORECASTERS, FitPredict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ArmForecasts:
    """Forecasts of one arm on all test rows.

    by_key: by target key, shape (S, n): one row a seed (or placebo draw). Of a network
        with a gate, `gate` says how far it stood open.
    """

    arm: Arm
    by_key: Mapping[str, Floats]


@dataclass(frozen=True)
class Rules:
    """Forecasts of the baselines on all test rows, by name and target key, shape (n,).

    calibrated: as of `Study`.
    """

    forecasts: Mapping[str, Mapping[str, Floats]]
    calibrated: Mapping[str, Mapping[str, Floats]]


@dataclass(frozen=True)
class Study:
    """All forecasts of one forecaster, and the rows they are for.

    rows: test rows in order of time, shape (n,); fold: of each, shape (n,).
    real: the arm in question. claim: what the arms are looked at for (`claims.py`).
    calibrated: by arm or baseline, then by target key: quantiles (n, 5) of a return or of log
        volatility, P(up) (n,); of an arm, around the mean of its seeds, as it is served.
    """

    forecaster: str
    rows: Rows
    fold: NDArray[np.int64]
    arms: Mapping[str, ArmForecasts]
    baselines: Mapping[str, Mapping[str, Floats]]
    helps_allowed: bool
    real: str
    claim: str = "tone"
    calibrated: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)


def run_study(
    dataset: Dataset,
    folds: Sequence[Fold],
    arms: Sequence[Arm],
    config: Config,
    forecaster: str,
    fit_predict: FitPredict | None = None,
    progress: Progress | None = None,
    rules: Rules | None = None,
    kept: CellStore | None = None,
) -> Study:
    """Fit every cell of one forecaster and return its forecasts on all test rows.

    Each fold's forecasts are calibrated on its `calibrate` rows, beside the raw ones.

    Args:
        fit_predict: what fits a cell; what the forecaster of that name opens by default.
        progress: told the name of each cell before it is fitted.
        rules: what `run_rules` found on these folds; the rules of thumb alone by default.
        kept: cells in it are not fitted again, and those that are fitted go there.
    """
    fitter = CellFitter(dataset, folds, arms, config)
    fit_predict = fit_predict or FORECASTERS[forecaster].open(config)
    collected: dict[str, dict[str, list[list[Floats]]]] = {a.name: {} for a in arms}
    rules = rules or run_rules(dataset, folds)
    corrected: dict[str, list[Calibrated]] = {}
    folds = [fold for fold in folds if len(fold.test)]
    for fold in folds:
        tested = len(fold.calibrate)
        for arm in arms:
            cells = cells_of(forecaster, [fold], [arm], config.training.seeds)
            found = [fit_or_load(cell, fitter, fit_predict, kept, progress) for cell in cells]
            for cell, forecasts in zip(cells, found, strict=True):
                for key, values in forecasts.items():
                    parts = collected[arm.name].setdefault(key, [[] for _ in cells])
                    parts[cell.seed].append(values[tested:])
            mean = {key: np.mean([each[key] for each in found], axis=0) for key in found[0]}
            corrected.setdefault(arm.name, []).append(
                calibrated(dataset, fold.calibrate, fold.test, mean)
            )
    return Study(
        forecaster=forecaster,
        rows=np.concatenate([f.test for f in folds]),
        fold=np.concatenate([np.full(len(f.test), f.number) for f in folds]),
        arms={
            arm.name: ArmForecasts(
                arm,
                {
                    key: np.stack([np.concatenate(parts) for parts in by_seed])
                    for key, by_seed in collected[arm.name].items()
                },
            )
            for arm in arms
        },
        baselines=rules.forecasts,
        helps_allowed=fitter.helps_allowed,
        real=real_arm(arms).name,
        calibrated={**_joined(corrected), **rules.calibrated},
    )


def run_rules(
    dataset: Dataset,
    folds: Sequence[Fold],
    config: Config | None = None,
    progress: Progress | None = None,
    kept: CellStore | None = None,
) -> Rules:
    """Return the forecasts of all baselines on all test rows, calibrated like those of an arm.

    Args:
        config: names the fitted baselines; without one there are the rules of thumb alone.
        progress, kept: as of `run_study`.
    """
    forecasts: dict[str, list[Mapping[str, Floats]]] = {}
    corrected: dict[str, list[Calibrated]] = {}
    fitter = None if config is None else CellFitter(dataset, folds, (), config)
    for fold in (fold for fold in folds if len(fold.test)):
        rows, tested = np.concatenate([fold.calibrate, fold.test]), len(fold.calibrate)
        found = baselines(dataset, fold, rows)
        if config is not None and fitter is not None:
            for cell in baseline_cells([fold], config):
                fitted = fit_or_load(cell, fitter, cell.open(config), kept, progress)
                for key, values in fitted.items():
                    name = called(cell.forecaster, dataset.targets[key].name)
                    found.setdefault(name, {})[key] = values
        for name, by_key in found.items():
            forecasts.setdefault(name, []).append({k: v[tested:] for k, v in by_key.items()})
            corrected.setdefault(name, []).append(
                calibrated(dataset, fold.calibrate, fold.test, by_key)
            )
    return Rules(_joined(forecasts), _joined(corrected))


def _joined(by_fold: Mapping[str, Sequence[Mapping[str, Floats]]]) -> dict[str, dict[str, Floats]]:
    """Return what was found fold by fold, one fold after the other."""
    return {
        name: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for name, parts in by_fold.items()
    }
