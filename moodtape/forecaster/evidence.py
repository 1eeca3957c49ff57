"""What a study measured about one question: losses, compared pair by pair and tested.

1. losses      the deciding loss of every forecast, baselines too
2. pairs       control less the arm in question, seed by seed
3. tests       stats.py: bootstrapped in time, the same resamples for every arm and control
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.errors import InsufficientData
from moodtape.forecaster.ablation import Study
from moodtape.forecaster.arms import CONTROLS, COUNTS_AS, NULL, PLANTED
from moodtape.forecaster.forecasters import FORECASTERS
from moodtape.forecaster.metrics import deciding_loss
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.shift import usual_bars
from moodtape.forecaster.stats import (
    FEWEST,
    PairedResult,
    Resamples,
    block_length,
    paired_test,
)
from moodtape.forecaster.verdict import Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

BEST_DAYS = 5


@dataclass(frozen=True)
class Losses:
    """Deciding losses of one symbol and target on the rows that all arms share.

    by_arm: shape (S, n), one row a seed or placebo draw; by_baseline: shape (n,).
    fold, rows: of each loss, shape (n,), in order of time.
    """

    by_arm: dict[str, Floats]
    by_baseline: dict[str, Floats]
    fold: NDArray[np.int64]
    rows: Rows


@dataclass(frozen=True)
class Case:
    """One question put to one study: its losses, and the resamples of their rows.

    symbol: number in the dataset; key: of the target.
    resamples: None where there are too few forecasts to draw from.
    """

    study: Study
    symbol: int
    key: str
    losses: Losses
    resamples: Resamples | None

    @property
    def asked(self) -> tuple[str, int, str]:
        """Return the claim, the number of the symbol and the key of the target."""
        return self.study.claim, self.symbol, self.key

    def results(self, arm: Floats) -> tuple[dict[str, PairedResult | None], tuple[str, ...]]:
        """Return the test of some losses (S, n) against each control, and why one was impossible.

        Positive means that the control loses more.
        """
        results: dict[str, PairedResult | None] = dict.fromkeys(CONTROLS)
        if self.resamples is None:
            n = len(self.losses.fold)
            return results, (f"{n} forecasts with a known answer; {FEWEST} are needed",)
        obstacles = []
        for control in CONTROLS:
            pair = paired(self.losses.by_arm[control], arm)
            try:
                results[control] = paired_test(pair, self.losses.fold, self.resamples)
            except InsufficientData as exc:
                why = str(exc).removesuffix(".")
                obstacles.append(f"against {control} {why[0].lower()}{why[1:]}")
        return results, tuple(obstacles)


def target_losses(
    study: Study, dataset: Dataset, symbol: int, key: str, since: np.datetime64 | None = None
) -> Losses:
    """Return losses (S, n) of every arm and (n,) of every baseline, answers being known.

    Args:
        since: only cut-offs from then on; all by default.
    """
    target = dataset.targets[key]
    keep = (dataset.symbol[study.rows] == symbol) & ~np.isnan(target.y[study.rows])
    if since is not None:
        keep &= dataset.cutoff[study.rows] >= since
    rows = study.rows[keep]
    y, scale = target.y[rows], dataset.trailing_variance[rows]

    def loss(forecast: Floats) -> Floats:
        return deciding_loss(target.name, y, forecast, scale, target.horizon_bars)

    return Losses(
        by_arm={
            name: np.stack([loss(f) for f in forecasts.by_key[key][:, keep]])
            for name, forecasts in study.arms.items()
        },
        by_baseline={
            name: loss(by_key[key][keep])
            for name, by_key in study.baselines.items()
            if key in by_key
        },
        fold=study.fold[keep],
        rows=rows,
    )


def case_of(
    study: Study,
    dataset: Dataset,
    config: Config,
    symbol: int,
    key: str,
    since: np.datetime64 | None = None,
) -> Case:
    """Return one question of a study, its losses counted and its blocks drawn.

    Args:
        since: only cut-offs from then on; all by default.
    """
    losses = target_losses(study, dataset, symbol, key, since)
    n = len(losses.fold)
    if n < FEWEST:
        return Case(study, symbol, key, losses, None)
    real = losses.by_arm[study.real]
    means = [paired(losses.by_arm[control], real).mean(axis=0) for control in CONTROLS]
    horizon, per_day = dataset.targets[key].horizon_bars, usual_bars(dataset, "D")
    block = max(block_length(d, horizon, per_day) for d in means)
    rng = generator(config.seed, "bootstrap", dataset.symbols[symbol], key)
    return Case(study, symbol, key, losses, Resamples.draw(n, block, config.verdict.draws, rng))


def evidence_of(
    case: Case, arm: Floats, dataset: Dataset, config: Config, audit_clean: bool
) -> Evidence:
    """Return what speaks for the losses of one arm, shape (S, n), and what against them."""
    study, losses = case.study, case.losses
    target = dataset.targets[case.key]
    results, obstacles = case.results(arm)
    null = losses.by_arm[NULL]
    own = mean_loss(arm)
    blocks = 0.0 if case.resamples is None else case.resamples.n / case.resamples.block
    return Evidence(
        against=results,
        null_loss=mean_loss(null),
        beats_baselines=all(own < mean_loss(other) for other in losses.by_baseline.values()),
        helps_allowed=study.helps_allowed,
        audit_clean=audit_clean,
        margin=config.verdict.margin[target.name],  # type: ignore[index]
        blocks=blocks,
        min_blocks=config.verdict.min_test_blocks,
        obstacles=obstacles,
        stochastic_seeds=len(arm) if FORECASTERS[study.forecaster].stochastic else None,
        rests_on=rests_on(paired(null, arm).mean(axis=0), losses, dataset),
    )


def paired(control: Floats, arm: Floats) -> Floats:
    """Return control less arm, seed by seed. (S, n)

    A deterministic arm has one row and meets every placebo draw of the other.
    """
    if 1 < control.shape[0] != arm.shape[0] > 1:
        raise ValueError(f"{control.shape[0]} seeds cannot be paired with {arm.shape[0]}")
    return control - arm


def rests_on(differences: Floats, losses: Losses, dataset: Dataset) -> str | None:
    """Return which few forecasts a gain needs to keep its sign, or None if it needs none.

    A gain must survive the loss of its five best days and of any one fold.
    """
    if differences.sum() <= 0:
        return None
    best = best_days(differences, losses, dataset)
    if differences.sum() - best <= 0:
        return f"its {BEST_DAYS} best days"
    for number in np.unique(losses.fold):
        if differences[losses.fold != number].sum() <= 0:
            return f"fold {number + 1}"
    return None


def best_days(differences: Floats, losses: Losses, dataset: Dataset) -> float:
    """Return the sum of differences over the five days in which it is largest."""
    days = dataset.cutoff[losses.rows].astype("datetime64[D]")
    _, day = np.unique(days, return_inverse=True)
    return float(np.sort(np.bincount(day, weights=differences))[-BEST_DAYS:].sum())


def mean_loss(losses: Floats) -> float:
    """Return the mean over seeds and rows; NaN where there is none."""
    return float(losses.mean()) if losses.size else float("nan")


def interval_of(result: PairedResult | None, scale: float) -> tuple[float, float]:
    """Return a 95 % interval as a share of some loss; NaN where no test was possible."""
    if result is None:
        return float("nan"), float("nan")
    return result.low / scale, result.high / scale


def effects_of(case: Case, arm: Floats) -> Mapping[str, float]:
    """Return the gain of some losses over each control, as shares of null's loss."""
    scale = mean_loss(case.losses.by_arm[NULL]) or float("nan")
    return {
        control: mean_loss(paired(case.losses.by_arm[control], arm)) / scale for control in CONTROLS
    }


def beside(case: Case, scale: float) -> dict[str, tuple[float, tuple[float, float]]]:
    """Return the gain over null of the arms that no word rests on, and its 95 % interval.

    scale: mean loss of null.
    """
    said = {case.study.real, PLANTED, *CONTROLS}
    said |= {n for n, a in case.study.arms.items() if a.arm.treatment in COUNTS_AS}
    found = {}
    for name, losses in case.losses.by_arm.items():
        if name not in said:
            results, _ = case.results(losses)
            found[name] = (effects_of(case, losses)[NULL], interval_of(results[NULL], scale))
    return found
