"""Every way to scale: values by hand, and nothing after the training rows moves a bit of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.scaling import (
    CLIP,
    MEASURES,
    Scaler,
    Scaling,
    fold_scaler,
    scaled_features,
)
from moodtape.forecaster.splits import make_folds

NAN = np.nan
WAYS = get_args(Scaling)


def test_the_setting_knows_every_way() -> None:
    assert set(WAYS) == set(MEASURES)
    for way in WAYS:
        Config.model_validate({"features": {"scaling": way}})


def one_column(values: list[float], way: Scaling) -> np.ndarray:
    features = np.array(values)[:, None]
    symbol = np.zeros(len(values), dtype=np.int64)
    scaler = Scaler.fit(features, symbol, np.arange(len(values)), 1, way)
    return scaler.apply(features, symbol)[:, 0]


def test_min_max_by_hand() -> None:
    np.testing.assert_allclose(one_column([2.0, 4.0, NAN, 3.0], "min-max"), [-1, 1, 0, 0])


def test_robust_by_hand() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 1e6, NAN]
    scaled = one_column(values, "robust")  # quartiles 2, 3, 4
    np.testing.assert_allclose(scaled[:4], np.array([-2, -1, 0, 1]) * 1.3489795003921634 / 2)
    assert scaled[4] == CLIP
    assert scaled[5] == 0


def test_robust_falls_back_where_the_middle_half_is_one_value() -> None:
    values = [0.0] * 90 + [1.0] * 10
    scaled = one_column(values, "robust")
    np.testing.assert_allclose(scaled[[0, 99]], [0, 1 / np.std(values)])


def test_a_robust_scale_of_normal_values_is_their_deviation() -> None:
    values = 3 + 2 * np.random.default_rng(0).standard_normal(20_000)
    symbol = np.zeros(len(values), dtype=np.int64)
    scaler = Scaler.fit(values[:, None], symbol, np.arange(len(values)), 1, "robust")
    assert scaler.scale[0, 0] == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("way", WAYS)
def test_what_never_varied_or_was_never_there_is_held_at_zero(way: Scaling) -> None:
    assert not one_column([4.0, 4.0, 4.0], way).any()
    assert not one_column([NAN, NAN, NAN], way).any()


@pytest.mark.parametrize("way", WAYS)
def test_rows_after_the_training_part_change_no_bit_of_a_scaler(
    way: Scaling, make_dataset: Callable[..., Dataset]
) -> None:
    dataset = replace(make_dataset(count=900, symbols=("BTC", "ETH")), scaling=way)
    settings = Config.model_validate({"walk_forward": {"min_train_rows": 60}}).walk_forward
    for fold in make_folds(dataset, 20, settings):
        honest = fold_scaler(dataset, fold)
        wild = dataset.features.copy()
        outside = np.setdiff1d(np.arange(len(wild)), fold.train)
        wild[outside] = np.where(outside[:, None] % 3 == 0, NAN, 1e9)
        other = fold_scaler(replace(dataset, features=wild), fold)
        assert honest.center.tobytes() == other.center.tobytes()
        assert honest.scale.tobytes() == other.scale.tobytes()
        scaled = scaled_features(dataset, fold)[fold.train]
        assert (
            scaled.tobytes()
            == scaled_features(replace(dataset, features=wild), fold)[fold.train].tobytes()
        )
        one = wild.copy()
        one[fold.train[0]] += 1e6
        leak = fold_scaler(replace(dataset, features=one), fold)
        assert leak.center.tobytes() != honest.center.tobytes() or way == "robust", "it can fail"
