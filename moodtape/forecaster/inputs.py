"""The matrices that a forecaster is given in an arm.

An arm's inputs are two matrices: the market (price, calendar, and what the arm adds) and
the subject, the group under test, treated as the arm says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.arms import (
    COUNTS,
    COUNTS_AS,
    ECHO,
    OTHER,
    PLACEBOS,
    PLANTED,
    PLANTS,
    SHUFFLE,
    Arm,
    count_columns,
    tone_columns,
)
from moodtape.forecaster.echo import Told, echoed, told_by_prices
from moodtape.forecaster.planted import planted
from moodtape.forecaster.shift import Room, displaced, shuffled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """Scaled inputs of one arm: market (R, Fm) and subject (R, Fs); Fs may be 0.

    They may be views of the scaled features: nobody writes into them.
    """

    market: Floats
    subject: Floats


@dataclass(frozen=True)
class Draw:
    """What a treatment that is drawn needs to know.

    number: of the draw; every number gives another placebo. seed: of the study.
    room: how far a shift may go.
    fold: an echo is fitted on its training rows, a planted effect scaled on them.
    gains: by target key, what share of the loss a planted effect is worth.
    told: what past prices tell of the columns of an arm, kept for its other draws: of the same
        dataset, scaled features and fold.
    """

    number: int
    seed: int
    room: Room
    fold: Fold
    gains: Mapping[str, float]
    told: dict[str, Mapping[str, Told]] = field(default_factory=dict)


def build_inputs(dataset: Dataset, scaled: Floats, arm: Arm, draw: Draw | None = None) -> Inputs:
    """Return an arm's inputs from the scaled feature matrix.

    Args:
        scaled: shape (R, F), zero where missing.
        draw: for a placebo, `block_shuffle` or what is planted; other arms need none.
    """
    names = [c.group for c in dataset.columns]
    market = [i for i, g in enumerate(names) if g in arm.groups and g != arm.subject]
    subject = [i for i, g in enumerate(names) if g == arm.subject and g in arm.groups]
    values = _columns(scaled, subject)
    if arm.treatment == "none":
        values = values[:, :0]
    elif arm.treatment == "constant":
        values = np.zeros_like(values)
    elif arm.treatment in (COUNTS, OTHER):
        tone = [subject.index(i) for i in tone_columns(dataset, arm.subject)]
        next_one = _of_next_symbol(values[:, tone], dataset)
        values = values.copy()
        values[:, tone] = next_one if arm.treatment == OTHER else 0.0
    elif arm.treatment in (*PLACEBOS, *PLANTS):
        if draw is None:
            raise ValueError(f"an arm of treatment {arm.treatment!r} needs a draw")
        changing, how = tone_columns(dataset, arm.subject), arm.treatment
        values = values.copy()
        if how in COUNTS_AS:
            values[:, [subject.index(i) for i in changing]] = 0.0
            changing, how = count_columns(dataset), COUNTS_AS[how]
        columns = [subject.index(i) for i in changing]
        present = ~np.isnan(dataset.features[:, changing])
        values[:, columns] = _treated(values[:, columns], present, dataset, how, draw, arm.name)
    return Inputs(_columns(scaled, market), values)


def _columns(scaled: Floats, chosen: list[int]) -> Floats:
    """Return some columns: a view where they stand side by side, as groups do."""
    if chosen and chosen == list(range(chosen[0], chosen[-1] + 1)):
        return scaled[:, chosen[0] : chosen[-1] + 1]
    return scaled[:, chosen]


def _treated(
    tone: Floats, present: NDArray[np.bool_], dataset: Dataset, treatment: str, draw: Draw,
    arm: str,
) -> Floats:  # fmt: skip
    """Return columns of tone, or of counts, as a placebo or the positive control has them."""
    if treatment == ECHO:
        if arm not in draw.told:
            draw.told[arm] = told_by_prices(tone, present, dataset, draw.fold)
        return echoed(draw.told[arm], present, dataset, draw.fold, draw.seed, draw.number)
    if treatment == SHUFFLE:
        return shuffled(tone, dataset, draw.room, draw.number)
    moved = displaced(tone, dataset, draw.room, draw.number)
    if treatment == PLANTED:
        return planted(moved, dataset, draw.fold, draw.gains, draw.seed, draw.number)
    return moved


def _of_next_symbol(tone: Floats, dataset: Dataset) -> Floats:
    """Return the columns of the next symbol at the same cut-off, zero where it has no row there."""
    result = np.zeros_like(tone)
    count = len(dataset.symbols)
    for symbol in range(count):
        rows = np.flatnonzero(dataset.symbol == symbol)
        others = np.flatnonzero(dataset.symbol == (symbol + 1) % count)
        _, ours, theirs = np.intersect1d(
            dataset.cutoff[rows], dataset.cutoff[others], return_indices=True
        )
        result[rows[ours]] = tone[others[theirs]]
    return result
