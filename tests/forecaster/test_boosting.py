"""Boosted trees against what one can work out, and what they must not depend on."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodtape.forecaster.boosting import fit_predict_boosting
from moodtape.forecaster.inputs import Inputs
from moodtape.forecaster.splits import Fold

ROWS = {"train": (170, 1400), "stop": (1401, 1700), "calibrate": (1701, 1750), "test": (1760, 1990)}


def fold_of(**changes: Any) -> Fold:
    at = np.datetime64("2024-01-01", "us")
    parts = {name: np.arange(*ends) for name, ends in ROWS.items()}
    return Fold(0, **{**parts, **changes}, train_from=at, test_from=at, test_until=at)


@pytest.fixture(scope="module")
def dataset(make_dataset: Any) -> Any:
    """Return 2,000 bars; the answers of `return` and `direction` follow the size of the tone."""
    dataset = make_dataset(2000)
    rng = np.random.default_rng(1)
    push = np.abs(dataset.features[:, 6]) - 0.8 + 0.5 * rng.standard_normal(2000)
    dataset.targets["return_1"].y[:] = 0.01 * push
    dataset.targets["direction_1"].y[:] = push > 0
    return dataset


def inputs_of(dataset: Any, subject: int = 3) -> Inputs:
    values = np.nan_to_num(dataset.features)
    return Inputs(values[:, :6], values[:, 6 : 6 + subject])


def error(dataset: Any, found: Any, key: str) -> float:
    y = dataset.targets[key].y[fold_of().test]
    return float(np.mean((y - found[key]) ** 2) / np.var(y))


def test_it_finds_what_no_straight_line_can(dataset: Any) -> None:
    from moodtape.forecaster.linear import fit_predict_linear

    fold = fold_of()
    bent = fit_predict_boosting(dataset, inputs_of(dataset), fold, fold.test)
    straight = fit_predict_linear(dataset, inputs_of(dataset), fold, fold.test)
    blind = fit_predict_boosting(dataset, inputs_of(dataset, 0), fold, fold.test)
    for key in ("return_1", "direction_1"):
        assert error(dataset, bent, key) < 0.75
        assert error(dataset, straight, key) > 0.9
        assert error(dataset, blind, key) > 0.9
    assert ((bent["direction_1"] >= 0) & (bent["direction_1"] <= 1)).all()


def test_without_a_gain_on_the_stop_rows_no_tree_is_kept(dataset: Any) -> None:
    fold, rng = fold_of(), np.random.default_rng(5)
    y = dataset.targets["return_1"].y
    noise = replace(dataset.targets["return_1"], y=y.copy())
    # What the training rows teach is turned round on the stop rows: every tree is a loss there.
    noise.y[fold.stop] = -y[fold.stop] + 0.02 * rng.standard_normal(len(fold.stop))
    odd = replace(dataset, targets={"return_1": noise})
    found = fit_predict_boosting(odd, inputs_of(odd), fold, fold.test)["return_1"]
    unit = np.sqrt(odd.trailing_variance)
    expected = np.mean(y[fold.train] / unit[fold.train]) * unit[fold.test]
    np.testing.assert_allclose(found, expected)


def test_forecasts_do_not_move_with_what_comes_after_them(dataset: Any) -> None:
    fold = fold_of()
    honest = fit_predict_boosting(dataset, inputs_of(dataset), fold, fold.test)
    features = dataset.features.copy()
    cut = fold.test[len(fold.test) // 2]
    features[cut + 1 :] = np.random.default_rng(9).standard_normal(features[cut + 1 :].shape)
    targets = {k: replace(t, y=t.y.copy()) for k, t in dataset.targets.items()}
    for target in targets.values():
        target.y[fold.test[0] :] = 1.0
    other = replace(dataset, features=features, targets=targets)
    changed = fit_predict_boosting(other, inputs_of(other), fold, fold.test)
    for key, values in honest.items():
        before = fold.test <= cut
        assert values[before].tobytes() == changed[key][before].tobytes(), key
        assert not np.array_equal(values[~before], changed[key][~before]), key


def test_missing_answers_and_a_single_class_are_no_obstacle(dataset: Any) -> None:
    fold = fold_of()
    targets = {k: replace(t, y=t.y.copy()) for k, t in dataset.targets.items()}
    targets["return_1"].y[::7] = np.nan
    targets["direction_1"].y[:] = 1.0
    odd = replace(dataset, targets=targets)
    found = fit_predict_boosting(odd, inputs_of(odd), fold, fold.test)
    assert np.isfinite(found["return_1"]).all()
    np.testing.assert_array_equal(found["direction_1"], 1.0)


SCRIPT = """
import hashlib
import numpy as np

from threadpoolctl import threadpool_info, threadpool_limits
from moodtape.forecaster.boosting import _model
rng = np.random.default_rng(3)
x = rng.standard_normal((2000, 12))
y = x[:, 0] + np.abs(x[:, 1]) + rng.standard_normal(2000)
model = _model(False, 1500).fit(x[:1500], y[:1500], X_val=x[1500:], y_val=y[1500:])
threads = max(p["num_threads"] for p in threadpool_info() if p["user_api"] == "openmp")
print(threads, hashlib.sha256(model.predict(x).tobytes()).hexdigest())
"""


def test_one_thread_and_two_give_the_same_bits() -> None:
    def fitted(threads: int) -> list[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        told = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
        )
        assert told.returncode == 0, told.stderr
        return told.stdout.split()

    one, two = fitted(1), fitted(2)
    assert (one[0], two[0]) == ("1", "2")
    assert one[1] == two[1]
