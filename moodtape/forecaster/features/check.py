"""What every feature must hold to, built-in or not; `moodtape.testing` offers it to users.

1. words     a name, a unit, one sentence that says what it is
2. values    one a step, the same each time, inputs left as they were
3. future    what comes later changes nothing, whether it is cut off or different
4. look-back no step before `i - lookback` changes value i
5. holes     missing steps, and none but missing ones, are no reason to fail
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.forecaster.features.base import REGISTRY, Feature, compute_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Inputs = Mapping[str, Floats]

PLACES = 24
SPARE_STEPS = 300


def check_feature(function: Callable[..., Any] | Feature, seed: int = 0) -> None:
    """Hold a feature to its promises, on drawn inputs with holes.

    Args:
        function: declared by `@feature`.
        seed: of the draw.
    Raises:
        AssertionError: a promise is broken; says which, and where.
    """
    made = _declared(function)
    _check_words(made)
    rng = np.random.default_rng(seed)
    drawn = drawn_inputs(rng, made.lookback + SPARE_STEPS)
    inputs = {name: drawn[name] for name in made.inputs}
    values = _check_values(made, inputs)
    _check_future(made, inputs, values, rng)
    _check_look_back(made, inputs, values, rng)
    nothing = {name: np.full(50, np.nan) for name in made.inputs}
    _computed(made, nothing, "of inputs that are all missing")


def drawn_inputs(rng: np.random.Generator, steps: int) -> dict[str, Floats]:
    """Return every input that a feature may ask for: bars and texts with holes, a clock."""
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(steps)))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.exp(0.003 * np.abs(rng.standard_normal((2, steps))))
    volume = rng.gamma(2.0, 100.0, steps)
    n = rng.poisson(1.5, steps).astype(float)
    tone = rng.uniform(-1, 1, steps)
    bars = {
        "open": opened, "high": np.maximum(opened, close) * wick[0],
        "low": np.minimum(opened, close) / wick[1], "close": close, "volume": volume,
        "taker_buy_volume": volume * rng.uniform(0.2, 0.8, steps),
    }  # fmt: skip
    texts = {
        "n": n, "n_stale": rng.poisson(0.2, steps) + 0.0, "n_repost": rng.poisson(0.3, steps) + 0.0,
        "sum_tone": n * tone, "sum_tone_squared": n * tone**2 + 0.1 * n,
        "watched": np.ones(steps), "usual": rng.uniform(1, 2, steps),
    }  # fmt: skip
    for columns in (bars, texts):
        hole = rng.uniform(size=steps) < 0.02
        hole[steps // 3 : steps // 3 + 9] = True
        for column in columns.values():
            column[hole] = np.nan
    texts["collections"] = np.cumsum(rng.uniform(size=steps) < 0.01).astype(float)
    return {**bars, **texts, "cutoff_s": 1.7e9 + 3600.0 * np.arange(steps)}


def _declared(function: Callable[..., Any] | Feature) -> Feature:
    if isinstance(function, Feature):
        return function
    for made in REGISTRY.values():
        if made.compute is function:
            return made
    raise AssertionError(f"{function!r} is not declared by @feature")


def _check_words(made: Feature) -> None:
    if "." not in (inspect.getdoc(made.compute) or "").partition("\n\n")[0]:
        raise AssertionError(f"{made.name}: its docstring does not begin with a sentence")
    if not made.unit.strip():
        raise AssertionError(f"{made.name}: what its values are in (unit) is not said")
    if made.lookback < 0 or not made.inputs:
        raise AssertionError(f"{made.name}: lookback is at least 0, and there is an input")


def _computed(made: Feature, inputs: Inputs, what: str) -> Floats:
    steps = len(next(iter(inputs.values())))
    try:
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            raw = made.compute(*(inputs[name] for name in made.inputs))
            values = compute_all([made], inputs)[:, 0] if np.shape(raw) == (steps,) else raw
    except Exception as exc:
        raise AssertionError(f"{made.name} {what} fails: {type(exc).__name__}: {exc}") from exc
    if np.shape(values) != (steps,):
        raise AssertionError(f"{made.name}: {steps} steps gave {np.shape(values)}, not ({steps},)")
    return values


def _check_values(made: Feature, inputs: Inputs) -> Floats:
    before = {name: column.copy() for name, column in inputs.items()}
    values = _computed(made, inputs, "of drawn inputs")
    for name, column in before.items():
        if column.tobytes() != inputs[name].tobytes():
            raise AssertionError(f"{made.name} changes its input {name!r}")
    if values.tobytes() != _computed(made, inputs, "a second time").tobytes():
        raise AssertionError(f"{made.name} gives other values a second time")
    if np.isnan(values[made.lookback :]).all():
        raise AssertionError(f"{made.name} is missing at every step")
    return values


def _check_future(made: Feature, inputs: Inputs, values: Floats, rng: np.random.Generator) -> None:
    steps = len(values)
    other = drawn_inputs(rng, steps)
    for step in np.unique([0, 1, *rng.integers(0, steps - 1, PLACES)]):
        cut = {name: column[: step + 1] for name, column in inputs.items()}
        then = _computed(made, cut, f"of {step + 1} steps")
        _same(made, values, then, step, "when what comes later is cut off: it looks ahead")
        mixed = {
            name: np.concatenate([column[: step + 1], other[name][step + 1 :]])
            for name, column in inputs.items()
        }
        then = _computed(made, mixed, "of another future")
        _same(made, values, then, step, "when what comes later is different: it looks ahead")


def _check_look_back(
    made: Feature, inputs: Inputs, values: Floats, rng: np.random.Generator
) -> None:
    for step in np.unique(rng.integers(made.lookback, len(values), PLACES)):
        first = step - made.lookback
        near = {name: column[first : step + 1] for name, column in inputs.items()}
        then = np.full(step + 1, np.nan)
        then[first:] = _computed(made, near, f"of {made.lookback + 1} steps")
        _same(
            made, values, then, step,
            f"without the steps before its look-back of {made.lookback}: it reaches further",
        )  # fmt: skip


def _same(made: Feature, values: Floats, then: Floats, step: int, when: str) -> None:
    if values[step].tobytes() != then[step].tobytes():
        raise AssertionError(
            f"{made.name} at step {step} is {values[step]}, and {then[step]} {when}"
        )
