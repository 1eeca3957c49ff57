from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster import linear
from moodtape.forecaster.forecasters import FORECASTERS
from moodtape.forecaster.inputs import Inputs
from moodtape.forecaster.moments import Moments
from moodtape.forecaster.splits import Fold


def problem(count: int = 300, columns: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, columns))
    return x, x @ rng.standard_normal(columns) + 2 + rng.standard_normal(count)


@pytest.mark.parametrize("penalty", [1.0, 100.0])
def test_ridge_against_sklearn(penalty: float) -> None:
    from sklearn.linear_model import Ridge

    x, y = problem()
    expected = Ridge(alpha=penalty).fit(x, y)
    weights = linear._ridge(x, y, penalty)
    np.testing.assert_allclose(weights, [*expected.coef_, expected.intercept_])


def test_losses_of_a_path_are_those_of_each_ridge() -> None:
    x, y = problem()
    answers = np.column_stack([y, np.random.default_rng(3).standard_normal(len(y))])
    fit, out = (Moments.of(np.hstack([x, answers])[rows]) for rows in PARTS[0])
    shrunk = np.array([1.0, 1.0, 1.0, 0.3, 0.3])
    losses = linear._path_losses(fit, out, shrunk)
    for own, losses_of_one in zip(answers.T, losses, strict=True):
        for penalty, loss in zip(linear.PENALTIES, losses_of_one, strict=True):
            weights = linear._ridge(x[:200] * shrunk, own[:200], penalty)
            told = (x[200:] * shrunk) @ weights[:-1] + weights[-1]
            assert loss == pytest.approx(np.sum((own[200:] - told) ** 2), rel=1e-10)


def test_parts_that_leave_rows_out_are_fitted_as_if_they_were_alone() -> None:
    x, y = problem()
    inputs = Inputs(x[:, :3], x[:, 3:])
    fit = np.concatenate([np.arange(80), np.arange(130, 200)])
    parts = [*PARTS, (fit, np.arange(90, 120))]
    losses = np.zeros((len(linear.SHARES), len(linear.PENALTIES)))
    for row, share in enumerate(linear.SHARES):
        shrunk = np.hstack([x[:, :3], share * x[:, 3:]])
        for column, penalty in enumerate(linear.PENALTIES):
            for some, out in parts:
                weights = linear._ridge(shrunk[some], y[some], penalty)
                told = shrunk[out] @ weights[:-1] + weights[-1]
                losses[row, column] += np.sum((y[out] - told) ** 2)
    share, penalty = np.unravel_index(int(np.argmin(losses)), losses.shape)
    expected = (linear.SHARES[int(share)], linear.PENALTIES[int(penalty)])
    assert linear.choose(inputs, y[:, None], parts) == [expected]


def test_answers_that_are_known_elsewhere_are_fitted_as_if_they_were_alone(
    make_dataset: Any,
) -> None:
    """A direction has no answer where the price stays; that costs the other targets no row."""
    dataset = make_dataset(600, pull=0.5)
    dataset.targets["direction_1"].y[100:160] = np.nan
    fold = one_fold(600)
    x = np.nan_to_num(dataset.features)
    inputs = Inputs(x[:, :6], x[:, 6:])
    together = linear.fit_predict_linear(dataset, inputs, fold, fold.test)
    for key, target in dataset.targets.items():
        alone = replace(dataset, targets={key: target})
        found = linear.fit_predict_linear(alone, inputs, fold, fold.test)[key]
        np.testing.assert_allclose(together[key], found, rtol=1e-9)


@pytest.mark.parametrize("penalty", [4.0, 400.0])
def test_logistic_against_sklearn(penalty: float) -> None:
    from sklearn.linear_model import LogisticRegression

    x, response = problem()
    y = (response > 2).astype(float)
    strength = 1 / (linear.LOGISTIC_SHARE * penalty)
    expected = LogisticRegression(C=strength, tol=1e-10, max_iter=1000).fit(x, y)
    weights = linear._logistic(x, y, penalty)
    np.testing.assert_allclose(weights, [*expected.coef_[0], expected.intercept_[0]], rtol=1e-5)


def test_logistic_of_one_class_alone_is_finite() -> None:
    x, _ = problem()
    assert np.isfinite(linear._logistic(x, np.ones(len(x)), 10.0)).all()


def test_a_column_without_values_gets_no_weight() -> None:
    x, y = problem()
    padded = np.hstack([x, np.zeros((len(x), 2))])
    np.testing.assert_allclose(linear._ridge(padded, y, 10.0)[5:7], 0)


PARTS = [(np.arange(200), np.arange(200, 300))]


def chosen(inputs: Inputs, y: np.ndarray) -> tuple[float, float]:
    [found] = linear.choose(inputs, y[:, None], PARTS)
    return found


def test_noise_gets_a_heavy_penalty_and_signal_a_light_one() -> None:
    x, y = problem()
    noise = np.random.default_rng(1).standard_normal(len(x))
    none = x[:, :0]
    share, penalty = chosen(Inputs(x, none), y)
    assert (share, penalty <= 10) == (1.0, True)
    assert chosen(Inputs(x, none), noise)[1] >= 1e3


