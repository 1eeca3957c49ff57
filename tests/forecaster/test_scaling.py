import json

import numpy as np

from moodtape.forecaster.scaling import CLIP, PART_ROWS, Scaler

NAN = np.nan


def test_scale_comes_from_the_training_rows_alone() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((100, 3))
    symbol, rows = np.zeros(100, dtype=np.int64), np.arange(60)
    scaler = Scaler.fit(features, symbol, rows, 1)
    np.testing.assert_allclose(scaler.center[0], features[:60].mean(axis=0))
    np.testing.assert_allclose(scaler.scale[0], features[:60].std(axis=0))
    wild = features.copy()
    wild[60:] = 1e6
    again = Scaler.fit(wild, symbol, rows, 1)
    assert np.array_equal(again.center, scaler.center)
    assert np.array_equal(again.scale, scaler.scale)


def test_each_symbol_has_its_own_scale_and_a_new_one_that_of_all() -> None:
    features = np.array([[0.0], [2.0], [10.0], [30.0], [5.0]])
    symbol = np.array([0, 0, 1, 1, 2])
    scaler = Scaler.fit(features, symbol, np.arange(4), 3)
    np.testing.assert_allclose(scaler.center[:, 0], [1, 20, 10.5])
    np.testing.assert_allclose(scaler.scale[:, 0], [1, 10, np.std([0, 2, 10, 30])])
    np.testing.assert_allclose(scaler.apply(features, symbol)[:4, 0], [-1, 1, -1, 1])


def test_missing_is_zero_and_wild_is_cut() -> None:
    features = np.array([[1.0], [3.0], [NAN], [1e9]])
    symbol = np.zeros(4, dtype=np.int64)
    scaled = Scaler.fit(features, symbol, np.arange(3), 1).apply(features, symbol)
    np.testing.assert_allclose(scaled[:, 0], [-1, 1, 0, CLIP])


def test_a_column_that_never_varied_in_training_is_held_at_zero() -> None:
    features = np.array([[NAN, 1.0], [NAN, 1.0], [5.0, 0.0]])
    symbol = np.zeros(3, dtype=np.int64)
    scaler = Scaler.fit(features, symbol, np.arange(2), 1)
    assert not scaler.apply(features, symbol).any()


def test_a_scaler_survives_json() -> None:
    features = np.random.default_rng(0).standard_normal((20, 2))
    features[:, 1] = 4.0
    symbol = np.zeros(20, dtype=np.int64)
    scaler = Scaler.fit(features, symbol, np.arange(20), 1)
    back = Scaler.from_dict(json.loads(json.dumps(scaler.as_dict(), allow_nan=False)))
    assert np.array_equal(back.apply(features, symbol), scaler.apply(features, symbol))


def test_scaling_in_parts_has_the_bits_of_scaling_at_once() -> None:
    rng = np.random.default_rng(4)
    count = 2 * PART_ROWS + 17
    features = rng.standard_normal((count, 5)) * [1e-4, 1, 1, 1e3, 1] + 0.3
    features[rng.random(features.shape) < 0.1] = NAN
    symbol = np.zeros(count, dtype=np.int64)
    rows = np.arange(0, count, 2)
    scaler = Scaler.fit(features, symbol, rows, 1)
    known = (~np.isnan(features[rows])).sum(axis=0)
    center = np.nansum(features[rows], axis=0) / known
    scale = np.sqrt(np.nansum((features[rows] - center) ** 2, axis=0) / known)
    assert scaler.center[0].tobytes() == center.tobytes()
    assert scaler.scale[0].tobytes() == scale.tobytes()
    at_once = np.nan_to_num(np.clip((features - center) / scale, -CLIP, CLIP), nan=0.0)
    assert scaler.apply(features, symbol).tobytes() == at_once.tobytes()
