"""Look-back windows, gathered by index from one (R, F) matrix and never stored.

A window is the rows i - lookback + 1 .. i. It never crosses a gap, because only rows with
a whole run of bars behind them are decisions (`Dataset.decisions`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]


def window_rows(rows: Rows, lookback: int) -> Rows:
    """Return the rows of each window, oldest first. (n,) -> (n, lookback)

    >>> window_rows(np.array([5]), 3)
    array([[3, 4, 5]])
    """
    return rows[:, None] + np.arange(1 - lookback, 1)[None, :]


def gather(matrix: Floats, rows: Rows, lookback: int) -> NDArray[np.float32]:
    """Return the windows themselves, for serving. (R, F), (n,) -> (n, lookback, F)"""
    return matrix[window_rows(rows, lookback)].astype(np.float32)


def thin(rows: Rows, most: int) -> Rows:
    """Return every k-th row, the newest included, so that at most `most` remain; 0 = all.

    >>> thin(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    if most == 0 or len(rows) <= most:
        return rows
    step = -(-len(rows) // most)
    return rows[(len(rows) - 1) % step :: step]


def fixed_batch(rows: Rows, size: int, index: int) -> tuple[Rows, NDArray[np.float32]]:
    """Return a batch of exactly `size` rows and its weights; the last is filled up by weight 0.

    A fixed shape means one compiled function, whatever the number of rows.
    """
    part = rows[index * size : (index + 1) * size]
    weight = np.zeros(size, dtype=np.float32)
    weight[: len(part)] = 1
    return np.concatenate([part, np.repeat(part[:1], size - len(part))]), weight


def fixed_batches(rows: Rows, size: int) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Yield rows in batches of one size, as `fixed_batch` makes them."""
    for index in range(-(-len(rows) // size)):
        yield fixed_batch(rows, size, index)
