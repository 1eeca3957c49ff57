"""Nights of drift in a warehouse: what moved is told once, and no night sees what came after."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.dataset import Request
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.scaling import Scaler
from moodtape.forecaster.served import Served
from moodtape.forecaster.train import TargetScale
from moodtape.nightly import steps
from moodtape.nightly.drift import has_drifted_since, look_for_drift
from moodtape.nightly.model import is_training_due
from moodtape.settings import Settings, load_settings
from moodtape.storage.drifts import (
    Drift,
    is_silent,
    last_alarm,
    last_drift,
    record_drift,
    score_steps,
)
from moodtape.storage.ledger import store_forecasts
from moodtape.storage.settlements import Issued, Settlement, store_settlements
from moodtape.storage.write import begin_run, finish_run
from moodtape.study.drifting import InputWatch, LossWatch, look_at
from moodtape.study.project import warehouse_of
from moodtape.testing import START, store_market, synthetic_market

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPAN_DAYS, DAYS, BREAK_DAY = 100, 130, 108
MODEL = "20250101T000000Z-aaaaaa"
SETTINGS = """
[sentiment]
scorer = "lexicon"
half_lives_h = [6.0]
[features]
groups = ["price", "calendar", "sentiment"]
[network]
lookback_bars = 4
sentiment_lookback_bars = 4
[nightly]
drift_span_days = 120
"""


@dataclass(frozen=True)
class Project:
    settings: Settings

    def night(self, day: int) -> datetime:
        return (START + day * DAY).replace(minute=20)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with warehouse_of(self.settings).read() as connection:
            return connection.execute(sql).fetchall()

    def change(self, sql: str) -> None:
        with warehouse_of(self.settings).write() as connection:
            connection.execute(sql)

    def look(self, *days: int) -> dict[str, Any] | None:
        return look_for_drift(self.settings, [self.night(d) for d in days], self.night(max(days)))


def serve(settings: Settings, scorer: str, until: datetime) -> None:
    """Put a model into use that is asked for no forecast here."""
    streams = ("news",)
    request = Request(("BTC",), until, scorer, streams=streams, metrics=())
    dataset = load_dataset(warehouse_of(settings), settings.config, request)
    names = tuple(c.name for c in dataset.columns)
    folder = settings.runs / MODEL
    folder.mkdir(parents=True)
    Served(
        symbols=("BTC",), interval="1h", scorer=scorer, streams=streams, metrics=(),
        market=("ret_1",), subject=(), columns=names, lookback_bars=4, subject_lookback_bars=4,
        scales=(TargetScale("volatility_1", "volatility", 1, 0.0, 1.0),), residuals={},
        scaler=Scaler(np.zeros((1, len(names))), np.ones((1, len(names)))),
        trained_until=until.isoformat(),
    ).write(folder)  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project of 130 days; from day 108 on each bar's range is ten times as wide."""
    folder = tmp_path_factory.mktemp("drift") / "project"
    folder.mkdir()
    (folder / "moodtape.toml").write_text(SETTINGS)
    settings = load_settings(folder, environ={})
    market = synthetic_market(np.random.default_rng(5), 24 * DAYS, texts_an_hour=1.0)
    bars = market.bars.copy()
    times = bars.columns[bars.columns.str.contains("time|ts")][0]
    wide = pd.to_datetime(bars[times], utc=True) >= START + BREAK_DAY * DAY
    bars.loc[wide, "high"] *= 1.2
    bars.loc[wide, "low"] /= 1.2
    scorer = store_market(
        warehouse_of(settings), folder / "market", replace(market, bars=bars), settings.config
    )
    serve(settings, scorer, START + SPAN_DAYS * DAY)
    return folder


@pytest.fixture
def project(stored: Path, tmp_path: Path) -> Project:
    shutil.copytree(stored, tmp_path / "project")
    return Project(load_settings(tmp_path / "project", environ={}))


