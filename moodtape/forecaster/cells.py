"""The cells of a study: one fit each, a pure function of the dataset and the cell's name.

    1. fit        the arm's inputs from the fold's scaled features, then fit and forecast
    2. keep       the forecasts in a file of their own, whole or absent
    3. go on      a cell that is kept is not fitted again, whoever fitted it

So a study may be killed anywhere, and several processes may share its cells.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.arms import PLANTS, Arm
from moodtape.forecaster.arrays import read_arrays, write_arrays
from moodtape.forecaster.copies import copies_of
from moodtape.forecaster.echo import Told
from moodtape.forecaster.fitted import open_baseline, text_free
from moodtape.forecaster.forecasters import FORECASTERS, FitPredict, GoesOn, Weights
from moodtape.forecaster.inputs import Draw, Inputs, build_inputs
from moodtape.forecaster.scaling import scaled_features
from moodtape.forecaster.shift import shift_room

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]


ARM, BASELINE, IMPORTANCE = "arm", "baseline", "importance"


@dataclass(frozen=True)
class Cell:
    """One fit of a study.

    forecaster: or baseline. fold: its number. arm: its name, empty for a baseline, which gets
    what is no text. seed: number of the seed or placebo draw.
    kind: ARM; BASELINE; or IMPORTANCE, whose forecasts are at the tested rows and their copies.
    """

    forecaster: str
    fold: int
    arm: str
    seed: int
    kind: str = ARM

    def __str__(self) -> str:
        if self.kind == BASELINE:
            return f"baselines: fold {self.fold + 1}, {self.forecaster}"
        if self.kind == IMPORTANCE:
            return f"importance: fold {self.fold + 1}, {self.forecaster}"
        return f"{self.forecaster}: fold {self.fold + 1}, {self.arm}, seed {self.seed + 1}"

    def open(self, config: Config) -> FitPredict:
        """Return what fits cells of this forecaster or baseline."""
        if self.kind == BASELINE:
            return open_baseline(self.forecaster, config)
        return FORECASTERS[self.forecaster].open(config)


def cells_of(forecaster: str, folds: Sequence[Fold], arms: Sequence[Arm], seeds: int) -> list[Cell]:
    """Return the cells of one forecaster, fold by fold; a fold without a test has none."""
    fits = FORECASTERS[forecaster].fits
    return [
        Cell(forecaster, fold.number, arm.name, seed)
        for fold in folds
        if len(fold.test)
        for arm in arms
        for seed in range(fits(arm, seeds))
    ]


def baseline_cells(folds: Sequence[Fold], config: Config) -> list[Cell]:
    """Return the cells of all fitted baselines, fold by fold."""
    return [
        Cell(name, fold.number, "", 0, BASELINE)
        for fold in folds
        if len(fold.test)
        for name in config.ablation.baselines
    ]


def importance_cells(forecaster: str, folds: Sequence[Fold], arm: Arm) -> list[Cell]:
    """Return the cells that tell what the forecasts of an arm rest on, one a fold."""
    return [
        Cell(forecaster, fold.number, arm.name, 0, IMPORTANCE) for fold in folds if len(fold.test)
    ]


def chains_of(cells: Sequence[Cell], config: Config) -> list[list[Cell]]:
    """Return the cells that one process had better fit in a row, in order of their folds.

    With a warm start these are the folds of an arm and seed; without, each cell is by itself.
    """
    if not config.training.warm_start:
        return [[cell] for cell in cells]
    chains: dict[Cell, list[Cell]] = {}
    for cell in cells:
        chains.setdefault(replace(cell, fold=0), []).append(cell)
    return [sorted(chain, key=lambda cell: cell.fold) for chain in chains.values()]


class CellFitter:
    """Fits cells of one study; features are scaled once for the cells of a fold in a row.

    So is what past prices tell of the tone, once for all draws of an echo.

    With a warm start a cell rests on the one of the fold before, which is fitted anew where its
    weights are not at hand: so a cell is the same whoever fits it, in whatever order.

    helps_allowed: the placebo has room enough.
    """

    def __init__(
        self, dataset: Dataset, folds: Sequence[Fold], arms: Sequence[Arm], config: Config
    ) -> None:
        self._dataset, self._config = dataset, config
        self._folds = {fold.number: fold for fold in folds}
        self._arms = {arm.name: arm for arm in arms}
        self._room, self.helps_allowed = shift_room(dataset, config)
        self._gains = margins(dataset, config)
        self._scaled: tuple[int, Dataset, Floats] | None = None
        self._told: dict[str, Mapping[str, Told]] = {}
        self._seen_by = {arm.name: dataset.for_arm(arm.name) for arm in arms}
        self._ended: dict[Cell, tuple[int, Weights]] = {}

    def fit(self, cell: Cell, fit_predict: FitPredict) -> Mapping[str, Floats]:
        """Return forecasts by target key: at the fold's calibrating rows, then its tested ones.

        Of importance, at the tested rows and then at their copies, in the order of `Copies.rows`.
        """
        fold = self._folds[cell.fold]
        rows = np.concatenate([fold.calibrate, fold.test])
        if cell.kind == IMPORTANCE:
            dataset, inputs, rows = self._copied(self._arms[cell.arm], fold)
        else:
            dataset = self._seen_by.get(cell.arm, self._dataset)
            inputs = self._inputs(cell, dataset, fold)
        if not (self._config.training.warm_start and isinstance(fit_predict, GoesOn)):
            return fit_predict(dataset, inputs, fold, rows, seed=cell.seed)
        start = self._weights_before(cell, fit_predict)
        forecasts, weights = fit_predict.go_on(
            dataset, inputs, fold, rows, seed=cell.seed, start=start
        )
        self._ended[replace(cell, fold=0, kind=ARM)] = fold.number, weights
        return forecasts

    def _weights_before(self, cell: Cell, fit_predict: GoesOn) -> Weights | None:
        """Return the weights of a cell's arm and seed after the fold before; None in the first."""
        earlier = [n for n, fold in self._folds.items() if n < cell.fold and len(fold.test)]
        if not earlier:
            return None
        before, chain = max(earlier), replace(cell, fold=0, kind=ARM)
        if self._ended.get(chain, (None,))[0] != before:
            log: list[Any] = getattr(fit_predict, "log", [])
            told = len(log)
            self.fit(replace(cell, fold=before, kind=ARM), fit_predict)  # type: ignore[arg-type]
            del log[told:]  # a cell tells of its own fit
        return self._ended[chain][1]

    def _inputs(self, cell: Cell, dataset: Dataset, fold: Fold) -> Inputs:
        if cell.kind == BASELINE:
            return text_free(dataset, self._features(dataset, fold), self._config)
        arm = self._arms[cell.arm]
        # An effect is planted once, as the real texts are there once.
        number = 0 if arm.treatment in PLANTS else cell.seed
        scaled = self._features(dataset, fold)
        draw = Draw(number, self._config.seed, self._room, fold, self._gains, self._told)
        return build_inputs(dataset, scaled, arm, draw)

    def _copied(self, arm: Arm, fold: Fold) -> tuple[Dataset, Inputs, Rows]:
        """Return dataset and inputs with copies behind, and the rows in question.

        Every fold is filled up to the longest one, so that a network is compiled once.
        """
        plans = copies_of(self._dataset, arm, list(self._folds.values()), self._config)
        longest, plan = max(plan.length for plan in plans.values()), plans[fold.number]
        inputs = build_inputs(self._dataset, self._features(self._dataset, fold), arm)
        longer, more = plan.added(self._dataset, inputs, longest)
        return longer, more, np.concatenate([fold.test, *(at for _, at in plan.rows)])

    def _features(self, dataset: Dataset, fold: Fold) -> Floats:
        kept = self._scaled
        if kept is None or kept[0] != fold.number or kept[1] is not dataset:
            kept = self._scaled = fold.number, dataset, scaled_features(dataset, fold)
            self._told = {}
        return kept[2]


