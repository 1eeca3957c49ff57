"""What every collector of bars shares: its pairs one by one, where each goes on, and the grid."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from moodtape.clock import floor_to
from moodtape.config import BarsSection
from moodtape.errors import SourceFailed
from moodtape.ingest.base import Batch, failed_poll

_MONDAY = timedelta(days=4)


class Pair(NamedTuple):
    """One series of bars."""

    symbol: str
    quote: str


P = TypeVar("P", bound=Pair)


class BarSeries(ABC, Generic[P]):
    """Collects the bars of some pairs; the cursor is the open of each one's newest stored bar."""

    name = "bars"
    pairs: Sequence[P]
    step: timedelta
    bars: BarsSection

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each page; a pair that fails does not keep the others from it."""
        newest: dict[str, str] = json.loads(cursor or "{}")
        for pair in self.pairs:
            stream = self._stream(pair)
            try:
                yield from self._pages(pair, stream, newest, now)
            except SourceFailed as failure:
                poll = failed_poll(stream, failure, self._now())
                yield Batch((), json.dumps(newest), (poll,))

    @abstractmethod
    def _stream(self, pair: P) -> str:
        """Return what a pair's bars are called in polls and in the cursor."""

    @abstractmethod
    def _pages(
        self, pair: P, stream: str, newest: dict[str, str], now: datetime
    ) -> Iterator[Batch]:
        """Yield the bars of one pair, oldest first, and move its place in the cursor."""

    @abstractmethod
    def _now(self) -> datetime:
        """Return the time of the last answer."""

    def _begin(self, stored: datetime | None, now: datetime) -> datetime:
        """Return where to go on: a few bars back, since a venue corrects its last bars."""
        if stored is None:
            return now - timedelta(days=self.bars.first_days)
        return stored - (self.bars.overlap_bars - 1) * self.step

    def _grid(self, instant: datetime) -> datetime:
        """Return the open of the bar at an instant; weeks open on Mondays."""
        shift = _MONDAY if self.step % timedelta(days=7) == timedelta(0) else timedelta(0)
        return floor_to(instant - shift, self.step) + shift
