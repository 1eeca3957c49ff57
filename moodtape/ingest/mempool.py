"""Bitcoin's hash rate, the fees of its blocks, and what a fee costs now, by mempool.space.

A node of one's own that runs its software answers the same.

    hashrate      daily; stamped with the midnight that ends the day
    block fees    mean of a day's blocks; only the last three days are shown block by block
    fees          a reading: its period ends at the minute in which it was read, and begins at
                  the reading before, an hour earlier at most

Source: mempool/mempool, backend/src/api/mining/mining.ts and api-docs-data.ts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any

from moodtape.clock import floor_to
from moodtape.config import MempoolSection
from moodtape.errors import CouldNotRead, SourceFailed
from moodtape.ingest.base import Batch, Door, Tools, failed_poll
from moodtape.ingest.http import Answer
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.series import (
    Bounds,
    Places,
    Point,
    begin,
    payload,
    read_number,
    read_time,
    require_grid,
)
from moodtape.records import Metric, Poll

PROVIDER, SYMBOL = "mempool", "BTC"
ONCE = "mempool_fees"
"""Provider of what cannot be had again later: readings, and fees block by block."""

HASHRATE, BLOCK_FEES = "hashrate_hs", "fees_per_block_sat"
FEES = {
    "fastestFee": "fee_fastest_sat_vb",
    "halfHourFee": "fee_half_hour_sat_vb",
    "hourFee": "fee_hour_sat_vb",
    "economyFee": "fee_economy_sat_vb",
    "minimumFee": "fee_minimum_sat_vb",
}
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OVERLAP = 7 * DAY
SHOWN = 3 * DAY
"""How far back fees are shown block by block; beyond, as means of several."""

PERIODS = {"1w": 7, "1m": 28, "3m": 89, "6m": 181, "1y": 365, "2y": 730, "3y": 1095}
"""Days that each reaches back at least."""

WHOLE = 0.95
"""Share of a day's blocks that must be there: two blocks of one second are shown as one."""


def collector(tools: Tools) -> Mempool:
    """Return the collector of the three streams."""
    return Mempool(tools.config.mempool, tools.http, tools.since, tools.until)


class Mempool:
    """Collects the streams one by one; the cursor is the end of each one's newest period."""

    name = "mempool"

    def __init__(
        self,
        section: MempoolSection,
        http: Door,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.section, self.http, self.bounds = section, http, Bounds(since, until)

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each stream; between bounds, only of the one that has a past."""
        places = Places(cursor)
        streams = {"hashrate": self._hashrate}
        if self.bounds == Bounds():
            streams |= {"block fees": self._block_fees, "fees": self._fees}
        for stream, ask in streams.items():
            try:
                yield ask(stream, places, now)
            except SourceFailed as failure:
                poll = failed_poll(stream, failure, self.http.now())
                yield Batch((), places.cursor, (poll,))

    def _get(self, path: str) -> Answer:
        return self.http.get(f"{self.section.base_url.rstrip('/')}/api/v1/{path}")

    def _hashrate(self, stream: str, places: Places, now: datetime) -> Batch:
        first = now - self.section.first_days * DAY
        series = begin(stream, SYMBOL, PROVIDER, DAY, places, self.bounds, first, OVERLAP)
        needed = (now - series.start) / DAY + 1
        period = next((name for name, days in PERIODS.items() if days >= needed), "all")
        answer = self._get(f"mining/hashrate/{period}")
        points, rejected = [], []
        for row in _rows(answer, "hashrates"):
            try:
                end = read_time(row.get("timestamp"), SECOND)
                if series.has(end) and floor_to(end, DAY) != end:
                    raise ValueError("its time is no midnight")
            except ValueError as exc:
                rejected.append(Rejected(f"{SYMBOL} {HASHRATE}", str(exc), payload(row)))
                continue
            points.append(Point(HASHRATE, end, row.get("avgHashrate"), above_zero=True))
        points = [point for point in points if series.has(point.end)]
        require_grid(list({point.end for point in points}), DAY, answer.place)
        return series.batch(points, answer, places, rejected)

    def _block_fees(self, stream: str, places: Places, now: datetime) -> Batch:
        series = begin(stream, SYMBOL, ONCE, DAY, places, self.bounds, now - SHOWN, SHOWN)
        answer = self._get("mining/blocks/fees/3d")
        days, rejected = _by_day(answer)
        points = []
        for day, fees in sorted(days.items()):
            span = max(fees) - min(fees) + 1
            # Of the day at which the answer begins, some blocks are not shown.
            if day < answer.server_time - SHOWN:
                continue
            if len(fees) < WHOLE * span:
                place = f"{SYMBOL} {BLOCK_FEES} {day:%Y-%m-%dT%H:%MZ}"
                reason = f"only {len(fees)} of {span} blocks are shown"
                rejected.append(Rejected(place, reason, ""))
                continue
            points.append(Point(BLOCK_FEES, day + DAY, fmean(fees.values())))
        return series.batch(points, answer, places, rejected)

    def _fees(self, stream: str, places: Places, now: datetime) -> Batch:
        answer = self._get("fees/precise")
        told = answer.json()
        if not isinstance(told, dict):
            raise CouldNotRead(f"{answer.place} sent no fees.")
        end, before = floor_to(answer.fetched_at, MINUTE), places.end_of(stream)
        if before is not None and end <= before:
            return Batch((), places.cursor, (Poll(stream, "empty", answer.fetched_at),))
        start = end - HOUR if before is None else max(before, end - HOUR)
        rows, rejected = [], []
        for name, metric in FEES.items():
            try:
                fee = read_number(told.get(name))
            except ValueError as exc:
                place = f"{SYMBOL} {metric} {end:%Y-%m-%dT%H:%MZ}"
                rejected.append(Rejected(place, str(exc), payload(told)))
                continue
            rows.append(Metric(ONCE, SYMBOL, metric, start, end, fee, answer.fetched_at))
        if len(rejected) > len(rows):
            raise CouldNotRead(f"{answer.place} sent no fees.")
        places.move(stream, end)
        poll = Poll(stream, "ok", answer.fetched_at, 1)
        return Batch(rows, places.cursor, (poll,), tuple(rejected))


def _by_day(answer: Answer) -> tuple[dict[datetime, dict[int, float]], list[Rejected]]:
    """Return the fees of each block, in satoshi, by the height of the block and its day."""
    days: dict[datetime, dict[int, float]] = {}
    rejected = []
    for row in _rows(answer, None):
        try:
            at = read_time(row.get("timestamp"), SECOND)
            height, fees = int(read_number(row.get("avgHeight"))), read_number(row.get("avgFees"))
        except ValueError as exc:
            rejected.append(Rejected(f"{SYMBOL} {BLOCK_FEES}", str(exc), payload(row)))
            continue
        days.setdefault(floor_to(at, DAY), {})[height] = fees
    return days, rejected


def _rows(answer: Answer, name: str | None) -> list[dict[str, Any]]:
    told = answer.json()
    rows = told.get(name) if name is not None and isinstance(told, dict) else told
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CouldNotRead(f"{answer.place} sent no list of {name or 'blocks'}.")
    return rows