@dataclass(frozen=True)
class CellStore:
    """Keeps the forecasts of cells in a folder, a file each; made when the first is kept."""

    folder: Path

    def save(self, cell: Cell, forecasts: Mapping[str, Floats], log: Mapping[str, Any]) -> None:
        """Keep a cell, and what its fit measured; the file is absent or whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self._path(cell), forecasts, dict(log))

    def load(self, cell: Cell) -> tuple[dict[str, Floats], dict[str, Any]] | None:
        """Return the forecasts of a cell and what its fit measured; None if it is not kept."""
        return read_arrays(self._path(cell))

    def remove(self) -> None:
        """Forget all cells: the study is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, cell: Cell) -> Path:
        arm = hashlib.sha256(cell.arm.encode()).hexdigest()[:8]  # a user's arm has any name
        name = f"{cell.kind}-{cell.forecaster}-fold{cell.fold}-{arm}-seed{cell.seed}.npz"
        return self.folder / name


def fit_or_load(
    cell: Cell,
    fitter: CellFitter,
    fit_predict: FitPredict,
    kept: CellStore | None = None,
    progress: Callable[[str], None] | None = None,
) -> Mapping[str, Floats]:
    """Return the forecasts of a cell: those that are kept, else of a fit, which is kept then.

    What a kept fit measured joins the log of its forecaster, where that has one.

    Args:
        progress: told the name of the cell before it is fitted.
    """
    log: list[dict[str, Any]] = getattr(fit_predict, "log", [])
    found = kept.load(cell) if kept is not None else None
    if found is not None:
        if found[1]:
            log.append(found[1])
        return found[0]
    if progress is not None:
        progress(str(cell))
    forecasts, measured = fit_logged(cell, fitter, fit_predict)
    if kept is not None:
        kept.save(cell, forecasts, measured)
    return forecasts


def fit_logged(
    cell: Cell, fitter: CellFitter, fit_predict: FitPredict
) -> tuple[Mapping[str, Floats], Mapping[str, Any]]:
    """Return the forecasts of a cell, and what its forecaster entered in its log, if anything."""
    log: list[dict[str, Any]] = getattr(fit_predict, "log", [])
    before = len(log)
    forecasts = fitter.fit(cell, fit_predict)
    return forecasts, log[-1] if len(log) > before else {}


def margins(dataset: Dataset, config: Config) -> dict[str, float]:
    """Return the gain that matters by target key, as a share of null's loss."""
    of = config.verdict.margin
    return {key: of[target.name] for key, target in dataset.targets.items()}  # type: ignore[index]
