"""With and without: every arm on the same folds, rows and seeds, compared pair by pair.

    1. cells       each arm, fold and seed: fit, forecast the test rows
    2. losses      the deciding loss of every forecast, baselines too
    3. pairs       control less real, averaged over seeds, bootstrapped in time
    4. words       verdict.py, corrected over the family
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from moodtape.clock import parse_duration
from moodtape.config import Config
from moodtape.errors import InsufficientData
from moodtape.forecaster.arms import (
    NULL,
    SHIFT,
    Arm,
    Inputs,
    build_inputs,
    draw_offsets,
    real_arm,
    shift_offsets,
)
from moodtape.forecaster.baselines import baselines
from moodtape.forecaster.linear import fit_predict_linear
from moodtape.forecaster.metrics import deciding_loss
from moodtape.forecaster.scaling import Scaler
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.stats import (
    DieboldMariano,
    PairedResult,
    Resamples,
    diebold_mariano,
    paired_test,
)
from moodtape.forecaster.verdict import Evidence, Verdict, decide, holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

LINEAR, NETWORK = "linear", "network"
LINEAR_SHIFT_DRAWS = 5

Progress = Callable[[str], None]


class FitPredict(Protocol):
    """Fits one cell of a study and forecasts some rows."""

    def __call__(
        self, dataset: Dataset, inputs: Inputs, fold: Fold, rows: Rows, *, seed: int
    ) -> Mapping[str, Floats]:
        """Return forecasts by target key, each of the length of `rows`."""


@dataclass(frozen=True)
class ArmForecasts:
    """Forecasts of one arm on all test rows.

    by_key: by target key, shape (S, n): one row a seed (or placebo draw).
    """

    arm: Arm
    by_key: Mapping[str, Floats]


@dataclass(frozen=True)
class Study:
    """All forecasts of one forecaster, and the rows they are for.

    rows: test rows in order of time, shape (n,); fold: of each, shape (n,).
    """

    forecaster: str
    rows: Rows
    fold: NDArray[np.int64]
    arms: Mapping[str, ArmForecasts]
    baselines: Mapping[str, Mapping[str, Floats]]
    helps_allowed: bool
    real: str


@dataclass(frozen=True)
class Answer:
    """What a study says about one symbol, target and horizon."""

    symbol: str
    target: str
    horizon_bars: int
    forecaster: str
    verdict: Verdict
    evidence: Evidence
    effect: float
    interval: tuple[float, float]
    losses: Mapping[str, float]
    dm: DieboldMariano | None
    n: int
    fold_effects: tuple[float, ...] = field(default=())


def run_study(
    dataset: Dataset,
    folds: Sequence[Fold],
    arms: Sequence[Arm],
    config: Config,
    forecaster: str,
    fit_predict: FitPredict | None = None,
    progress: Progress | None = None,
) -> Study:
    """Fit every cell of one forecaster and return its forecasts on all test rows.

    Args:
        fit_predict: what fits a cell; the linear forecaster by default.
        progress: told the name of each cell before it is fitted.
    """
    offsets, strict = shift_offsets(dataset, config)
    seeds = 1 if forecaster == LINEAR else config.training.seeds
    draws = max(seeds, LINEAR_SHIFT_DRAWS) if forecaster == LINEAR else seeds
    moved = draw_offsets(offsets, draws, generator(config.seed, "shift offsets"))
    collected: dict[str, dict[str, list[list[Floats]]]] = {a.name: {} for a in arms}
    simple: dict[str, dict[str, list[Floats]]] = {}
    for fold in folds:
        scaled = scaled_features(dataset, fold)
        for arm in arms:
            count = draws if arm.treatment == "shift" else seeds
            for seed in range(count):
                if progress is not None:
                    progress(f"{forecaster}: fold {fold.number + 1}, {arm.name}, seed {seed + 1}")
                inputs = build_inputs(dataset, scaled, arm, moved[seed])
                forecasts = (
                    fit_predict_linear(dataset, inputs, fold, fold.test)
                    if fit_predict is None
                    else fit_predict(dataset, inputs, fold, fold.test, seed=seed)
                )
                for key, values in forecasts.items():
                    parts = collected[arm.name].setdefault(key, [[] for _ in range(count)])
                    parts[seed].append(values)
        for name, by_key in baselines(dataset, fold, fold.test).items():
            for key, values in by_key.items():
                simple.setdefault(name, {}).setdefault(key, []).append(values)
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
        baselines={
            name: {key: np.concatenate(parts) for key, parts in by_key.items()}
            for name, by_key in simple.items()
        },
        helps_allowed=strict,
        real=real_arm(arms).name,
    )


def scaled_features(dataset: Dataset, fold: Fold) -> Floats:
    """Return the feature matrix as a fold's forecasters see it, scaled by its training rows."""
    scaler = Scaler.fit(dataset.features, dataset.symbol, fold.train, len(dataset.symbols))
    return scaler.apply(dataset.features, dataset.symbol)


