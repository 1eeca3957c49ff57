"""Arms that read other texts: of some kinds alone, or scored by another scorer."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.audit import audit
from moodtape.audit.cells import Stage
from moodtape.config import Config
from moodtape.errors import DataMissing, UsageError
from moodtape.forecaster.arms import NULL, real_arm
from moodtape.forecaster.cells import Cell, CellFitter
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.storage import read
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules, mark_all_hours, refresh_hours
from moodtape.storage.scores import register_scorer
from moodtape.study.ablate import run_ablation
from moodtape.study.ground import Ground, Question, lay_ground

OTHER = scorer_id(load_scorer("bundled"))
NOW = datetime(2024, 3, 1, tzinfo=UTC)
OWN = """
[[arm]]
name = "my events"
groups = ["all"]
kinds = ["event"]
[[arm]]
name = "other scorer"
groups = ["all"]
scorer = "bundled"
"""
"""A user's own arms."""


@pytest.fixture(scope="module")
def scored(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Return the month with a second scorer's scores, positive and negative changed, and kinds.

    Every second text is an event, the others are recaps.
    """
    made = Warehouse(tmp_path_factory.mktemp("scored") / "moodtape.duckdb")
    shutil.copy(warehouse.path, made.path)
    name, _, revision = OTHER.partition("@")
    with made.write() as connection:
        register_scorer(connection, OTHER, name, revision, None, NOW)
        connection.execute(
            "INSERT INTO score BY NAME SELECT * REPLACE (? AS scorer, p_negative AS p_positive,"
            " p_positive AS p_negative) FROM score WHERE scorer LIKE 'lexicon@%'",
            [OTHER],
        )
        connection.execute(
            "INSERT INTO kind SELECT content_hash, scorer, CASE WHEN row_number() OVER (ORDER BY"
            " content_hash) % 2 = 0 THEN 'event' ELSE 'recap' END, 900_000, run_id"
            " FROM score WHERE scorer = ?",
            [OTHER],
        )
        mark_all_hours(connection)
        refresh_hours(connection, HourRules(timedelta(hours=6), classifier=OTHER))
    return made


@pytest.fixture(scope="module")
def with_arms(make_config: Callable[..., Config]) -> Callable[..., Config]:
    """Return a function that makes settings with some arms besides those of the verdict."""

    def make(*names: str) -> Config:
        arms = ["full", "null", "shift", "echo", *names]
        config = make_config(
            ablation={"also": [], "baselines": [], "arms": arms, "importance_draws": 0},
            target={"names": ["return"]},
        )
        return Config.model_validate(config.model_dump() | {"arm": tomllib.loads(OWN)["arm"]})

    return make


@pytest.fixture(scope="module")
def laid(scored: Warehouse, with_arms: Callable[..., Config]) -> Ground:
    config = with_arms("events", "recaps", "my events", "other scorer")
    return lay_ground(scored, config, Question())


def column(ground: Ground, name: str, arm: str = "full") -> Any:
    dataset = ground.dataset.for_arm(arm)
    return dataset.features[:, [c.name for c in dataset.columns].index(name)]


def test_kinds_share_the_texts_of_the_study_among_them(laid: Ground) -> None:
    whole = np.expm1(column(laid, "news.count_last"))
    parts = [np.expm1(column(laid, "news.count_last", arm)) for arm in ("events", "recaps")]
    np.testing.assert_allclose(np.nan_to_num(parts[0] + parts[1]), np.nan_to_num(whole), atol=1e-9)
    assert all(np.nansum(part) > 50 for part in parts)


def test_another_scorer_changes_tone_and_no_number(laid: Ground) -> None:
    real, other = (column(laid, "news.tone_last", arm) for arm in ("full", "other scorer"))
    np.testing.assert_allclose(np.nan_to_num(other), -np.nan_to_num(real), atol=1e-9)
    assert np.nanstd(real) > 0
    same = (column(laid, "news.count_last", arm) for arm in ("full", "other scorer"))
    np.testing.assert_array_equal(*same)


def test_prices_and_answers_stay_those_of_the_study(laid: Ground) -> None:
    own = laid.dataset.for_arm("events")
    price = [i for i, c in enumerate(own.columns) if c.group != "sentiment"]
    np.testing.assert_array_equal(own.features[:, price], laid.dataset.features[:, price])
    assert own.targets is laid.dataset.targets
    assert laid.dataset.for_arm("full") is laid.dataset


def test_an_arm_of_ones_own_is_five_lines(laid: Ground) -> None:
    """One of the same texts as a bundled arm would repeat it, and is left out."""
    names = [arm.name for arm in laid.arms]
    assert "my events" not in names
    assert names == ["full", "null", "shift", "echo", "events", "recaps", "other scorer"]
    assert real_arm(laid.arms).name == "full", "no word rests on an arm with texts of its own"


def test_each_cell_is_fitted_on_its_arms_own_texts(laid: Ground) -> None:
    seen = {}

    def fit(dataset: Any, inputs: Any, fold: Any, rows: Any, seed: int) -> dict[str, Any]:
        seen[name] = inputs.subject
        return {}

    fitter = CellFitter(laid.dataset, laid.folds, laid.arms, laid.config)
    for name in ("full", "events", "recaps", "full"):
        fitter.fit(Cell("linear", 0, name, 0), fit)
    assert seen["events"].shape == seen["full"].shape
    assert not np.array_equal(seen["events"], seen["full"])
    assert not np.array_equal(seen["events"], seen["recaps"])
    lonely = CellFitter(laid.dataset, laid.folds, laid.arms[4:5], laid.config)
    before = seen["events"]
    for name in ("events",):
        lonely.fit(Cell("linear", 0, name, 0), fit)
    np.testing.assert_array_equal(seen["events"], before)


def test_they_stand_beside_the_answer_and_leave_it_as_it_was(
    laid: Ground, scored: Warehouse, with_arms: Callable[..., Config]
) -> None:
    (found,) = run_ablation(laid, audit_clean=True).answers
    assert set(found.beside) == {"events", "recaps", "other scorer"}
    (bare,) = run_ablation(lay_ground(scored, with_arms(), Question()), audit_clean=True).answers
    assert bare.effects == found.effects
    assert bare.verdict == found.verdict


def test_a_kind_that_no_text_is_of_leaves_its_arm_out(
    warehouse: Warehouse, with_arms: Callable[..., Config]
) -> None:
    ground = lay_ground(warehouse, with_arms("events"), Question())
    assert "events" not in [arm.name for arm in ground.arms]
    assert "no text is of the kind event: the arm events is left out" in ground.notes


def test_a_scorer_that_has_not_scored_is_asked_for(
    warehouse: Warehouse, with_arms: Callable[..., Config]
) -> None:
    with pytest.raises(DataMissing, match="Run: moodtape score --scorer bundled"):
        lay_ground(warehouse, with_arms("other scorer"), Question())
    config = with_arms("other scorer")
    arms = tuple(a.model_copy(update={"scorer": "lexicn"}) for a in config.arm)
    with pytest.raises(UsageError, match="lexicn"):
        lay_ground(warehouse, config.model_copy(update={"arm": arms}), Question())


def test_metrics_have_no_such_arms(scored: Warehouse, with_arms: Callable[..., Config]) -> None:
    ground = lay_ground(scored, with_arms("events", "other scorer"), Question("onchain"))
    assert not ground.dataset.variants
    assert NULL in [arm.name for arm in ground.arms]


def test_a_study_of_other_texts_is_another_study(laid: Ground) -> None:
    without = replace(laid.dataset, variants={})
    assert without.fingerprint() != laid.dataset.fingerprint()


def test_what_an_arm_reads_hangs_on_no_later_text(laid: Ground, scored: Warehouse, tmp_path: Path,
    with_arms: Callable[..., Config]) -> None:  # fmt: skip
    """Scores and kinds of texts known after a cut are changed; no row before it may change."""
    other = Warehouse(tmp_path / "moodtape.duckdb")
    shutil.copy(scored.path, other.path)
    cut = laid.span.since + (laid.span.until - laid.span.since) / 2
    with other.write() as connection:
        late = "content_hash IN (SELECT content_hash FROM document GROUP BY ALL HAVING"
        late += " min(known_at) > ?)"
        connection.execute(f"UPDATE kind SET kind = 'other' WHERE {late}", [cut])
        connection.execute(
            f"UPDATE score SET p_positive = 1000000, p_negative = 0 WHERE {late}", [cut]
        )
        mark_all_hours(connection)
        refresh_hours(connection, HourRules(timedelta(hours=6), classifier=OTHER))
    config = with_arms("events", "recaps", "other scorer")
    changed = lay_ground(other, config, Question(until=laid.span.until))
    before = laid.dataset.decision_time <= np.datetime64(cut.replace(tzinfo=None), "us")
    for name, features in laid.dataset.variants.items():
        theirs = changed.dataset.variants[name]
        np.testing.assert_array_equal(features[before], theirs[before], err_msg=name)
        assert not np.array_equal(
            np.nan_to_num(features[~before]), np.nan_to_num(theirs[~before])
        ), name


def test_the_audit_reads_the_texts_of_an_arm_too(
    laid: Ground, scored: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts of one kind that count an hour early are look-ahead of that arm alone."""
    rules = HourRules(timedelta(hours=6), classifier=OTHER)
    cut = laid.span.since + (laid.span.until - laid.span.since) / 2

    def audited() -> dict[str, Any]:
        return {
            name: audit(
                scored, config, request, rules, tmp_path, [cut], last=Stage.CARRIED
            ).offenders
            for name, (config, request) in laid.own_texts.items()
        }

    assert audited() == {"events": (), "recaps": (), "other scorer": ()}
    honest = read.hourly_sums

    def early(connection: Any, symbols: Any, *rest: Any) -> Any:
        sums = honest(connection, symbols, *rest)
        return sums.assign(hour=sums["hour"] - timedelta(hours=2)) if "event" in rest[3] else sums

    monkeypatch.setattr(read, "hourly_sums", early)
    found = audited()
    assert found["events"]
    assert found["events"][0].column.startswith("news.")
    assert not found["recaps"]
    assert not found["other scorer"]
