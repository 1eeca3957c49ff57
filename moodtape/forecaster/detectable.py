"""The smallest effect that a study would have found, measured by planting effects.

    1. plant      an effect of some size, one target at a time, in twenty draws
    2. fit        the linear forecaster, for cost: every fold, every draw
    3. ask        whether the draw would have been called `helps`, all conditions included
    4. search     from the margin upward or downward, until four draws in five are found

Never from a standard error: what counts is whether the instrument would have spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.cells import margins
from moodtape.forecaster.evidence import Case, evidence_of
from moodtape.forecaster.inputs import Draw, build_inputs
from moodtape.forecaster.linear import fit_predict_linear
from moodtape.forecaster.metrics import deciding_loss
from moodtape.forecaster.scaling import scaled_features
from moodtape.forecaster.shift import Room, shift_room

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.arms import Arm
    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold
    from moodtape.forecaster.verdict import Evidence

    Floats = NDArray[np.float64]

GRID = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Sizes that are tried, in margins, as far as they are less than the whole loss."""

AT_MARGIN = (1.0,)
"""The size alone that the word `does not help` hangs on."""

SHARE = 0.8
"""Of the draws, how many must be found."""

Found = Callable[["Case", "Evidence"], bool]


@dataclass(frozen=True)
class Detectable:
    """What the linear forecaster would have found.

    smallest: share of null's loss; None where not even the largest was found.
    largest: the largest size that was tried.
    found: by size tried, in margins: draws found, draws tried.
    draws: of each size, at most; a size is left when its share can no longer be missed or met.
    """

    smallest: float | None
    largest: float
    found: dict[float, tuple[int, int]]
    draws: int

    @property
    def seen_at_margin(self) -> bool:
        """Say whether an effect of the margin's size is found often enough."""
        return _passes(*self.found.get(1.0, (0, 0)), self.draws) is True


def smallest_effects(
    cases: Sequence[Case],
    found: Found,
    dataset: Dataset,
    folds: Sequence[Fold],
    arm: Arm,
    config: Config,
    progress: Callable[[str], None] | None = None,
    sizes: Sequence[float] = GRID,
) -> dict[tuple[str, int, str], Detectable]:
    """Return for each case of the linear forecaster the smallest effect it would have found.

    Args:
        cases: of the linear study and one claim, one a symbol and target.
        found: says of a case and the evidence of a draw whether it would be called `helps`.
        arm: what is planted, `planted` or that of the claim.
        sizes: that are tried, in margins; the margin is one of them.
    Returns:
        By claim, number of the symbol and key of the target.
    """
    made: dict[tuple[str, int, str], Detectable] = {}
    room, _ = shift_room(dataset, config)
    for key in dataset.targets:
        own = [case for case in cases if case.key == key]
        search = _Search(dataset, [f for f in folds if len(f.test)], arm, config, key, room, sizes)
        tried: dict[int, dict[float, tuple[int, int]]] = {c.symbol: {} for c in own}
        while open_ := {
            c.symbol: s for c in own if (s := _next(tried[c.symbol], search.draws, search.sizes))
        }:
            size = min(open_.values(), key=lambda s: abs(np.log(s)))
            asking = [case for case in own if open_.get(case.symbol) == size]
            if progress is not None:
                progress(f"planting effects on {key}: {size:g} margins")
            for symbol, counts in search.count(asking, size, found).items():
                tried[symbol][size] = counts
        largest = search.sizes[-1] * search.margin
        for case in own:
            passed = [s for s, c in tried[case.symbol].items() if _passes(*c, search.draws)]
            smallest = min(passed) * search.margin if passed else None
            by_size = dict(sorted(tried[case.symbol].items()))
            made[case.asked] = Detectable(smallest, largest, by_size, search.draws)
    return made


