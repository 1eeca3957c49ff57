"""What a forecaster must beat: rules that see no text, fitted on the same training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold
    from moodtape.forecaster.target import Target

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

PERSISTENCE, DRIFT, BASE_RATE = "persistence", "drift", "base rate"
REVERSAL, HAR = "reversal", "HAR"


def baselines(dataset: Dataset, fold: Fold, rows: Rows) -> dict[str, dict[str, Floats]]:
    """Return forecasts at some rows by baseline name and target key.

    persistence: the last price stays (return 0, P(up) one half); for volatility, that of
        the last bars comes again.
    drift: the price goes on as it went: the mean return of the symbol's own training rows.
    base rate: the mean answer of the training rows of all symbols.
    reversal: the last bar's return comes back in part; the share is fitted on the training
        rows. For direction, the share of ups after a down and after an up.
    HAR: log volatility on those of a bar, a day and a week (Corsi 2009).
    """
    names = (PERSISTENCE, DRIFT, BASE_RATE, REVERSAL, HAR)
    found: dict[str, dict[str, Floats]] = {name: {} for name in names}
    last_return = _column(dataset, "ret_1")
    for key, target in dataset.targets.items():
        train = fold.train[~np.isnan(target.y[fold.train])]
        y = target.y[train]
        found[BASE_RATE][key] = np.full(len(rows), y.mean())
        if target.name == "return":
            found[PERSISTENCE][key] = np.zeros(len(rows))
            found[DRIFT][key] = _own_mean(y, dataset.symbol[train], dataset.symbol[rows])
            found[REVERSAL][key] = _slope(last_return[train], y) * np.nan_to_num(last_return[rows])
        elif target.name == "direction":
            found[PERSISTENCE][key] = np.full(len(rows), 0.5)
            found[REVERSAL][key] = _after_sign(last_return[train], y, last_return[rows])
        else:
            found[PERSISTENCE][key] = _last_volatility(dataset, target)[rows]
            found[HAR][key] = har(dataset, train, y, rows)
    return {name: forecasts for name, forecasts in found.items() if forecasts}


def _column(dataset: Dataset, name: str) -> Floats:
    names = [c.name for c in dataset.columns]
    result: Floats = dataset.features[:, names.index(name)]
    return result


def _own_mean(y: Floats, symbol: Rows, at: Rows) -> Floats:
    """Return the mean answer of each row's own symbol; 0 for one without training rows."""
    result = np.zeros(len(at))
    for number in np.unique(at):
        own = y[symbol == number]
        result[at == number] = own.mean() if len(own) else 0.0
    return result


def _slope(x: Floats, y: Floats) -> float:
    """Return the least-squares slope through the origin."""
    x = np.nan_to_num(x)
    return float(x @ y / max(float(x @ x), 1e-300))


def _after_sign(before: Floats, up: Floats, at: Floats) -> Floats:
    """Return the share of ups after ups, after downs and after neither, one pseudo-count each."""
    result = np.full(len(at), 0.5)
    for sign in (-1.0, 0.0, 1.0):
        same = np.sign(np.nan_to_num(before)) == sign
        share = (up[same].sum() + 1) / (same.sum() + 2)
        result[np.sign(np.nan_to_num(at)) == sign] = share
    return result


def _last_volatility(dataset: Dataset, target: Target) -> Floats:
    """Return the log volatility of the last `horizon` bars, or of nearly so many."""
    nearest = nearest_variance_bars(target.horizon_bars)
    return np.nan_to_num(0.5 * _column(dataset, f"log_variance_{nearest}"), nan=-5.0)


def nearest_variance_bars(horizon_bars: int) -> int:
    """Return how many last bars stand for a horizon in the persistence of volatility."""
    return min((1, 6, 24), key=lambda bars: abs(bars - horizon_bars))


def har(dataset: Dataset, train: Rows, y: Floats, rows: Rows) -> Floats:
    """Return log volatility at some rows, regressed on that of a bar, a day and a week.

    Source: Corsi (2009).
    """
    names = ("log_variance_1", "log_variance_24", "log_variance_168")
    x = np.column_stack([_column(dataset, name) for name in names])
    present = (~np.isnan(x[train])).sum(axis=0)
    center = np.nansum(x[train], axis=0) / np.maximum(present, 1)
    x = np.nan_to_num(x - center, nan=0.0)
    design = np.hstack([x, np.ones((len(x), 1))])
    weights, *_ = np.linalg.lstsq(design[train], y, rcond=None)
    return np.asarray(design[rows] @ weights)
