"""How one stream of one run stands from page to page: what is new, and whether it joins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from moodtape.clock import iso
from moodtape.errors import CouldNotRead
from moodtape.records import Poll, PollState


@dataclass
class Turn:
    """A stream whose every run begins with rows that are stored.

    stored: time of its newest stored row; None: there is none yet.
    step: between two rows, at most.
    bounded: the user set where it begins, so nothing stored need come again.
    """

    stream: str
    stored: datetime | None
    step: timedelta
    bounded: bool
    fresh: int = 0
    seen: bool = False
    came: bool = False
    hole: str = ""

    def take(self, seen: Sequence[datetime], kept: Sequence[datetime]) -> None:
        """Count what is new on a page, and see whether the first rows join what is stored.

        Args:
            seen: times of all its rows, rising. kept: of those that are stored.
        """
        if seen and not self.seen and self.stored is not None and not self.bounded:
            self._compare(self.stored, seen[0])
        self.seen = self.seen or bool(seen)
        self.fresh = sum(1 for time in kept if self.stored is None or time > self.stored)
        self.came = self.came or self.fresh > 0

    def finish(self) -> None:
        """Make sure that something came, where rows that are known must come again.

        Raises:
            CouldNotRead: nothing did.
        """
        if not self.seen and self.stored is not None and not self.bounded:
            raise CouldNotRead(f"{self.stream}: nothing came, not even {iso(self.stored)} again.")

    def poll(self, polled_at: datetime) -> Poll:
        """Return how the stream stands; a hole that was seen once stays said."""
        state: PollState = "capped" if self.hole else "ok" if self.came else "empty"
        return Poll(self.stream, state, polled_at, self.fresh, self.hole)

    def _compare(self, stored: datetime, first: datetime) -> None:
        if first > stored + self.step:
            self.hole = (
                f"nothing before {iso(first)} is shown any more: what came since {iso(stored)}"
                " is missing"
            )
