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

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.inputs import Inputs
from moodtape.forecaster.moments import Moments
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
    answers = {key: _in_units(dataset, target) for key, target in dataset.targets.items()}
    found: dict[str, Floats] = {}
    with one_thread("blas"):
        for keys in _known_together(dataset, answers, fold):
            found |= _fit_predict(dataset, {key: answers[key] for key in keys}, inputs, fold, rows)
    return {key: found[key] for key in dataset.targets}


def _unit(dataset: Dataset, target: Target) -> Floats:
    return answer_unit(target.name, target.horizon_bars, dataset.trailing_variance)


def _in_units(dataset: Dataset, target: Target) -> Floats:
    """Return answers in units in which the deciding loss is a plain squared error. (R,)"""
    return np.asarray(target.y / _unit(dataset, target))


def _known_together(dataset: Dataset, answers: Mapping[str, Floats], fold: Fold) -> list[list[str]]:
    """Return the targets that learn from the same rows together: their inputs add up once."""
    groups: dict[tuple[bytes, int], list[str]] = {}
    past = np.concatenate([fold.train, fold.stop])
    for key, y in answers.items():
        known = (~np.isnan(y[past])).tobytes()
        groups.setdefault((known, dataset.targets[key].horizon_bars), []).append(key)
    return list(groups.values())


def _fit_predict(
    dataset: Dataset, answers: Mapping[str, Floats], inputs: Inputs, fold: Fold, rows: Rows
) -> dict[str, Floats]:
    """Return forecasts at some rows for answers that are known on the same rows."""
    first = next(iter(answers))
    train = fold.train[~np.isnan(answers[first][fold.train])]
    stop = fold.stop[~np.isnan(answers[first][fold.stop])]
    inputs = Inputs(np.hstack([inputs.market, symbol_columns(dataset, train)]), inputs.subject)
    parts = list(_parts(dataset, dataset.targets[first], train, stop))
    chosen = choose(inputs, np.column_stack(list(answers.values())), parts)
    found = {}
    for (key, y), (share, penalty) in zip(answers.items(), chosen, strict=True):
        target = dataset.targets[key]
        fit = _logistic if target.name == "direction" else _ridge
        weights = fit(_joined(inputs, share, train), y[train], penalty)
        told = _predict(weights, _joined(inputs, share, rows), target)
        found[key] = told * _unit(dataset, target)[rows]
    return found


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


def choose(
    inputs: Inputs, answers: Floats, parts: Sequence[tuple[Rows, Rows]]
) -> list[tuple[float, float]]:
    """Return for each answer the share and the penalty with the least squared error.

    Args:
        inputs: of one arm, R rows. answers: shape (R, K).
        parts: pairs of rows that fit and rows that were left out, on which errors count. The
            first fit is on all training rows, every other on some of them.
    """
    shares = SHARES if inputs.subject.any() else SHARES[:1]
    losses = np.zeros((answers.shape[1], len(shares), len(PENALTIES)))
    whole = parts[0][0]
    of_whole = _moments(inputs, answers, whole)
    for fit, out in parts:
        of_out = _moments(inputs, answers, out)
        gone = np.setdiff1d(whole, fit, assume_unique=True)
        left = np.setdiff1d(gone, out, assume_unique=True)
        of_fit = of_whole
        if len(gone):
            of_fit = of_whole.without(of_out).without(_moments(inputs, answers, left))
        columns = np.ones(inputs.market.shape[1] + inputs.subject.shape[1])
        for row, share in enumerate(shares):
            columns[inputs.market.shape[1] :] = share
            losses[:, row] += _path_losses(of_fit, of_out, columns)
    best = [np.unravel_index(int(np.argmin(own)), own.shape) for own in losses]
    return [(shares[int(share)], PENALTIES[int(penalty)]) for share, penalty in best]


def _moments(inputs: Inputs, answers: Floats, rows: Rows) -> Moments:
    return Moments.of(np.hstack([inputs.market[rows], inputs.subject[rows], answers[rows]]))


def _path_losses(fit: Moments, out: Moments, shrunk: Floats) -> Floats:
    """Return the summed squared errors of every penalty from one decomposition. -> (K, penalties)

    Args:
        fit, out: of F columns and then K answers; the ridges are of the first, the errors on
            the second.
        shrunk: what each column is multiplied by, shape (F,).
    """
    count = len(shrunk)
    scaled = fit.products[:count] * shrunk[:, None]
    values, vectors = np.linalg.eigh(scaled[:, :count] * shrunk)
    rotated = vectors.T @ scaled[:, count:]  # (F, K)
    damped = rotated.T[:, None] / (np.maximum(values, 0) + np.array(PENALTIES)[:, None])
    weights = damped @ vectors.T * shrunk  # (K, penalties, F)
    told = out.about(fit.mean)
    answers = np.diag(told)[count:, None]
    crossed = np.einsum("kpf,fk->kp", weights, told[:count, count:])
    squared = np.einsum("kpf,kpf->kp", weights @ told[:count, :count], weights)
    return np.asarray(answers - 2 * crossed + squared)


def _joined(inputs: Inputs, share: float, rows: Rows) -> Floats:
    return np.hstack([inputs.market[rows], share * inputs.subject[rows]])


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
