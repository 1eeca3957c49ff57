"""The Fear & Greed index of alternative.me: one whole number a day, from 0 to 100.

The index of day D is made from the days before it and stands at D 00:00.

Source: alternative.me/crypto/fear-and-greed-index, "API".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from moodtape.clock import EPOCH, floor_to
from moodtape.config import IndicesSection
from moodtape.errors import CouldNotRead, SourceFailed
from moodtape.ingest.base import Batch, Door, Tools, failed_poll
from moodtape.ingest.http import Answer
from moodtape.ingest.rejects import Rejected
from moodtape.records import MARKET_SYMBOL, Metric, Poll

PROVIDER, METRIC = "alternative_me", "fear_greed"
DAY = timedelta(days=1)
OVERLAP_DAYS = 7


def collector(tools: Tools) -> FearGreed:
    """Return the collector of the index."""
    return FearGreed(tools.config.indices, tools.http, tools.since, tools.until)


class FearGreed:
    """Collects the index; the cursor is its newest day."""

    name = "indices"

    def __init__(
        self,
        indices: IndicesSection,
        http: Door,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.indices, self.http, self.since, self.until = indices, http, since, until

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield one batch: all days at the first poll, some days again later."""
        stored = datetime.fromisoformat(cursor) if cursor else None
        start = self.since or (stored - OVERLAP_DAYS * DAY if stored else None)
        # The newest come first, so a number of days reaches from today; 0 is all of them.
        limit = 0 if start is None else max((now - start) // DAY + 2, 1)
        try:
            answer = self.http.get(f"{self.indices.base_url.rstrip('/')}/fng/", {"limit": limit})
            values, rejected = self._read(answer, start)
        except SourceFailed as failure:
            poll = failed_poll(METRIC, failure, self.http.now())
            yield Batch((), cursor or "", (poll,))
            return
        fresh = [v for v in values if stored is None or v.period_end > stored]
        days = [v.period_end for v in values] if self._joins(stored, start) else []
        newest = max([*days, *([stored] if stored else [])], default=None)
        poll = Poll(METRIC, "ok" if fresh else "empty", answer.fetched_at, len(fresh))
        position = newest.isoformat() if newest else ""
        yield Batch(values, position, (poll,), tuple(rejected))

    @staticmethod
    def _joins(stored: datetime | None, start: datetime | None) -> bool:
        """Say whether a stretch leaves no gap behind what is stored."""
        return stored is None or start is None or start <= stored + DAY

    def _read(self, answer: Answer, start: datetime | None) -> tuple[list[Metric], list[Rejected]]:
        """Return the days of an answer, oldest first, and what is none."""
        told = answer.json()
        rows = told.get("data") if isinstance(told, dict) else None
        if not isinstance(rows, list) or not rows:
            raise CouldNotRead(f"{answer.place} sent no days of the index.")
        values, rejected = {}, []
        for row in rows:
            try:
                day, value = _day(row), float(row["value"])
            except (TypeError, KeyError, ValueError, OverflowError):
                rejected.append(Rejected("a day", "cannot be read", json.dumps(row)[:4096]))
                continue
            if floor_to(day, DAY) != day or not 0 <= value <= 100:
                reason = "not a number from 0 to 100 at a midnight"
                rejected.append(Rejected(f"{day:%Y-%m-%d}", reason, json.dumps(row)[:4096]))
            elif (start is None or day >= start) and (self.until is None or day < self.until):
                values[day] = Metric(PROVIDER, MARKET_SYMBOL, METRIC, day - DAY, day, value)
        return [values[day] for day in sorted(values)], rejected


def _day(row: Any) -> datetime:
    return EPOCH + timedelta(seconds=int(row["timestamp"]))
