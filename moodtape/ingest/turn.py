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
    pages: int = 0
    fresh: int = 0
    came: bool = False
    hole: str = ""

    def take(self, seen: Sequence[datetime], kept: Sequence[datetime]) -> None:
        """Count what is new on a page.

        Args:
            seen: times of all its rows, rising. kept: of those that are stored.
        Raises:
            CouldNotRead: the first page lacks even the rows that are known.
        """
        if self.pages == 0 and self.stored is not None and not self.bounded:
            self._compare(self.stored, seen)
        self.pages += 1
        self.fresh = sum(1 for time in kept if self.stored is None or time > self.stored)
        self.came = self.came or self.fresh > 0

    def poll(self, polled_at: datetime) -> Poll:
        """Return how the stream stands; a hole that was seen once stays said."""
        state: PollState = "capped" if self.hole else "ok" if self.came else "empty"
        return Poll(self.stream, state, polled_at, self.fresh, self.hole)

    def _compare(self, stored: datetime, seen: Sequence[datetime]) -> None:
        if not seen:
            raise CouldNotRead(f"{self.stream}: nothing came, not even {iso(stored)} again.")
        if seen[0] > stored + self.step:
            self.hole = (
                f"nothing before {iso(seen[0])} is shown any more: what came since"
                f" {iso(stored)} is missing"
            )