@dataclass(frozen=True)
class _Search:
    """Effects of one target, planted and looked for."""

    dataset: Dataset
    folds: Sequence[Fold]
    arm: Arm
    config: Config
    key: str
    room: Room
    grid: Sequence[float]

    @property
    def margin(self) -> float:
        """Return the gain that matters, as a share of null's loss."""
        return margins(self.dataset, self.config)[self.key]

    @property
    def sizes(self) -> tuple[float, ...]:
        """Return the sizes that can be planted, in margins; nobody gains the whole loss."""
        return tuple(size for size in self.grid if size * self.margin < 1)

    @property
    def draws(self) -> int:
        """Return how many draws of a size are made."""
        return self.config.verdict.planted_draws

    def count(self, cases: Sequence[Case], size: float, found: Found) -> dict[int, tuple[int, int]]:
        """Return for each case in how many draws of a size it was found, and of how many."""
        counts = {case.symbol: (0, 0) for case in cases}
        made = 0
        while asking := [c for c in cases if _passes(*counts[c.symbol], self.draws) is None]:
            # So many more are drawn whatever comes of them, so that a fold is scaled for all.
            certain = min(_undecided(*counts[c.symbol], self.draws) for c in asking)
            for forecast in self._forecasts(size, range(made, made + certain)):
                for case in asking:
                    losses = self._losses(case, forecast)
                    evidence = evidence_of(case, losses, self.dataset, self.config, True)
                    hits, tried = counts[case.symbol]
                    counts[case.symbol] = (hits + found(case, evidence), tried + 1)
            made += certain
        return counts

    def _forecasts(self, size: float, draws: range) -> Floats:
        """Return forecasts of all rows under some draws; NaN where nothing is tested. (d, R)"""
        alone = replace(self.dataset, targets={self.key: self.dataset.targets[self.key]})
        result = np.full((len(draws), len(self.dataset.cutoff)), np.nan)
        for fold in self.folds:
            scaled, gains = scaled_features(alone, fold), {self.key: size * self.margin}
            for number, draw in enumerate(draws):
                drawn = Draw(draw, self.config.seed, self.room, fold, gains)
                inputs = build_inputs(alone, scaled, self.arm, drawn)
                forecasts = fit_predict_linear(alone, inputs, fold, fold.test, seed=draw)
                result[number, fold.test] = forecasts[self.key]
        return result

    def _losses(self, case: Case, forecast: Floats) -> Floats:
        target, rows = self.dataset.targets[self.key], case.losses.rows
        scale = self.dataset.trailing_variance[rows]
        return deciding_loss(
            target.name, target.y[rows], forecast[rows], scale, target.horizon_bars
        )[None, :]


def _passes(hits: int, tried: int, draws: int) -> bool | None:
    """Say whether enough draws were found, or None while that is open.

    >>> _passes(16, 18, 20), _passes(15, 20, 20), _passes(4, 9, 20), _passes(3, 4, 20)
    (True, False, False, None)
    """
    needed = int(np.ceil(SHARE * draws))
    if hits >= needed:
        return True
    return False if tried - hits > draws - needed else None


def _undecided(hits: int, tried: int, draws: int) -> int:
    """Return how many more draws must be made before their share can be met or missed.

    >>> _undecided(0, 0, 20), _undecided(14, 14, 20), _undecided(3, 7, 20)
    (5, 2, 1)
    """
    needed = int(np.ceil(SHARE * draws))
    return min(needed - hits, draws - needed + 1 - (tried - hits))


def _next(
    tried: dict[float, tuple[int, int]], draws: int, sizes: Sequence[float] = GRID
) -> float | None:
    """Return the size to try next: from the margin up until one is found, else down until not.

    >>> _next({}, 20), _next({1.0: (16, 16)}, 20), _next({1.0: (0, 5)}, 20)
    (1.0, 0.5, 2.0)
    >>> _next({1.0: (16, 16), 0.5: (0, 5)}, 20), _next({1.0: (0, 5), 2.0: (16, 20)}, 20)
    (None, None)
    >>> _next({1.0: (0, 5)}, 20, (0.25, 0.5, 1.0))
    """
    if not tried:
        return 1.0
    passed = [size for size, counts in tried.items() if _passes(*counts, draws)]
    up = not _passes(*tried[1.0], draws)
    if up and passed:
        return None
    at = sizes.index(max(tried) if up else min(tried)) + (1 if up else -1)
    if not up and min(tried) not in passed:
        return None
    return sizes[at] if 0 <= at < len(sizes) else None
