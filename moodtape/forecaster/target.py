"""What is predicted, and when each answer becomes known.

Targets start at the close that ends the features' last bar. The bars are the first
versions known, since a forecast settles once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.rolling import lagged, rolling_mean
from moodtape.forecaster.features.volatility import garman_klass

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]

BASIS_POINT = 1e-4
TRAILING_BARS = 168
TRAILING_MIN_SHARE = 0.3


@dataclass(frozen=True)
class Target:
    """Answers of one target and horizon over the rows of a grid.

    y: the answer, NaN where a gap or the end leaves none. Shape (T,). `return`: log
        return; `direction`: 1 up, 0 down, NaN for a return of exactly zero;
        `volatility`: half the log of the mean variance of the bars after the decision.
    known_at: when the answer is known: the close of its last bar. Shape (T,).
    left_out: rows without an answer for a reason worth counting.
    """

    name: str
    horizon_bars: int
    y: Floats
    known_at: Instants
    left_out: int = 0

    @property
    def key(self) -> str:
        """Return `direction_1`, as columns and files name it."""
        return f"{self.name}_{self.horizon_bars}"


def make_targets(
    bars: dict[str, Floats],
    close_time: Instants,
    names: tuple[str, ...],
    horizons: tuple[int, ...],
    floor_bps: float,
    decides: NDArray[np.bool_] | None = None,
) -> dict[str, Target]:
    """Return every target of a symbol over its grid of bars (NaN where a bar is missing).

    Args:
        bars: `open, high, low, close`, shape (T,).
        close_time: when each bar closes, shape (T,).
        floor_bps: volatility below this many basis points counts as this much.
        decides: rows whose left-out answers are counted, shape (T,); all by default.
    """
    made = {}
    counted = np.ones(len(close_time), dtype=bool) if decides is None else decides
    for horizon in horizons:
        whole = _all_present(bars["close"], horizon)
        known_at = _ahead_times(close_time, horizon)
        change = np.where(
            whole, _ahead(np.log(bars["close"]), horizon) - np.log(bars["close"]), np.nan
        )
        if "return" in names:
            made[f"return_{horizon}"] = Target("return", horizon, change, known_at)
        if "direction" in names:
            up = np.where(np.isnan(change) | (change == 0), np.nan, (change > 0).astype(float))
            zeros = int(np.sum(counted & (change == 0)))
            made[f"direction_{horizon}"] = Target("direction", horizon, up, known_at, zeros)
        if "volatility" in names:
            variance, floor = _variance_ahead(bars, horizon), (floor_bps * BASIS_POINT) ** 2
            volatility = np.where(whole, 0.5 * np.log(np.maximum(variance, floor)), np.nan)
            floored = int(np.sum(counted & whole & (variance < floor)))
            made[f"volatility_{horizon}"] = Target(
                "volatility", horizon, volatility, known_at, floored
            )
    return made


def trailing_variance(close: Floats) -> Floats:
    """Return the mean squared log return of the last week of bars, as known at each. (T,)

    It scales the deciding loss of `return`, so that a wild month does not outvote a calm one.
    """
    squared = (np.log(close) - np.log(lagged(close, 1))) ** 2
    mean = rolling_mean(squared, TRAILING_BARS, TRAILING_MIN_SHARE)
    return np.maximum(mean, BASIS_POINT**2)


def answer_unit(name: str, horizon_bars: int, trailing_variance: Floats) -> Floats:
    """Return what an answer is divided by: a return's trailing standard deviation, else 1. (n,)"""
    if name == "return":
        return np.asarray(np.sqrt(trailing_variance * horizon_bars))
    return np.ones_like(trailing_variance)


def _variance_ahead(bars: dict[str, Floats], horizon: int) -> Floats:
    """Return the mean Garman-Klass variance of the `horizon` bars after each row. (T,)"""
    variance = garman_klass(bars["open"], bars["high"], bars["low"], bars["close"])
    ahead = [_ahead(variance, k) for k in range(1, horizon + 1)]
    return np.asarray(np.mean(ahead, axis=0))


def _ahead(x: Floats, steps: int) -> Floats:
    return np.concatenate([x[steps:], np.full(min(steps, len(x)), np.nan)])


def _ahead_times(times: Instants, steps: int) -> Instants:
    nat = np.full(min(steps, len(times)), np.datetime64("NaT", "us"))
    return np.concatenate([times[steps:], nat])


def _all_present(close: Floats, horizon: int) -> NDArray[np.bool_]:
    """Say for each row whether its bar and the `horizon` bars after it are all there."""
    present = ~np.isnan(close)
    result = present.copy()
    for step in range(1, horizon + 1):
        result &= np.concatenate([present[step:], np.zeros(min(step, len(close)), dtype=bool)])
    return result