def test_a_group_that_says_nothing_is_shrunk_beside_a_market_that_speaks() -> None:
    x, y = problem()
    noise = np.random.default_rng(2).standard_normal((len(x), 40))
    share, penalty = chosen(Inputs(x, noise), y)
    assert share == min(linear.SHARES)
    assert penalty <= 10
    assert chosen(Inputs(x[:, :2], x[:, 2:]), y)[0] == 1.0


def one_fold(count: int) -> Fold:
    at = np.datetime64("2024-01-01", "us")
    parts = np.split(np.arange(count), [count // 2, count * 6 // 10, count * 7 // 10])
    return Fold(0, *parts, at, at, at)


def test_blocks_left_out_share_no_label_with_those_that_fit(make_dataset: Any) -> None:
    dataset = make_dataset(600, symbols=("BTC", "ETH"), horizons=(5,), names=("return",))
    target = dataset.targets["return_5"]
    rows = np.lexsort((dataset.symbol, dataset.cutoff))
    train, stop = rows[100:500], rows[520:600]
    parts = list(linear._parts(dataset, target, train, stop))
    assert np.array_equal(parts[0][0], train)
    assert np.array_equal(parts[0][1], stop)
    out = np.concatenate([left for _, left in parts[1:]])
    assert sorted(out) == sorted(train), "each training row is left out once"
    for fit, left in parts[1:]:
        first, last = dataset.cutoff[left].min(), target.known_at[left].max()
        early = dataset.cutoff[fit] < first
        assert (target.known_at[fit][early] <= first).all()
        assert (dataset.cutoff[fit][~early] >= last).all()
        assert len(fit) + len(left) >= len(train) - 2 * 2 * 5


def test_forecasts_do_not_depend_on_what_is_tested(make_dataset: Any) -> None:
    dataset = make_dataset(600, pull=0.5)
    fold = one_fold(600)
    x = np.nan_to_num(dataset.features)
    inputs = Inputs(x[:, :6], x[:, 6:])
    whole = linear.fit_predict_linear(dataset, inputs, fold, fold.test)
    for target in dataset.targets.values():
        target.y[fold.test] = 1e3
    x[fold.test[50:]] = 7.0
    inputs = Inputs(x[:, :6], x[:, 6:])
    again = linear.fit_predict_linear(dataset, inputs, fold, fold.test)
    for key, values in whole.items():
        assert np.array_equal(values[:50], again[key][:50]), key


def test_a_strong_effect_is_forecast(make_dataset: Any) -> None:
    dataset = make_dataset(2000, pull=1.0)
    fold = one_fold(2000)
    x = np.nan_to_num(dataset.features)
    found = linear.fit_predict_linear(dataset, Inputs(x[:, :6], x[:, 6:]), fold, fold.test)
    y = dataset.targets["return_1"].y[fold.test]
    known = ~np.isnan(y)
    error = (y - found["return_1"])[known]
    assert 1 - np.mean(error**2) / np.var(y[known]) == pytest.approx(0.5, abs=0.08)
    up = found["direction_1"]
    assert ((up > 0) & (up < 1)).all()
    assert np.corrcoef(up[known], y[known])[0, 1] > 0.6


@pytest.mark.parametrize("name", ["linear", "boosting"])
def test_a_panel_knows_which_of_its_assets_is_the_calmer(make_dataset: Any, name: str) -> None:
    """Columns are scaled asset by asset: nothing in them says which one a row is of."""
    dataset = make_dataset(1000, symbols=("BTC", "ETH", "NEW"), names=("volatility",))
    at = np.datetime64("2024-01-01", "us")
    parts = [
        np.flatnonzero((np.tile(np.arange(1000), 3) >= low) & (np.tile(np.arange(1000), 3) < high))
        for low, high in ((0, 600), (600, 700), (700, 800), (800, 990))
    ]
    parts[:2] = [rows[dataset.symbol[rows] < 2] for rows in parts[:2]]
    fold = Fold(0, *parts, at, at, at)
    y = dataset.targets["volatility_1"].y
    y[:] = (
        np.random.default_rng(0).standard_normal(3000) + np.array([-2.0, 1.0, 5.0])[dataset.symbol]
    )
    inputs = Inputs(np.nan_to_num(dataset.features[:, :6]), np.zeros((3000, 0)))
    fit_predict = FORECASTERS[name].open(Config())
    found = fit_predict(dataset, inputs, fold, fold.test, seed=0)["volatility_1"]
    of = dataset.symbol[fold.test]
    assert found[of == 0].mean() == pytest.approx(-2, abs=0.25)
    assert found[of == 1].mean() == pytest.approx(1, abs=0.25)
    if name == "linear":
        assert found[of == 2].mean() == pytest.approx(-0.5, abs=0.25), "never seen: like the mean"


def test_a_single_asset_has_no_column_of_its_own(make_dataset: Any) -> None:
    dataset = make_dataset(50)
    assert linear.symbol_columns(dataset, np.arange(40)).shape == (50, 0)