@dataclass(frozen=True)
class _Losses:
    """Deciding losses of one symbol and target on the rows that all arms share."""

    by_arm: Mapping[str, Floats]
    by_baseline: Mapping[str, Floats]
    fold: NDArray[np.int64]
    rows: Rows


def target_losses(study: Study, dataset: Dataset, symbol: int, key: str) -> _Losses:
    """Return losses (S, n) of every arm and (n,) of every baseline, answers being known."""
    target = dataset.targets[key]
    keep = (dataset.symbol[study.rows] == symbol) & ~np.isnan(target.y[study.rows])
    rows = study.rows[keep]
    y, scale = target.y[rows], dataset.trailing_variance[rows]

    def loss(forecast: Floats) -> Floats:
        return deciding_loss(target.name, y, forecast, scale, target.horizon_bars)

    return _Losses(
        by_arm={
            name: np.stack([loss(f) for f in forecasts.by_key[key][:, keep]])
            for name, forecasts in study.arms.items()
        },
        by_baseline={
            name: loss(by_key[key][keep]) for name, by_key in study.baselines.items() if key in by_key
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
        for (symbol, key, evidence, losses), helps, hurts in zip(drafts, p_helps, p_hurts, strict=True):
            verdict = decide(evidence, helps, hurts, config.verdict.level)
            answers.append(_answer(study, dataset, symbol, key, evidence, losses, verdict))
    return answers


def _evidence(
    study: Study, dataset: Dataset, config: Config, symbol: int, key: str, audit_clean: bool
) -> tuple[int, str, Evidence, _Losses]:
    target = dataset.targets[key]
    losses = target_losses(study, dataset, symbol, key)
    per_day = parse_duration("1d") / parse_duration(config.market.interval)
    real = losses.by_arm[study.real]
    resamples: Resamples | None = None
    results: dict[str, PairedResult | None] = {}
    obstacles: list[str] = []
    for control in (NULL, SHIFT):
        try:
            results[control], resamples = paired_test(
                _paired(losses.by_arm[control], real),
                losses.fold,
                target.horizon_bars,
                per_day,
                resamples,
                config.verdict.draws,
                generator(config.seed, "bootstrap", dataset.symbols[symbol], key),
            )
        except InsufficientData as exc:
            results[control] = None
            obstacles.append(f"against {control}: {exc}")
    null_loss = float(losses.by_arm[NULL].mean())
    against_null = results[NULL]
    evidence = Evidence(
        against_null=against_null,
        against_shift=results[SHIFT],
        null_loss=null_loss,
        beats_baselines=all(real.mean() < b.mean() for b in losses.by_baseline.values()),
        helps_allowed=study.helps_allowed,
        audit_clean=audit_clean,
        margin=config.verdict.margin[target.name],  # type: ignore[index]
        blocks=against_null.blocks if against_null else 0.0,
        min_blocks=config.verdict.min_test_blocks,
        positive_control=None,
        obstacles=tuple(obstacles),
    )
    return symbol, key, evidence, losses


def _paired(control: Floats, real: Floats) -> Floats:
    """Return control less real, seed by seed; where one has draws and the other not, means."""
    if control.shape[0] == real.shape[0]:
        return control - real
    return (control.mean(axis=0) - real.mean(axis=0))[None, :]


def _answer(
    study: Study, dataset: Dataset, symbol: int, key: str, evidence: Evidence, losses: _Losses,
    verdict: Verdict,
) -> Answer:
    target = dataset.targets[key]
    real, null = losses.by_arm[study.real].mean(axis=0), losses.by_arm[NULL].mean(axis=0)
    scale = evidence.null_loss or float("nan")
    result = evidence.against_null
    try:
        dm = diebold_mariano(null, real, target.horizon_bars)
    except InsufficientData:
        dm = None
    return Answer(
        symbol=dataset.symbols[symbol],
        target=target.name,
        horizon_bars=target.horizon_bars,
        forecaster=study.forecaster,
        verdict=verdict,
        evidence=evidence,
        effect=float((null - real).mean() / scale) if len(null) else float("nan"),
        interval=(result.low / scale, result.high / scale) if result else (float("nan"),) * 2,
        losses={
            **{name: float(values.mean()) for name, values in losses.by_arm.items()},
            **{name: float(values.mean()) for name, values in losses.by_baseline.items()},
        },
        dm=dm,
        n=len(null),
        fold_effects=tuple(
            float((null - real)[losses.fold == f].mean() / scale) for f in np.unique(losses.fold)
        ),
    )
