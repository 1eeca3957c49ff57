"""Windows over a grid with holes: every value depends on its own last steps alone.

Nothing here accumulates over the whole series, so that a value has the same bits
wherever the series begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_CHUNK = 8_192


def lagged(x: Floats, steps: int) -> Floats:
    """Return `x` as of some steps ago; NaN before there was one. (T,) -> (T,)"""
    if steps == 0:
        return x.copy()
    return np.concatenate([np.full(min(steps, len(x)), np.nan), x[:-steps]])


def log_change(x: Floats, steps: int) -> Floats:
    """Return log(x[i] / x[i - steps]). (T,) -> (T,)"""
    return np.log(x) - np.log(lagged(x, steps))


def over_windows(
    x: Floats, steps: int, reduce: Callable[[Floats], Floats], min_share: float = 0.8
) -> Floats:
    """Return `reduce` of each last `steps` values, NaN where fewer than `min_share` are there.

    reduce: (m, steps) -> (m,), aware of NaN.
    """
    padded = np.concatenate([np.full(steps - 1, np.nan), x])
    view = np.lib.stride_tricks.sliding_window_view(padded, steps)
    result = np.full(len(x), np.nan)
    for start in range(0, len(x), _CHUNK):
        part = view[start : start + _CHUNK]
        enough = (~np.isnan(part)).sum(axis=1) >= max(1, min_share * steps)
        rows = np.flatnonzero(enough)
        if len(rows):
            result[start + rows] = reduce(part[rows])
    return result


def rolling_mean(x: Floats, steps: int, min_share: float = 0.8) -> Floats:
    """Return the mean of the last `steps` values. (T,) -> (T,)"""
    return over_windows(x, steps, lambda w: np.nanmean(w, axis=1), min_share)


def rolling_std(x: Floats, steps: int, min_share: float = 0.8) -> Floats:
    """Return the standard deviation (ddof 0) of the last `steps` values. (T,) -> (T,)"""
    return over_windows(x, steps, lambda w: np.nanstd(w, axis=1), min_share)


def rolling_max(x: Floats, steps: int, min_share: float = 0.8) -> Floats:
    """Return the largest of the last `steps` values. (T,) -> (T,)"""
    return over_windows(x, steps, lambda w: np.nanmax(w, axis=1), min_share)


def rolling_min(x: Floats, steps: int, min_share: float = 0.8) -> Floats:
    """Return the smallest of the last `steps` values. (T,) -> (T,)"""
    return over_windows(x, steps, lambda w: np.nanmin(w, axis=1), min_share)


def decayed_sum(x: Floats, decay: float, steps: int) -> Floats:
    """Return sum over k < steps of decay**k * x[i - k], missing values left out. (T,) -> (T,)

    The kernel is cut, not recursive: a value depends on `steps` values and no more.
    """
    kernel = decay ** np.arange(steps)
    filled = np.concatenate([np.zeros(steps - 1), np.nan_to_num(x, nan=0.0)])
    view = np.lib.stride_tricks.sliding_window_view(filled, steps)
    result = np.empty(len(x))
    for start in range(0, len(x), _CHUNK):
        # einsum sums each row alone; a matrix product could block rows together.
        part = view[start : start + _CHUNK]
        result[start : start + len(part)] = np.einsum("ij,j->i", part, kernel[::-1])
    return result


def decayed_mean(x: Floats, decay: float, steps: int, min_weight: float) -> Floats:
    """Return the decayed mean of the values that are there.

    min_weight: share of the kernel's whole weight that must be there, else NaN.
    """
    present = decayed_sum((~np.isnan(x)).astype(float), decay, steps)
    whole = (1 - decay**steps) / (1 - decay)
    total = decayed_sum(x, decay, steps)
    return np.where(
        present >= min_weight * whole, total / np.where(present > 0, present, 1), np.nan
    )
