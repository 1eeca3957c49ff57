"""What the other assets did: columns of each row from the others' bars at the same cut-off.

The others' columns are those of their own rows, made as of the same decision: of bars that had
closed by then, with the corrections known by then. A row sees the mean of the others, not each
of them, so that a panel of ninety has no more columns than one of two, and one without a bar
leaves no hole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import PRICE, Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]

LABEL = "others"
MEANS = ("ret_1", "ret_4", "ret_24", "ret_72", "realised_24", "volume_surprise")
RISEN = "up_1"


def others_columns() -> list[Column]:
    """Return a description of the columns that `others_rows` makes."""
    columns = [Column(f"{LABEL}.{name}", PRICE, False, f"mean of {name}") for name in MEANS]
    return [*columns, Column(f"{LABEL}.{RISEN}", PRICE, False, "share of the others")]


def definition(name: str) -> str:
    """Return in a sentence what one of the columns, or their mask, holds."""
    if name in MEANS:
        return f"Mean of `{name}` over the study's other assets and the peers."
    return {
        RISEN: "Share of the other assets whose last bar rose.",
        "missing": "Share of these columns that are missing.",
    }[name]


def others_rows(
    cutoffs: Sequence[Instants], columns: Sequence[Floats], studied: int
) -> Iterator[Floats]:
    """Yield for each studied asset what the others show at each of its cut-offs.

    Args:
        cutoffs: of every asset's rows, in order of time, each (T_i,); those studied come first.
        columns: MEANS of every asset's rows, each (T_i, len(MEANS)), NaN where missing.
        studied: how many of the assets are.
    Yields:
        (T_i, len(MEANS) + 1), NaN where no other asset has a value.
    """
    times = np.unique(np.concatenate(cutoffs))
    at = [np.searchsorted(times, own) for own in cutoffs]
    shown = [_with_risen(own) for own in columns]
    total = np.zeros((len(times), len(MEANS) + 1))
    count = np.zeros_like(total)
    for place, values in zip(at, shown, strict=True):
        there = ~np.isnan(values)
        total[place] += np.where(there, values, 0.0)
        count[place] += there
    for place, values in zip(at[:studied], shown, strict=False):
        there = ~np.isnan(values)
        number = count[place] - there
        rest = total[place] - np.where(there, values, 0.0)
        yield np.where(number > 0, rest / np.maximum(number, 1), np.nan)


def _with_risen(values: Floats) -> Floats:
    """Return columns and whether the last bar rose. (T, k) -> (T, k + 1)"""
    change = values[:, :1]
    risen = np.where(np.isnan(change), np.nan, (change > 0).astype(float))
    return np.hstack([values, risen])
