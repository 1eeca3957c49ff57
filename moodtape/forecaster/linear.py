"""Ridge and logistic regression on the last row of each window: the fast forecaster.

The penalty is chosen on the fold's `stop` rows, from a short grid, by the deciding loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.metrics import deciding_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.arms import Inputs
    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(0, 6.5, 0.5))
"""Ridge penalties tried, relative to columns of unit variance."""

NEWTON_STEPS = 30


def fit_predict_linear(dataset: Dataset, inputs: Inputs, fold: Fold, rows: Rows) -> dict[str, Floats]:
    """Return forecasts at some rows for every target of the dataset.

    Args:
        inputs: scaled inputs of one arm.
        fold: train rows fit, stop rows choose the penalty.
        rows: where to forecast, shape (m,).
    Returns:
        By target key: mean log return, P(up) or log volatility, each shape (m,).
    """
    x = np.hstack([inputs.market, inputs.subject])
    forecasts = {}
    for key, target in dataset.targets.items():
        scale = np.ones(len(x))
        if target.name == "return":
            scale = np.sqrt(dataset.trailing_variance * target.horizon_bars)
        fit = _logistic_path if target.name == "direction" else _ridge_path
        train = fold.train[~np.isnan(target.y[fold.train])]
        stop = fold.stop[~np.isnan(target.y[fold.stop])]
        path = fit(x[train], target.y[train] / scale[train])
        losses = [
            deciding_loss(
                target.name, target.y[stop], _predict(weights, x[stop], target.name) * scale[stop],
                dataset.trailing_variance[stop], target.horizon_bars,
            ).mean()
            for weights in path
        ]
        best = path[int(np.argmin(losses))]
        forecasts[key] = _predict(best, x[rows], target.name) * scale[rows]
    return forecasts


def _predict(weights: Floats, x: Floats, target: str) -> Floats:
    """Return the linear response, or its logistic for a probability. The last weight is the constant."""
    response = x @ weights[:-1] + weights[-1]
    if target == "direction":
        return np.asarray(1 / (1 + np.exp(-np.clip(response, -30, 30))))
    return np.asarray(response)


def _ridge_path(x: Floats, y: Floats) -> list[Floats]:
    """Return weights for every penalty from one decomposition; the constant is not penalised."""
    mean_x, mean_y = x.mean(axis=0), y.mean()
    centered = x - mean_x
    values, vectors = np.linalg.eigh(centered.T @ centered)
    rotated = vectors.T @ (centered.T @ (y - mean_y))
    path = []
    for penalty in PENALTIES:
        weights = vectors @ (rotated / (np.maximum(values, 0) + penalty))
        path.append(np.append(weights, mean_y - mean_x @ weights))
    return path


def _logistic_path(x: Floats, y: Floats) -> list[Floats]:
    """Return weights for every penalty by Newton's method, the heaviest penalty first."""
    design = np.hstack([x, np.ones((len(x), 1))])
    share = np.clip(y.mean(), 1e-3, 1 - 1e-3)
    weights = np.append(np.zeros(x.shape[1]), np.log(share / (1 - share)))
    path = []
    for penalty in reversed(PENALTIES):
        ridge = np.append(np.full(x.shape[1], penalty), 0.0)
        for _ in range(NEWTON_STEPS):
            p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
            gradient = design.T @ (p - y) + ridge * weights
            curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge + 1e-9)
            step = np.linalg.solve(curvature, gradient)
            weights = weights - step
            if np.abs(step).max() < 1e-8:
                break
        path.append(weights)
    return path[::-1]
