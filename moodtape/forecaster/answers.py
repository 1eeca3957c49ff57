"""What a study says: evidence put into words, corrected over the family.

1. cases       evidence.py: one a symbol, target and horizon, of each forecaster
2. family      Holm over the cases and over what was tried before on these data
3. control     whether a planted effect was seen, and the smallest that would have been
4. words       verdict.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.errors import InsufficientData
from moodtape.forecaster.ablation import Study
from moodtape.forecaster.arms import NULL, PLANTED
from moodtape.forecaster.claims import TONE
from moodtape.forecaster.detectable import Detectable
from moodtape.forecaster.evidence import (
    Case,
    beside,
    best_days,
    case_of,
    effects_of,
    evidence_of,
    interval_of,
    mean_loss,
    paired,
)
from moodtape.forecaster.stats import DieboldMariano, diebold_mariano
from moodtape.forecaster.verdict import DOES_NOT_HELP, HELPS, Evidence, Verdict, decide, holm
from moodtape.forecaster.young import young_of

if TYPE_CHECKING:
    from moodtape.forecaster.dataset import Dataset


Asked = tuple[str, int, str]
"""Claim, number of the symbol, key of the target."""


@dataclass(frozen=True)
class Answer:
    """What a study says about one claim, symbol, target and horizon.

    effects, intervals: gain over each control as a share of null's loss, and its 95 %
        interval.
    p: by control, one-sided, that the gain is zero or less; None where there is no test.
    losses: mean deciding loss by arm and baseline.
    beside: by every other arm, its own gain over null and the 95 % interval; they tell where a
        gain comes from, and decide nothing.
    n: forecasts with a known answer.
    fold_effects, fold_counts: the effect in each fold of the study, and its forecasts.
    seed_effects: the effect of each seed.
    best_days_share: of the whole gain, what the five best days bring.
    planted: what this forecaster made of a planted effect; None where none was planted.
    detectable: what the linear forecaster would have found; None where nobody looked.
    family: how many hypotheses the correction is over.
    """

    symbol: str
    target: str
    horizon_bars: int
    forecaster: str
    verdict: Verdict
    evidence: Evidence
    effects: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    p: Mapping[str, float | None]
    losses: Mapping[str, float]
    beside: Mapping[str, tuple[float, tuple[float, float]]]
    dm: DieboldMariano | None
    n: int
    fold_effects: tuple[float, ...]
    fold_counts: tuple[int, ...]
    seed_effects: tuple[float, ...]
    best_days_share: float | None
    planted: Planted | None
    detectable: Detectable | None
    family: int
    claim: str = TONE

    @property
    def effect(self) -> float:
        """Return the gain over `null`."""
        return self.effects[NULL]

    @property
    def interval(self) -> tuple[float, float]:
        """Return the interval of the gain over `null`."""
        return self.intervals[NULL]


@dataclass(frozen=True)
class Planted:
    """What a forecaster made of an effect of the margin's size.

    found: it was called `helps`, under the run's own correction.
    effect, interval: the gain over `null` that it brought.
    """

    found: bool
    effect: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Draft:
    """A case with its evidence, before the family is known."""

    case: Case
    evidence: Evidence
    planted: Evidence | None


@dataclass(frozen=True)
class Terms:
    """On what terms a study's evidence becomes words.

    level: one-sided, of the family; lower where the same question is asked again.
    earlier: hypotheses of earlier trials over mostly the same time; each joins the family.
    detectable: by claim, symbol and target, the smallest effects that would have been found.
    young_from: from this decision on every text is younger than the scorer; None where no
        text is at stake. Numbers of texts owe the scorer nothing unless it picks their kinds.
    """

    level: float
    earlier: int = 0
    detectable: Mapping[Asked, Detectable] = field(default_factory=dict)
    young_from: np.datetime64 | None = None


def answer_all(
    studies: Sequence[Study], dataset: Dataset, config: Config, audit_clean: bool
) -> list[Answer]:
    """Return an answer for every forecaster, symbol, target and horizon, at a first look."""
    return [
        answer
        for study in studies
        for answer in answers_of(
            drafts_of(study, dataset, config, audit_clean),
            dataset,
            config,
            Terms(config.verdict.level),
        )
    ]


def drafts_of(study: Study, dataset: Dataset, config: Config, audit_clean: bool) -> list[Draft]:
    """Return the evidence on every question of a study."""
    drafts = []
    for symbol in range(len(dataset.symbols)):
        for key in dataset.targets:
            case = case_of(study, dataset, config, symbol, key)
            by_arm = case.losses.by_arm
            evidence = [
                evidence_of(case, by_arm[name], dataset, config, audit_clean)
                if name in by_arm else None
                for name in (study.real, PLANTED)
            ]  # fmt: skip
            assert evidence[0] is not None
            drafts.append(Draft(case, evidence[0], evidence[1]))
    return drafts


def answers_of(
    drafts: Sequence[Draft], dataset: Dataset, config: Config, terms: Terms
) -> list[Answer]:
    """Return the words of one forecaster.

    The family is its hypotheses, claims x symbols x targets x horizons, and those tried before.
    """
    before = [1.0] * terms.earlier
    p_helps = [draft.evidence.p_helps for draft in drafts]
    helps = holm([*p_helps, *before])
    hurts = holm([*(draft.evidence.p_hurts for draft in drafts), *before])
    answers = []
    for number, draft in enumerate(drafts):
        others = p_helps[:number] + p_helps[number + 1 :] + before
        found = None if draft.planted is None else would_help(draft.planted, others, terms.level)
        case = draft.case
        detectable = terms.detectable.get(case.asked)
        read = case.study.claim == TONE or config.sentiment.kinds
        evidence = replace(
            draft.evidence,
            positive_control=_seen(found, detectable),
            young=young_of(
                case,
                draft.evidence,
                dataset,
                config,
                terms.young_from if read else None,
                detectable,
            ),
        )
        verdict = decide(evidence, helps[number], hurts[number], terms.level)
        planted = None if found is None else _planted(draft, found)
        answers.append(_answer(case, evidence, verdict, dataset, planted, detectable, len(helps)))
    return answers


def hang_on_control(
    drafts: Sequence[Draft], dataset: Dataset, config: Config, terms: Terms
) -> set[Asked]:
    """Return the questions whose word is `does not help` if the linear control is seen."""
    seen = Detectable(None, 0.0, {1.0: (1, 1)}, 1)
    hoped = {draft.case.asked: seen for draft in drafts}
    answers = answers_of(drafts, dataset, config, replace(terms, detectable=hoped))
    return {
        draft.case.asked
        for draft, answer in zip(drafts, answers, strict=True)
        if answer.verdict.word == DOES_NOT_HELP
    }


def would_help(evidence: Evidence, others: Sequence[float], level: float) -> bool:
    """Say whether a case would be called `helps`, the p-values of its family being those."""
    p_helps = holm([evidence.p_helps, *others])[0]
    return decide(evidence, p_helps, 1.0, level).word == HELPS


def _seen(found: bool | None, detectable: Detectable | None) -> bool | None:
    """Say whether the positive control was seen: by this forecaster, and by the linear one."""
    if found is None or detectable is None:
        return None
    return found and detectable.seen_at_margin


def _planted(draft: Draft, found: bool) -> Planted:
    arm = draft.case.losses.by_arm[PLANTED]
    assert draft.planted is not None
    effect = effects_of(draft.case, arm)[NULL]
    scale = draft.planted.null_loss
    return Planted(found, effect, interval_of(draft.planted.against[NULL], scale))


def _answer(
    case: Case,
    evidence: Evidence,
    verdict: Verdict,
    dataset: Dataset,
    planted: Planted | None,
    detectable: Detectable | None,
    family: int,
) -> Answer:
    study, losses, target = case.study, case.losses, dataset.targets[case.key]
    scale = evidence.null_loss or float("nan")
    real, null = losses.by_arm[study.real], losses.by_arm[NULL]
    by_seed = paired(null, real)
    gain = by_seed.mean(axis=0)
    try:
        dm = diebold_mariano(null.mean(axis=0), real.mean(axis=0), target.horizon_bars)
    except InsufficientData:
        dm = None
    parts = [losses.fold == number for number in np.unique(study.fold)]
    total = float(gain.sum())
    return Answer(
        symbol=dataset.symbols[case.symbol],
        target=target.name,
        horizon_bars=target.horizon_bars,
        forecaster=study.forecaster,
        verdict=verdict,
        evidence=evidence,
        effects=effects_of(case, real),
        intervals={name: interval_of(r, scale) for name, r in evidence.against.items()},
        p={name: r.p_better if r else None for name, r in evidence.against.items()},
        losses={
            name: mean_loss(values) for name, values in (losses.by_arm | losses.by_baseline).items()
        },
        beside=beside(case, scale),
        dm=dm,
        n=len(gain),
        fold_effects=tuple(mean_loss(gain[part]) / scale for part in parts),
        fold_counts=tuple(int(part.sum()) for part in parts),
        seed_effects=tuple(mean_loss(values) / scale for values in by_seed),
        best_days_share=best_days(gain, losses, dataset) / total if total > 0 else None,
        planted=planted,
        detectable=detectable,
        family=family,
        claim=study.claim,
    )
