"""Scales features by what the training rows show, symbol by symbol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

Scaling = Literal["z-score", "min-max", "robust"]

MIDDLE_HALF = 1.3489795003921634
"""Distance of the quartiles of a standard normal law."""

LEAST_SPREAD = 1e-12

PART_ROWS = 4096
"""Rows that are scaled at once: nothing as large as the features is made but the result."""

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
        cls,
        features: Floats,
        symbol: NDArray[np.int64],
        rows: NDArray[np.int64],
        n_symbols: int,
        how: Scaling = "z-score",
    ) -> Scaler:
        """Return what the given rows say of each column, symbol by symbol.

        A symbol with fewer than two rows gets the scale of all.

        Args:
            features: shape (R, F), NaN where missing.
            symbol: shape (R,).
            rows: the training rows.
            how: `z-score`: mean and standard deviation. `min-max`: least and greatest become
                -1 and 1. `robust`: median, and the spread of the middle half that a normal
                law of unit variance would have; where that half is all one value, as of a
                column that is mostly zero, the standard deviation.
        """
        measure = MEASURES[how]
        overall = measure(features, rows)
        center = np.tile(overall[0], (n_symbols, 1))
        scale = np.tile(overall[1], (n_symbols, 1))
        for index in range(n_symbols):
            own = rows[symbol[rows] == index]
            if len(own) > 1:
                center[index], scale[index] = measure(features, own)
        return cls(center, scale)

    def apply(self, features: Floats, symbol: NDArray[np.int64]) -> Floats:
        """Return scaled values, cut at +-5, zero where missing. (R, F) -> (R, F)"""
        result = np.empty(features.shape)
        for part in _parts(np.arange(len(features))):
            own = slice(part[0], part[-1] + 1)
            scale = self.scale[symbol[own]]
            scaled = features[own] - self.center[symbol[own]]
            scaled /= np.where(scale > 0, scale, np.inf)
            result[own] = np.nan_to_num(np.clip(scaled, -CLIP, CLIP), nan=0.0)
        return result

    def as_dict(self) -> dict[str, Any]:
        """Return the scaler as plain lists, for the run folder."""
        return {"center": self.center.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scaler:
        """Return the scaler that `as_dict` wrote."""
        return cls(np.array(values["center"]), np.array(values["scale"]))


def _parts(rows: Rows) -> Iterator[Rows]:
    """Yield rows in parts, so that what is made of them on the way is small."""
    for start in range(0, len(rows), PART_ROWS):
        yield rows[start : start + PART_ROWS]


def _summed(features: Floats, rows: Rows, change: Callable[[Floats], Floats]) -> Floats:
    """Return the sum over rows of what `change` makes of them, missing ones left out. -> (F,)

    Row is added to row, part after part: of two columns and more, the bits are those of one
    sum over all.
    """
    total = np.zeros((0, features.shape[1]))
    for part in _parts(rows):
        values = np.nan_to_num(change(features[part]), nan=0.0, posinf=np.inf, neginf=-np.inf)
        total = np.vstack([total, values]).sum(axis=0, keepdims=True)
    return np.asarray(total.sum(axis=0))


def _z_score(features: Floats, rows: Rows) -> tuple[Floats, Floats]:
    count = _summed(features, rows, lambda values: (~np.isnan(values)).astype(np.float64))
    least = np.maximum(count, 1)
    center = np.where(count > 0, _summed(features, rows, lambda values: values) / least, 0.0)
    variance = _summed(features, rows, lambda values: (values - center) ** 2) / least
    return center, _real(np.sqrt(variance))


def _min_max(features: Floats, rows: Rows) -> tuple[Floats, Floats]:
    low, high = (
        pick.reduce([pick.reduce(features[part], axis=0) for part in _parts(rows)], axis=0)
        for pick in (np.fmin, np.fmax)
    )
    low, high = np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=0.0)
    return (low + high) / 2, _real((high - low) / 2)


def _robust(features: Floats, rows: Rows) -> tuple[Floats, Floats]:
    center, spread = _z_score(features, rows)
    for column in range(features.shape[1]):
        known = features[rows, column]
        known = known[~np.isnan(known)]
        if len(known):
            low, center[column], high = np.quantile(known, (0.25, 0.5, 0.75))
            middle = (high - low) / MIDDLE_HALF
            spread[column] = middle if middle > LEAST_SPREAD else spread[column]
    return center, spread


def _real(spread: Floats) -> Floats:
    """Return a spread, zero where it is no more than rounding."""
    return np.where(spread > LEAST_SPREAD, spread, 0.0)


MEASURES: dict[Scaling, Callable[[Floats, Rows], tuple[Floats, Floats]]] = {
    "z-score": _z_score, "min-max": _min_max, "robust": _robust,
}  # fmt: skip


def scaled_features(dataset: Dataset, fold: Fold) -> Floats:
    """Return the feature matrix as a fold's forecasters see it, scaled by its training rows."""
    return fold_scaler(dataset, fold).apply(dataset.features, dataset.symbol)


def fold_scaler(dataset: Dataset, fold: Fold) -> Scaler:
    """Return the scaler of a fold, fitted on its training rows alone."""
    return Scaler.fit(
        dataset.features, dataset.symbol, fold.train, len(dataset.symbols), dataset.scaling
    )
