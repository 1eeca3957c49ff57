"""The sensitivity line: what is left without the texts that the scorer learned from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.nlp.learnt import keys_of
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules, mark_all_hours, refresh_hours
from moodtape.storage.scores import register_scorer
from moodtape.study import learnt
from moodtape.study.ablate import Outcome, run_ablation
from moodtape.study.before import Before
from moodtape.study.beside import Beside, notes_of
from moodtape.study.clocks import Bench
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.study.learnt import Learnt, without_learnt
from moodtape.study.results import ablation_results

OTHER = scorer_id(load_scorer("bundled"))
NOW = datetime(2024, 3, 1, tzinfo=UTC)
AUDIT = {"clean": True, "checked": 9, "offenders": [], "cuts": [NOW]}


@pytest.fixture(scope="module")
def scored(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Return the month as if the bundled scorer had scored it just as the word list did."""
    made = Warehouse(tmp_path_factory.mktemp("learnt") / "moodtape.duckdb")
    shutil.copy(warehouse.path, made.path)
    name, _, revision = OTHER.partition("@")
    with made.write() as connection:
        register_scorer(connection, OTHER, name, revision, None, NOW)
        connection.execute(
            "INSERT INTO score BY NAME SELECT * REPLACE (? AS scorer) FROM score"
            " WHERE scorer LIKE 'lexicon@%'",
            [OTHER],
        )
        mark_all_hours(connection)
        refresh_hours(connection, HourRules())
    return made


@pytest.fixture(scope="module")
def laid(scored: Warehouse, make_config: Callable[..., Config]) -> Ground:
    sentiment = {"scorer": "bundled", "device": "cpu", "half_lives_h": [6.0]}
    config = make_config(sentiment=sentiment, target={"names": ["return"]})
    return lay_ground(scored, config, Question())


@pytest.fixture(scope="module")
def outcome(laid: Ground) -> Outcome:
    return run_ablation(laid, audit_clean=True)


def titles(warehouse: Warehouse) -> list[str]:
    with warehouse.read() as connection:
        rows = connection.execute("SELECT title FROM document ORDER BY known_at").fetchall()
    return [row[0] for row in rows]


@pytest.fixture
def found(
    laid: Ground, scored: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Learnt, list[str]]]:
    """Return a function that says what is left without some texts, and what was told."""

    def look(texts: list[str], ground: Ground = laid) -> tuple[Learnt, list[str]]:
        monkeypatch.setattr(learnt, "learnt_keys", lambda scorer: keys_of(texts))
        said: list[str] = []
        bench = Bench(scored, HourRules(), tmp_path, said.append)
        return without_learnt(ground, bench, ["linear"]), said

    return look


def test_without_some_of_them_the_effect_is_another(
    found: Any, laid: Ground, scored: Warehouse, outcome: Outcome, tmp_path: Path
) -> None:
    every = titles(scored)
    left, said = found([text.upper() for text in every[::3]])
    assert left.learnt == len(every[::3])
    assert left.texts == len(every)
    assert said == ["without the texts that the scorer learned from"]
    (row,) = left.rows
    (answer,) = outcome.answers
    assert (row["symbol"], row["target"], row["horizon_bars"]) == ("BTC", "return", 1)
    assert row["n"] == answer.n, "on the same decisions"
    assert row["effect"] != answer.effect
    assert row["interval"][0] <= row["effect"] <= row["interval"][1]
    assert left.sentence is not None
    assert left.sentence.startswith(f"The scorer learned from {len(every[::3])} of the")
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
    with scored.read() as connection:
        count = "SELECT count(*) FROM score WHERE scorer = ?"
        assert connection.execute(count, [OTHER]).fetchall()[0][0] == len(every), "nor stored"


def test_they_are_in_no_hour_and_the_hours_stay_watched(
    laid: Ground, scored: Warehouse, tmp_path: Path
) -> None:
    with scored.read() as connection:
        rows = connection.execute("SELECT content_hash FROM document ORDER BY known_at").fetchall()
    bench = Bench(scored, HourRules(), tmp_path, lambda _: None)
    dataset = learnt._dataset(laid, bench, [row[0] for row in rows[::2]])
    names = [c.name for c in dataset.columns]

    def column(data: Any, name: str) -> Any:
        return data.features[:, names.index(name)]

    before, after = (np.expm1(column(d, "news.count_last")) for d in (laid.dataset, dataset))
    assert np.nansum(after) == pytest.approx(np.nansum(before) / 2, rel=0.02)
    assert (np.nan_to_num(after) <= np.nan_to_num(before) + 1e-9).all()
    np.testing.assert_array_equal(
        column(dataset, "news.observed"), column(laid.dataset, "news.observed")
    )
    whole = learnt._dataset(laid, bench, [])
    assert whole.fingerprint() == laid.dataset.fingerprint(), "without none it is the study's own"


def test_of_none_nothing_is_said_and_of_all_nothing_is_left(
    found: Any, scored: Warehouse, ground: Ground
) -> None:
    assert found(["a text of another time"]) == (Learnt(len(titles(scored)), 0), [])
    assert Learnt(9, 0).sentence is None
    left, said = found(titles(scored))
    assert left.learnt == left.texts
    assert (list(left.rows), said) == ([], [])
    assert "without them nothing is left" in str(left.sentence)


def test_a_word_list_learned_from_nothing_and_of_a_hub_model_nobody_knows(
    laid: Ground, scored: Warehouse, tmp_path: Path
) -> None:
    bench = Bench(scored, HourRules(), tmp_path, pytest.fail)

    def of(scorer: str) -> Learnt:
        request = replace(laid.request, scorer=scorer)
        return without_learnt(replace(laid, request=request), bench, ["linear"])

    assert of("lexicon@1") == Learnt()
    assert of("hf:some/model@12").learnt is None
    assert "not known here" in str(of("hf:some/model@12").sentence)


def test_a_helps_says_what_is_left_of_it_and_results_hold_the_line(
    laid: Ground, scored: Warehouse, outcome: Outcome
) -> None:
    row = {
        "symbol": "BTC", "target": "return", "horizon_bars": 1, "forecaster": "linear",
        "effect": 0.011, "interval": [-0.002, 0.024], "upper": 0.022, "n": 400,
    }  # fmt: skip
    beside = Beside(learnt=Learnt(90, 30, (row,)))
    assert notes_of(beside, laid, ("BTC", "return", 1), "linear") == (
        "without the texts that the scorer learned from the gain is +1.10 %,"
        " \N{MINUS SIGN}0.20 % to +2.40 %",
    )
    made = ablation_results(
        scored, laid, outcome, AUDIT, Before(0.025), "run-1", "ablate", NOW, beside
    )
    assert made["learnt"] == {
        "texts": 90, "learnt": 30, "rows": [row],
        "sentence": "The scorer learned from 30 of the 90 different texts of this study.",
    }  # fmt: skip
