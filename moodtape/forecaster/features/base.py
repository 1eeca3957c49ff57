"""What a feature is: declared inputs, a look-back, a unit and a pure function.

    @feature(group="price", inputs=["close"], lookback=24, unit="log return")
    def ret_24(close):
        ...

The function gets its inputs as arrays over a complete grid of steps (bars, or hours
for texts), NaN where a step is missing, and returns one value a step. Value i may use
steps i - lookback to i and nothing else; `moodtape audit`, `moodtape.testing.check_feature`
and the tests hold it to that. What the inputs of each group are called: `INPUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Compute = Callable[..., Floats]

PRICE, CALENDAR, SENTIMENT, ONCHAIN = "price", "calendar", "sentiment", "onchain"

Step = Literal["bar", "hour"]

BAR_INPUTS = ("open", "high", "low", "close", "volume", "taker_buy_volume")
TEXT_INPUTS = ("n", "n_stale", "n_repost", "sum_tone", "sum_tone_squared", "collections")
BAR_TEXT_INPUTS = (*TEXT_INPUTS, "watched", "usual")
INPUTS: Mapping[tuple[str, Step], tuple[str, ...]] = {
    (PRICE, "bar"): BAR_INPUTS,
    (CALENDAR, "bar"): ("cutoff_s",),
    (SENTIMENT, "bar"): BAR_TEXT_INPUTS,
    (SENTIMENT, "hour"): TEXT_INPUTS,
}
"""What a feature of each group can ask for, by the step it counts in.

Of texts, a bar's are those of the hours since the bar before closed; `watched` is how many of
them were watched, `usual` how many texts a watched hour of the last week brought.
"""

OWN = "moodtape."


@dataclass(frozen=True)
class Feature:
    """One column of the feature matrix, or a template of several.

    lookback: how many steps before its own a value may use.
    polarity: it carries the tone of texts, not their number; placebos change only these.
    step: what it counts in; features of texts may count in hours, all others in bars.
    added: it came with a plug-in, and is used where `features.plugins` says so.
    coverage: it tells whether and by whom texts were watched, neither their tone nor their number.
    """

    name: str
    group: str
    inputs: tuple[str, ...]
    lookback: int
    unit: str
    compute: Compute
    polarity: bool = False
    step: Step = "bar"
    added: bool = False
    coverage: bool = False


@dataclass(frozen=True)
class Column:
    """A column of the feature matrix; polarity and coverage are those of its feature."""

    name: str
    group: str
    polarity: bool
    unit: str
    coverage: bool = field(default=False, repr=False)  # the hash of a dataset is that of before


REGISTRY: dict[str, Feature] = {}


def feature(
    group: str,
    inputs: Sequence[str],
    lookback: int,
    unit: str,
    polarity: bool = False,
    step: Step = "bar",
    coverage: bool = False,
) -> Callable[[Compute], Compute]:
    """Declare the decorated function as a feature of that group under its own name.

    Raises:
        ValueError: the name is taken, or the group has no such inputs.
    """

    def declare(compute: Compute) -> Compute:
        name, added = compute.__name__, not compute.__module__.startswith(OWN)
        known = INPUTS.get((group, step), ())
        if unknown := [i for i in inputs if i not in known]:
            raise ValueError(
                f"feature {name}: the {group} features of a {step} have no input"
                f" {', '.join(map(repr, unknown))}; there are {', '.join(known) or 'none'}"
            )
        if name in REGISTRY and not _is_again(REGISTRY[name].compute, compute):
            raise ValueError(f"feature {name} is declared twice")
        REGISTRY[name] = Feature(
            name, group, tuple(inputs), lookback, unit, compute, polarity, step, added, coverage
        )
        return compute

    return declare


def _is_again(before: Compute, now: Compute) -> bool:
    """Say whether a function is one that was declared before, its module imported anew."""
    places = [(f.__module__, f.__qualname__, f.__code__.co_firstlineno) for f in (before, now)]
    return places[0] == places[1]


def features_of(group: str) -> list[Feature]:
    """Return the built-in features of a group, in order of declaration."""
    return [f for f in REGISTRY.values() if f.group == group and not f.added]


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
