from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.ablation import run_study
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.cells import CellStore
from moodtape.forecaster.copies import Copies, shuffled
from moodtape.forecaster.forecasters import FORECASTERS, LINEAR
from moodtape.forecaster.importance import importance
from moodtape.forecaster.inputs import build_inputs
from moodtape.forecaster.metrics import deciding_loss
from moodtape.forecaster.scaling import scaled_features
from moodtape.forecaster.splits import make_folds
from moodtape.study.evaluation import importance_rows

CONFIG = Config.model_validate(
    {
        "network": {"lookback_bars": 20, "sentiment_lookback_bars": 10},
        "walk_forward": {"folds": 2, "min_train_rows": 100},
        "sentiment": {"half_lives_h": [6.0]},
    }
)
ARM = Arm("price+sentiment", ("calendar", "price", "sentiment"), "sentiment", "as_is")
NULL = Arm("null", ARM.groups, "sentiment", "constant")


@pytest.fixture(scope="module")
def dataset(make_dataset: Any) -> Any:
    """Return bars whose next return follows the tone; nothing follows the price."""
    return make_dataset(1500, symbols=("BTC", "ETH"), names=("return",), pull=1.0)


def folds(dataset: Any) -> Any:
    return make_folds(dataset, 20, CONFIG.walk_forward)


def test_the_group_that_answers_follow_is_the_one_that_counts(dataset: Any) -> None:
    fit = FORECASTERS[LINEAR].open(CONFIG)
    found = importance(dataset, folds(dataset), ARM, CONFIG, LINEAR, fit)
    rows = {(r["symbol"], r["group"]): r for r in importance_rows(found, dataset, 7, "1h")}
    for symbol in ("BTC", "ETH"):
        assert rows[symbol, "sentiment"]["low"] > 0.3, "half the variance comes from the tone"
        for group in ("calendar", "price"):
            assert abs(rows[symbol, group]["value"]) < 0.05, group
    again = importance(dataset, folds(dataset), ARM, CONFIG, LINEAR, fit)
    for group, by_key in found.shuffled.items():
        assert by_key["return_1"].tobytes() == again.shuffled[group]["return_1"].tobytes()


def test_its_losses_are_those_of_the_study(dataset: Any) -> None:
    made = run_study(dataset, folds(dataset), (ARM, NULL), CONFIG, LINEAR)
    fit = FORECASTERS[LINEAR].open(CONFIG)
    found = importance(dataset, folds(dataset), ARM, CONFIG, LINEAR, fit)
    assert np.array_equal(found.rows, made.rows)
    target = dataset.targets["return_1"]
    known = deciding_loss(
        "return", target.y[made.rows], made.arms[ARM.name].by_key["return_1"][0],
        dataset.trailing_variance[made.rows], 1,
    )  # fmt: skip
    np.testing.assert_allclose(found.whole["return_1"], known, rtol=1e-9)


def test_copies_differ_in_their_own_group_alone_and_each_window_is_whole(dataset: Any) -> None:
    fold = folds(dataset)[0]
    plan = Copies.plan(dataset, ARM, fold, CONFIG)
    inputs = build_inputs(dataset, scaled_features(dataset, fold), ARM)
    longer, more = plan.added(dataset, inputs, plan.length + 5)
    assert len(longer.symbol) == len(more.market) == len(more.subject) == plan.length + 5
    assert np.array_equal(more.market[: plan.start], inputs.market)
    groups = [c.group for c in dataset.columns if c.group != "sentiment"]
    for group, at in plan.rows:
        assert np.array_equal(longer.cutoff[at], dataset.cutoff[fold.test])
        assert np.array_equal(longer.symbol[at], dataset.symbol[fold.test])
        for back in range(CONFIG.network.lookback_bars):
            there, here = more.market[at - back], inputs.market[fold.test - back]
            for column, of in enumerate(groups):
                same = np.array_equal(there[:, column], here[:, column])
                assert same == (of != group), (group, column, back)
        same = np.array_equal(more.subject[at], inputs.subject[fold.test])
        assert same == (group != "sentiment")


def test_a_copy_tells_of_the_tested_stretch_in_blocks() -> None:
    stretch = np.arange(100, 700)
    found = shuffled(stretch, 60, np.random.default_rng(1))
    assert np.array_equal(np.sort(found), stretch)
    breaks = np.flatnonzero(np.diff(found) != 1)
    assert 5 <= len(breaks) <= 10, "ten blocks, one of which holds the turn"


def test_the_answers_of_copies_and_of_the_tested_rows_are_never_fitted(dataset: Any) -> None:
    inner = FORECASTERS[LINEAR].open(CONFIG)
    before = importance(dataset, folds(dataset)[:1], ARM, CONFIG, LINEAR, inner)
    target = dataset.targets["return_1"]
    y = target.y.copy()
    y[folds(dataset)[0].test] = 9.0
    changed = replace(dataset, targets={"return_1": replace(target, y=y)})
    told: list[Mapping[str, Any]] = []

    def spied(*args: Any, **options: Any) -> Mapping[str, Any]:
        told.append(inner(*args, **options))
        return told[-1]

    importance(dataset, folds(dataset)[:1], ARM, CONFIG, LINEAR, spied)
    importance(changed, folds(dataset)[:1], ARM, CONFIG, LINEAR, spied)
    assert told[0]["return_1"].tobytes() == told[1]["return_1"].tobytes()
    assert np.isfinite(before.whole["return_1"]).all()


def test_what_is_kept_is_not_fitted_again(dataset: Any, tmp_path: Path) -> None:
    fit, store, told = FORECASTERS[LINEAR].open(CONFIG), CellStore(tmp_path / "cells"), []
    first = importance(dataset, folds(dataset), ARM, CONFIG, LINEAR, fit, told.append, store)
    assert told == ["importance: fold 1, linear", "importance: fold 2, linear"]
    again = importance(dataset, folds(dataset), ARM, CONFIG, LINEAR, fit, told.append, store)
    assert len(told) == 2
    assert first.whole["return_1"].tobytes() == again.whole["return_1"].tobytes()
    for group, by_key in first.shuffled.items():
        assert by_key["return_1"].tobytes() == again.shuffled[group]["return_1"].tobytes()
