"""Which features a study uses: those of its groups, built-in ones before those of plug-ins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodtape.errors import UsageError
from moodtape.forecaster.features import (
    calendar,
    indicators,
    price,
    sentiment,
    volatility,
    volume,
)
from moodtape.forecaster.features.added import added_features
from moodtape.forecaster.features.base import CALENDAR, PRICE, SENTIMENT, Feature, features_of
from moodtape.forecaster.features.polls import SCOPE as POLLS
from moodtape.forecaster.features.polls import poll_features
from moodtape.forecaster.features.sentiment import decayed_features

if TYPE_CHECKING:
    from moodtape.config import Config


ORDER = {
    module.__name__: place
    for place, module in enumerate((price, volatility, indicators, volume, calendar, sentiment))
}
"""Columns stand in the order of these modules, whichever of them was imported first."""


@dataclass(frozen=True)
class Chosen:
    """Features in the order of their columns; those of texts are made once a stream."""

    price: tuple[Feature, ...]
    calendar: tuple[Feature, ...]
    texts: tuple[Feature, ...]

    @property
    def lookback_bars(self) -> int:
        """Return how many bars before its own the farthest-looking feature of bars uses."""
        return max(f.lookback for f in (*self.price, *self.calendar))

    @property
    def text_lookback_bars(self) -> int:
        """Return the same of the features of texts that count in bars."""
        return max((f.lookback for f in self.texts if f.step == "bar"), default=0)

    @property
    def lookback_hours(self) -> int:
        """Return how many hours before its own the farthest-looking feature of texts uses."""
        return max((f.lookback for f in self.texts if f.step == "hour"), default=0)

    @property
    def tone_hours(self) -> int:
        """Return how many hours the tone of a text goes on counting."""
        return max(
            (f.lookback + 1 for f in self.texts if f.polarity and f.step == "hour"), default=0
        )

    def of_stream(self, name: str) -> tuple[Feature, ...]:
        """Return the features of a stream: of texts, or of how a source's polls ended."""
        return tuple(poll_features()) if is_of_polls(name) else self.texts


def is_of_polls(stream: str) -> bool:
    """Say whether a stream tells how a source's polls ended; then no value of it is missing."""
    return stream.endswith(f"_{POLLS}")


def chosen_features(config: Config) -> Chosen:
    """Return the features that a config asks for.

    Raises:
        UsageError: a plug-in's feature has the name of one that `sentiment.half_lives_h` makes.
        UsageError, PlugInBroken: see `added_features`.
    """
    groups = config.features.groups
    added = added_features(config.features.plugins)

    def of(group: str) -> tuple[Feature, ...]:
        own = sorted(features_of(group), key=lambda f: ORDER.get(f.compute.__module__, len(ORDER)))
        return (*own, *(f for f in added if f.group == group)) if group in groups else ()

    texts, decayed = of(SENTIMENT), decayed_features(config.sentiment.half_lives_h)
    if twice := {f.name for f in texts} & {f.name for f in decayed}:
        raise UsageError(
            f"There are two features {min(twice)!r}: a plug-in's, and the one that"
            " sentiment.half_lives_h makes. Rename the plug-in's."
        )
    return Chosen(of(PRICE), of(CALENDAR), (*texts, *decayed))
