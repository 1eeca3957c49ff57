"""The numbers of a study that must not depend on the future, and how they are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.forecaster import splits
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.baselines import baselines
from moodtape.forecaster.calibration import calibrated
from moodtape.forecaster.forecasters import FitPredict
from moodtape.forecaster.inputs import build_inputs
from moodtape.forecaster.scaling import scaled_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]
    Rows = NDArray[np.int64]

EDGES = ("train_from", "test_from", "test_until")
PARTS = ("train", "stop", "calibrate", "test")
NO_ROW = -1
"""Row of what belongs to a fold as a whole."""


class Stage(IntEnum):
    """Where in the line a number is made; what is wrong early is wrong later too."""

    FEATURES, CARRIED, ANSWERS, FOLDS, SCALED, FORECASTS = range(6)


@dataclass(frozen=True)
class Block:
    """Numbers of the same rows.

    names: of the columns, k; values: shape (n, k).
    row: of the dataset, shape (n,); row_time: its decision time, shape (n,).
    fixed_from: what becomes known after this instant may not change the row's numbers;
        NaT where it always may. Shape (n,).
    """

    stage: Stage
    names: tuple[str, ...]
    values: Floats
    row: Rows
    row_time: Instants
    fixed_from: Instants


@dataclass(frozen=True)
class Change:
    """A column that changed although only its future did.

    rows: of the dataset, where it changed; row_time: decision time of the earliest.
    row: the earliest.
    """

    stage: Stage
    column: str
    rows: frozenset[int]
    row: int
    row_time: np.datetime64

    @property
    def key(self) -> str:
        """Return the column; of a fold's scaled ones, the fold: one tells as much as all."""
        return self.column.partition(" scaled ")[0] if self.stage is Stage.SCALED else self.column


def changes(base: Block, other: Block, cut: np.datetime64) -> tuple[list[Change], int]:
    """Return what differs, bit for bit, among the numbers fixed by `cut`, and how many there are.

    A missing value equals a missing value.
    """
    fixed = np.flatnonzero(base.fixed_from <= cut)
    before, after = base.values[fixed], other.values[fixed]
    same = (before.view("int64") == after.view("int64")) | (np.isnan(before) & np.isnan(after))
    found = []
    for column in np.flatnonzero(~same.all(axis=0)):
        rows = fixed[~same[:, column]]
        first = rows[np.argmin(base.row_time[rows])]
        found.append(
            Change(
                base.stage,
                base.names[column],
                frozenset(base.row[rows].tolist()),
                int(base.row[first]),
                base.row_time[first],
            )
        )
    return found, same.size


def dataset_blocks(dataset: Dataset) -> Iterator[Block]:
    """Yield the features of every row, what else it carries, and its answers."""
    row, at = np.arange(len(dataset.cutoff)), dataset.decision_time
    names = tuple(c.name for c in dataset.columns)
    yield Block(Stage.FEATURES, names, dataset.features, row, at, at)
    carried = {
        "close": dataset.close,
        "run_length": dataset.run_length,
        "trailing_variance": dataset.trailing_variance,
        "regime change": _steps(dataset.regime) & ~_steps(dataset.symbol),
    }
    carried |= {f"history {i + 1}": column for i, column in enumerate(dataset.history.T)}
    yield Block(Stage.CARRIED, tuple(carried), _columns(list(carried.values())), row, at, at)
    for key, target in dataset.targets.items():
        y = _columns([target.y])
        yield Block(Stage.ANSWERS, (f"target {key}",), y, row, at, target.known_at)


