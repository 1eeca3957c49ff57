"""Answers become `results.json`, and what the page says about the ground they stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from moodtape.clock import from_datetime64
from moodtape.forecaster.answers import Answer
from moodtape.forecaster.arms import ECHO, SHIFT
from moodtape.forecaster.claims import ATTENTION, TONE
from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.runs import provenance
from moodtape.forecaster.verdict import HELPS
from moodtape.storage import summary
from moodtape.storage.db import Warehouse
from moodtape.storage.looks import LastWord
from moodtape.study.ablate import Outcome
from moodtape.study.before import Before, question_key
from moodtape.study.beside import Beside, lead_lag_results, notes_of
from moodtape.study.calibration import calibration_rows
from moodtape.study.caveats import caveats
from moodtape.study.evaluation import importance_rows
from moodtape.study.further import further_results
from moodtape.study.ground import Ground
from moodtape.study.holdout import asked_of, holdout_results, speaks_against, taken_back, weakened
from moodtape.study.learnt import learnt_results
from moodtape.study.lost import lost_texts
from moodtape.study.regimes import regime_rows
from moodtape.study.rivals import rival_results
from moodtape.study.sentences import LOSS_NAMES, sentence, standing

SCHEMA_VERSION = 1
LINES = {TONE: "results", ATTENTION: "attention"}
"""Where the answers of each claim stand; the second line is empty where nobody asked."""


def ablation_results(
    warehouse: Warehouse,
    ground: Ground,
    outcome: Outcome,
    audit: Mapping[str, Any],
    before: Before,
    run_id: str,
    command: str,
    created_at: datetime,
    beside: Beside = Beside(),  # noqa: B008 (a frozen value)
) -> dict[str, Any]:
    """Return everything that `results.json` and the page say about a study.

    Args:
        beside: figures that stand beside the words.
    """
    config, dataset, question = ground.config, ground.dataset, ground.question
    scorer = ground.request.scorer or ""
    with warehouse.read() as connection:
        texts = summary.text_summary(connection, config.sentiment.sources, scorer, ground.span)
        kinds = summary.kind_counts(connection, scorer, ground.span)
        lost = lost_texts(connection, ground)
    has_texts = bool(dataset.streams)
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "ablate",
        "warnings": [],
        "run": run_id,
        "created_at": created_at,
        "question": {
            "subject": question.subject,
            "symbols": list(dataset.symbols),
            "interval": dataset.interval,
            "since": ground.span.since,
            "until": ground.span.until,
            "as_of": ground.request.as_of,
            "scorer": scorer if has_texts else None,
            "forecaster": config.verdict.forecaster,
            "preset": question.preset,
        },
        **{
            name: [
                _answer(ground, answer, audit, before, run_id, beside)
                for answer in outcome.answers
                if answer.claim == claim
            ]
            for claim, name in LINES.items()
        },
        "arms": [
            {
                "name": arm.name,
                "groups": list(arm.groups),
                "treatment": arm.treatment,
                "kinds": list(arm.kinds),
                "scorer": arm.scorer,
                "columns": sum(column.group in arm.groups for column in dataset.columns),
            }
            for arm in ground.arms
        ],
        "baselines": list(outcome.studies[0].baselines),
        "folds": [
            {
                "number": fold.number + 1,
                "train_from": from_datetime64(fold.train_from),
                "test_from": from_datetime64(fold.test_from),
                "test_until": from_datetime64(fold.test_until),
                **{k: len(getattr(fold, k)) for k in ("train", "stop", "calibrate", "test")},
            }
            for fold in ground.folds
        ],
        "coverage": texts if has_texts else [],
        "kinds": kinds if has_texts and kinds else None,
        "lost_texts": lost if has_texts else None,
        "texts_used": sum(row["texts"] for row in texts) if has_texts else 0,
        "metrics": list(dataset.metrics),
        "caveats": caveats(ground, texts if has_texts else [], lost),
        "audit": dict(audit),
        "calibration": [
            row
            for number, study in enumerate(outcome.studies)
            for row in calibration_rows(
                study, dataset, config.seed, dataset.interval, baseline=number == 0
            )
        ],
        "importance": list(
            importance_rows(outcome.importance, dataset, config.seed, dataset.interval)
            if outcome.importance
            else ()
        ),
        "rivals": rival_results(ground, outcome),
        "further": further_results(ground, outcome),
        "regimes": list(regime_rows(ground, outcome)),
        "clocks": list(beside.clocks),
        "lead_lag": lead_lag_results(beside.lead_lag),
        "timing": [asdict(row) for row in beside.timing],
        "attention_clocks": list(beside.attention),
        "word_list": list(beside.word_list),
        "learnt": learnt_results(beside.learnt),
        "holdout": holdout_results(beside.holdout),
        "cells": [dict(cell) for cell in outcome.cells],
        "provenance": outcome_provenance(ground, outcome, command),
    }


def outcome_provenance(ground: Ground, outcome: Outcome, command: str) -> dict[str, Any]:
    """Return versions, seed, device, time and the hash of the data that a study came from."""
    device = outcome.device
    return provenance(
        ground.config,
        dataset=ground.dataset.fingerprint(),
        command=command,
        device=f"{device.backend} on {device.name}" if device else "cpu",
        deterministic=device.deterministic if device else True,
        seconds=round(outcome.seconds, 1),
    )


def _answer(
    ground: Ground,
    answer: Answer,
    audit: Mapping[str, Any],
    before: Before,
    run_id: str,
    beside: Beside,
) -> dict[str, Any]:
    held, subject = beside.holdout.rows, ground.question.subject
    first = answer.claim == TONE
    config, evidence, answer = ground.config, answer.evidence, weakened(answer, held)
    detectable, planted = answer.detectable, answer.planted
    asked = question_key(answer.symbol, answer.target, answer.horizon_bars, answer.claim)
    look = before.look.get(asked, 1)
    tested = [fold for fold in ground.folds if len(fold.test)]
    question = (answer.symbol, answer.target, answer.horizon_bars)
    notes = notes_of(beside, ground, question, answer.forecaster, answer.claim)
    subject = subject if first else answer.claim
    last = before.last.get((asked, answer.forecaster)) if audit["clean"] else None
    if last and last.verdict == HELPS and speaks_against(held, asked_of(answer)):
        last, answer = None, taken_back(answer)
    return {
        **({} if first else {"claim": answer.claim}),
        "symbol": answer.symbol,
        "target": answer.target,
        "horizon_bars": answer.horizon_bars,
        "forecaster": answer.forecaster,
        "decides": answer.forecaster == config.verdict.forecaster,
        "verdict": last.verdict if last else answer.verdict.word,
        "last_word": {
            "said_at": last.said_at,
            "run": last.run,
            "next_look": _next_look(ground, last),
        }
        if last
        else None,
        "sentence": standing(
            answer,
            subject,
            ground.dataset.interval,
            config.market.calendar,
            last.verdict,
            last.said_at,
            _next_look(ground, last),
        )
        if last
        else sentence(
            answer,
            subject,
            ground.dataset.interval,
            config.market.calendar,
            look,
            notes,
        ),
        "reasons": [] if last else list(answer.verdict.reasons),
        "loss": LOSS_NAMES[answer.target],
        "effect": answer.effect,
        "interval": list(answer.interval),
        "effect_shift": answer.effects[SHIFT],
        "interval_shift": list(answer.intervals[SHIFT]),
        "effect_echo": answer.effects[ECHO],
        "interval_echo": list(answer.intervals[ECHO]),
        "p": dict(answer.p),
        "p_adjusted": None if last else answer.verdict.p_adjusted,
        "margin": evidence.margin,
        "minimum_detectable_effect": detectable.smallest if detectable else None,
        "detectable": None
        if detectable is None
        else {
            "forecaster": LINEAR,
            "above": detectable.largest if detectable.smallest is None else None,
            "draws": detectable.draws,
            "found": [
                {"size": size * evidence.margin, "found": found, "tried": tried}
                for size, (found, tried) in detectable.found.items()
            ],
        },
        "positive_control": evidence.positive_control,
        "planted": asdict(planted) if planted else None,
        "best_days_share": answer.best_days_share,
        "family_size": answer.family,
        "level": before.level,
        "look": look,
        "audit": "clean" if audit["clean"] else "red",
        "run": run_id,
        "report": None,
        "n": answer.n,
        "blocks": evidence.blocks,
        "losses": dict(answer.losses),
        "beside": {
            name: {"effect": effect, "interval": interval}
            for name, (effect, interval) in answer.beside.items()
        },
        "fold_effects": [
            {
                "fold": fold.number + 1,
                "test_from": from_datetime64(fold.test_from),
                "test_until": from_datetime64(fold.test_until),
                "effect": effect,
                "n": n,
            }
            for fold, effect, n in zip(tested, answer.fold_effects, answer.fold_counts, strict=True)
        ],
        "seed_effects": list(answer.seed_effects),
        "dm": asdict(answer.dm) if answer.dm else None,
    }


def _next_look(ground: Ground, last: LastWord) -> datetime:
    """Return about when the tested time is long enough for another word.

    A study that begins at the same time tests the same share of what it then spans.
    """
    tested = [fold for fold in ground.folds if len(fold.test)]
    has = from_datetime64(tested[-1].test_until) - from_datetime64(tested[0].test_from)
    return ground.span.until + (last.needed - has) / ground.config.walk_forward.test_fraction
