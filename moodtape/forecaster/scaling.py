"""Scales features by what the training rows show, symbol by symbol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CLIP = 5.0
"""Scaled values are cut here: one wild bar must not rule a gradient."""


@dataclass(frozen=True)
class Scaler:
    """Centre and scale of each column for each symbol, from training rows alone.

    center, scale: shape (n_symbols, F). A scale of 0 marks a column that showed no two
        different values in training: nothing was learnt about it, so it is held at zero.
    """

    center: Floats
    scale: Floats

    @classmethod
    def fit(
        cls, features: Floats, symbol: NDArray[np.int64], rows: NDArray[np.int64], n_symbols: int
    ) -> Scaler:
        """Return the mean and standard deviation over the given rows.

        A symbol with fewer than two rows gets the scale of all.

        Args:
            features: shape (R, F), NaN where missing.
            symbol: shape (R,).
            rows: the training rows.
        """
        overall = _moments(features[rows])
        center = np.tile(overall[0], (n_symbols, 1))
        scale = np.tile(overall[1], (n_symbols, 1))
        for index in range(n_symbols):
            own = rows[symbol[rows] == index]
            if len(own) > 1:
                center[index], scale[index] = _moments(features[own])
        return cls(center, scale)

    def apply(self, features: Floats, symbol: NDArray[np.int64]) -> Floats:
        """Return scaled values, cut at +-5, zero where missing. (R, F) -> (R, F)"""
        scale = self.scale[symbol]
        scaled = (features - self.center[symbol]) / np.where(scale > 0, scale, np.inf)
        result: Floats = np.nan_to_num(np.clip(scaled, -CLIP, CLIP), nan=0.0)
        return result

    def as_dict(self) -> dict[str, Any]:
        """Return the scaler as plain lists, for the run folder."""
        return {"center": self.center.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scaler:
        """Return the scaler that `as_dict` wrote."""
        return cls(np.array(values["center"]), np.array(values["scale"]))


def _moments(values: Floats) -> tuple[Floats, Floats]:
    count = (~np.isnan(values)).sum(axis=0)
    total = np.nansum(values, axis=0)
    center = np.where(count > 0, total / np.maximum(count, 1), 0.0)
    variance = np.nansum((values - center) ** 2, axis=0) / np.maximum(count, 1)
    spread = np.sqrt(variance)
    return center, np.where(spread > 1e-12, spread, 0.0)
