"""Monitors that one break would move together are one family, with one value.

What breaks a feed or a scorer moves several columns, and each of them in PSI and in KS: their mean
stands out of chance sooner than the largest of them does. A share or a rate stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

TOGETHER = 4
"""PSI and KS of two columns."""


def families_of(kinds: Sequence[str], counts: int) -> Rows:
    """Return the family of each monitor: PSI and KS of each series, then shares and rates. -> (M,)

    Shares and rates, `counts` in all, are a family of their own.

    >>> families_of(["market", "scores", "market"], 2).tolist()
    [0, 1, 0, 0, 1, 0, 2, 2]
    """
    order = list(dict.fromkeys(kinds))
    series = [order.index(kind) for kind in kinds]
    return np.array([*series, *series, *[len(order)] * counts], dtype=np.int64)


def pooled(monitors: Floats, families: Rows, of_histograms: int) -> Floats:
    """Return the value of each family. (n, M) -> (n, F)

    Of histograms, the mean of the largest four; of shares and rates, the largest.

    Args:
        monitors: standardised. families: of each, shape (M,). of_histograms: how many, the first.
    """
    found = []
    for family in range(int(families.max(initial=-1)) + 1):
        members = np.flatnonzero(families == family)
        ordered = np.sort(monitors[:, members], axis=1)
        most = TOGETHER if members[0] < of_histograms else 1
        found.append(ordered[:, -most:].mean(axis=1))
    return np.column_stack(found)