def test_a_break_is_told_once_then_a_week_of_silence_then_again(project: Project) -> None:
    days = range(BREAK_DAY - 2, BREAK_DAY + 21)
    last = project.look(*days)
    words = dict(project.rows("SELECT night, word FROM drift ORDER BY night"))
    told = [words[project.night(d)] for d in days]
    assert told[:3] == ["calm"] * 3, "the break's own day is not over yet"
    first = told.index("alarm")
    assert first <= 2 + 14, "within two weeks"
    assert told[first : first + 9] == ["alarm", *["silent"] * 6, "alarm", "silent"]
    assert last is not None
    assert (last["word"], last["model_run"]) == ("silent", MODEL)
    ((what, score),) = project.rows(
        "SELECT what, score FROM drift WHERE word = 'alarm' ORDER BY night LIMIT 1"
    )
    assert score > 1
    assert what.startswith("BTC ")
    assert " went from " in what
    assert "middle half" in what


def test_looked_at_again_nothing_is_entered_twice_or_changed(project: Project) -> None:
    project.look(BREAK_DAY)
    before = project.rows("SELECT * FROM drift")
    assert len(before) == 1
    project.change(f"DELETE FROM bar WHERE open_time < '{START + 50 * DAY}'")
    project.look(BREAK_DAY)
    assert project.rows("SELECT * FROM drift") == before


def test_a_night_sees_nothing_that_came_after_it(project: Project) -> None:
    settings, night = project.settings, project.night(BREAK_DAY + 1)
    warehouse = warehouse_of(settings)
    folder = settings.runs / MODEL

    def seen(as_of: datetime) -> Any:
        inputs = InputWatch.open(warehouse, settings.config, folder, as_of)
        losses = LossWatch.open(warehouse, settings.config, MODEL, as_of)
        return look_at(inputs, losses, night, None)

    late = seen(project.night(DAYS - 1))
    assert late.score is not None
    assert late.score > 0
    assert seen(night) == late, "a night that is made up for sees what one in time saw"
    after = f"known_at > '{night.isoformat()}'"
    for sql in (
        f"UPDATE bar SET high = high * 9, low = low / 9 WHERE {after}",
        f"DELETE FROM document WHERE {after} AND hash(document_id) % 2 = 0",
        f"UPDATE score SET p_negative = 0, p_neutral = 0, p_positive = 1000000 WHERE content_hash"
        f" IN (SELECT content_hash FROM document WHERE {after}) AND content_hash NOT IN"
        f" (SELECT content_hash FROM document WHERE NOT {after})",
        f"DELETE FROM sentiment_hourly WHERE hour >= '{night.isoformat()}'",
    ):
        project.change(sql)
    assert seen(project.night(DAYS - 1)) == late
    project.change("UPDATE bar SET high = high * 2 WHERE open_time = (SELECT max(open_time)"
                   f" FROM bar WHERE known_at <= '{night.isoformat()}')")  # fmt: skip
    assert seen(night) != late, "the last bar before the night does matter"


def test_scores_of_texts_are_counted_by_the_day_they_were_known(project: Project) -> None:
    with warehouse_of(project.settings).read() as connection:
        ((scorer, texts),) = connection.execute(
            "SELECT any_value(scorer), count(*) FROM document JOIN score USING (content_hash)"
        ).fetchall()
        table = score_steps(connection, ["news"], scorer, START, START + DAYS * DAY)
        half = score_steps(connection, ["news"], scorer, START, START + 60 * DAY)
    assert table["n"].sum() == texts
    assert table["tone_step"].between(0, 19).all()
    assert table["doubt_step"].between(0, 19).all()
    assert half["day"].max() <= pd.Timestamp(START + 60 * DAY)


def test_a_short_training_span_can_tell_nothing(project: Project) -> None:
    settings = load_settings(project.settings.folder, environ={})
    path = settings.runs / MODEL / "served.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "trained_until": (START + 40 * DAY).isoformat()}))
    found = project.look(BREAK_DAY)
    assert found is not None
    assert found["word"] == "unknown"
    assert "84 are needed" in found["what"]


