"""Whether a new model is no worse than another by more than a margin, on the same forecasts.

Not worse is proved, not assumed: what cannot be told keeps the model in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moodtape.clock import parse_duration
from moodtape.forecaster.skill import target_losses
from moodtape.forecaster.stats import FEWEST, block_length, time_variance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ONE_SIDED_95 = 1.6449


@dataclass(frozen=True)
class Bound:
    """How much larger a new model's loss is, as a share of the other's.

    increase: of the mean loss; upper: its one-sided 95 % upper bound, None where the forecasts
    never differ. n: forecasts; blocks: how many independent stretches they are worth.
    """

    target: str
    increase: float
    upper: float
    n: int
    blocks: float


def compare(new: pd.DataFrame, old: pd.DataFrame, interval: str) -> list[Bound]:
    """Return a bound for each target and horizon that both have forecast.

    Rows are paired by symbol, horizon and cut-off; symbols share their weather, so that their
    losses are averaged at each cut-off before anything is tested.

    Args:
        new, old: forecasts with answers, as `storage.settlements.live_forecasts` returns them.
    """
    key = ["symbol", "horizon_bars", "cutoff"]
    both = old.merge(new[[*key, "mean", "p_up", "volatility"]], on=key, suffixes=("", "_new"))
    per_day = parse_duration("1d") / parse_duration(interval)
    found = []
    for horizon, part in both.groupby("horizon_bars", sort=True):
        bars = int(str(horizon))
        replaced = part.assign(**{n: part[f"{n}_new"] for n in ("mean", "p_up", "volatility")})
        ours, theirs = target_losses(replaced, bars), target_losses(part, bars)
        for target, (loss, _) in ours.items():
            table = pd.DataFrame(
                {"cutoff": part["cutoff"], "new": loss, "old": theirs[target][0]}
            ).replace([np.inf, -np.inf], np.nan)
            mean = table.dropna().groupby("cutoff", sort=True).mean()
            if len(mean) >= FEWEST and mean["old"].mean() > 0:
                found.append(
                    bound(f"{target}_{bars}", mean["new"].to_numpy(), mean["old"].to_numpy(),
                          bars, per_day)
                )  # fmt: skip
    return found


def bound(target: str, new: Floats, old: Floats, horizon_bars: int, bars_per_day: float) -> Bound:
    """Return the relative increase of mean loss and its one-sided 95 % upper bound.

    The variance is that of blocks (`stats.time_variance`), the ratio's by the delta method.

    Args:
        new, old: losses in order of time, shape (n,).
    """
    mean = float(old.mean())
    ratio = float(new.mean()) / mean
    influence = (new - ratio * old) / mean
    block = block_length(influence, horizon_bars, bars_per_day)
    error = float(np.sqrt(time_variance(influence, block)))
    return Bound(target, ratio - 1, ratio - 1 + ONE_SIDED_95 * error, len(new), len(new) / block)
