"""What every scorer promises, and the order of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Probabilities = NDArray[np.float32]

LABELS = ("negative", "neutral", "positive")
"""Columns of a score, always in this order."""

KINDS = ("event", "recap", "forecast", "promotion", "other")
"""Columns of a kind, always in this order."""


@runtime_checkable
class Scorer(Protocol):
    """Says how a text sounds for the market of what it is about.

    A score is a function of its text alone: alone, sorted or shuffled, the same bits.

    Attributes:
        name: short name, part of the score's key ("lexicon", "bundled").
        revision: what the scores depend on besides the text: file hash, runtime, precision.
        trained_until: aware UTC instant up to which the scorer may know what
            happened; None when unknown, which means that no text is younger.
    """

    @property
    def name(self) -> str:
        """Short name, part of the key of what is stored."""
        ...

    @property
    def revision(self) -> str:
        """File hash, runtime and precision: what else the answer depends on."""
        ...

    @property
    def trained_until(self) -> datetime | None:
        """Instant up to which the scorer may know what happened."""
        ...

    def score(self, texts: Sequence[str]) -> Probabilities:
        """Return P(negative), P(neutral), P(positive); (n, 3) float32, rows sum to 1."""
        ...


@runtime_checkable
class KindClassifier(Protocol):
    """Says what a text is: event, recap, forecast, promotion or other."""

    @property
    def name(self) -> str:
        """Short name, part of the key of what is stored."""
        ...

    @property
    def revision(self) -> str:
        """File hash, runtime and precision: what else the answer depends on."""
        ...

    def classify_kinds(self, texts: Sequence[str]) -> Probabilities:
        """Return one probability for each of `KINDS`; (n, 5) float32, rows sum to 1."""
        ...

    def score_and_classify(self, texts: Sequence[str]) -> tuple[Probabilities, Probabilities]:
        """Return `score` and `classify_kinds` from one pass over the texts."""
        ...
