"""Losses of settled forecasts, ready for a sum: thinned, averaged over symbols, with references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import parse_duration
from moodtape.forecaster.metrics import deciding_loss
from moodtape.forecaster.skill import target_losses

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Instants = NDArray[np.datetime64]


@dataclass(frozen=True)
class Losses:
    """Of one target and horizon, in order of time.

    due: when each answer was there, shape (n,). loss: shape (n,). references: persistence's,
    shape (n, k). per_day: thinned forecasts a day.
    """

    due: Instants
    cutoff: Instants
    loss: Floats
    references: Floats
    per_day: float

    def between(self, after: np.datetime64, until: np.datetime64) -> Losses:
        """Return those whose answers were there in (after, until]."""
        use = (self.due > after) & (self.due <= until)
        return Losses(
            self.due[use], self.cutoff[use], self.loss[use], self.references[use], self.per_day
        )


def thinned_losses(live: pd.DataFrame, interval: str) -> dict[tuple[str, int], Losses]:
    """Return the losses of each target and horizon whose answers do not overlap.

    Symbols share their weather: their losses are averaged at each cut-off. A volatility is held
    against that of the last bars, as in live skill, and against that of the last day, since both
    together tell most of what was hard about an hour.

    Args:
        live: from `storage.settlements.live_forecasts`, of one interval.
    """
    found = {}
    length = parse_duration(interval)
    per_day = parse_duration("1d") / length
    step = np.timedelta64(length, "us")
    for horizon, rows in live.groupby("horizon_bars", sort=True):
        bars = int(str(horizon))
        parts = [
            _with_losses(part, bars, max(round(per_day), 1)) for _, part in rows.groupby("symbol")
        ]
        for target in parts[0]:
            import pandas as pd

            table = pd.concat([part[target] for part in parts]).dropna()
            mean = table.groupby("cutoff", sort=True).mean()
            cutoff = mean.index.to_numpy().astype("datetime64[us]")
            number = (cutoff - np.datetime64(0, "us")) // step
            use = number % bars == 0
            if use.any():
                values = mean.to_numpy(float)[use]
                due = cutoff[use] + bars * step
                found[target, bars] = Losses(
                    due, cutoff[use], values[:, 0], values[:, 1:], per_day / bars
                )
    return found


def _with_losses(part: pd.DataFrame, bars: int, day: int) -> dict[str, pd.DataFrame]:
    """Return a symbol's losses by target: cutoff, loss, references."""
    import pandas as pd

    part = part.sort_values("cutoff")
    cutoff = part["cutoff"].dt.tz_convert(None)
    found = {}
    for target, (loss, persistence) in target_losses(part, bars).items():
        table = pd.DataFrame({"cutoff": cutoff, "loss": loss, "persistence": persistence})
        if target == "volatility":
            table["day"] = _against_the_last_day(part, bars, day)
        found[target] = table.replace([np.inf, -np.inf], np.nan)
    return found


def _against_the_last_day(part: pd.DataFrame, bars: int, day: int) -> Floats:
    """Return the loss of saying that volatility is that of the last day's answers. (n,)

    Only answers that were there at the cut-off count: those of forecasts `bars` before and more.
    """
    realised = part["realised"].astype(float)
    before = (realised**2).rolling(day, min_periods=1).mean().shift(bars)
    with np.errstate(divide="ignore", invalid="ignore"):
        said, answer = 0.5 * np.log(before.to_numpy()), np.log(realised.to_numpy())
    scale = np.ones(len(part))
    return deciding_loss("volatility", answer, said, scale, bars)
