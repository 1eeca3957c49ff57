"""Losses and scores. A loss gives one number a forecast; a metric is its mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def squared_error(y_true: Floats, y_pred: Floats) -> Floats:
    """Return (y - f)^2. (n,) x (n,) -> (n,)"""
    return (y_true - y_pred) ** 2


def absolute_error(y_true: Floats, y_pred: Floats) -> Floats:
    """Return |y - f|. (n,) x (n,) -> (n,)"""
    return np.abs(y_true - y_pred)


def brier(y_true: Floats, y_pred: Floats) -> Floats:
    """Return (y - p)^2 of a probability; y is 0 or 1. Source: Brier (1950)."""
    return (y_true - y_pred) ** 2


def log_loss(y_true: Floats, y_pred: Floats) -> Floats:
    """Return -log of the probability given to what happened, probabilities cut at 1e-6."""
    p = np.clip(y_pred, 1e-6, 1 - 1e-6)
    return np.asarray(-(y_true * np.log(p) + (1 - y_true) * np.log(1 - p)))


def pinball(y_true: Floats, y_pred: Floats, level: float) -> Floats:
    """Return the quantile loss at `level`. Source: Koenker & Bassett (1978)."""
    gap = y_true - y_pred
    return np.maximum(level * gap, (level - 1) * gap)


def inside(y_true: Floats, low: Floats, high: Floats) -> Floats:
    """Return 1 where the answer lies in an interval, its ends included. 3 x (n,) -> (n,)"""
    return ((low <= y_true) & (y_true <= high)).astype(np.float64)


BINS = 10


def reliability(y_true: Floats, p: Floats, bins: int = BINS) -> list[tuple[float, float, int]]:
    """Return mean probability, share of ups and count in bins of equal counts, by probability.

    Equal counts, since P(up) of a bar hardly leaves the middle; fewer bins where values tie.
    """
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, max(len(edges) - 2, 0))
    return [
        (float(p[place == i].mean()), float(y_true[place == i].mean()), int((place == i).sum()))
        for i in np.unique(place)
    ]


def calibration_error(y_true: Floats, p: Floats) -> float:
    """Return the mean gap between probability and share of ups over bins of equal counts.

    Source: Naeini, Cooper & Hauskrecht (2015), expected calibration error.
    """
    return sum(abs(mean - share) * n for mean, share, n in reliability(y_true, p)) / len(p)


def deciding_loss(
    target: str, y_true: Floats, y_pred: Floats, trailing_variance: Floats, horizon_bars: int
) -> Floats:
    """Return the one loss that a verdict rests on, per forecast.

    `return`: squared error over the trailing variance of such a return; `direction`:
    Brier score; `volatility`: squared error of log volatility.

    Args:
        trailing_variance: variance of one bar's log return as known at the decision, (n,).
    """
    if target == "return":
        return squared_error(y_true, y_pred) / (trailing_variance * horizon_bars)
    if target == "direction":
        return brier(y_true, y_pred)
    return squared_error(y_true, y_pred)


def matthews(y_true: Floats, y_pred: Floats) -> float:
    """Return Matthews' correlation of two 0/1 series; 0 when one class is always said.

    Source: Matthews (1975).
    """
    true, said = y_true > 0.5, y_pred > 0.5
    both, neither = np.sum(true & said), np.sum(~true & ~said)
    wrong_up, wrong_down = np.sum(~true & said), np.sum(true & ~said)
    root = np.sqrt(
        float(both + wrong_up)
        * float(both + wrong_down)
        * float(neither + wrong_up)
        * float(neither + wrong_down)
    )
    if root == 0:
        return 0.0
    return float((float(both) * float(neither) - float(wrong_up) * float(wrong_down)) / root)


def skill(loss: Floats, reference: Floats) -> float:
    """Return 1 - mean loss / mean reference loss; above zero is better than the reference."""
    return float(1 - np.mean(loss) / np.mean(reference))
