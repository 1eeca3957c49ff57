"""Ridge and logistic regression on the last row of each window: the fast forecaster.

    1. parts     the training rows in a few blocks of time; each, then `stop`, is left out once
    2. choose    penalty and share of the group under test, by the loss on what was left out
    3. fit       on all training rows with that choice

Choosing on `stop` alone is choosing by luck: it holds a tenth of the rows, and the signal
is a hundredth of the noise. The group under test has a penalty of its own, since with the
market's it costs 1 % of the loss on volatility where it says nothing. In a panel each asset
has a constant of its own, penalised like a market column: columns are scaled asset by asset,
so nothing else says that one is calmer than another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.inputs import Inputs
from moodtape.forecaster.target import answer_unit
from moodtape.forecaster.threads import one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold
    from moodtape.forecaster.target import Target

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(0, 6.5, 0.5))
"""Ridge penalties tried, for columns of unit variance."""

SHARES = (1.0, 0.3, 0.1, 0.03)
"""The group under test is shrunk to one of these, so that its penalty grows by 1 / share^2."""

LOGISTIC_SHARE = 0.25
"""A logistic fit bends by p (1 - p), about a quarter: its penalty is this share of a ridge's."""

BLOCKS = 5
NEWTON_STEPS = 30


def fit_predict_linear(
    dataset: Dataset, inputs: Inputs, fold: Fold, rows: Rows, *, seed: int = 0
) -> dict[str, Floats]:
    """Return forecasts at some rows for every target of the dataset.

    Args:
        inputs: scaled inputs of one arm.
        seed: the fit draws nothing, so every seed gives the same.
        fold: train rows fit; blocks of them and the stop rows choose the penalties.
        rows: where to forecast, shape (m,).
    Returns:
        By target key: mean log return, P(up) or log volatility, each shape (m,).
    """
    del seed
    with one_thread("blas"):
        return {
            key: _fit_predict(dataset, target, inputs, fold, rows)
            for key, target in dataset.targets.items()
        }


def _fit_predict(
    dataset: Dataset, target: Target, inputs: Inputs, fold: Fold, rows: Rows
) -> Floats:
    """Return forecasts of one target at some rows."""
    unit = answer_unit(target.name, target.horizon_bars, dataset.trailing_variance)
    # In these units the deciding loss of every target is a plain squared error.
    y = target.y / unit
    train = fold.train[~np.isnan(y[fold.train])]
    stop = fold.stop[~np.isnan(y[fold.stop])]
    inputs = Inputs(np.hstack([inputs.market, symbol_columns(dataset, train)]), inputs.subject)
    share, penalty = choose(inputs, y, list(_parts(dataset, target, train, stop)))
    x = _joined(inputs, share)
    fit = _logistic if target.name == "direction" else _ridge
    return _predict(fit(x[train], y[train], penalty), x[rows], target) * unit[rows]


def symbol_columns(dataset: Dataset, train: Rows) -> Floats:
    """Return a column of unit variance for each symbol; none where there is only one. -> (R, S)

    Args:
        train: the rows that say how rare a symbol is. One without any is like the mean of all.
    """
    count = len(dataset.symbols)
    if count < 2:
        return np.zeros((len(dataset.symbol), 0))
    is_symbol = dataset.symbol[:, None] == np.arange(count)
    share = is_symbol[train].mean(axis=0)
    spread = np.sqrt(share * (1 - share))
    known = (spread > 0) & (share[dataset.symbol] > 0)[:, None]
    return np.where(known, (is_symbol - share) / np.where(spread > 0, spread, 1.0), 0.0)


def choose(inputs: Inputs, y: Floats, parts: list[tuple[Rows, Rows]]) -> tuple[float, float]:
    """Return the share and the penalty with the least squared error on what was left out.

    Args:
        inputs: of one arm, R rows. y: shape (R,).
        parts: pairs of rows that fit and rows that were left out.
    """
    shares = SHARES if inputs.subject.any() else SHARES[:1]
    losses = np.zeros((len(shares), len(PENALTIES)))
    for row, share in enumerate(shares):
        x = _joined(inputs, share)
        for fit, out in parts:
            errors = y[out] - _ridge_paths(x[fit], y[fit], x[out])
            losses[row] += (errors**2).sum(axis=1)
    best_share, best_penalty = np.unravel_index(int(np.argmin(losses)), losses.shape)
    return shares[int(best_share)], PENALTIES[int(best_penalty)]


def _joined(inputs: Inputs, share: float) -> Floats:
    return np.hstack([inputs.market, share * inputs.subject])


def _parts(
    dataset: Dataset, target: Target, train: Rows, stop: Rows
) -> Iterator[tuple[Rows, Rows]]:
    """Yield rows that fit and rows left out, no label of the one reaching into the other."""
    yield train, stop
    cutoff, known_at = dataset.cutoff, target.known_at
    for block in np.array_split(np.unique(cutoff[train]), BLOCKS):
        out = train[(cutoff[train] >= block[0]) & (cutoff[train] <= block[-1])]
        before = known_at[train] <= block[0]
        after = cutoff[train] >= known_at[out].max()
        yield train[before | after], out


def _ridge_paths(x: Floats, y: Floats, at: Floats) -> Floats:
    """Return forecasts under every penalty from one decomposition. -> (penalties, m)"""
    mean_x, mean_y = x.mean(axis=0), y.mean()
    centered = x - mean_x
    values, vectors = np.linalg.eigh(centered.T @ centered)
    rotated = vectors.T @ (centered.T @ (y - mean_y))
    shrunk = rotated / (np.maximum(values, 0) + np.array(PENALTIES)[:, None])
    return np.asarray(mean_y + (shrunk @ vectors.T) @ (at - mean_x).T)


def _ridge(x: Floats, y: Floats, penalty: float) -> Floats:
    """Return weights; the last is the constant, which is not penalised. -> (F + 1,)"""
    mean_x, mean_y = x.mean(axis=0), y.mean()
    centered = x - mean_x
    gram = centered.T @ centered + penalty * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, centered.T @ (y - mean_y))
    return np.append(weights, mean_y - mean_x @ weights)


def _logistic(x: Floats, y: Floats, penalty: float) -> Floats:
    """Return weights by Newton's method from the base rate; the last is the constant."""
    design = np.hstack([x, np.ones((len(x), 1))])
    share = np.clip(y.mean(), 1e-3, 1 - 1e-3)
    weights = np.append(np.zeros(x.shape[1]), np.log(share / (1 - share)))
    ridge = np.append(np.full(x.shape[1], LOGISTIC_SHARE * penalty), 0.0)
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (p - y) + ridge * weights
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def _predict(weights: Floats, x: Floats, target: Target) -> Floats:
    """Return the linear response, or its logistic for a probability."""
    response = x @ weights[:-1] + weights[-1]
    if target.name == "direction":
        return np.asarray(1 / (1 + np.exp(-np.clip(response, -30, 30))))
    return np.asarray(response)
