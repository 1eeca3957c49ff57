"""What will be asked and how, written before any test row is read, and what became of it.

1. write      plan.json, once; a study that goes on in its folder keeps the first one
2. compare    the plan with what was done: every difference is told
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from moodtape.clock import from_datetime64
from moodtape.errors import UnreadableFile
from moodtape.forecaster.claims import TONE, claims_of
from moodtape.forecaster.runs import config_hash, plain, write_json, write_text
from moodtape.study.ablate import Outcome
from moodtape.study.before import Before, question_key
from moodtape.study.ground import Ground

PLAN = "plan.json"
LONGEST = 60
"""A value that takes more characters is not told, only that it is another."""

UNSAID = {"claims": [TONE]}
"""What a plan meant that was written before it said so."""

NAMES = {
    "dataset": "the numbers that the study stands on",
    "config_hash": "the settings",
    "look": "the number of looks at these data",
    "earlier_hypotheses": "the hypotheses of earlier studies",
    "planted_draws": "the draws of each planted effect",
}


def plan_of(ground: Ground, before: Before) -> dict[str, Any]:
    """Return what will be asked and how, as JSON holds it."""
    config = ground.config
    claims = claims_of(config, ground.question.subject)
    plan: dict[str, Any] = plain(
        {
            "subject": ground.question.subject,
            "symbols": ground.dataset.symbols,
            "span": [ground.span.since, ground.span.until],
            "dataset": ground.dataset.fingerprint(),
            "config_hash": config_hash(config),
            "forecaster": config.verdict.forecaster,
            "arms": [arm.name for arm in ground.arms],
            "margin": config.verdict.margin,
            "level": before.level,
            "planted_draws": config.verdict.planted_draws,
            "claims": claims,
            "family": [
                f"{symbol} {key}" if claim == TONE else f"{symbol} {key} {claim}"
                for claim in claims
                for symbol in ground.dataset.symbols
                for key in ground.dataset.targets
            ],
            "folds": [
                [from_datetime64(f.test_from), from_datetime64(f.test_until)] for f in ground.folds
            ],
            "look": before.look,
            "earlier_hypotheses": before.hypotheses,
        }
    )
    return plan


def write_plan(folder: Path, ground: Ground, before: Before, given: Path | None = None) -> str:
    """Write the plan of a study into its folder, before any test row is read; return its hash.

    A plan that is there stays: it was made before what a study that goes on has read.

    Args:
        given: a plan file that the study is held to instead.
    Raises:
        UnreadableFile: the given file is no plan.
    """
    path = folder / PLAN
    if given is not None:
        write_text(path, read_plan(given)[0])
    elif not path.exists():
        write_json(path, plan_of(ground, before))
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def deviations(folder: Path, ground: Ground, before: Before, outcome: Outcome) -> list[str]:
    """Return every way in which what was done differs from the plan of its folder, in words."""
    _, planned = read_plan(folder / PLAN)
    return [*_changed(planned, plan_of(ground, before)), *_left_out(ground, outcome)]


def read_plan(path: Path) -> tuple[str, Mapping[str, Any]]:
    """Return a plan as it is written, and what it says.

    Raises:
        UnreadableFile: it is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        plan = json.loads(text)
    except (OSError, ValueError, RecursionError) as exc:
        raise UnreadableFile(f"{path} cannot be read as a plan: {exc}") from exc
    if not isinstance(plan, dict) or "family" not in plan:
        raise UnreadableFile(f"{path} is no plan of a study: it names no family of questions.")
    return text, plan


def _changed(planned: Mapping[str, Any], done: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is another in two plans."""
    for key in dict.fromkeys((*planned, *done)):
        before, after = (plan.get(key, UNSAID.get(key)) for plan in (planned, done))
        if before == after:
            continue
        name = NAMES.get(key, f"the {key.replace('_', ' ')}")
        told = f"{_told(before)} was planned, and {_told(after)} was done"
        brief = len(_told(before)) <= LONGEST and len(_told(after)) <= LONGEST
        yield f"{name}: {told}" if brief else f"{name}: not as planned"


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
    return "nothing" if value is None else str(value)


def _left_out(ground: Ground, outcome: Outcome) -> Iterator[str]:
    """Yield what was planned and could not be done."""
    for fold in ground.folds:
        if not len(fold.test):
            yield f"fold {fold.number + 1} had no decision to test"
    for answer in outcome.answers:
        if answer.forecaster != ground.config.verdict.forecaster:
            continue
        asked = question_key(answer.symbol, answer.target, answer.horizon_bars, answer.claim)
        if answer.evidence.against and None in answer.evidence.against.values():
            why = "; ".join(answer.evidence.obstacles)
            yield f"{asked}: not tested against every control ({why})"
