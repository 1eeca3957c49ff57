"""Windows over a grid with holes: every value depends on its own last steps alone.

A window of any length is put together from windows of 1, 2, 4, 8 ... steps, each of which
is two of half its length. So its cost grows with the logarithm of its length, and a value
has the same bits wherever the series begins: nothing accumulates over the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def lagged(x: Floats, steps: int) -> Floats:
    """Return `x` as of some steps ago; NaN before there was one. (T,) -> (T,)"""
    if steps == 0:
        return x.copy()
    return np.concatenate([np.full(min(steps, len(x)), np.nan), x[:-steps]])


def log_change(x: Floats, steps: int) -> Floats:
    """Return log(x[i] / x[i - steps]). (T,) -> (T,)"""
    logs = np.log(x)
    return np.asarray(logs - lagged(logs, steps))


def rolling_mean(x: Floats, steps: int, min_share: float = 0.8) -> Floats:
    """Return the mean of the last `steps` values that are there. (T,) -> (T,)

    min_share: NaN where fewer than this share of them is there; in all that follow, too.
    """
    there = ~np.isnan(x)
    total = decayed_sum(x, 1.0, steps)
    count = decayed_sum(there.astype(float), 1.0, steps)
    return np.where(_enough(count, steps, min_share), total / np.maximum(count, 1), np.nan)


def rolling_std(x: Floats, steps: int, min_share: float = 0.8) -> Floats:
    """Return the standard deviation (ddof 0) of the last `steps` values. (T,) -> (T,)

    Counts, means and squares of halves are merged, so that nothing is lost where the
    deviation is small beside the values. Source: Chan, Golub & LeVeque (1979).
    """
    there = ~np.isnan(x)
    leaf = np.stack([there.astype(float), np.where(there, x, 0.0), np.zeros(len(x))])
    count, _, squares = _combined(leaf, steps, _merged_moments)
    spread = np.sqrt(squares / np.maximum(count, 1))
    return np.where(_enough(count, steps, min_share), spread, np.nan)


def rolling_max(x: Floats, steps: int, min_share: float = 0.8) -> Floats:
    """Return the largest of the last `steps` values. (T,) -> (T,)"""
    return _extreme(x, steps, min_share, np.fmax)


def rolling_min(x: Floats, steps: int, min_share: float = 0.8) -> Floats:
    """Return the smallest of the last `steps` values. (T,) -> (T,)"""
    return _extreme(x, steps, min_share, np.fmin)


def decayed_sum(x: Floats, decay: float, steps: int) -> Floats:
    """Return sum over k < steps of decay**k * x[i - k], missing values left out. (T,) -> (T,)

    The kernel is cut, not recursive: a value depends on `steps` values and no more.
    """
    filled = np.where(np.isnan(x), 0.0, x)

    def add(newer: Floats, older: Floats, age: int) -> Floats:
        return newer + (older if decay == 1 else decay**age * older)

    return _combined(filled, steps, add)


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


Combine = Callable[["Floats", "Floats", int], "Floats"]


def _combined(leaf: Floats, steps: int, combine: Combine) -> Floats:
    """Return every window of `steps` values, put together from halves. (..., T) -> (..., T)

    combine: what two neighbouring windows are together; the older one ends `age` steps
        before the newer one does. Before the first step there is nothing to combine.
    """
    block, width = leaf, 1
    whole: Floats | None = None
    covered = 0
    while width <= steps:
        if steps & width:
            whole = block if whole is None else _joined(whole, block, covered, combine)
            covered += width
        if 2 * width <= steps:
            block = _joined(block, block, width, combine)
        width *= 2
    assert whole is not None
    return whole


def _joined(newer: Floats, older: Floats, age: int, combine: Combine) -> Floats:
    joined = newer.copy()
    if age < newer.shape[-1]:
        joined[..., age:] = combine(newer[..., age:], older[..., :-age], age)
    return joined


def _merged_moments(newer: Floats, older: Floats, age: int) -> Floats:
    """Return count, mean and summed squared deviations of two windows together. 2 x (3, T)"""
    del age
    count = newer[0] + older[0]
    share = older[0] / np.maximum(count, 1)
    gap = older[1] - newer[1]
    squares = newer[2] + older[2] + gap * gap * newer[0] * share
    return np.stack([count, newer[1] + gap * share, squares])


def _extreme(x: Floats, steps: int, min_share: float, pick: Callable[..., Floats]) -> Floats:
    there = decayed_sum((~np.isnan(x)).astype(float), 1.0, steps)
    found = _combined(x, steps, lambda newer, older, age: pick(newer, older))
    return np.where(_enough(there, steps, min_share), found, np.nan)


def _enough(count: Floats, steps: int, min_share: float) -> NDArray[np.bool_]:
    return np.asarray(count >= max(1, min_share * steps))
