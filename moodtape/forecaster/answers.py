"""What a study says: losses compared pair by pair, tested, and put into words.

1. losses      the deciding loss of every forecast, baselines too
2. pairs       control less real, seed by seed
3. tests       stats.py: bootstrapped in time, the same resamples for both controls
4. words       verdict.py, corrected over the family
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.errors import InsufficientData
from moodtape.forecaster.ablation import Study
from moodtape.forecaster.arms import NULL, SHIFT, usual_bars
from moodtape.forecaster.forecasters import FORECASTERS
from moodtape.forecaster.metrics import deciding_loss
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.stats import (
    FEWEST,
    DieboldMariano,
    PairedResult,
    Resamples,
    block_length,
    diebold_mariano,
    paired_test,
)
from moodtape.forecaster.verdict import Evidence, Verdict, decide, holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

BEST_DAYS = 5


@dataclass(frozen=True)
class Answer:
    """What a study says about one symbol, target and horizon.

    effect, interval: gain over `null` as a share of its loss, and its 95 % interval;
        effect_shift, interval_shift: gain over `shift`, as a share of the same loss.
    losses: mean deciding loss by arm and baseline.
    n: forecasts with a known answer.
    fold_effects, fold_counts: the effect in each fold of the study, and its forecasts.
    seed_effects: the effect of each seed.
    """

    symbol: str
    target: str
    horizon_bars: int
    forecaster: str
    verdict: Verdict
    evidence: Evidence
    effect: float
    interval: tuple[float, float]
    effect_shift: float
    interval_shift: tuple[float, float]
    losses: Mapping[str, float]
    dm: DieboldMariano | None
    n: int
    fold_effects: tuple[float, ...]
    fold_counts: tuple[int, ...]
    seed_effects: tuple[float, ...]


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


def target_losses(study: Study, dataset: Dataset, symbol: int, key: str) -> Losses:
    """Return losses (S, n) of every arm and (n,) of every baseline, answers being known."""
    target = dataset.targets[key]
    keep = (dataset.symbol[study.rows] == symbol) & ~np.isnan(target.y[study.rows])
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


def answer_all(
    studies: Sequence[Study], dataset: Dataset, config: Config, audit_clean: bool
) -> list[Answer]:
    """Return an answer for every forecaster, symbol, target and horizon.

    The family of the correction is one forecaster's hypotheses: symbols x targets x horizons.
    """
    answers = []
    for study in studies:
        drafts = [
            _evidence(study, dataset, config, symbol, key, audit_clean)
            for symbol in range(len(dataset.symbols))
            for key in dataset.targets
        ]
        p_helps = holm([draft[2].p_helps for draft in drafts])
        p_hurts = holm([draft[2].p_hurts for draft in drafts])
        for (symbol, key, evidence, losses), helps, hurts in zip(
            drafts, p_helps, p_hurts, strict=True
        ):
            verdict = decide(evidence, helps, hurts, config.verdict.level)
            answers.append(_answer(study, dataset, symbol, key, evidence, losses, verdict))
    return answers


def _evidence(
    study: Study, dataset: Dataset, config: Config, symbol: int, key: str, audit_clean: bool
) -> tuple[int, str, Evidence, Losses]:
    target = dataset.targets[key]
    losses = target_losses(study, dataset, symbol, key)
    real = losses.by_arm[study.real]
    pairs = {control: paired(losses.by_arm[control], real) for control in (NULL, SHIFT)}
    rng = generator(config.seed, "bootstrap", dataset.symbols[symbol], key)
    results, obstacles = _tests(
        pairs, losses.fold, target.horizon_bars, usual_bars(dataset, "D"), config.verdict.draws, rng
    )
    against_null = results[NULL]
    means = [_mean(real), *map(_mean, losses.by_baseline.values())]
    evidence = Evidence(
        against_null=against_null,
        against_shift=results[SHIFT],
        null_loss=_mean(losses.by_arm[NULL]),
        beats_baselines=all(means[0] < other for other in means[1:]),
        helps_allowed=study.helps_allowed,
        audit_clean=audit_clean,
        margin=config.verdict.margin[target.name],  # type: ignore[index]
        blocks=against_null.blocks if against_null else 0.0,
        min_blocks=config.verdict.min_test_blocks,
        positive_control=None,
        obstacles=obstacles,
        stochastic_seeds=len(real) if FORECASTERS[study.forecaster].stochastic else None,
        rests_on=_rests_on(pairs[NULL].mean(axis=0), losses, dataset),
    )
    return symbol, key, evidence, losses


def _tests(
    pairs: Mapping[str, Floats],
    fold: NDArray[np.int64],
    horizon_bars: int,
    bars_per_day: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[dict[str, PairedResult | None], tuple[str, ...]]:
    """Return the test against each control on the same resamples, and why one was impossible."""
    n = len(fold)
    results: dict[str, PairedResult | None] = dict.fromkeys(pairs)
    if n < FEWEST:
        return results, (f"{n} forecasts with a known answer; {FEWEST} are needed",)
    means = [by_seed.mean(axis=0) for by_seed in pairs.values()]
    block = max(block_length(d, horizon_bars, bars_per_day) for d in means)
    resamples = Resamples.draw(n, block, draws, rng)
    obstacles = []
    for control, by_seed in pairs.items():
        try:
            results[control] = paired_test(by_seed, fold, resamples)
        except InsufficientData as exc:
            obstacles.append(f"against {control}: {exc}")
    return results, tuple(obstacles)


def paired(control: Floats, real: Floats) -> Floats:
    """Return control less real, seed by seed. (S, n)

    A deterministic arm has one row and meets every placebo draw of the other.
    """
    if 1 < control.shape[0] != real.shape[0] > 1:
        raise ValueError(f"{control.shape[0]} seeds cannot be paired with {real.shape[0]}")
    return control - real


def _rests_on(differences: Floats, losses: Losses, dataset: Dataset) -> str | None:
    """Return which few forecasts a gain needs to keep its sign, or None if it needs none.

    A gain must survive the loss of its five best days and of any one fold.
    """
    if differences.sum() <= 0:
        return None
    days = dataset.cutoff[losses.rows].astype("datetime64[D]")
    by_day = [float(differences[days == day].sum()) for day in np.unique(days)]
    if sum(sorted(by_day)[:-BEST_DAYS]) <= 0:
        return f"its {BEST_DAYS} best days"
    for number in np.unique(losses.fold):
        if differences[losses.fold != number].sum() <= 0:
            return f"fold {number + 1}"
    return None


def _mean(losses: Floats) -> float:
    return float(losses.mean()) if losses.size else float("nan")


def _answer(
    study: Study,
    dataset: Dataset,
    symbol: int,
    key: str,
    evidence: Evidence,
    losses: Losses,
    verdict: Verdict,
) -> Answer:
    target = dataset.targets[key]
    scale = evidence.null_loss or float("nan")
    real = losses.by_arm[study.real]
    pairs = {control: paired(losses.by_arm[control], real) for control in (NULL, SHIFT)}
    gain = pairs[NULL].mean(axis=0)
    try:
        dm = diebold_mariano(
            losses.by_arm[NULL].mean(axis=0), real.mean(axis=0), target.horizon_bars
        )
    except InsufficientData:
        dm = None
    parts = [losses.fold == number for number in np.unique(study.fold)]
    return Answer(
        symbol=dataset.symbols[symbol],
        target=target.name,
        horizon_bars=target.horizon_bars,
        forecaster=study.forecaster,
        verdict=verdict,
        evidence=evidence,
        effect=_mean(gain) / scale,
        interval=_interval(evidence.against_null, scale),
        effect_shift=_mean(pairs[SHIFT]) / scale,
        interval_shift=_interval(evidence.against_shift, scale),
        losses={
            name: _mean(values) for name, values in (losses.by_arm | losses.by_baseline).items()
        },
        dm=dm,
        n=len(gain),
        fold_effects=tuple(_mean(gain[part]) / scale for part in parts),
        fold_counts=tuple(int(part.sum()) for part in parts),
        seed_effects=tuple(_mean(by_seed) / scale for by_seed in pairs[NULL]),
    )


def _interval(result: PairedResult | None, scale: float) -> tuple[float, float]:
    if result is None:
        return float("nan"), float("nan")
    return result.low / scale, result.high / scale
