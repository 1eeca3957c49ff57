"""What came of forecasts, told by the first-known versions of their bars.

A correction that comes later changes no answer, and a bar that never came leaves none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import from_datetime64, to_datetime64
from moodtape.forecaster.baselines import nearest_variance_bars
from moodtape.forecaster.features.base import REGISTRY
from moodtape.forecaster.target import make_targets, trailing_variance
from moodtape.storage.settlements import Issued, Settlement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.grid import BarGrid

    Floats = NDArray[np.float64]


def settle(
    grid: BarGrid,
    forecasts: Sequence[Issued],
    now: datetime,
    void_after: timedelta,
    floor_bps: float,
) -> list[Settlement]:
    """Return the answers of those forecasts whose horizon has passed.

    One whose bars are not all there waits for `void_after` from its end, since bars may be
    late, and is void then.

    Args:
        grid: first-known bars of the forecasts' series, up to now and beyond a week before
            the first cutoff.
        floor_bps: volatility below this many basis points counts as this much.
    """
    if not forecasts:
        return []
    horizons = tuple(sorted({f.horizon_bars for f in forecasts}))
    bars = {name: grid.first[name] for name in ("open", "high", "low", "close")}
    targets = make_targets(bars, grid.close_time, ("return", "volatility"), horizons, floor_bps)
    trailing = trailing_variance(bars["close"])
    before = {h: _volatility_before(bars, h) for h in horizons}
    found = []
    for forecast in forecasts:
        row = int(np.searchsorted(grid.close_time, to_datetime64(forecast.cutoff)))
        last = row + forecast.horizon_bars
        if last >= len(grid.close_time) or grid.close_time[last] > to_datetime64(now):
            continue
        due_at = from_datetime64(grid.close_time[last])
        change = float(targets[f"return_{forecast.horizon_bars}"].y[row])
        if grid.close_time[row] == to_datetime64(forecast.cutoff) and not np.isnan(change):
            size = float(np.exp(targets[f"volatility_{forecast.horizon_bars}"].y[row]))
            found.append(
                Settlement(
                    forecast, due_at, "settled", change, size,
                    _or_none(trailing[row]), _or_none(before[forecast.horizon_bars][row]),
                )
            )  # fmt: skip
        elif now >= due_at + void_after:
            found.append(Settlement(forecast, due_at, "void"))
    return found


def _volatility_before(bars: Mapping[str, Floats], horizon: int) -> Floats:
    """Return the volatility of the last bars, as the persistence baseline takes it. (T,)"""
    feature = REGISTRY[f"log_variance_{nearest_variance_bars(horizon)}"]
    inputs = [bars[name] for name in feature.inputs]
    return np.asarray(np.exp(0.5 * feature.compute(*inputs)))


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
