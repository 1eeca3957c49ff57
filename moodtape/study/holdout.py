"""The hold-out opened: the effect on it, of forecasters fitted on all before it.

It can only weaken: an upper bound of the effect below zero turns `helps` into `cannot tell`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from moodtape.clock import from_datetime64, iso, to_datetime64
from moodtape.forecaster.ablation import Rules, run_study
from moodtape.forecaster.answers import Answer
from moodtape.forecaster.arms import NULL, real_arm
from moodtape.forecaster.claims import QUESTIONED, TONE, claims_of, viewed
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.holdout import SHORTEST, held_out_fold
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.runs import config_hash
from moodtape.forecaster.splits import Fold
from moodtape.forecaster.verdict import CANNOT_TELL, HELPS, Verdict
from moodtape.records import Span
from moodtape.storage.db import Warehouse
from moodtape.storage.holdouts import Opening, earlier_opening, record_opening
from moodtape.study.ablate import forecasters
from moodtape.study.effects import effect_row

if TYPE_CHECKING:
    from moodtape.study.ground import Ground

ASKED = ("claim", "symbol", "target", "horizon_bars", "forecaster")
WEAKENED = "on the hold-out the effect is below zero"


@dataclass(frozen=True)
class HeldOut:
    """What is said of a study's hold-out.

    span: of its decision times; None where the study is too short for one.
    rows: the effect on it by question and forecaster; empty where it was not opened.
    spent: an earlier study that had opened a hold-out of this time.
    """

    span: Span | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    spent: Opening | None = None


def hold_out(
    warehouse: Warehouse, ground: Ground, run_id: str, opened: bool, now: datetime
) -> HeldOut:
    """Return what is said of a study's hold-out, which is read only where it is to be opened.

    An opening is entered before anything is read.
    """
    symbols, interval, span = ground.dataset.symbols, ground.dataset.interval, ground.holdout
    if opened and span is not None:
        key = f"{ground.question.subject}-{config_hash(ground.config)}"
        with warehouse.write() as connection:
            record_opening(connection, symbols, interval, span, key, run_id, now)
    tested = next(fold for fold in ground.folds if len(fold.test))
    seen = Span(from_datetime64(tested.test_from), (span or ground.span).until)
    with warehouse.read() as connection:
        spent = earlier_opening(connection, symbols, interval, seen, run_id)
    rows = opened_rows(warehouse, ground) if opened and span is not None else []
    return HeldOut(span, rows, spent)


def told(held: HeldOut) -> str:
    """Return what a reader must know of a hold-out.

    >>> told(HeldOut())
    'Nothing was held out: a fifth of the decisions spans less than 60 days.'
    """
    if held.span is None:
        days = SHORTEST.days
        said = f"Nothing was held out: a fifth of the decisions spans less than {days} days."
    else:
        what = f"The newest fifth of the decisions, from {iso(held.span.since)} on, was held out"
        said = f"{what}, and opened at the end." if held.rows else f"{what}, and is unopened."
    if held.spent is None:
        return said
    when = f"run {held.spent.run} opened it on {held.spent.opened_at:%Y-%m-%d}"
    span = f"{iso(held.spent.span.since)} to {iso(held.spent.span.until)}"
    return f"{said} Hold-out spent: {when} ({span})."


def holdout_results(held: HeldOut) -> dict[str, Any]:
    """Return what `results.json` says of a hold-out."""
    return {
        "since": held.span.since if held.span else None,
        "until": held.span.until if held.span else None,
        "opened": bool(held.rows),
        "spent": held.spent is not None,
        "sentence": told(held),
        "results": list(held.rows),
    }


def opened_rows(warehouse: Warehouse, ground: Ground) -> list[dict[str, Any]]:
    """Return the effect on the hold-out of every forecaster that is fitted on all before it."""
    assert ground.holdout is not None
    whole = replace(ground.fixed_request, span=Span(ground.span.since, ground.holdout.until))
    dataset = load_dataset(warehouse, ground.config, whole)
    fold = _fold(dataset, ground)
    claims = claims_of(ground.config, ground.question.subject)
    needed = {NULL, real_arm(ground.arms).name, *(QUESTIONED[c] for c in claims if c != TONE)}
    arms = [arm for arm in ground.arms if arm.name in needed]
    rows = []
    for name in forecasters(ground):
        study = run_study(dataset, [fold], arms, ground.config, name, rules=Rules({}, {}))
        for claim, number in product(claims, range(len(dataset.symbols))):
            for key, target in dataset.targets.items():
                view = viewed(study, claim)
                row = effect_row(view, dataset, ground.config, number, key, "hold-out")
                asked = {"claim": claim, "symbol": dataset.symbols[number], "target": target.name}
                rows.append({**asked, "horizon_bars": target.horizon_bars, **row})
    return rows


def _fold(dataset: Dataset, ground: Ground) -> Fold:
    assert ground.holdout is not None
    rows = dataset.decisions(ground.config.network.lookback_bars)
    first = dataset.decision_time[rows] >= to_datetime64(ground.holdout.since)
    test_from = dataset.cutoff[rows][first][0]
    return held_out_fold(dataset, rows, test_from, len(ground.folds), ground.config.walk_forward)


def weakened(answer: Answer, rows: Sequence[Mapping[str, Any]]) -> Answer:
    """Return the answer, a `helps` taken back where the hold-out speaks against it."""
    if answer.verdict.word != HELPS or not speaks_against(rows, asked_of(answer)):
        return answer
    return taken_back(answer)


def asked_of(answer: Answer) -> tuple[Any, ...]:
    """Return by what a row of the hold-out knows the question of an answer."""
    question = (answer.symbol, answer.target, answer.horizon_bars, answer.forecaster)
    return (answer.claim, *question)


def taken_back(answer: Answer) -> Answer:
    """Return the answer without its word, and why."""
    return replace(answer, verdict=Verdict(CANNOT_TELL, (WEAKENED,), answer.verdict.p_adjusted))


def speaks_against(rows: Sequence[Mapping[str, Any]], asked: tuple[Any, ...]) -> bool:
    """Say whether the upper bound of the effect on the hold-out is below zero.

    Args:
        asked: claim, symbol, target, horizon and forecaster.
    """
    return any(
        row["upper"] is not None
        and row["upper"] < 0
        and tuple(row[name] for name in ASKED) == asked
        for row in rows
    )