def test_losses_that_grow_are_told_from_what_to_what(project: Project) -> None:
    """Three months of an earlier model, then the model in use, whose errors double."""
    draws, items, answers = np.random.default_rng(3), [], []
    began = 24 * 60
    for hour in range(24 * 80):
        cutoff = START + hour * HOUR
        run = "20240101T000000Z-before" if hour < began else MODEL
        wrong = draws.standard_normal() * (0.2 if hour < began else 0.4)
        items.append(
            {"symbol": "BTC", "cutoff": cutoff, "horizon_bars": 1, "run": run, "late": False,
             "decision_time": cutoff, "quantiles": None, "p_up": None, "mean": None,
             "volatility": 0.01 * float(np.exp(wrong))}
        )  # fmt: skip
        issued = Issued("BTC", "1h", cutoff, 1, run, None, None)
        real = 0.01 * float(np.exp(0.1 * draws.standard_normal()))
        answers.append(Settlement(issued, cutoff + HOUR, "settled", 0.0, real, 1e-4, 0.012))
    with warehouse_of(project.settings).write() as connection:
        store_forecasts(connection, items, "1h", "r", START)
        store_settlements(connection, answers, "r", START)
    watch = LossWatch.open(warehouse_of(project.settings), project.settings.config, MODEL,
                           project.night(80))  # fmt: skip
    score, what = watch.look(project.night(70), None)["volatility_1"]
    assert score > 1
    assert what.startswith("the loss of volatility at 1 bar went from 0.0")
    later = LossWatch.open(
        warehouse_of(project.settings), project.settings.config, MODEL, project.night(70)
    )
    assert later.look(project.night(70), None)["volatility_1"] == (score, what)
    again, _ = watch.look(project.night(70), project.night(69))["volatility_1"]
    assert again < score, "after an alarm the sum begins again"
    assert watch.look(project.night(50), None) == {}, "the model was not in use yet"


# The ledger alone.


def entered(project: Project, day: int, word: Any, of_losses: bool = False) -> None:
    drift = Drift(project.night(day), MODEL, word, "it moved", 1.5, of_losses, {"inputs": 1.5})
    with warehouse_of(project.settings).write() as connection:
        record_drift(connection, drift, "r", project.night(day))


def test_what_was_entered_stays_and_is_found_again(project: Project) -> None:
    entered(project, 100, "alarm")
    entered(project, 100, "calm")
    entered(project, 103, "alarm", of_losses=True)
    entered(project, 104, "silent")
    with warehouse_of(project.settings).read() as connection:
        newest = last_drift(connection, project.night(103))
        assert newest is not None
        assert newest["word"] == "alarm"
        assert last_drift(connection, project.night(99)) is None
        alarm = last_alarm(connection, project.night(102))
        assert alarm is not None
        assert alarm["night"] == project.night(100)
        assert last_alarm(connection, project.night(102), of_losses=True) is None
        assert is_silent(connection, project.night(109), 7)
        assert not is_silent(connection, project.night(110), 7)


def test_an_alarm_makes_a_training_due_until_one_has_begun(project: Project) -> None:
    settings, now = project.settings, project.night(101)

    def trained(at: datetime) -> None:
        with warehouse_of(settings).write() as connection:
            run = f"t{at:%d%H}"
            begin_run(connection, run, "train", {}, at)
            finish_run(connection, run, "done", {}, at)

    trained(project.night(99))
    assert not is_training_due(settings, now)
    entered(project, 100, "alarm")
    assert has_drifted_since(settings, project.night(99))
    assert is_training_due(settings, now)
    asked = {"nightly.retrain_on_drift": False}
    assert not is_training_due(load_settings(settings.folder, (), asked, environ={}), now)
    never = {"nightly.retrain_days": 0}
    assert not is_training_due(load_settings(settings.folder, (), never, environ={}), now)
    trained(now)
    assert not is_training_due(settings, now + HOUR)


def test_status_says_it_in_words_and_in_json(project: Project, run: Callable[..., Any]) -> None:
    entered(project, 100, "alarm")
    entered(project, 101, "silent")
    where = ("--project", project.settings.folder)
    said = run("status", *where)
    assert "silent, 1.50 of the threshold: it moved" in said.out
    assert "the last alarm" in said.out
    told = json.loads(run("status", *where, "--json").out)["drift"]
    assert told["last"]["word"] == "silent"
    assert told["last_alarm"]["what"] == "it moved"


def test_the_step_looks_at_missed_nights_too_and_waits_for_a_model(project: Project) -> None:
    moment = steps.Moment(
        project.settings, project.night(102), lambda: project.night(102),
        missed=(project.night(101),),
    )  # fmt: skip
    did = steps.drift(moment)
    assert (did.state, did.counts["word"]) == ("done", "calm")
    assert len(project.rows("SELECT 1 FROM drift")) == 2
    shutil.rmtree(project.settings.runs)
    project.change("DELETE FROM drift")
    assert steps.drift(moment).state == "skipped"
