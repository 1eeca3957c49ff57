"""The ablation from ground to answers: plan, cells, words."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moodtape.clock import from_datetime64, to_datetime64
from moodtape.cluster import ALONE, Workers
from moodtape.forecaster.ablation import Rules, Study, run_rules, run_study
from moodtape.forecaster.answers import (
    Answer,
    Asked,
    Draft,
    Terms,
    answers_of,
    drafts_of,
    hang_on_control,
    would_help,
)
from moodtape.forecaster.arms import CONTROLS, PLANTED, PLANTS, real_arm
from moodtape.forecaster.cells import (
    Cell,
    CellStore,
    baseline_cells,
    cells_of,
    importance_cells,
)
from moodtape.forecaster.claims import QUESTIONED, TONE, arm_of, claims_of, viewed
from moodtape.forecaster.detectable import AT_MARGIN, GRID, Detectable, smallest_effects
from moodtape.forecaster.evidence import Case
from moodtape.forecaster.features.base import SENTIMENT
from moodtape.forecaster.features.chosen import chosen_features
from moodtape.forecaster.forecasters import FORECASTERS, LINEAR
from moodtape.forecaster.importance import Importance, importance
from moodtape.forecaster.on_ray import fit_cells_on_ray
from moodtape.forecaster.pool import fit_cells
from moodtape.forecaster.runs import config_hash
from moodtape.forecaster.splits import NEVER
from moodtape.forecaster.train import NetworkForecaster
from moodtape.forecaster.verdict import Evidence, obstacle
from moodtape.study.before import Before
from moodtape.study.estimate import Counter, measured
from moodtape.study.ground import Ground

if TYPE_CHECKING:
    import numpy as np

    from moodtape.forecaster.device import Device

Progress = Callable[[int, int, str], None]

LARGE = "full"
"""The preset that says how long it will take before it begins."""


@dataclass(frozen=True)
class Outcome:
    """Everything that came of a study.

    importance: of the forecaster that gives the word; none where it was not asked for.
    """

    studies: tuple[Study, ...]
    answers: tuple[Answer, ...]
    cells: tuple[Mapping[str, Any], ...]
    device: Device | None
    seconds: float
    importance: Importance | None = None


def forecasters(ground: Ground) -> list[str]:
    """Return the forecaster that gives the word, then those shown beside it."""
    config = ground.config
    first = config.verdict.forecaster
    return [first, *(name for name in config.ablation.also if name != first)]


def trials_of(ground: Ground) -> list[dict[str, Any]]:
    """Return what the ledger says was tried, but for what came of it."""
    tested = [f for f in ground.folds if len(f.test)]
    return [
        {
            "claim": claim,
            "config_hash": f"{ground.question.subject}-{config_hash(ground.config)}",
            "symbol": symbol,
            "target": target.name,
            "horizon_bars": target.horizon_bars,
            "forecaster": forecaster,
            "test_from": from_datetime64(tested[0].test_from),
            "test_until": from_datetime64(tested[-1].test_until),
        }
        for claim in claims_of(ground.config, ground.question.subject)
        for forecaster in forecasters(ground)
        for symbol in ground.dataset.symbols
        for target in ground.dataset.targets.values()
    ]


def run_ablation(
    ground: Ground,
    audit_clean: bool,
    progress: Progress | None = None,
    before: Before | None = None,
    kept: CellStore | None = None,
    workers: Workers = ALONE,
    words_alone: bool = False,
) -> Outcome:
    """Fit every cell of every forecaster and return the answers.

    Args:
        before: what was tried before on mostly the same time; nothing by default.
        kept, workers: see `fit_studies`.
        words_alone: look for planted effects of the margin's size alone, and only where the word
            hangs on them. The words are the same; the smallest effects are not told.
    """
    started = time.monotonic()
    fitted = fit_studies(ground, progress, kept, workers)
    before = before or Before(ground.config.verdict.level)
    drafts = [_drafts(ground, study, audit_clean) for study in fitted.studies]
    terms = Terms(before.level, before.hypotheses, {}, _younger_than_scorer(ground))
    if words_alone:
        wanted = hang_on_control(drafts[0], ground.dataset, ground.config, terms)
        detectable = _detectable(ground, drafts, before, progress, wanted, AT_MARGIN)
    else:
        detectable = _detectable(ground, drafts, before, progress)
    terms = replace(terms, detectable=detectable)
    answers = tuple(
        a for own in drafts for a in answers_of(own, ground.dataset, ground.config, terms)
    )
    return replace(fitted, answers=answers, seconds=time.monotonic() - started)


def _drafts(ground: Ground, study: Study, audit_clean: bool) -> list[Draft]:
    """Return the evidence on every claim and question of a study, tone first."""
    claims = claims_of(ground.config, ground.question.subject)
    return [
        draft
        for claim in claims
        for draft in drafts_of(viewed(study, claim), ground.dataset, ground.config, audit_clean)
    ]


def fit_studies(
    ground: Ground,
    progress: Progress | None = None,
    kept: CellStore | None = None,
    workers: Workers = ALONE,
) -> Outcome:
    """Fit every cell of every forecaster; nothing is asked of the forecasts yet.

    Args:
        kept: holds finished cells, which are not fitted again.
        workers: who fits cells at once; more than one need a store to meet in.
    """
    started = time.monotonic()
    names, cells = forecasters(ground), cells_of_study(ground)
    opened = {name: FORECASTERS[name].open(ground.config) for name in names}
    network = next((o for o in opened.values() if isinstance(o, NetworkForecaster)), None)
    if kept is not None and ground.question.preset == LARGE and progress is not None:
        progress(0, 0, "measuring a first fit")
        if said := measured(ground, cells, kept, workers, opened[names[0]]):
            progress(0, 0, said)
    counter = Counter(progress, ground, cells, kept)
    if kept is not None:
        study = (cells, ground.dataset, ground.folds, ground.arms, ground.config, kept)
        if workers.executor == "ray":
            fit_cells_on_ray(*study, counter.done)
        elif workers.jobs > 1:
            fit_cells(*study, workers.jobs, counter.done)
    told = counter.begun
    rules = run_rules(ground.dataset, ground.folds, ground.config, told, kept)
    studies = [
        run_study(
            ground.dataset, ground.folds, ground.arms, ground.config, name, opened[name], told,
            rules, kept,
        )
        for name in names
    ]  # fmt: skip
    log = tuple(network.log) if network else ()
    rests_on = None
    if ground.config.ablation.importance_draws:
        rests_on = importance(
            ground.dataset, ground.folds, real_arm(ground.arms), ground.config, names[0],
            opened[names[0]], told, kept,
        )  # fmt: skip
    return Outcome(
        tuple(studies), (), log, network.device if network else None,
        time.monotonic() - started, rests_on,
    )  # fmt: skip


def cells_of_study(ground: Ground) -> list[Cell]:
    """Return every cell of a study: of its forecasters, its baselines and what they rest on."""
    names, config = forecasters(ground), ground.config
    cells = [
        cell
        for name in names
        for cell in cells_of(name, ground.folds, ground.arms, config.training.seeds)
    ]
    cells += baseline_cells(ground.folds, config)
    if config.ablation.importance_draws:
        cells += importance_cells(names[0], ground.folds, real_arm(ground.arms))
    return cells


def _younger_than_scorer(ground: Ground) -> np.datetime64 | None:
    """Return from when on no text that matters is older than the scorer; None without texts.

    A scorer of unknown age may have read everything.
    """
    if ground.question.subject != SENTIMENT:
        return None
    if ground.trained_until is None:
        return NEVER
    tone = timedelta(hours=chosen_features(ground.config).tone_hours)
    return to_datetime64(ground.trained_until + tone)


def _detectable(
    ground: Ground,
    drafts: list[list[Draft]],
    before: Before,
    progress: Progress | None,
    wanted: Container[Asked] | None = None,
    sizes: Sequence[float] = GRID,
) -> dict[Asked, Detectable]:
    """Return the smallest effects that the linear forecaster would have found, of every claim.

    None are looked for where no word but `cannot tell` is possible anyway, nor where the
    config plants none.

    Args:
        wanted: questions to look for; all by default. sizes: in margins.
    """
    planted = {
        claim: arm
        for claim in claims_of(ground.config, ground.question.subject)
        if (arm := arm_of(ground.arms, claim, PLANTED)) and arm.treatment in PLANTS
    }
    if TONE not in planted or ground.config.verdict.planted_draws == 0 or wanted == set():
        return {}
    dataset, config = ground.dataset, ground.config
    linear = next((own for own in drafts if own[0].case.study.forecaster == LINEAR), None)
    if linear is None:
        needed = {real_arm(ground.arms).name} | {
            arm.name
            for claim in planted
            for place in (QUESTIONED.get(claim), *CONTROLS)
            if place and (arm := arm_of(ground.arms, claim, place))
        }
        arms = [arm for arm in ground.arms if arm.name in needed]
        rules = Rules(drafts[0][0].case.study.baselines, {})
        study = run_study(dataset, ground.folds, arms, config, LINEAR, rules=rules)
        linear = _drafts(ground, study, audit_clean=True)
    p_helps = {d.case.asked: d.evidence.p_helps for d in drafts[0]}

    def found(case: Case, evidence: Evidence) -> bool:
        others = [p for which, p in p_helps.items() if which != case.asked]
        return would_help(evidence, others + [1.0] * before.hypotheses, before.level)

    cases = [
        d.case
        for d in linear
        if obstacle(replace(d.evidence, audit_clean=True)) is None
        and (wanted is None or d.case.asked in wanted)
    ]

    def tell(what: str) -> None:
        if progress is not None:
            progress(0, 0, what)

    made: dict[Asked, Detectable] = {}
    for claim, arm in planted.items():
        own = [case for case in cases if case.study.claim == claim]
        made |= smallest_effects(own, found, dataset, ground.folds, arm, config, tell, sizes)
    return made
