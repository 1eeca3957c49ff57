"""Daily charts of Bitcoin by blockchain.com. A value's time is the start of its day.

Source: blockchain.com/explorer/api/charts_api.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from moodtape.clock import floor_to
from moodtape.config import BlockchainSection
from moodtape.errors import CouldNotRead, Refused, SourceFailed
from moodtape.ingest.base import Batch, Door, Tools, failed_poll
from moodtape.ingest.http import Answer
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.series import (
    Bounds,
    Places,
    Point,
    begin,
    payload,
    read_time,
    require_grid,
)
from moodtape.ingest.text import clean

PROVIDER, SYMBOL = "blockchain_com", "BTC"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def collector(tools: Tools) -> BlockchainCharts:
    """Return the collector of the charts that the config names."""
    return BlockchainCharts(tools.config.blockchain, tools.http, tools.since, tools.until)


class BlockchainCharts:
    """Collects charts; the cursor is the end of the newest stored day of each."""

    name = "blockchain"

    def __init__(
        self,
        section: BlockchainSection,
        http: Door,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.section, self.http, self.bounds = section, http, Bounds(since, until)

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each chart; one that fails keeps no other from coming."""
        places = Places(cursor)
        for chart in self.section.charts:
            try:
                yield self._chart(chart, places, now)
            except SourceFailed as failure:
                poll = failed_poll(chart, failure, self.http.now())
                yield Batch((), places.cursor, (poll,))

    def _chart(self, chart: str, places: Places, now: datetime) -> Batch:
        section = self.section
        first, overlap = now - section.first_days * DAY, section.overlap_days * DAY
        series = begin(chart, SYMBOL, PROVIDER, DAY, places, self.bounds, first, overlap)
        days = max((min(now, self.bounds.until or now) - series.start) // DAY + 1, 1)
        answer = self.http.get(
            f"{section.base_url.rstrip('/')}/charts/{chart}",
            {
                "timespan": f"{days}days",
                "start": f"{series.start:%Y-%m-%d}",
                "format": "json",
                # By default some 1500 points come, whatever the stretch, and nothing says so.
                "sampled": "false",
            },
        )
        points, rejected = _read(chart, answer)
        return series.batch(points, answer, places, rejected)


def _read(chart: str, answer: Answer) -> tuple[list[Point], list[Rejected]]:
    """Return the days of a chart, and what is none.

    Raises:
        Refused: it says no under a status that says yes.
        CouldNotRead: it is no chart, none of days, or not all of its days.
    """
    told = answer.json()
    if not isinstance(told, dict) or not isinstance(told.get("values", []), list):
        raise CouldNotRead(f"{answer.place} sent no chart.")
    if told.get("status") != "ok":
        said = clean(str(told.get("error") or told.get("status")), 200)
        raise Refused(f"{answer.place} answered: {said}")
    if told.get("period") != "day":
        kind = clean(str(told.get("period")), 40)
        raise CouldNotRead(
            f"{answer.place} is a chart by the {kind}, not by the day: take {chart} out of"
            " blockchain.charts."
        )
    points, rejected = [], []
    for row in told.get("values", []):
        try:
            points.append(Point(chart, _day(row) + DAY, row.get("y")))
        except ValueError as exc:
            rejected.append(Rejected(f"{SYMBOL} {chart}", str(exc), payload(row)))
    require_grid(list({point.end for point in points}), DAY, answer.place)
    return [point for point in points if point.value is not None], rejected


def _day(row: Any) -> datetime:
    if not isinstance(row, dict) or "y" not in row:
        raise ValueError("not a day and a value")
    day = read_time(row.get("x"), SECOND)
    if floor_to(day, DAY) != day:
        raise ValueError("its time is no midnight")
    return day
