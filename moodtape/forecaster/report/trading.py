"""What `backtest` left beside a study, as the page shows it: equity, falls, rivals, costs, worst.

Nothing of it enters a verdict, and the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.forecaster.report.paths import line_path
from moodtape.forecaster.report.plots import Line, Panel, seconds
from moodtape.forecaster.report.scales import Axis, bucket_seconds, time_axis, value_axis

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

POINTS = 500
MOST_WHOLE = 12
"""So many questions are shown whole; of the others there is a line in a table."""

Question = tuple[str, str, int]


@dataclass(frozen=True)
class Traded:
    """What `backtest` left of a study.

    results: `backtest.json`. paths: by symbol, target and horizon, a row a bar with close_time
        (UTC), close and equity; questions whose path is gone have none.
    """

    results: Mapping[str, Any]
    paths: Mapping[Question, pd.DataFrame]


@dataclass(frozen=True)
class Simulated:
    """One question, traded: its row of `backtest.json`, what is drawn, and the rows of a table.

    strategies: ours first, then its unattainable fills, then the rivals.
    """

    row: Mapping[str, Any]
    x: Axis | None
    panels: Sequence[Panel]
    strategies: Sequence[Mapping[str, Any]]


def simulated(traded: Traded | None) -> list[Simulated]:
    """Return what the page shows of the first questions that were traded."""
    if traded is None:
        return []
    model = str(traded.results["model"])
    rows = traded.results["results"][:MOST_WHOLE]
    return [_simulated(row, model, traded.paths) for row in rows]


def _simulated(
    row: Mapping[str, Any], model: str, paths: Mapping[Question, pd.DataFrame]
) -> Simulated:
    path = paths.get((row["symbol"], row["target"], row["horizon_bars"]))
    x, panels = (None, ()) if path is None or len(path) < 2 else _drawn(path, model)
    own = {**row["figures"], "name": model, "own": True}
    ideal = {**row["optimistic"], "name": f"{model}, unattainable fills"}
    return Simulated(row, x, panels, [own, ideal, *row["rivals"]])


def _drawn(path: pd.DataFrame, model: str) -> tuple[Axis, tuple[Panel, ...]]:
    """Return the axis of time, and equity over its fall from the highest so far."""
    at = seconds(path["close_time"])
    x = time_axis(at[0], at[-1])
    equity = path["equity"].to_numpy(dtype=np.float64)
    close = path["close"].to_numpy(dtype=np.float64)
    held = close / close[0]
    keep = _kept(at, bucket_seconds(x.high - x.low, POINTS))
    ends = np.concatenate([equity[keep], held[keep], [1.0]])
    y = value_axis([float(ends.min()), float(ends.max())], parts=4)
    lines = (
        Line("the asset itself", "shift", line_path(x, y, at[keep], held[keep])),
        Line(model, "null", line_path(x, y, at[keep], equity[keep])),
    )
    return x, (Panel("equity", "begins at 1", 170, y, lines), _fall(x, at, equity, held))


def _fall(x: Axis, at: Floats, equity: Floats, held: Floats) -> Panel:
    """Return how far below its highest so far each lies, the deepest of each stretch of time."""
    width = bucket_seconds(x.high - x.low, POINTS)
    starts = np.flatnonzero(np.diff(np.floor(at / width), prepend=-1.0))
    falls = [
        100.0 * np.minimum.reduceat(values / np.maximum.accumulate(values) - 1.0, starts)
        for values in (held, equity)
    ]
    y = value_axis(
        [0.0, *(float(fall.min()) for fall in falls)], parts=3, unit="\N{NO-BREAK SPACE}%"
    )
    lines = tuple(
        Line(label, style, line_path(x, y, at[starts], fall))
        for label, style, fall in zip(("the asset", "ours"), ("shift", "null"), falls, strict=True)
    )
    return Panel("fall from the highest so far", "% of equity", 90, y, lines)


def _kept(at: Floats, width: int) -> NDArray[np.int64]:
    """Return the first position, and the last of each bucket of time; `at` is in order."""
    bucket = np.floor(at / width)
    return np.unique(np.append(0, np.flatnonzero(np.diff(bucket, append=np.inf))))
