"""ARIMA of each symbol's log price and log volatility: the textbook's forecast without texts.

    1. series     last returns (the price once differenced) and half the log variance of a bar
    2. order      of a few, the one with the lowest AIC on the training rows
    3. filter     the state at every row from what was known there, with that fit
    4. forecast   so many bars ahead; of volatility, the mean of them, its level set by training

Source: Box & Jenkins (1970), Time Series Analysis, with the state space of statsmodels.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.forecaster.threads import one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold
    from moodtape.forecaster.target import Target

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

Order = tuple[int, int, int]
RETURN_ORDERS: tuple[Order, ...] = ((0, 0, 0), (1, 0, 0), (1, 0, 1))
VOLATILITY_ORDERS: tuple[Order, ...] = ((1, 0, 0), (1, 0, 1), (2, 0, 1))
STILL = 1e-12
"""The spread of a series that never moves."""

FEWEST = 60
"""A symbol with fewer training bars gets the mean of all symbols' answers."""


def arima(dataset: Dataset, fold: Fold, rows: Rows) -> dict[str, Floats]:
    """Return forecasts at some rows by target key, each shape (m,).

    A forecast at a row uses bars closed by then, and a fit on the fold's training rows.
    """
    found = {key: np.full(len(rows), np.nan) for key in dataset.targets}
    for symbol in np.unique(dataset.symbol[rows]):
        mine = dataset.symbol[rows] == symbol
        train = fold.train[dataset.symbol[fold.train] == symbol]
        with one_thread("blas"):
            own = _symbol(dataset, train, rows[mine])
        for key, values in own.items():
            found[key][mine] = values
    for key, target in dataset.targets.items():
        found[key][np.isnan(found[key])] = np.nanmean(target.y[fold.train])
    return found


def _symbol(dataset: Dataset, train: Rows, rows: Rows) -> dict[str, Floats]:
    """Return the forecasts of one symbol; none where it has too short a past."""
    if len(train) < FEWEST:
        return {}
    first, last = int(train[0]), int(max(train[-1], rows[-1]))
    names = [c.name for c in dataset.columns]
    features = dataset.features[first : last + 1]
    volatility = 0.5 * features[:, names.index("log_variance_1")]
    length = int(train[-1]) - first + 1
    wanted = {t.name != "volatility" for t in dataset.targets.values()}
    paths = {
        is_return: _Path(series, length, orders)
        for is_return, series, orders in (
            (True, features[:, names.index("ret_1")], RETURN_ORDERS),
            (False, volatility, VOLATILITY_ORDERS),
        )
        if is_return in wanted
    }
    return {
        key: _forecast(dataset, target, paths[target.name != "volatility"], train, rows, first)
        for key, target in dataset.targets.items()
    }


def _forecast(
    dataset: Dataset, target: Target, path: _Path, train: Rows, rows: Rows, first: int
) -> Floats:
    """Return forecasts of one target at rows of one symbol."""
    total = path.total(target.horizon_bars)
    if target.name == "volatility":
        mean = total / target.horizon_bars
        level = np.nanmean(target.y[train] - mean[train - first])
        return np.asarray(mean[rows - first] + level)
    if target.name == "return":
        return np.asarray(total[rows - first])
    from scipy.special import ndtr

    spread = np.sqrt(dataset.trailing_variance[rows] * target.horizon_bars)
    return np.asarray(ndtr(total[rows - first] / spread))


class _Path:
    """One series filtered by the order that its first bars chose."""

    def __init__(self, series: Floats, length: int, orders: tuple[Order, ...]) -> None:
        """Fit on the first `length` values, filter all; a missing value is skipped."""
        past = series[:length]
        self._center = float(np.nanmean(past))
        self._scale = max(float(np.nanstd(past)), STILL)
        y = (series - self._center) / self._scale
        order, parameters = _fit(np.nan_to_num(y[:length]), orders)
        filtered = _model(y, order).filter(parameters)
        self._state = filtered.predicted_state[:, 1:]  # (states, T): of the bar after each
        self._mean = float(filtered.params[0])
        self._design = filtered.filter_results.design[0, :, 0]
        self._transition = filtered.filter_results.transition[:, :, 0]

    def total(self, bars: int) -> Floats:
        """Return the sum of the next `bars` values as forecast at each. -> (T,)"""
        weights, step = np.zeros(len(self._design)), self._design
        for _ in range(bars):
            weights, step = weights + step, step @ self._transition
        ahead = weights @ self._state + bars * self._mean
        return np.asarray(ahead * self._scale + bars * self._center)


def _model(y: Floats, order: Order) -> Any:
    from statsmodels.tsa.arima.model import ARIMA

    return ARIMA(y, order=order, trend="c")


def _fit(y: Floats, orders: tuple[Order, ...]) -> tuple[Order, Floats]:
    """Return the order with the lowest AIC and its parameters; y has no missing value."""
    if not y.any():
        return (0, 0, 0), np.array([0.0, 1.0])
    best: tuple[float, Order, Floats] | None = None
    for order in orders:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the start of the search; its end is compared
            found = _model(y, order).fit(method="innovations_mle")
        if best is None or found.aic < best[0]:
            best = float(found.aic), order, np.asarray(found.params)
    assert best is not None
    return best[1:]
