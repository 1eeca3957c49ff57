"""Counts, means and products of rows: all that a ridge needs to know of them.

Rows can be left out again without another pass, so that fits on parts of the same rows cost
little more than one fit on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """What some rows of a matrix of c columns add up to.

    n: rows. mean: shape (c,). products: summed products of what is left of the columns when
        their means are taken off, shape (c, c).
    """

    n: int
    mean: Floats
    products: Floats

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Return the moments of all rows of a matrix. (n, c)"""
        if not len(values):
            count = values.shape[1]
            return cls(0, np.zeros(count), np.zeros((count, count)))
        mean = values.mean(axis=0)
        centered = values - mean
        return cls(len(values), mean, centered.T @ centered)

    def without(self, gone: Moments) -> Moments:
        """Return the moments of the rows that are left when some go; at least one must be left.

        Source: Chan, Golub & LeVeque (1979), the other way round.
        """
        if not gone.n:
            return self
        n = self.n - gone.n
        mean = (self.n * self.mean - gone.n * gone.mean) / n
        gap = gone.mean - mean
        return Moments(
            n, mean, self.products - gone.products - gone.n * n / self.n * np.outer(gap, gap)
        )

    def about(self, center: Floats) -> Floats:
        """Return summed products of what is left when other values than the means are taken off."""
        gap = self.mean - center
        return np.asarray(self.products + self.n * np.outer(gap, gap))
