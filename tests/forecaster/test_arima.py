"""ARIMA against the forecasts that statsmodels itself makes, step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.tsa.arima.model import ARIMA

from moodtape.forecaster import arima as module
from moodtape.forecaster.arima import FEWEST, arima
from moodtape.forecaster.splits import Fold

HORIZONS = (1, 4)


def fold_of(dataset: Any, train: tuple[int, int] = (170, 700), test: Any = (720, 790)) -> Fold:
    at = np.datetime64("2024-01-01", "us")
    place = np.concatenate([np.arange(np.sum(dataset.symbol == s)) for s in (0, 1)])
    none = np.array([], dtype=np.int64)

    def rows(first: int, last: int) -> np.ndarray:
        return np.flatnonzero((place >= first) & (place < last))

    return Fold(0, rows(*train), none, none, rows(*test), at, at, at)


@pytest.fixture(scope="module")
def dataset(make_dataset: Any) -> Any:
    """Return 800 bars whose return follows the last one, with a hole in them."""
    dataset = make_dataset(800, horizons=HORIZONS)
    rng = np.random.default_rng(4)
    returns = np.zeros(800)
    for i in range(1, 800):
        returns[i] = -0.5 * returns[i - 1] + 0.01 * rng.standard_normal()
    dataset.features[:, 0] = returns
    dataset.features[[300, 301, 750], 0] = np.nan
    return dataset


def by_statsmodels(series: Any, row: int, bars: int, order: Any) -> np.ndarray:
    """Return the next values as forecast at a row, by a fit on rows 170 to 699."""
    past, center, scale = series[170:700], np.nanmean(series[170:700]), np.nanstd(series[170:700])
    fitted = ARIMA(np.nan_to_num((past - center) / scale), order=order, trend="c").fit(
        method="innovations_mle"
    )
    told = ARIMA((series[170 : row + 1] - center) / scale, order=order, trend="c")
    return told.filter(fitted.params).forecast(bars) * scale + center


@pytest.mark.parametrize("bars", HORIZONS)
def test_forecasts_are_those_of_statsmodels(
    dataset: Any, bars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETURN_ORDERS", ((1, 0, 1),))
    monkeypatch.setattr(module, "VOLATILITY_ORDERS", ((2, 0, 1),))
    fold = fold_of(dataset)
    found = arima(dataset, fold, fold.test)
    volatility = 0.5 * dataset.features[:, 1]
    spread = np.sqrt(dataset.trailing_variance * bars)
    y = dataset.targets[f"volatility_{bars}"].y
    level = np.mean(
        [y[r] - by_statsmodels(volatility, r, bars, (2, 0, 1)).mean() for r in range(170, 700, 53)]
    )
    for number in (0, 29, 30, 69):  # the bar before the hole, the hole, the last
        row = fold.test[number]
        ahead = by_statsmodels(dataset.features[:, 0], row, bars, (1, 0, 1)).sum()
        assert found[f"return_{bars}"][number] == pytest.approx(ahead, rel=1e-6)
        assert found[f"direction_{bars}"][number] == pytest.approx(norm.cdf(ahead / spread[row]))
        ahead = by_statsmodels(volatility, row, bars, (2, 0, 1)).mean()
        # The level is the mean over all training rows; here, over a few of them.
        assert found[f"volatility_{bars}"][number] == pytest.approx(ahead + level, abs=0.15)


def test_the_order_with_the_lowest_aic_is_taken(dataset: Any) -> None:
    y = np.nan_to_num(dataset.features[170:700, 0])
    order, parameters = module._fit(y / y.std(), module.RETURN_ORDERS)
    assert order == (1, 0, 0)
    assert parameters[1] == pytest.approx(-0.5, abs=0.1)
    noise = np.random.default_rng(0).standard_normal(530)
    assert module._fit(noise, module.RETURN_ORDERS)[0] == (0, 0, 0)


def test_forecasts_do_not_move_with_what_comes_after_them(dataset: Any) -> None:
    fold = fold_of(dataset)
    honest = arima(dataset, fold, fold.test)
    features = dataset.features.copy()
    cut = fold.test[40]
    features[cut + 1 :] *= -2
    targets = {k: replace(t, y=t.y.copy()) for k, t in dataset.targets.items()}
    for target in targets.values():
        target.y[fold.test[0] :] = 0.5
    changed = arima(replace(dataset, features=features, targets=targets), fold, fold.test)
    for key, values in honest.items():
        assert values[:41].tobytes() == changed[key][:41].tobytes(), key
        assert not np.array_equal(values[41:], changed[key][41:]), key


def test_each_symbol_has_a_fit_of_its_own(make_dataset: Any) -> None:
    both = make_dataset(800, symbols=("BTC", "ETH"))
    alone = make_dataset(800)
    fold = fold_of(both)
    found = arima(both, fold, fold.test)
    own = fold.test[both.symbol[fold.test] == 0]
    alone_fold = replace(fold, train=fold.train[both.symbol[fold.train] == 0], test=own)
    expected = arima(alone, alone_fold, own)
    for key, values in found.items():
        np.testing.assert_array_equal(values[both.symbol[fold.test] == 0], expected[key])


def test_a_short_past_and_a_price_that_stands_still(make_dataset: Any) -> None:
    dataset = make_dataset(800, symbols=("BTC", "ETH"))
    still = dataset.symbol == 0
    dataset.features[still, 0] = 0.0
    dataset.features[still, 1] = -18.0
    fold = fold_of(dataset)
    few = fold.train[(dataset.symbol[fold.train] == 0) | (fold.train < 800 + 170 + FEWEST - 1)]
    fold = replace(fold, train=few)
    found = arima(dataset, fold, fold.test)
    first = dataset.symbol[fold.test] == 0
    np.testing.assert_array_equal(found["return_1"][first], 0)
    np.testing.assert_array_equal(found["direction_1"][first], 0.5)
    for key, values in found.items():
        mean = np.nanmean(dataset.targets[key].y[fold.train])
        np.testing.assert_allclose(values[~first], mean)
