"""Tuning sees only what was known before the first test, counts, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.errors import DataMissing
from moodtape.forecaster.forecasters import FORECASTERS, LINEAR, FitPredict
from moodtape.forecaster.splits import latest_label, make_folds
from moodtape.storage.db import Warehouse
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.study.tuning import (
    DIVERGED,
    SETTINGS,
    Tried,
    as_toml,
    ledger_rows,
    past_fold,
    search,
    setting_of,
    tuning_key,
    validation_loss,
    with_longest_lookback,
    with_setting,
)

needs_optuna = pytest.mark.skipif(
    util.find_spec("optuna") is None, reason="needs the tune extra: optuna is not installed"
)


@pytest.fixture(scope="module")
def asked(make_config: Callable[..., Config]) -> Config:
    return make_config(walk_forward={"folds": 2, "min_train_rows": 30, "test_fraction": 0.3})


@pytest.fixture(scope="module")
def past(warehouse: Warehouse, asked: Config) -> Ground:
    """Return the ground of a search: texts from the sixth day of a month on."""
    return lay_ground(warehouse, with_longest_lookback(asked), Question())


def linear(config: Config) -> FitPredict:
    return FORECASTERS[LINEAR].open(config)


def test_nothing_after_the_first_test_begins_is_used(past: Ground, asked: Config) -> None:
    fold = past_fold(past.dataset, past.config)
    for bars in (12, 24, 60, 96):
        first = make_folds(past.dataset, bars, asked.walk_forward)[0]
        for part in (fold.train, fold.stop, fold.calibrate, fold.test):
            assert (past.dataset.cutoff[part] < first.test_from).all()
            assert (latest_label(past.dataset)[part] < first.test_from).all()
    assert len(fold.test) > 30
    assert fold.test_until <= first.test_from


def test_a_loss_does_not_follow_what_comes_after(past: Ground) -> None:
    fold = past_fold(past.dataset, past.config)
    first = make_folds(past.dataset, 12, past.config.walk_forward)[0]
    later = past.dataset.cutoff >= first.test_from
    targets = {
        key: replace(t, y=np.where(later, 7.0, t.y)) for key, t in past.dataset.targets.items()
    }
    features = np.where(later[:, None], 9.0, past.dataset.features)
    changed = replace(past, dataset=replace(past.dataset, targets=targets, features=features))
    fit = linear(past.config)
    assert validation_loss(past, fold, fit) == validation_loss(changed, fold, fit)


def test_too_short_a_past_says_so(past: Ground, make_config: Callable[..., Config]) -> None:
    greedy = make_config(walk_forward={"folds": 2, "min_train_rows": 400, "test_fraction": 0.3})
    with pytest.raises(DataMissing, match=r"Take a longer span|Fold 1 has"):
        past_fold(past.dataset, with_longest_lookback(greedy))


def test_a_setting_is_a_file_that_gives_it_back(asked: Config, tmp_path: Path) -> None:
    from moodtape.settings import load_settings

    setting = {**setting_of(asked), "training.learning_rate": 0.00123, "network.dropout": 0.31}
    assert set(setting) == set(SETTINGS)
    path = tmp_path / "tuned.toml"
    path.write_text(as_toml(setting))
    assert setting_of(load_settings(tmp_path, [path], environ={}).config) == setting
    changed = with_setting(asked, setting)
    assert setting_of(changed) == setting
    assert changed.walk_forward == asked.walk_forward


def test_every_trial_is_entered_with_the_span_it_was_validated_on(
    past: Ground, asked: Config
) -> None:
    fold = past_fold(past.dataset, past.config)
    rows = ledger_rows(past, asked, fold, Tried(setting_of(asked), 0.98765))
    assert [row["target"] for row in rows] == [t.name for t in past.dataset.targets.values()]
    assert {row["verdict"] for row in rows} == {"tuned: loss 0.98765"}
    first = make_folds(past.dataset, 12, asked.walk_forward)[0]
    for row in rows:
        until = np.datetime64(row["test_until"].replace(tzinfo=None))
        assert until <= first.test_from, "no look at what a study tests"
    other = ledger_rows(past, asked, fold, Tried({**setting_of(asked), "network.dropout": 0.4}, 1))
    assert other[0]["config_hash"] != rows[0]["config_hash"]


@needs_optuna
def test_a_search_goes_on_where_it_was_and_begins_with_the_setting_in_use(
    past: Ground, asked: Config, tmp_path: Path
) -> None:
    fold = past_fold(past.dataset, past.config)
    opened: list[dict[str, Any]] = []
    kept: list[Tried] = []

    def open_network(config: Config) -> FitPredict:
        opened.append(setting_of(config))
        if len(opened) == 3:
            raise KeyboardInterrupt
        inner = linear(config)

        def fit(*args: Any, **options: Any) -> Any:
            """Return forecasts that are worse the more is dropped."""
            made = inner(*args, **options)
            return {key: v + config.network.dropout for key, v in made.items()}

        return fit

    def go(trials: int) -> list[Tried]:
        return search(past, asked, fold, tmp_path, trials, open_network, kept.append)

    with pytest.raises(KeyboardInterrupt):
        go(4)
    assert opened[0] == setting_of(asked)
    assert [dict(t.setting) for t in kept] == opened[:2]
    kept.clear()
    found = go(4)
    assert len(found) == 4
    assert [t.loss for t in found] == [t.loss for t in kept], "earlier trials are entered again"
    assert [dict(t.setting) for t in found[:2]] == opened[:2]
    assert len(opened) == 5, "the interrupted trial was tried no further, two more were"
    by_dropout = sorted(found, key=lambda t: t.setting["network.dropout"])
    assert [t.loss for t in by_dropout] == sorted(t.loss for t in found)
    assert go(4) == found, "a finished search is only read"


@needs_optuna
def test_a_setting_that_diverges_is_the_worst_and_no_reason_to_fail(
    past: Ground, asked: Config, tmp_path: Path
) -> None:
    opened: list[Config] = []

    def open_network(config: Config) -> FitPredict:
        opened.append(config)
        inner, diverges = linear(config), len(opened) == 1

        def fit(*args: Any, **options: Any) -> Any:
            made = inner(*args, **options)
            return {key: np.full_like(v, np.nan) if diverges else v for key, v in made.items()}

        return fit

    def go(trials: int) -> list[Tried]:
        fold = past_fold(past.dataset, past.config)
        return search(past, asked, fold, tmp_path, trials, open_network, lambda tried: None)

    found = go(2)
    assert dict(found[0].setting) == setting_of(asked)
    assert found[0].loss == DIVERGED
    assert min(found, key=lambda t: t.loss) == found[1]
    assert go(2) == found, "it is not tried again"


def test_the_key_is_that_of_the_question(past: Ground, asked: Config) -> None:
    assert tuning_key(past, asked) == tuning_key(past, asked)
    other = with_setting(asked, {"training.epochs": 99})
    assert tuning_key(past, other) != tuning_key(past, asked)
