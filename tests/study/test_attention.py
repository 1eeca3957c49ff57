"""The claim `attention` through the real study: a second line of the same make."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.study.ablate import Outcome, run_ablation, trials_of
from moodtape.study.before import Before
from moodtape.study.beside import Beside, beside_of, notes_of
from moodtape.study.clocks import Bench
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.study.holdout import HeldOut
from moodtape.study.plan import plan_of
from moodtape.study.results import ablation_results
from moodtape.testing import store_market, synthetic_market

NOW = datetime(2024, 3, 1, tzinfo=UTC)
AUDIT = {"clean": True, "checked": 9, "offenders": [], "cuts": [NOW]}
LEVEL = 0.025


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Warehouse:
    """Return a warehouse of two months, long enough for a placebo."""
    folder = tmp_path_factory.mktemp("months")
    made = Warehouse(folder / "moodtape.duckdb")
    store_market(made, folder / "market", synthetic_market(np.random.default_rng(5), 1500), config)
    return made


@pytest.fixture(scope="module")
def asked(months: Warehouse, make_config: Any) -> Ground:
    config = make_config(
        ablation={"also": [], "baselines": ["ridge"], "claims": ["tone", "attention"]},
        verdict={"forecaster": "linear", "draws": 200, "planted_draws": 5, "min_test_blocks": 5},
        target={"names": ["volatility"]},
    )
    return lay_ground(months, config, Question())


@pytest.fixture(scope="module")
def told(asked: Ground) -> Outcome:
    return run_ablation(asked, audit_clean=True)


def test_the_plan_names_the_claims_and_their_family(asked: Ground) -> None:
    plan = plan_of(asked, Before(LEVEL))
    assert plan["claims"] == ["tone", "attention"]
    assert plan["family"] == ["BTC volatility_1", "BTC volatility_1 attention"]
    assert {"counts", "counts_shift", "counts_echo", "counts_planted"} <= set(plan["arms"])
    assert [t["claim"] for t in trials_of(asked)] == ["tone", "attention"]


def test_each_claim_has_its_own_smallest_effect(told: Outcome) -> None:
    assert [answer.claim for answer in told.answers] == ["tone", "attention"]
    assert all(a.family == 2 for a in told.answers)
    assert all(a.detectable and a.detectable.smallest for a in told.answers)
    effects = {a.planted.effect for a in told.answers if a.planted}
    assert len(effects) == 2, "each was planted into columns of its own"


def test_the_second_line_has_its_own_list_and_sentence(
    months: Warehouse, asked: Ground, told: Outcome
) -> None:
    before = Before(LEVEL, 0, {"BTC volatility 1 attention": 2})
    made = ablation_results(months, asked, told, AUDIT, before, "run-1", "ablate", NOW)
    (first,), (second,) = made["results"], made["attention"]
    assert "claim" not in first
    assert second["claim"] == "attention"
    assert set(second) == set(first) | {"claim"}
    assert first["sentence"].startswith(("Cannot tell whether sentiment", "Sentiment"))
    assert "number of texts" in second["sentence"]
    assert "2nd look" in second["sentence"]
    assert "look at these data" not in first["sentence"]
    assert second["losses"].keys() >= {"counts", "null", "shift", "echo"}
    assert second["losses"]["counts"] == first["losses"]["counts"]
    assert second["losses"]["shift"] == first["losses"]["counts_shift"]
    assert set(first["beside"]) == {"counts"}
    gain = (second["losses"]["null"] - second["losses"]["counts"]) / second["losses"]["null"]
    assert second["effect"] == pytest.approx(gain)


def test_of_metrics_there_is_no_second_line(warehouse: Warehouse, asked: Ground) -> None:
    ground = lay_ground(warehouse, asked.config, Question(subject="onchain"))
    assert not {"counts", "counts_shift"} & {arm.name for arm in ground.arms}
    assert [t["claim"] for t in trials_of(ground)] == ["tone"]


def test_a_number_that_helps_is_asked_again_one_bar_later(
    months: Warehouse, asked: Ground, told: Outcome, tmp_path: Path
) -> None:
    bench = Bench(months, HourRules(timedelta(hours=6)), tmp_path, lambda _: None)
    quiet = asked.config.ablation.model_copy(update={"clock_delays_min": ()})
    ground = replace(asked, config=asked.config.model_copy(update={"ablation": quiet}))
    assert beside_of(ground, told, bench, HeldOut()).attention == [], "nothing helps"
    first, second = told.answers
    helps = replace(second, verdict=replace(second.verdict, word="helps", reasons=()))
    found = beside_of(ground, replace(told, answers=(first, helps)), bench, HeldOut())
    assert found.word_list == found.clocks == [], "that is the first line's"
    stored, later = found.attention
    assert (stored["delay_min"], later["delay_min"]) == (0, 60)
    assert stored["effect"] == pytest.approx(second.effect, rel=1e-9)
    assert later["effect"] != stored["effect"]
    gone = [{**stored, "effect": 0.02}, {**later, "effect": 0.004}]
    question = ("BTC", "volatility", 1)
    note = "more than half of it is gone once everything is known one bar later"
    beside = Beside(attention=gone)
    assert notes_of(beside, ground, question, "linear", "attention") == (note,)
    assert notes_of(beside, ground, question, "linear") == ()
