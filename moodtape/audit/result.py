"""What an audit found, and how it is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from moodtape.clock import format_duration, iso


@dataclass(frozen=True)
class Offender:
    """A number that changed when only its future did.

    column: a feature, a target, or an output of a fold (`fold 2 forecast return_1`).
    row_time: decision time of the earliest row at which it changed.
    looked_ahead: how far after that time the latest row lay that it was seen to depend on;
        at least so far. None where it could not be told.
    """

    column: str
    row_time: datetime
    looked_ahead: timedelta | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the offender with its look-ahead as `90min`, `6h`, `3d`."""
        ahead = None if self.looked_ahead is None else format_duration(self.looked_ahead)
        return {
            "column": self.column,
            "row_time": self.row_time.isoformat(),
            "looked_ahead": ahead,
        }

    def __str__(self) -> str:
        where = f"{self.column} at {iso(self.row_time)}"
        if self.looked_ahead is None:
            return f"{where} depends on its future"
        return f"{where} depends on rows known {format_duration(self.looked_ahead)} later"


@dataclass(frozen=True)
class AuditResult:
    """The outcome of an audit.

    checked: how many numbers were compared, over all cuts.
    cuts: the instants after which everything was changed.
    offenders: the earliest row of each offending column, in the order of the line: features,
        answers, folds, scaled inputs, forecasts; what comes first is the likely cause.
    """

    checked: int
    cuts: tuple[datetime, ...]
    offenders: tuple[Offender, ...] = ()

    @property
    def clean(self) -> bool:
        """Say whether nothing changed."""
        return not self.offenders

    def with_arm(self, name: str, other: AuditResult) -> AuditResult:
        """Return this audit with that of an arm that reads other texts, at the same cuts."""
        found = [replace(each, column=f"{name}: {each.column}") for each in other.offenders]
        return AuditResult(self.checked + other.checked, self.cuts, (*self.offenders, *found))

    def as_dict(self) -> dict[str, Any]:
        """Return the audit under the names that `--json` promises."""
        return {
            "clean": self.clean,
            "checked": self.checked,
            "cuts": [cut.isoformat() for cut in self.cuts],
            "offenders": [offender.as_dict() for offender in self.offenders],
        }

    def to_json(self) -> str:
        """Return `as_dict` as JSON."""
        return json.dumps(self.as_dict())

    def sentence(self) -> str:
        """Return the outcome in one line."""
        number = len(self.cuts)
        where = f"{number} cut{'s' if number != 1 else ''}"
        if self.clean:
            return f"No look-ahead: {self.checked:,} numbers compared at {where}."
        return f"Look-ahead in {len(self.offenders)} columns. First: {self.offenders[0]}."
