"""Features of how a source's polls ended: no text because nothing was said, or for another reason.

One step is one bar, one block a source: the polls of the hours since the bar before closed. A
bar without a poll has zeros, and then `observed` tells whether it was watched in another way,
such as an import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.features.base import SENTIMENT, Feature

if TYPE_CHECKING:
    from moodtape.forecaster.features.base import Floats

SCOPE = "polls"
"""A stream of this scope, `news_polls`, is how the polls of `news` ended."""

MEANINGS = {
    "down": "had no answer",
    "refused": "were refused",
    "unreadable": "had an answer cut short or garbled",
    "capped": "showed only a part of what was new",
}
POLL_COLUMNS = ("n_polls", *(f"n_{state}" for state in MEANINGS))


def poll_features() -> list[Feature]:
    """Return the share of the last bar's polls that ended in each way that brings too little."""
    return [_share(state, meaning) for state, meaning in MEANINGS.items()]


def _share(state: str, meaning: str) -> Feature:
    def compute(n_polls: Floats, n_state: Floats) -> Floats:
        return np.where(n_polls > 0, n_state / np.where(n_polls > 0, n_polls, 1), 0.0)

    compute.__doc__ = f"Share of the last bar's polls that {meaning}; 0 without polls."
    inputs = ("n_polls", f"n_{state}")
    return Feature(state, SENTIMENT, inputs, 0, "share of polls", compute, coverage=True)
