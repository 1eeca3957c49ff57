"""Calibrated outputs: intervals that cover what they say, and a P(up) that means it.

    1. scores    residuals in a unit known at the decision, so that an interval widens in wild
                 times: of a return the trailing deviation, of volatility the trailing miss
    2. offsets   their (n + 1) ranks at LEVELS: added to a forecast they are its quantiles
    3. odds      Platt's line through the log odds of P(up), held near the identity

All of it is fitted on a fold's `calibrate` rows alone: no weight, scale or choice has seen
them, and their answers are known before the first row that is tested. The verdict's loss
stays that of the raw forecasts: a calibration is one more fit, and it differs between arms.

Sources: Romano, Patterson & Candès (2019), the two-sided correction of theorem 2, here
around a forecast instead of around two fitted quantiles; Lei et al. (2018), residuals
scaled by local spread; Platt (1999).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from moodtape.forecaster.target import answer_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Probability levels of the quantiles of a return and of log volatility."""

INTERVALS = {"90 %": (0.05, 0.95), "50 %": (0.25, 0.75)}
"""Central intervals that LEVELS hold, the widest first."""

SURE = 1e-4
"""P(up) is cut here before its odds are taken."""

NEAR = 30.0
"""How firmly Platt's line is held at the identity: precision of intercept and slope.

Times the horizon, since answers that overlap tell only once. On seven years of hourly BTC
the free line loses to the raw P(up) at 24 bars, isotonic regression at every horizon.
"""

NEWTON_STEPS = 25


class Asked(Protocol):
    """A target, or its scale: what is forecast how many bars ahead."""

    @property
    def key(self) -> str:
        """Return `direction_1`."""

    @property
    def name(self) -> str:
        """Return `return`, `direction` or `volatility`."""

    @property
    def horizon_bars(self) -> int:
        """Return how far ahead it lies."""


@dataclass(frozen=True)
class Calibration:
    """What some forecasts have to be corrected by.

    offsets: by key of a return or volatility, the scaled residuals at LEVELS; NaN at a
        level that the rows were too few for (19 are needed for one in twenty).
    odds: by key of a direction, intercept and slope of its log odds.
    usual_miss: by key of a volatility, the trailing miss where none is known yet. A key that
        is absent has offsets in the answer's own unit, as those of earlier versions are.
    """

    offsets: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    odds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    usual_miss: Mapping[str, float] = field(default_factory=dict)

    def quantiles(
        self,
        target: Asked,
        forecast: Floats,
        trailing_variance: Floats,
        trailing_miss: Floats | None = None,
    ) -> Floats:
        """Return quantiles at LEVELS, NaN where there are none. (n,), (n,) -> (n, 5)

        They never cross: each row adds the same rising offsets, times its own unit.

        Args:
            trailing_miss: of a volatility, NaN where it is not known, shape (n,).
        """
        offsets = np.array(self.offsets.get(target.key, (np.nan,) * len(LEVELS)))
        unit = answer_unit(target.name, target.horizon_bars, trailing_variance)
        if target.key in self.usual_miss:
            miss = np.full(len(forecast), np.nan) if trailing_miss is None else trailing_miss
            unit = np.where(np.isnan(miss), self.usual_miss[target.key], miss)
        return np.asarray(forecast[:, None] + np.reshape(unit, (-1, 1)) * offsets)

    def p_up(self, target: Asked, forecast: Floats) -> Floats:
        """Return calibrated P(up); as it came where there was nothing to calibrate on. (n,)"""
        intercept, slope = self.odds.get(target.key, (0.0, 1.0))
        return np.asarray(1 / (1 + np.exp(-(intercept + slope * _log_odds(forecast)))))

    def apply(self, dataset: Dataset, rows: Rows, forecasts: Mapping[str, Floats]) -> Calibrated:
        """Return calibrated forecasts at some rows by target key: P(up) (n,), others (n, 5)."""
        variance = dataset.trailing_variance[rows]
        found = {}
        for key, target in dataset.targets.items():
            if key not in forecasts:
                continue
            if target.name == "direction":
                found[key] = self.p_up(target, forecasts[key])
            else:
                miss = dataset.trailing_miss[key][rows] if target.name == "volatility" else None
                found[key] = self.quantiles(target, forecasts[key], variance, miss)
        return found


