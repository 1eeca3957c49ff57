"""Features of texts; an hour nobody watched is NaN, never neutral.

One step is one hour where a feature is decayed or compares with an hour before, else one bar:
its texts are those of the hours since the bar before closed. So the texts of an evening and of
a weekend reach the next session of a stock; of hourly bars it is the last hour.

Each feature is made once for every stream: the texts of one source about the symbol,
and those of one source about the market at large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import SENTIMENT, Feature, feature
from moodtape.forecaster.features.rolling import decayed_sum, lagged

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats

KERNEL_HALF_LIVES = 5
"""A decayed sum is cut here, where a text weighs 3 %."""

REGIME_HOURS = 168


@feature(
    group=SENTIMENT,
    inputs=["sum_tone", "n"],
    lookback=0,
    unit="P(positive) - P(negative)",
    polarity=True,
)
def tone_last(sum_tone: Floats, n: Floats) -> Floats:
    """Mean tone of the last bar's texts; NaN without texts."""
    return np.where(n > 0, sum_tone / np.where(n > 0, n, 1), np.nan)


@feature(group=SENTIMENT, inputs=["n"], lookback=0, unit="log count")
def count_last(n: Floats) -> Floats:
    """Log of one plus the number of texts of the last bar."""
    return np.asarray(np.log1p(n))


@feature(group=SENTIMENT, inputs=["n"], lookback=0, unit="0 or 1", coverage=True)
def observed(n: Floats) -> Floats:
    """Whether any hour of the last bar was watched."""
    return (~np.isnan(n)).astype(float)


@feature(group=SENTIMENT, inputs=["n", "watched", "usual"], lookback=0, unit="log ratio")
def surge(n: Floats, watched: Floats, usual: Floats) -> Floats:
    """Log of the last bar's count over that of as many watched hours of the last week."""
    return np.asarray(np.log((n + 1) / (watched * usual + 1)))


@feature(group=SENTIMENT, inputs=["n_repost"], lookback=0, unit="log count")
def reposts_last(n_repost: Floats) -> Floats:
    """Log of one plus the number of texts of the last bar that told again what was told before."""
    return np.asarray(np.log1p(n_repost))


@feature(group=SENTIMENT, inputs=["n", "n_repost"], lookback=47, unit="share", step="hour")
def repost_share(n: Floats, n_repost: Floats) -> Floats:
    """Share of reposts among the texts of 48 hours."""
    texts = decayed_sum(n, 1.0, 48)
    reposts = decayed_sum(n_repost, 1.0, 48)
    total = texts + reposts
    return np.where(total > 0, reposts / np.where(total > 0, total, 1), np.nan)


@feature(
    group=SENTIMENT,
    inputs=["collections"],
    lookback=REGIME_HOURS,
    unit="0 to 1",
    step="hour",
    coverage=True,
)
def regime_age(collections: Floats) -> Floats:
    """Share of a week since the set of collections changed; 1 when it is older."""
    before = lagged(collections, 1)
    step = np.arange(len(collections))
    changed = np.where((collections != before) & ~np.isnan(before), step, -REGIME_HOURS)
    age = step - np.maximum.accumulate(changed)
    return np.minimum(age / REGIME_HOURS, 1.0)


def decayed_features(half_lives_h: tuple[float, ...]) -> list[Feature]:
    """Return tone, spread and rate decayed by each half-life in hours."""
    made: list[Feature] = []
    for half_life in half_lives_h:
        decay = 0.5 ** (1 / half_life)
        steps = int(np.ceil(KERNEL_HALF_LIVES * half_life))
        made += [_tone(half_life, decay, steps), _rate_feature(half_life, decay, steps)]
    slow = max(half_lives_h)
    made.append(_spread(slow, 0.5 ** (1 / slow), int(np.ceil(KERNEL_HALF_LIVES * slow))))
    return made


def _label(half_life_h: float) -> str:
    return f"{half_life_h:g}h"


def _tone(half_life: float, decay: float, steps: int) -> Feature:
    def compute(sum_tone: Floats, n: Floats) -> Floats:
        """Mean tone of the texts, a text's weight halving with each half-life; NaN without."""
        texts = decayed_sum(n, decay, steps)
        tone = decayed_sum(sum_tone, decay, steps)
        return np.where(texts > 0, tone / np.where(texts > 0, texts, 1), np.nan)

    unit = "P(positive) - P(negative)"
    name = f"tone_{_label(half_life)}"
    return Feature(
        name, SENTIMENT, ("sum_tone", "n"), steps - 1, unit, compute, polarity=True, step="hour"
    )


def _rate_feature(half_life: float, decay: float, steps: int) -> Feature:
    def compute(n: Floats) -> Floats:
        """Log of one plus the texts per watched hour, weights halving with each half-life."""
        return np.asarray(np.log1p(hourly_rate(n, decay, steps)))

    name = f"rate_{_label(half_life)}"
    return Feature(name, SENTIMENT, ("n",), steps - 1, "log texts an hour", compute, step="hour")


def _spread(half_life: float, decay: float, steps: int) -> Feature:
    def compute(sum_tone: Floats, sum_tone_squared: Floats, n: Floats) -> Floats:
        """Standard deviation of tone, weights halving with each half-life; NaN without texts."""
        texts = decayed_sum(n, decay, steps)
        safe = np.where(texts > 0, texts, 1)
        mean = decayed_sum(sum_tone, decay, steps) / safe
        square = decayed_sum(sum_tone_squared, decay, steps) / safe
        return np.where(texts > 0, np.sqrt(np.maximum(square - mean**2, 0)), np.nan)

    inputs = ("sum_tone", "sum_tone_squared", "n")
    name = f"spread_{_label(half_life)}"
    unit = "standard deviation of tone"
    return Feature(name, SENTIMENT, inputs, steps - 1, unit, compute, polarity=True, step="hour")


def hourly_rate(n: Floats, decay: float, steps: int) -> Floats:
    """Return decayed texts per watched hour; NaN where no hour was watched."""
    watched = decayed_sum((~np.isnan(n)).astype(float), decay, steps)
    return np.where(
        watched > 0, decayed_sum(n, decay, steps) / np.where(watched > 0, watched, 1), np.nan
    )
