"""What a feature is: declared inputs, a look-back, a unit and a pure function.

    @feature(group="price", inputs=["close"], lookback=24, unit="log return")
    def ret_24(close):
        ...

The function gets its inputs as arrays over a complete grid of steps (bars, or hours
for texts), NaN where a step is missing, and returns one value a step. Value i may use
steps i - lookback to i and nothing else; `moodtape audit` and the tests hold it to that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Compute = Callable[..., Floats]

PRICE, CALENDAR, SENTIMENT, ONCHAIN = "price", "calendar", "sentiment", "onchain"


@dataclass(frozen=True)
class Feature:
    """One column of the feature matrix, or a template of several.

    lookback: how many steps before its own a value may use.
    polarity: it carries the tone of texts, not their number; placebos change only these.
    """

    name: str
    group: str
    inputs: tuple[str, ...]
    lookback: int
    unit: str
    compute: Compute
    polarity: bool = False


@dataclass(frozen=True)
class Column:
    """A column of the feature matrix."""

    name: str
    group: str
    polarity: bool
    unit: str


REGISTRY: dict[str, Feature] = {}


def feature(
    group: str, inputs: Sequence[str], lookback: int, unit: str, polarity: bool = False
) -> Callable[[Compute], Compute]:
    """Declare the decorated function as a feature of that group under its own name."""

    def declare(compute: Compute) -> Compute:
        name = compute.__name__
        if name in REGISTRY:
            raise ValueError(f"feature {name} is declared twice")
        REGISTRY[name] = Feature(name, group, tuple(inputs), lookback, unit, compute, polarity)
        return compute

    return declare


def features_of(group: str) -> list[Feature]:
    """Return the declared features of a group, in order of declaration."""
    return [f for f in REGISTRY.values() if f.group == group]


def compute_all(features: Sequence[Feature], inputs: Mapping[str, Floats]) -> Floats:
    """Return the columns of some features over the same steps. -> (T, n_features)"""
    import numpy as np

    steps = len(next(iter(inputs.values())))
    matrix = np.full((steps, len(features)), np.nan)
    for column, item in enumerate(features):
        with np.errstate(divide="ignore", invalid="ignore"):
            values = item.compute(*(inputs[name] for name in item.inputs))
        matrix[:, column] = np.where(np.isfinite(values), values, np.nan)
    return matrix
