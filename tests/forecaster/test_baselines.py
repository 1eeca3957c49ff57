from typing import Any

import numpy as np
import pytest

from moodtape.forecaster.baselines import BASE_RATE, DRIFT, HAR, PERSISTENCE, REVERSAL, baselines
from moodtape.forecaster.splits import Fold

NAN = np.nan


@pytest.fixture
def small(make_dataset: Any) -> Any:
    """Return eight rows with a last return and answers that one can work out."""
    dataset = make_dataset(8)
    dataset.features[:, 0] = [0.01, -0.02, 0.0, 0.03, -0.01, 0.02, -0.03, NAN]
    dataset.targets["return_1"].y[:] = [-0.01, 0.01, 0.0, -0.02, NAN, 0.0, 0.0, 0.0]
    dataset.targets["direction_1"].y[:] = [0, 1, NAN, 0, NAN, 1, 1, 1]
    dataset.targets["volatility_1"].y[:] = [-5, -6, -5, -4, NAN, -5, -5, -5]
    return dataset


def forecast(dataset: Any) -> dict[str, dict[str, np.ndarray]]:
    at = np.datetime64("2024-01-01", "us")
    none = np.array([], dtype=np.int64)
    fold = Fold(0, np.arange(5), none, none, np.arange(5, 8), at, at, at)
    return baselines(dataset, fold, fold.test)


def test_persistence_is_the_last_price(small: Any) -> None:
    found = forecast(small)[PERSISTENCE]
    np.testing.assert_array_equal(found["return_1"], [0, 0, 0])
    np.testing.assert_array_equal(found["direction_1"], [0.5] * 3)
    np.testing.assert_allclose(found["volatility_1"], 0.5 * small.features[5:8, 1])


def test_the_base_rate_is_that_of_the_training_rows(small: Any) -> None:
    found = forecast(small)[BASE_RATE]
    np.testing.assert_allclose(found["return_1"], (-0.01 + 0.01 + 0 - 0.02) / 4)
    np.testing.assert_allclose(found["direction_1"], 1 / 3)
    np.testing.assert_allclose(found["volatility_1"], -5)


def test_drift_is_the_mean_return_of_each_symbols_own_training_rows(make_dataset: Any) -> None:
    dataset = make_dataset(8, symbols=("BTC", "ETH"), names=("return",))
    dataset.targets["return_1"].y[:] = [*([0.01, 0.02, NAN, 0.03] + [0.0] * 4), *([-0.04] * 8)]
    at = np.datetime64("2024-01-01", "us")
    none, train, test = np.array([], dtype=np.int64), [0, 1, 2, 3, 8, 9], [5, 13]
    fold = Fold(0, np.array(train), none, none, np.array(test), at, at, at)
    found = baselines(dataset, fold, fold.test)
    np.testing.assert_allclose(found[DRIFT]["return_1"], [0.02, -0.04])
    np.testing.assert_allclose(found[BASE_RATE]["return_1"], (0.06 - 0.08) / 5)
    alone = Fold(0, np.array([0, 1]), none, none, np.array(test), at, at, at)
    np.testing.assert_allclose(baselines(dataset, alone, alone.test)[DRIFT]["return_1"], [0.015, 0])


def test_reversal_gives_back_a_share_of_the_last_return(small: Any) -> None:
    found = forecast(small)[REVERSAL]
    share = (0.01 * -0.01 - 0.02 * 0.01 - 0.03 * 0.02) / (0.01**2 + 0.02**2 + 0.03**2)
    np.testing.assert_allclose(found["return_1"], [0.02 * share, -0.03 * share, 0])


def test_reversal_of_direction_counts_ups_after_ups_and_after_downs(small: Any) -> None:
    found = forecast(small)[REVERSAL]["direction_1"]
    after_up = (0 + 1) / (2 + 2)  # rows 0 and 3, both down
    after_down = (1 + 1) / (1 + 2)  # row 1, up
    np.testing.assert_allclose(found, [after_up, after_down, 0.5])


def test_har_is_least_squares_on_a_bar_a_day_and_a_week(make_dataset: Any) -> None:
    from sklearn.linear_model import LinearRegression

    dataset = make_dataset(600)
    at = np.datetime64("2024-01-01", "us")
    none = np.array([], dtype=np.int64)
    fold = Fold(0, np.arange(200, 500), none, none, np.arange(500, 590), at, at, at)
    x, y = dataset.features[:, [1, 3, 4]], dataset.targets["volatility_1"].y
    expected = LinearRegression().fit(x[200:500], y[200:500]).predict(x[500:590])
    np.testing.assert_allclose(baselines(dataset, fold, fold.test)[HAR]["volatility_1"], expected)


def test_persistent_volatility_takes_the_window_nearest_to_the_horizon(make_dataset: Any) -> None:
    dataset = make_dataset(400, horizons=(1, 5, 24), names=("volatility",))
    at = np.datetime64("2024-01-01", "us")
    none = np.array([], dtype=np.int64)
    fold = Fold(0, np.arange(200, 300), none, none, np.arange(300, 350), at, at, at)
    found = baselines(dataset, fold, fold.test)[PERSISTENCE]
    for key, column in (("volatility_1", 1), ("volatility_5", 2), ("volatility_24", 3)):
        np.testing.assert_allclose(found[key], 0.5 * dataset.features[300:350, column])
