import numpy as np
import pytest

from moodtape.forecaster.features.volatility import garman_klass
from moodtape.forecaster.target import make_targets, trailing_variance

NAMES = ("return", "direction", "volatility")
NAN = np.nan


def hours(count: int) -> np.ndarray:
    return np.datetime64("2024-01-01T01:00", "us") + np.arange(count) * np.timedelta64(1, "h")


def bars_of(close: list[float]) -> dict[str, np.ndarray]:
    values = np.array(close)
    return {"open": values, "high": values * 1.02, "low": values / 1.01, "close": values}


def test_return_is_the_log_change_that_begins_at_the_decisions_close() -> None:
    targets = make_targets(bars_of([100, 110, 99]), hours(3), NAMES, (1,), 1.0)
    expected = [np.log(1.1), np.log(0.9), NAN]
    np.testing.assert_allclose(targets["return_1"].y, expected)
    np.testing.assert_array_equal(targets["direction_1"].y, [1, 0, NAN])


def test_an_answer_is_known_when_its_last_bar_closes() -> None:
    known = make_targets(bars_of([100, 110, 99]), hours(3), NAMES, (2,), 1.0)["return_2"].known_at
    assert known[0] == np.datetime64("2024-01-01T03:00")
    assert np.isnat(known[1:]).all()


def test_a_return_of_exactly_zero_leaves_the_direction_and_is_counted() -> None:
    target = make_targets(bars_of([100, 100, 101]), hours(3), NAMES, (1,), 1.0)["direction_1"]
    np.testing.assert_array_equal(target.y, [NAN, 1, NAN])
    assert target.left_out == 1


def test_only_rows_that_decide_are_counted() -> None:
    decides = np.array([False, True, True])
    made = make_targets(bars_of([100, 100, 100]), hours(3), NAMES, (1,), 900.0, decides)
    assert (made["direction_1"].left_out, made["volatility_1"].left_out) == (1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_spans_a_gap_is_missing(name: str) -> None:
    bars = bars_of([100, 101, 102, NAN, 104, 105, 106])
    y = make_targets(bars, hours(7), NAMES, (2,), 1.0)[f"{name}_2"].y
    assert np.isnan(y).tolist() == [False, True, True, True, False, True, True]


def test_volatility_is_half_the_log_of_the_mean_variance_of_the_bars_after() -> None:
    bars = {
        "open": np.array([10.0, 10.0, 11.0]),
        "high": np.array([10.5, 11.5, 12.0]),
        "low": np.array([9.5, 9.5, 10.0]),
        "close": np.array([10.0, 11.0, 10.5]),
    }
    second = 0.5 * np.log(11.5 / 9.5) ** 2 - (2 * np.log(2) - 1) * np.log(11 / 10) ** 2
    third = 0.5 * np.log(12 / 10) ** 2 - (2 * np.log(2) - 1) * np.log(10.5 / 11) ** 2
    y = make_targets(bars, hours(3), NAMES, (2,), 1.0)["volatility_2"].y
    assert y[0] == pytest.approx(0.5 * np.log((second + third) / 2))
    assert np.isnan(y[1:]).all()


def test_volatility_has_a_floor_of_one_basis_point_and_counts_what_lay_below() -> None:
    flat = {name: np.full(4, 10.0) for name in ("open", "high", "low", "close")}
    target = make_targets(flat, hours(4), ("volatility",), (1,), 1.0)["volatility_1"]
    np.testing.assert_allclose(target.y[:3], np.log(1e-4))
    assert target.left_out == 3


def test_garman_klass_is_never_negative_inside_a_bars_range() -> None:
    rng = np.random.default_rng(0)
    low, high = np.full(500, 10.0), 10 + rng.uniform(0, 2, 500)
    opened, close = (low + rng.uniform(0, 1, 500) * (high - low) for _ in range(2))
    assert (garman_klass(opened, high, low, close) >= 0).all()


def test_trailing_variance_is_the_mean_square_of_a_week_of_returns_known_at_the_row() -> None:
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(400)))
    close[300:310] = NAN
    result = trailing_variance(close)
    for row in (60, 170, 299, 320, 399):
        window = [
            np.log(close[i] / close[i - 1]) ** 2
            for i in range(max(1, row - 167), row + 1)
            if not np.isnan(close[i] + close[i - 1])
        ]
        assert result[row] == pytest.approx(np.mean(window)), row
    assert np.isnan(result[:50]).all(), "less than 30 % of a week is no estimate"


def test_trailing_variance_of_a_price_that_stands_still_is_a_basis_point() -> None:
    assert trailing_variance(np.full(200, 7.0))[-1] == pytest.approx(1e-8)
