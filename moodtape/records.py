"""Frozen values that cross rooms, and the columns that rows are stored under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Source = Literal["news", "reddit", "x"]
TEXT_SOURCES: tuple[Source, ...] = ("news", "reddit", "x")

MARKET_SYMBOL = "MARKET"
"""Reserved symbol of texts about no coin in particular; they reach every symbol."""

UNKNOWN_KIND = "unknown"
"""Kind of a text that no classifier has read yet."""

SCALE = 1_000_000
"""Probabilities are stored as whole millionths, so that sums are exact in any order."""


@dataclass(frozen=True)
class ImportCounts:
    """What happened to the rows of one file or source."""

    new: int = 0
    known: int = 0
    corrected: int = 0
    quarantined: int = 0
    duplicate_in_file: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: ImportCounts) -> ImportCounts:
        reasons = dict(self.reasons)
        for reason, count in other.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
        return ImportCounts(
            self.new + other.new,
            self.known + other.known,
            self.corrected + other.corrected,
            self.quarantined + other.quarantined,
            self.duplicate_in_file + other.duplicate_in_file,
            reasons,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts under the names that `--json` promises."""
        return {
            "new": self.new,
            "known": self.known,
            "corrected": self.corrected,
            "quarantined": self.quarantined,
            "duplicate_in_file": self.duplicate_in_file,
            "reasons": dict(self.reasons),
        }


@dataclass(frozen=True)
class Span:
    """A half-open stretch of time `[since, until)`, both aware."""

    since: datetime
    until: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.since <= instant < self.until
