"""The whole line from stored rows to forecasts, as it is and with another future."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moodtape.audit.cells import (
    Block,
    Change,
    Stage,
    changes,
    dataset_blocks,
    fold_blocks,
    moved_fold,
)
from moodtape.clock import to_datetime64
from moodtape.config import Config
from moodtape.forecaster import splits
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.fitted import open_baseline
from moodtape.forecaster.forecasters import FORECASTERS, LINEAR, NETWORK, FitPredict
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.seeds import child_seed
from moodtape.forecaster.splits import Fold
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.storage.perturb import Scratch, open_scratch
from moodtape.study.near import near_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Line:
    """A study over a scratch warehouse, whose future can be changed.

    request: with span, streams and metrics fixed.
    forecasters: whose fits are put to the test, by name; all but the linear one are dear:
        only on the newest fold begun by a cut.
    dataset, folds: as they are.
    """

    scratch: Scratch
    config: Config
    request: Request
    forecasters: Mapping[str, FitPredict]
    dataset: Dataset
    folds: tuple[Fold, ...]
    _made: dict[tuple[int, bool], list[Block]] = field(default_factory=dict)

    def compare(
        self, changed_after: datetime, until: datetime, last: Stage = Stage.FORECASTS
    ) -> tuple[list[Change], int]:
        """Return what changes at or before `until` when all known after `changed_after` does.

        Args:
            last: how far to follow the line.
        Returns:
            The changes, in the order of the line, and how many numbers were compared.
        """
        cut = to_datetime64(until)
        other = self._other_future(changed_after)
        folds = self._begun(other, cut) if last >= Stage.FOLDS else {}
        found: list[Change] = []
        checked = 0
        for base, changed in self._pairs(other, folds):
            here, count = changes(base, changed, cut)
            checked += count
            found += here
        if last >= Stage.FOLDS:
            found += [
                moved_fold(fold)
                for fold in self._begun(self.dataset, cut).values()
                if fold.number not in folds
            ]
        return found, checked

    def _other_future(self, changed_after: datetime) -> Dataset:
        """Return the dataset of a warehouse that differs in what became known later."""
        seed = child_seed(self.config.seed, "audit", changed_after.isoformat())
        with self.scratch.another_future(changed_after, seed):
            return load_dataset(self.scratch, self.config, self.request)

    def _pairs(self, other: Dataset, folds: Mapping[int, Fold]) -> Iterator[tuple[Block, Block]]:
        """Yield each block of the line as it is, with the same of the other future."""
        yield from zip(dataset_blocks(self.dataset), dataset_blocks(other), strict=True)
        for number, fold in folds.items():
            dear = number == max(folds) and len(self.forecasters) > 1
            base = self.folds[number]
            made = self._blocks(other, fold, base.test, dear)
            yield from zip(self._base_blocks(base, dear), made, strict=True)

    def _begun(self, dataset: Dataset, cut: np.datetime64) -> dict[int, Fold]:
        """Return the folds whose tests have begun, by number; none before the first decision."""
        lookback = self.config.network.lookback_bars
        if self.dataset.decision_time[self.dataset.decisions(lookback)[0]] > cut:
            return {}
        folds = splits.make_folds(dataset, lookback, self.config.walk_forward, before=cut)
        return {fold.number: fold for fold in folds}

    def _base_blocks(self, fold: Fold, dear: bool) -> list[Block]:
        if (fold.number, dear) not in self._made:
            self._made[fold.number, dear] = list(self._blocks(self.dataset, fold, fold.test, dear))
        return self._made[fold.number, dear]

    def _blocks(self, dataset: Dataset, fold: Fold, test: Rows, dear: bool) -> Iterator[Block]:
        forecasters = {n: f for n, f in self.forecasters.items() if dear or n == LINEAR}
        groups = tuple(sorted({c.group for c in dataset.columns}))
        arm = Arm("audit", groups, self.config.ablation.subject, "as_is")
        return fold_blocks(dataset, fold, test, arm, forecasters)


@contextmanager
def open_line(
    warehouse: Warehouse,
    config: Config,
    request: Request,
    rules: HourRules,
    network: FitPredict | None,
    spill: Path,
) -> Iterator[Line]:
    """Copy what a study can see into memory, and run the line there as it is.

    Args:
        network: the network; None leaves it out.
    """
    if request.span is None or request.streams is None or request.metrics is None:
        found = load_dataset(warehouse, config, request)
        request = replace(request, span=found.span, streams=found.streams, metrics=found.metrics)
    with open_scratch(warehouse, near_of(config, request), rules, spill) as scratch:
        dataset = load_dataset(scratch, config, request)
        folds = splits.make_folds(dataset, config.network.lookback_bars, config.walk_forward)
        yield Line(scratch, config, request, _forecasters(config, network), dataset, tuple(folds))


def _forecasters(config: Config, network: FitPredict | None) -> dict[str, FitPredict]:
    """Return all that a study fits, baselines too, by name; the network only where it is given."""
    named = dict.fromkeys((LINEAR, config.verdict.forecaster, *config.ablation.also))
    opened = {str(n): FORECASTERS[n].open(config) for n in named if n != NETWORK}
    # A ridge is the linear forecaster on fewer columns: its fit is looked at already.
    rules = {str(n): open_baseline(n, config) for n in config.ablation.baselines if n != "ridge"}
    found = rules | opened
    return found if network is None else found | {NETWORK: network}
