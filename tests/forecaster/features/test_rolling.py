from collections.abc import Callable

import numpy as np
import pytest

from moodtape.forecaster.features import rolling

NAN = np.nan


def window(x: np.ndarray, i: int, steps: int) -> np.ndarray:
    return x[max(0, i - steps + 1) : i + 1]


@pytest.mark.parametrize(
    ("fast", "slow"),
    [
        (rolling.rolling_mean, np.mean),
        (rolling.rolling_std, np.std),
        (rolling.rolling_max, np.max),
        (rolling.rolling_min, np.min),
    ],
)
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_windows_against_a_plain_loop(
    fast: Callable[..., np.ndarray], slow: Callable[..., float], steps: int
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(200)
    x[rng.integers(0, 200, 30)] = NAN
    result = fast(x, steps, 0.6)
    for i in range(200):
        there = window(x, i, steps)
        there = there[~np.isnan(there)]
        if len(there) >= max(1, 0.6 * steps):
            assert result[i] == pytest.approx(slow(there)), i
        else:
            assert np.isnan(result[i]), i


def test_decayed_sum_against_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(120)
    x[[3, 50, 51]] = NAN
    result = rolling.decayed_sum(x, 0.8, 20)
    for i in range(120):
        terms = [0.8**k * x[i - k] for k in range(20) if i >= k and not np.isnan(x[i - k])]
        assert result[i] == pytest.approx(sum(terms)), i


def test_decayed_mean_by_hand() -> None:
    x = np.array([1.0, NAN, 4.0])
    result = rolling.decayed_mean(x, 0.5, 3, min_weight=0.0)
    np.testing.assert_allclose(result, [1, 1, (4 + 0.25) / 1.25])
    strict = rolling.decayed_mean(x, 0.5, 3, min_weight=0.7)
    assert np.isnan(strict).tolist() == [True, True, False], "1 / 1.75 of the weight is too little"


def test_lags_and_log_changes_by_hand() -> None:
    x = np.array([1.0, 2.0, 8.0])
    np.testing.assert_array_equal(rolling.lagged(x, 1), [NAN, 1, 2])
    np.testing.assert_array_equal(rolling.lagged(x, 0), x)
    np.testing.assert_array_equal(rolling.lagged(x, 5), [NAN, NAN, NAN])
    np.testing.assert_allclose(rolling.log_change(x, 2), [NAN, NAN, np.log(8)])


@pytest.mark.parametrize("steps", [1, 2, 31, 32, 100])
def test_a_value_has_the_same_bits_wherever_the_series_begins(steps: int) -> None:
    x = 1e5 + np.random.default_rng(2).standard_normal(500)
    x[[3, 250, 251]] = NAN

    def windows(part: np.ndarray) -> list[np.ndarray]:
        means = [rolling.rolling_mean(part, steps), rolling.rolling_std(part, steps)]
        return [*means, rolling.rolling_max(part, steps), rolling.decayed_sum(part, 0.9, steps)]

    for start in (1, 77, 300):
        for whole, part in zip(windows(x), windows(x[start:]), strict=True):
            assert whole[start + steps - 1 :].tobytes() == part[steps - 1 :].tobytes()


def test_a_small_deviation_of_large_values_is_not_lost() -> None:
    x = 1e8 + np.tile([0.0, 1e-3], 50)
    np.testing.assert_allclose(rolling.rolling_std(x, 20)[19:], 5e-4, rtol=1e-5)
