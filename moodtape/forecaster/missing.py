"""What becomes of values that are missing: carried forward for a while, and always marked.

Nothing is interpolated: what lies between two known values would be made of the later one. A
mask tells what a row had by itself, before anything was carried forward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from moodtape.config import FeaturesSection

    Floats = NDArray[np.float64]

SHARE = "share of columns"


def with_masks(matrix: Floats, settings: FeaturesSection) -> Floats:
    """Return a symbol's columns, short holes filled, and beside them what was missing.

    (T, k) -> (T, k + 1), or (T, 2 k) where every column has a mask of its own.
    """
    missing = np.isnan(matrix)
    masks = missing if settings.masks == "each" else missing.mean(axis=1, keepdims=True)
    return np.hstack([carried_forward(matrix, settings.fill_limit_bars), masks])


def mask_columns(label: str, columns: Sequence[Column], settings: FeaturesSection) -> list[Column]:
    """Return the descriptions of the columns that `with_masks` adds to some of one group."""
    group = columns[0].group
    if settings.masks == "share":
        return [Column(f"{label}.missing", group, False, SHARE)]
    return [Column(f"{column.name}.missing", group, False, "0 or 1") for column in columns]


def carried_forward(matrix: Floats, limit: int) -> Floats:
    """Return columns whose missing values are those of the newest row before that had one.

    Args:
        matrix: rows in order of time, shape (T, k).
        limit: how many rows back that may lie; 0 leaves every hole.
    """
    if not limit:
        return matrix
    row = np.arange(len(matrix))[:, None]
    newest = np.maximum.accumulate(np.where(np.isnan(matrix), -1, row), axis=0)
    near = (newest >= 0) & (row - newest <= limit)
    return np.where(near, np.take_along_axis(matrix, np.maximum(newest, 0), axis=0), np.nan)