def fold_blocks(
    dataset: Dataset,
    fold: Fold,
    test: Rows,
    arm: Arm,
    forecasters: Mapping[str, FitPredict],
) -> Iterator[Block]:
    """Yield a fold's edges and rows, its scaled inputs and its forecasts.

    Args:
        test: rows to forecast; the same ones for both futures, so that the arithmetic is.
        arm: what the forecasters get. forecasters: by name.
    """
    name = f"fold {fold.number + 1}"
    at, row = dataset.decision_time, np.arange(len(dataset.cutoff))
    begun = np.maximum(at, fold.test_from)
    edges = _columns([np.array([getattr(fold, edge)]).astype("int64") for edge in EDGES])
    start = np.array([fold.test_from])
    names = tuple(f"{name} {edge}" for edge in EDGES)
    yield Block(Stage.FOLDS, names, edges, np.array([NO_ROW]), start, start)
    members = _columns([np.isin(row, getattr(fold, part)) for part in PARTS])
    yield Block(Stage.FOLDS, tuple(f"{name} {p} rows" for p in PARTS), members, row, at, begun)
    inputs = build_inputs(dataset, scaled_features(dataset, fold), arm)
    both = np.hstack([inputs.market, inputs.subject])
    yield Block(
        Stage.SCALED,
        tuple(f"{name} scaled {c}" for c in _input_names(dataset, arm)),
        both,
        row,
        at,
        begun,
    )
    rows, tested = np.concatenate([fold.calibrate, test]), len(fold.calibrate)
    forecasts = {who: fit(dataset, inputs, fold, rows, seed=0) for who, fit in forecasters.items()}
    for who, by_key in (baselines(dataset, fold, rows) | forecasts).items():
        raw = {key: values[tested:] for key, values in by_key.items()}
        corrected = calibrated(dataset, fold.calibrate, test, by_key)
        for kind, found in (("forecast", raw), ("calibrated", corrected)):
            values = _columns(list(found.values()))
            names = tuple(
                f"{name} {kind} {key}, {who}" for key, v in found.items() for _ in range(_wide(v))
            )
            yield Block(Stage.FORECASTS, names, values, test, at[test], at[test])


def _wide(values: Floats) -> int:
    """Return how many columns an array has: (n,) is one."""
    return 1 if values.ndim == 1 else values.shape[1]


def _input_names(dataset: Dataset, arm: Arm) -> list[str]:
    """Return the columns that an arm gets: the market's, then the subject's."""
    own = [c for c in dataset.columns if c.group in arm.groups]
    return [c.name for c in own if c.group != arm.subject] + [
        c.name for c in own if c.group == arm.subject
    ]


def moved_fold(fold: Fold) -> Change:
    """Return the change that a fold's test has not begun where it had."""
    column = f"fold {fold.number + 1} {EDGES[1]}"
    return Change(Stage.FOLDS, column, frozenset({NO_ROW}), NO_ROW, fold.test_from)


def late_answers(dataset: Dataset, fold: Fold) -> tuple[list[tuple[Change, np.datetime64]], int]:
    """Return answers that a fold uses before they are known, each with when it is.

    An answer of `train` must be known by the first decision of `stop`, and so on: then a
    fit that has used it is put to use. That decision is the change's row time.

    Returns:
        The answers, and how many were looked at.
    """
    found, checked = [], 0
    starts = [_start(dataset, getattr(fold, part)) for part in PARTS]
    for number, part in enumerate(PARTS[:-1]):
        rows, used_at = getattr(fold, part), min(starts[number + 1 :])
        for key, target in dataset.targets.items():
            answered = rows[~np.isnan(target.y[rows])]
            late = answered[target.known_at[answered] > used_at]
            checked += len(answered)
            if len(late):
                column = f"fold {fold.number + 1} {part} answers {key}"
                last = int(late[np.argmax(target.known_at[late])])
                change = Change(Stage.FOLDS, column, frozenset(late.tolist()), last, used_at)
                found.append((change, target.known_at[last]))
    return found, checked


def _start(dataset: Dataset, rows: Rows) -> np.datetime64:
    """Return the first decision of some rows; where there are none, one after all others."""
    start: np.datetime64 = dataset.decision_time[rows].min() if len(rows) else splits.NEVER
    return start


def _steps(numbers: Rows) -> NDArray[np.bool_]:
    """Say which rows have another number than the row before. (n,) -> (n,)"""
    return np.asarray(np.diff(numbers, prepend=numbers[:1]) != 0)


def _columns(arrays: Sequence[NDArray[Any]]) -> Floats:
    """Return arrays side by side as one contiguous matrix of doubles. k x (n,) -> (n, k)"""
    return np.ascontiguousarray(np.column_stack(arrays), dtype="float64")
