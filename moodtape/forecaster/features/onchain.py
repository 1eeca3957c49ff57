"""Features of on-chain, index and funding values as of each decision. One step is one bar.

The inputs are what each decision saw: the newest value known then, and its age. A window
over them shows what each row showed, so a restatement never changes an older row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import ONCHAIN, Feature
from moodtape.forecaster.features.rolling import lagged, rolling_mean, rolling_std

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats

LEVEL_DAYS = 30
FEWEST_STEPS = 10


def metric_features(metric: str, bars_per_day: float, max_age_d: float) -> list[Feature]:
    """Return the columns made of one metric: its level against a month, its change, its age.

    A value older than `max_age_d` days counts as missing.
    """
    day = max(1, round(bars_per_day))
    month = max(FEWEST_STEPS, round(LEVEL_DAYS * bars_per_day))
    value, age = f"{metric}.value", f"{metric}.age_d"

    def fresh(values: Floats, age_d: Floats) -> Floats:
        return np.where(age_d <= max_age_d, values, np.nan)

    def level(values: Floats, age_d: Floats) -> Floats:
        """Value less its mean of 30 days, in their standard deviations, cut at -8 and 8."""
        known = fresh(values, age_d)
        spread = rolling_std(known, month, 0.3)
        gap = known - rolling_mean(known, month, 0.3)
        return np.where(spread > 0, gap / np.where(spread > 0, spread, 1), 0 * gap).clip(-8, 8)

    def change(values: Floats, age_d: Floats) -> Floats:
        """Value less that of a day before, in standard deviations of 30 days, cut at -8 and 8."""
        known = fresh(values, age_d)
        move = known - lagged(known, day)
        spread = rolling_std(known, month, 0.3)
        return np.where(spread > 0, move / np.where(spread > 0, spread, 1), 0 * move).clip(-8, 8)

    def staleness(values: Floats, age_d: Floats) -> Floats:
        """Age of the newest known value over the age at which it counts as missing, at most 1."""
        return np.minimum(np.where(np.isnan(age_d), max_age_d, age_d), max_age_d) / max_age_d

    return [
        Feature(f"{metric}.level", ONCHAIN, (value, age), month - 1, "deviations", level),
        Feature(f"{metric}.change", ONCHAIN, (value, age), month - 1, "deviations", change),
        Feature(f"{metric}.age", ONCHAIN, (value, age), 0, "share of the longest", staleness),
    ]
