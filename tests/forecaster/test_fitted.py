"""Fitted baselines: the forecasters' own fits, on everything but the texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.ablation import run_rules, run_study
from moodtape.forecaster.arima import arima
from moodtape.forecaster.arms import arms_of
from moodtape.forecaster.boosting import fit_predict_boosting
from moodtape.forecaster.cells import CellStore, baseline_cells
from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.inputs import Inputs
from moodtape.forecaster.linear import fit_predict_linear
from moodtape.forecaster.scaling import scaled_features
from moodtape.forecaster.splits import make_folds
from moodtape.settings import bundled_config

CONFIG = Config.model_validate(
    {"walk_forward": {"folds": 2, "min_train_rows": 100}, "network": {"lookback_bars": 20}}
)
TEXT_FREE = 6
RULES = ("persistence", "drift", "base rate", "reversal", "HAR")


@pytest.fixture(scope="module")
def dataset(make_dataset: Any) -> Any:
    return make_dataset(900, pull=0.5)


def test_each_is_its_fit_on_what_is_no_text(dataset: Any) -> None:
    fold = make_folds(dataset, 20, CONFIG.walk_forward)[0]
    scaled = scaled_features(dataset, fold)
    found = fitted(dataset, fold)
    assert {name: set(by_key) for name, by_key in found.items()} == {
        "ridge": {"return_1", "volatility_1"},
        "logistic": {"direction_1"},
        "boosting": {"return_1", "direction_1", "volatility_1"},
        "ARIMA": {"return_1", "direction_1", "volatility_1"},
    }
    inputs = Inputs(scaled[:, :TEXT_FREE], np.zeros((len(scaled), 0)))
    linear = fit_predict_linear(dataset, inputs, fold, fold.test)
    trees = fit_predict_boosting(dataset, inputs, fold, fold.test)
    for key in dataset.targets:
        called = "logistic" if key == "direction_1" else "ridge"
        np.testing.assert_allclose(found[called][key], linear[key], rtol=1e-12)
        np.testing.assert_array_equal(found["boosting"][key], trees[key])
        np.testing.assert_array_equal(found["ARIMA"][key], arima(dataset, fold, fold.test)[key])


def fitted(dataset: Any, fold: Any) -> Any:
    """Return the forecasts of what is fitted, by name and target key, on the tested rows."""
    found = run_rules(dataset, [fold], CONFIG).forecasts
    return {name: by_key for name, by_key in found.items() if name not in RULES}


def test_texts_do_not_move_them(dataset: Any) -> None:
    fold = make_folds(dataset, 20, CONFIG.walk_forward)[0]
    features = dataset.features.copy()
    features[:, TEXT_FREE:] = features[::-1, TEXT_FREE:]
    before, after = fitted(dataset, fold), fitted(replace(dataset, features=features), fold)
    for name, by_key in before.items():
        for key, values in by_key.items():
            assert values.tobytes() == after[name][key].tobytes(), name


def test_those_that_are_kept_are_not_fitted_again(dataset: Any, tmp_path: Path) -> None:
    folds, store = make_folds(dataset, 20, CONFIG.walk_forward), CellStore(tmp_path / "cells")
    told: list[str] = []
    first = run_rules(dataset, folds, CONFIG, told.append, store)
    assert told == [str(cell) for cell in baseline_cells(folds, CONFIG)]
    told.clear()
    again = run_rules(dataset, folds, CONFIG, told.append, store)
    assert told == []
    for name, by_key in first.forecasts.items():
        for key, values in by_key.items():
            assert values.tobytes() == again.forecasts[name][key].tobytes(), name


def test_a_study_carries_them_beside_the_rules_of_thumb(dataset: Any) -> None:
    config = CONFIG.model_copy(
        update={"ablation": CONFIG.ablation.model_copy(update={"baselines": ("ridge",)})}
    )
    folds = make_folds(dataset, 20, CONFIG.walk_forward)
    told: list[str] = []
    rules = run_rules(dataset, folds, config, told.append)
    assert told == ["baselines: fold 1, ridge", "baselines: fold 2, ridge"]
    assert set(rules.forecasts) == {
        *("persistence", "drift", "base rate", "reversal", "HAR", "ridge", "logistic"),
    }
    assert set(rules.calibrated) == set(rules.forecasts)
    arms = arms_of(config, dataset, "sentiment", bundled_config("ablation.toml"))
    study = run_study(dataset, folds, arms, config, LINEAR, rules=rules)
    assert study.baselines == rules.forecasts
    assert {"ridge", "null", "persistence"} <= set(study.calibrated)
    # Without its texts the linear forecaster is that ridge.
    for name, key in (("ridge", "return_1"), ("logistic", "direction_1")):
        np.testing.assert_allclose(
            study.arms["null"].by_key[key][0], study.baselines[name][key], atol=1e-9
        )