Calibrated = dict[str, "Floats"]


def fit_calibration(dataset: Dataset, rows: Rows, forecasts: Mapping[str, Floats]) -> Calibration:
    """Return the corrections that some rows ask for, all symbols together.

    Args:
        rows: a fold's `calibrate` rows, shape (n,).
        forecasts: by target key, at these rows, shape (n,) each.
    """
    offsets, odds, usual_miss = {}, {}, {}
    for key, target in dataset.targets.items():
        if key not in forecasts:
            continue
        known = ~np.isnan(target.y[rows])
        y, forecast = target.y[rows][known], forecasts[key][known]
        if target.name == "direction":
            odds[key] = platt(y, forecast, NEAR * target.horizon_bars)
        else:
            variance = dataset.trailing_variance[rows][known]
            unit = answer_unit(target.name, target.horizon_bars, variance)
            if target.name == "volatility":
                miss = dataset.trailing_miss[key][rows][known]
                if not np.isnan(miss).all():
                    usual_miss[key] = float(np.nanmedian(miss))
                    unit = np.where(np.isnan(miss), usual_miss[key], miss)
            offsets[key] = conformal_offsets((y - forecast) / unit)
    return Calibration(offsets, odds, usual_miss)


def calibrated(
    dataset: Dataset, rows: Rows, at: Rows, forecasts: Mapping[str, Floats]
) -> Calibrated:
    """Return forecasts at some rows, calibrated on others.

    Args:
        rows: a fold's `calibrate` rows, shape (n,). at: where to forecast, shape (m,).
        forecasts: by target key, at `rows` and then at `at`, shape (n + m,) each.
    """
    before = {key: values[: len(rows)] for key, values in forecasts.items()}
    after = {key: values[len(rows) :] for key, values in forecasts.items()}
    return fit_calibration(dataset, rows, before).apply(dataset, at, after)


def conformal_offsets(residuals: Floats) -> tuple[float, ...]:
    """Return residuals at their (n + 1) ranks of LEVELS; NaN where n is too small. (n,) -> 5

    Of a further residual that is exchangeable with these, at most a share `level` lies
    below a low offset, and at least a share `level` at or below a high one.

    >>> conformal_offsets(np.arange(1.0, 20.0))
    (1.0, 5.0, 10.0, 15.0, 19.0)
    """
    ordered, n = np.sort(residuals), len(residuals)
    found = []
    for level in LEVELS:
        exact = level * (n + 1)
        rank = int(np.floor(exact + 1e-9) if level < 0.5 else np.ceil(exact - 1e-9))
        if level == 0.5:
            found.append(float(np.median(ordered)) if n else float("nan"))
        else:
            found.append(float(ordered[rank - 1]) if 1 <= rank <= n else float("nan"))
    return tuple(found)


def platt(up: Floats, p: Floats, precision: float) -> tuple[float, float]:
    """Return intercept and slope of the line that turns log odds into calibrated ones.

    The slope never falls below zero: a calibration may mute a forecast, not turn it round.

    Args:
        up: 1 for a rise, 0 for a fall, shape (n,). p: forecast P(up), shape (n,).
        precision: of a normal prior on intercept and slope around 0 and 1.
    Source: Platt (1999), fitted by Newton's method.
    """
    design = np.column_stack([np.ones(len(p)), _log_odds(p)])
    identity = np.array([0.0, 1.0])
    line = identity.copy()
    for _ in range(NEWTON_STEPS):
        said = 1 / (1 + np.exp(-np.clip(design @ line, -30, 30)))
        gradient = design.T @ (said - up) + precision * (line - identity)
        curvature = (design * (said * (1 - said))[:, None]).T @ design + precision * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        line = line - step
        if np.abs(step).max() < 1e-12:
            break
    return float(line[0]), max(0.0, float(line[1]))


def _log_odds(p: Floats) -> Floats:
    p = np.clip(p, SURE, 1 - SURE)
    return np.asarray(np.log(p / (1 - p)))
