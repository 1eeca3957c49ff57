"""Nothing of a study touches its hold-out, which is opened once and can only weaken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from moodtape.clock import from_datetime64, to_datetime64
from moodtape.config import Config
from moodtape.forecaster.holdout import held_out_fold, holdout_of
from moodtape.records import Span
from moodtape.storage.db import Warehouse
from moodtape.study.ablate import Outcome
from moodtape.study.before import Before
from moodtape.study.beside import Beside
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.study.holdout import HeldOut, hold_out, opened_rows, told, weakened
from moodtape.study.results import ablation_results
from moodtape.testing import store_market, synthetic_market

HOURS = 330 * 24
NOW = datetime(2027, 3, 1, tzinfo=UTC)
AUDIT = {"clean": True, "checked": 9, "offenders": [], "cuts": [NOW]}


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Warehouse:
    """Return a warehouse of eleven months, whose newest fifth is longer than sixty days."""
    folder = tmp_path_factory.mktemp("long")
    market = synthetic_market(np.random.default_rng(2), HOURS, texts_an_hour=0.2)
    warehouse = Warehouse(folder / "moodtape.duckdb")
    store_market(warehouse, folder / "market", market, config)
    return warehouse


@pytest.fixture(scope="module")
def held(long: Warehouse, config: Config) -> Ground:
    return lay_ground(long, config, Question())


def test_the_newest_fifth_of_the_decisions_lies_outside_all(held: Ground, long: Warehouse) -> None:
    assert held.holdout is not None
    whole = lay_ground(long, held.config, Question(whole=True))
    times = np.unique(whole.dataset.decision_time[whole.dataset.decisions(12)])
    inside = times >= to_datetime64(held.holdout.since)
    assert inside.mean() == pytest.approx(0.2, abs=1e-3)
    assert held.holdout.until == whole.span.until
    assert held.span == Span(whole.span.since, held.holdout.since)
    used = held.dataset.decisions(12)
    since = to_datetime64(held.holdout.since)
    assert held.dataset.decision_time[used].max() < since
    last = max(fold.test_until for fold in held.folds)
    assert last <= since
    bars = held.dataset.cutoff.max() - since
    assert bars <= np.timedelta64(2, "h"), "no bar is read but those of the last answers"


def test_the_study_is_the_one_of_a_user_who_has_no_newer_decisions(
    held: Ground, long: Warehouse
) -> None:
    assert held.holdout is not None
    asked = Question(since=held.span.since, until=held.holdout.since, whole=True)
    without = lay_ground(long, held.config, asked)
    assert without.dataset.fingerprint() == held.dataset.fingerprint()
    for mine, other in zip(held.folds, without.folds, strict=True):
        assert np.array_equal(mine.test, other.test)


def test_a_short_study_has_none_and_says_so(ground: Ground, warehouse: Warehouse) -> None:
    assert ground.holdout is None
    assert holdout_of(ground.dataset, 10_000) is None, "there is no decision at all"
    found = hold_out(warehouse, ground, "run-1", True, NOW)
    assert (found.span, list(found.rows), found.spent) == (None, [], None)
    assert told(found) == "Nothing was held out: a fifth of the decisions spans less than 60 days."


def test_what_is_fitted_for_it_knew_its_answers_before_it_begins(held: Ground) -> None:
    dataset, rows = held.dataset, held.dataset.decisions(12)
    test_from = dataset.cutoff[rows[int(0.8 * len(rows))]]
    fold = held_out_fold(dataset, rows, test_from, 4, held.config.walk_forward)
    known = np.max([t.known_at[fold.calibrate] for t in dataset.targets.values()])
    assert known < test_from
    assert dataset.cutoff[fold.test].min() == test_from
    embargo = timedelta(hours=held.config.walk_forward.embargo_bars)
    latest = max(dataset.cutoff[part].max() for part in (fold.train, fold.stop, fold.calibrate))
    assert from_datetime64(test_from) - from_datetime64(latest) > embargo
    assert len(set(fold.train) & set(fold.test)) == 0


def test_opening_is_entered_and_later_studies_say_that_it_is_spent(
    held: Ground, long: Warehouse
) -> None:
    closed = hold_out(long, held, "run-1", False, NOW)
    assert (closed.rows, closed.spent) == ([], None)
    assert told(closed).endswith("was held out, and is unopened.")
    opened = hold_out(long, held, "run-2", True, NOW)
    assert {(r["target"], r["forecaster"]) for r in opened.rows} == {
        (name, "linear") for name in ("return", "direction", "volatility")
    }
    for row in opened.rows:
        assert row["interval"][0] <= row["effect"] <= row["upper"] <= row["interval"][1]
        assert row["n"] > 1400
    assert opened.spent is None, "nobody opened it before"
    assert "and opened at the end." in told(opened)
    later = hold_out(long, held, "run-3", True, NOW + timedelta(days=1))
    assert later.spent is not None
    assert later.spent.run == "run-2"
    assert "Hold-out spent: run run-2 opened it on 2027-03-01" in told(later)
    again = hold_out(long, held, "run-2", False, NOW)
    assert again.spent is None, "the run that opened it first"
    assert opened_rows(long, held) == opened.rows


def test_both_claims_are_asked_of_it(long: Warehouse, make_config: Any) -> None:
    config = make_config(
        ablation={"also": [], "baselines": [], "claims": ["tone", "attention"]},
        target={"names": ["volatility"]},
    )
    tone, attention = opened_rows(long, lay_ground(long, config, Question()))
    assert (tone["claim"], attention["claim"]) == ("tone", "attention")
    assert tone["effect"] != attention["effect"]
    assert tone["n"] == attention["n"]


def row(upper: float | None, **changed: Any) -> dict[str, Any]:
    usual = {
        "claim": "tone", "symbol": "BTC", "target": "return", "horizon_bars": 1,
        "forecaster": "linear",
        "effect": -0.02, "interval": [-0.03, -0.001], "upper": upper, "n": 1000,
    }  # fmt: skip
    return usual | changed


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([row(-0.001)], "cannot tell"),
        ([row(0.001)], "helps"),
        ([row(None)], "helps"),
        ([row(-0.001, target="direction")], "helps"),
        ([row(-0.001, forecaster="network")], "helps"),
        ([row(-0.001, claim="attention")], "helps"),
        ([], "helps"),
    ],
)
def test_it_takes_a_helps_back_and_nothing_else(
    outcome: Outcome, rows: list[dict[str, Any]], word: str
) -> None:
    answer = next(a for a in outcome.answers if a.target == "return")
    helps = replace(answer, verdict=replace(answer.verdict, word="helps", reasons=()))
    found = weakened(helps, rows).verdict
    assert found.word == word
    assert found.reasons == (
        ("on the hold-out the effect is below zero",) if word != "helps" else ()
    )
    hurts = replace(answer, verdict=replace(answer.verdict, word="hurts"))
    assert weakened(hurts, rows) == hurts


def test_results_tell_what_was_held_out(
    warehouse: Warehouse, ground: Ground, outcome: Outcome
) -> None:
    answers = tuple(
        replace(a, verdict=replace(a.verdict, word="helps", reasons=())) for a in outcome.answers
    )
    beside = Beside(holdout=HeldOut(Span(NOW, NOW + timedelta(days=70)), [row(-0.001)]))
    made = ablation_results(
        warehouse, ground, replace(outcome, answers=answers), AUDIT, Before(0.025), "run-1",
        "ablate", NOW, beside,
    )  # fmt: skip
    words = {a["target"]: a["verdict"] for a in made["results"]}
    assert words == {"return": "cannot tell", "direction": "helps", "volatility": "helps"}
    assert made["holdout"]["opened"]
    assert "on the hold-out the effect is below zero" in made["results"][0]["sentence"]
