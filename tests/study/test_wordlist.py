"""Beside a `helps` stands what the word list makes of the same study."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.study import wordlist
from moodtape.study.ablate import Outcome
from moodtape.study.beside import Beside, beside_of, notes_of
from moodtape.study.clocks import Bench
from moodtape.study.ground import Ground
from moodtape.study.holdout import HeldOut

QUESTION = ("BTC", "return", 1)


@pytest.fixture(scope="module")
def unscored(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Return the same warehouse as if no word list had ever scored in it."""
    path = tmp_path_factory.mktemp("unscored") / "moodtape.duckdb"
    shutil.copy(warehouse.path, path)
    copy = Warehouse(path)
    with copy.write() as connection:
        connection.execute("DELETE FROM score")
        connection.execute("DELETE FROM sentiment_hourly")
    return copy


def test_the_word_list_scores_for_itself_and_stores_nothing(
    unscored: Warehouse, ground: Ground, outcome: Outcome, tmp_path: Path
) -> None:
    other = replace(ground, request=replace(ground.request, scorer="other@1"))
    bench = Bench(unscored, HourRules(), tmp_path, lambda what: None)
    rows = wordlist.word_list_rows(other, bench, ["linear"])
    assert [row["target"] for row in rows] == ["return", "direction", "volatility"]
    for row, answer in zip(rows, outcome.answers, strict=True):
        assert row["effect"] == pytest.approx(answer.effect, rel=1e-12), "the study's own scorer"
        assert row["n"] == answer.n
    with unscored.read() as connection:
        assert connection.execute("SELECT count(*) FROM score").fetchall() == [(0,)]
    assert list(tmp_path.iterdir()) == []


def test_a_study_of_the_word_list_needs_no_other(
    warehouse: Warehouse, ground: Ground, tmp_path: Path
) -> None:
    bench = Bench(warehouse, HourRules(), tmp_path, pytest.fail)
    assert wordlist.word_list_rows(ground, bench, ["linear"]) == []
    assert wordlist.word_list_rows(ground, bench, []) == []


def test_only_who_says_helps_is_asked_again(
    unscored: Warehouse, ground: Ground, outcome: Outcome, tmp_path: Path
) -> None:
    quiet = ground.config.ablation.model_copy(update={"clock_delays_min": ()})
    config = ground.config.model_copy(update={"ablation": quiet})
    other = replace(ground, config=config, request=replace(ground.request, scorer="other@1"))
    told: list[str] = []
    bench = Bench(unscored, HourRules(), tmp_path, told.append)
    assert beside_of(other, outcome, bench, HeldOut()).word_list == []
    first, *rest = outcome.answers
    helps = replace(first, verdict=replace(first.verdict, word="helps"))
    found = beside_of(other, replace(outcome, answers=(helps, *rest)), bench, HeldOut())
    assert len(found.word_list) == 3
    assert told == ["texts by the word list"]


def test_the_sentence_of_a_helps_says_both(ground: Ground) -> None:
    def clock(minutes: int, effect: float) -> dict[str, Any]:
        return {
            "clock": "known_at", "delay_min": minutes, "symbol": "BTC", "target": "return",
            "horizon_bars": 1, "forecaster": "linear", "effect": effect,
        }  # fmt: skip

    row = {
        "symbol": "BTC", "target": "return", "horizon_bars": 1, "forecaster": "linear",
        "effect": 0.004, "interval": [-0.001, 0.009], "upper": 0.008, "n": 900,
    }  # fmt: skip
    beside = Beside(clocks=[clock(0, 0.02), clock(60, 0.001)], word_list=[row])
    assert notes_of(beside, ground, QUESTION, "linear") == (
        "more than half of it is gone once everything is known one bar later",
        "with texts scored by a word list the gain is +0.40 %, \N{MINUS SIGN}0.10 % to +0.90 %",
    )
    assert notes_of(beside, ground, QUESTION, "network") == ()
    blind = Beside(word_list=[{**row, "upper": None}])
    assert notes_of(blind, ground, QUESTION, "linear") == (
        "with texts scored by a word list the gain is +0.40 %",
    )
