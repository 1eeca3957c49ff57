"""Price bars of Coinbase Exchange, without a key: `bars.venue = "coinbase"`.

Rows come newest first as time, LOW, HIGH, open, close, volume; rows before the stretch that was
asked for may come along. A stretch in which nothing was traded has no row: a hole, not a zero.

Source: Coinbase Developer Documentation, Exchange REST API, "Get product candles".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from moodtape.errors import CouldNotRead
from moodtape.ingest.bar_pages import Page, Row, VenueBars, instant_of, make
from moodtape.ingest.bar_series import Pair
from moodtape.ingest.base import Door, Tools
from moodtape.records import Span

COLUMNS = 6


class Coinbase:
    """Asks for candles of a stretch."""

    name = "coinbase"
    base_url = "https://api.exchange.coinbase.com"
    quote = "USD"
    most_bars = 300
    delay = timedelta()
    intervals: Mapping[timedelta, str] = {
        timedelta(seconds=seconds): str(seconds) for seconds in (60, 300, 900, 3600, 21_600, 86_400)
    }

    def ask(
        self, http: Door, base_url: str, pair: Pair, step: timedelta, wanted: Span, bars: int
    ) -> Page:
        """Return the bars of a stretch; both its ends are asked for."""
        start = wanted.since
        end = start + (bars - 1) * step
        answer = http.get(
            f"{base_url}/products/{pair.symbol}-{pair.quote}/candles",
            {
                "start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
                "end": f"{end:%Y-%m-%dT%H:%M:%SZ}",
                "granularity": self.intervals[step],
            },
        )
        rows = answer.json()
        if not isinstance(rows, list):
            raise CouldNotRead(f"{answer.place} sent no page of bars.")
        found = []
        for row in rows:
            if not isinstance(row, list) or len(row) != COLUMNS:
                raise CouldNotRead(f"{answer.place} sent a bar that has not its {COLUMNS} columns.")
            opened = instant_of(row[0], answer.place)
            if start <= opened <= end:
                low, high, opening, close, volume = row[1:]
                found.append(Row(opened, (opening, high, low, close, volume), {}, row))
        return Page(answer, sorted(found, key=lambda row: row.opened))


def collector(tools: Tools) -> VenueBars:
    """Return the collector of Coinbase's bars."""
    return make(Coinbase(), tools)
