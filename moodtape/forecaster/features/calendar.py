"""Features of the clock at the cut-off. One step is one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import CALENDAR, feature

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats

DAY_S, WEEK_S = 86_400.0, 604_800.0


@feature(group=CALENDAR, inputs=["cutoff_s"], lookback=0, unit="sine")
def hour_sine(cutoff_s: Floats) -> Floats:
    """Sine of the time of day (UTC) of the cut-off, given in seconds since 1970."""
    return np.asarray(np.sin(2 * np.pi * (cutoff_s % DAY_S) / DAY_S))


@feature(group=CALENDAR, inputs=["cutoff_s"], lookback=0, unit="cosine")
def hour_cosine(cutoff_s: Floats) -> Floats:
    """Cosine of the time of day (UTC) of the cut-off."""
    return np.asarray(np.cos(2 * np.pi * (cutoff_s % DAY_S) / DAY_S))


@feature(group=CALENDAR, inputs=["cutoff_s"], lookback=0, unit="sine")
def week_sine(cutoff_s: Floats) -> Floats:
    """Sine of the time of week of the cut-off."""
    return np.asarray(np.sin(2 * np.pi * (cutoff_s % WEEK_S) / WEEK_S))


@feature(group=CALENDAR, inputs=["cutoff_s"], lookback=0, unit="cosine")
def week_cosine(cutoff_s: Floats) -> Floats:
    """Cosine of the time of week of the cut-off."""
    return np.asarray(np.cos(2 * np.pi * (cutoff_s % WEEK_S) / WEEK_S))
