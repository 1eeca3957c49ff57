"""Copies of the tested rows' windows in which one group of features tells of another time.

They stand behind the rows of a dataset, so any forecaster can be asked about them. Blocks are
as long as a window, so that most windows hold a true stretch of the group, only of another time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.inputs import Inputs
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.shift import usual_bars

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Rows = NDArray[np.int64]


def copies_of(
    dataset: Dataset, arm: Arm, folds: Sequence[Fold], config: Config
) -> dict[int, Copies]:
    """Return by number of the fold where the copies of its tested rows lie."""
    return {f.number: Copies.plan(dataset, arm, f, config) for f in folds if len(f.test)}


@dataclass(frozen=True)
class Copies:
    """Which rows are copied behind a dataset, and where the tested ones lie among the copies.

    groups: of the arm, in order. taken: the row that each copy is of; from_rows: that whose
    values it has in its group's columns; group: number of that group. Each shape (c,).
    rows: for every group and draw, the copies of the tested rows, in their order.
    """

    arm: Arm
    groups: tuple[str, ...]
    start: int
    taken: Rows
    from_rows: Rows
    group: NDArray[np.int64]
    rows: tuple[tuple[str, Rows], ...]

    @property
    def length(self) -> int:
        """Return how many rows there are with the copies."""
        return self.start + len(self.taken)

    @classmethod
    def plan(cls, dataset: Dataset, arm: Arm, fold: Fold, config: Config) -> Copies:
        """Return where the copies of one fold lie."""
        network, start = config.network, len(dataset.symbol)
        lookback = max(network.lookback_bars, network.sentiment_lookback_bars)
        block = max(lookback, usual_bars(dataset, "D"))
        used = {c.group for c in dataset.columns if c.group in arm.groups}
        groups = tuple(sorted(used))
        taken, from_rows, number, places = [], [], [], []
        length = start
        for index, name in enumerate(groups):
            for draw in range(config.ablation.importance_draws):
                at = np.empty(len(fold.test), dtype=np.int64)
                for symbol in np.unique(dataset.symbol[fold.test]):
                    own = np.flatnonzero(dataset.symbol[fold.test] == symbol)
                    tested = fold.test[own]
                    first = np.searchsorted(dataset.symbol, symbol)
                    stretch = np.arange(max(first, tested[0] - lookback + 1), tested[-1] + 1)
                    # The same draw for every group, so that their losses can be compared.
                    rng = generator(config.seed, "importance", fold.number, symbol, draw)
                    at[own] = length + tested - stretch[0]
                    taken.append(stretch)
                    from_rows.append(shuffled(stretch, block, rng))
                    number.append(np.full(len(stretch), index))
                    length += len(stretch)
                places.append((name, at))
        return cls(
            arm, groups, start, np.concatenate(taken), np.concatenate(from_rows),
            np.concatenate(number), tuple(places),
        )  # fmt: skip

    def added(self, dataset: Dataset, inputs: Inputs, length: int) -> tuple[Dataset, Inputs]:
        """Return the dataset and the inputs with the copies behind, filled up to some length.

        Folds of one length let a network be compiled once.
        """
        filled = np.zeros(length - self.length, dtype=np.int64)
        rows = np.concatenate([np.arange(self.start), self.taken, filled])
        columns = {
            name: values[rows]
            for name, values in vars(dataset).items()
            if isinstance(values, np.ndarray) and len(values) == self.start
        }
        targets = {
            key: replace(target, y=target.y[rows], known_at=target.known_at[rows])
            for key, target in dataset.targets.items()
        }
        longer = replace(dataset, **columns, targets=targets)
        return longer, self._inputs(dataset, inputs, rows)

    def _inputs(self, dataset: Dataset, inputs: Inputs, rows: Rows) -> Inputs:
        """Return the inputs with the copies behind, each with its group's columns shuffled."""
        found: list[Any] = []
        groups = [c.group for c in dataset.columns if c.group in self.arm.groups]
        of_market = np.array([g for g in groups if g != self.arm.subject])
        of_subject = np.array([g for g in groups if g == self.arm.subject])
        for matrix, of in ((inputs.market, of_market), (inputs.subject, of_subject)):
            made = matrix[rows]
            for index, group in enumerate(self.groups):
                own = np.flatnonzero(of == group)
                copies = np.flatnonzero(self.group == index)
                made[np.ix_(self.start + copies, own)] = matrix[np.ix_(self.from_rows[copies], own)]
            found.append(made)
        return Inputs(*found)


def shuffled(stretch: Rows, block: int, rng: np.random.Generator) -> Rows:
    """Return rows with their blocks of time in another order, from a drawn beginning. (n,)"""
    turned = np.roll(stretch, -int(rng.integers(len(stretch))))
    blocks = np.array_split(turned, max(2, round(len(stretch) / block)))
    order = rng.permutation(len(blocks))
    return np.concatenate([blocks[i] for i in order])
