"""Series as SVG paths in a box of 1000 x 1000 that the page stretches to its own width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.report.scales import Axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SIDE = 1000.0
BAR_SHARE = 0.78


def line_path(x: Axis, y: Axis, at: Floats, values: Floats, longest: float = np.inf) -> str:
    """Return an SVG path through points in order, broken where time jumps by over `longest`.

    >>> line_path(Axis(0, 10), Axis(0, 1), np.array([0.0, 5, 10]), np.array([0.0, 1, 0]), 6.0)
    'M0 1000L500 0L1000 1000'
    """
    across, down = _across(x, at), _down(y, values)
    jump = np.diff(at, prepend=-np.inf) > longest
    jump[:1] = True
    return "".join(
        f"{'M' if new else 'L'}{_short(a)} {_short(b)}"
        for new, a, b in zip(jump, across, down, strict=True)
    )


def bar_path(x: Axis, y: Axis, at: Floats, values: Floats, width: float) -> str:
    """Return an SVG path of upright bars from zero to each value, around their times.

    >>> bar_path(Axis(0, 10), Axis(-1, 1), np.array([5.0]), np.array([0.5]), 1.0)
    'M461 500V250H539V500Z'
    """
    floor = _short(float(_down(y, np.zeros(1))[0]))
    half = BAR_SHARE * width / 2
    return "".join(
        f"M{_short(a)} {floor}V{_short(b)}H{_short(c)}V{floor}Z"
        for a, b, c in zip(
            _across(x, np.maximum(at - half, x.low)),
            _down(y, values),
            _across(x, np.minimum(at + half, x.high)),
            strict=True,
        )
    )


def _across(x: Axis, at: Floats) -> Floats:
    return np.asarray(SIDE * (at - x.low) / (x.high - x.low))


def _down(y: Axis, values: Floats) -> Floats:
    return np.asarray(SIDE * (y.high - values) / (y.high - y.low))


def _short(value: float) -> str:
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")
