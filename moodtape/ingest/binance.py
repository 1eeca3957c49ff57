"""Price bars of Binance, by REST and without a key: pages of bars that are over.

Every page is checked before a bar of it is used: a list, twelve columns, opens on the grid,
rising, inside the stretch that was asked for.

Source: binance/binance-spot-api-docs, rest-api.md, "Kline/Candlestick data".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from moodtape.clock import EPOCH, format_duration, iso, parse_duration
from moodtape.config import BarsSection, Config
from moodtape.errors import ConfigError, CouldNotRead
from moodtape.ingest import bar_series
from moodtape.ingest.bar_series import BarSeries
from moodtape.ingest.base import Batch, Door, Tools
from moodtape.ingest.http import Answer
from moodtape.ingest.rejects import Rejected
from moodtape.records import Bar, Poll

VENUE, QUOTE = "binance", "USDT"
BASE_URL = "https://data-api.binance.vision"
MOST_BARS = 1000
INTERVALS = {
    **{f"{n}min": f"{n}m" for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": f"{n}h" for n in (1, 2, 4, 6, 8, 12)},
    "1d": "1d",
    "3d": "3d",
    "7d": "1w",
}
"""Our length of a bar, and theirs."""

COLUMNS = 12


class Pair(bar_series.Pair):
    """One series of bars."""

    @property
    def code(self) -> str:
        """Return the pair as Binance writes it."""
        return f"{self.symbol}{self.quote}"


def collector(tools: Tools) -> BinanceBars:
    """Return the collector of the symbols that the config forecasts."""
    pairs, interval = wanted_series(tools.config)
    return BinanceBars(pairs, interval, tools.config.bars, tools.http, tools.since, tools.until)


def wanted_series(config: Config) -> tuple[list[Pair], str]:
    """Return the pairs that the config forecasts, and the length of their bars.

    Raises:
        ConfigError: Binance has no bars of that length.
    """
    market = config.market
    quote = config.bars.quote or QUOTE
    pairs = [Pair(symbol, market.quote.get(symbol, quote)) for symbol in market.symbols]
    interval = format_duration(parse_duration(market.interval))
    if interval not in INTERVALS:
        raise ConfigError(
            f"market.interval: Binance has no bars of {interval}. It has: {', '.join(INTERVALS)}."
        )
    return pairs, interval


class BinanceBars(BarSeries[Pair]):
    """Collects bars page by page."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        interval: str,
        bars: BarsSection,
        http: Door,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.pairs, self.interval, self.bars, self.http = pairs, interval, bars, http
        self.base_url = (bars.base_url or BASE_URL).rstrip("/")
        self.page = min(bars.page, MOST_BARS)
        self.since, self.until = since, until
        self.step = parse_duration(interval)

    def _stream(self, pair: Pair) -> str:
        return f"{pair.code} {self.interval}"

    def _now(self) -> datetime:
        return self.http.now()

    def _pages(
        self, pair: Pair, stream: str, newest: dict[str, str], now: datetime
    ) -> Iterator[Batch]:
        """Yield the bars of one pair, and move its place in the cursor with them."""
        stored = datetime.fromisoformat(newest[stream]) if stream in newest else None
        start = self._grid(self.since or self._begin(stored, now))
        # A stretch that does not join what is stored must not move the cursor over the gap.
        joins = stored is None or start <= stored + self.step
        while True:
            answer = self.http.get(
                f"{self.base_url}/api/v3/klines",
                {
                    "symbol": pair.code,
                    "interval": INTERVALS[self.interval],
                    "startTime": _milliseconds(start),
                    "limit": self.page,
                },
            )
            final = answer.server_time - timedelta(seconds=self.bars.grace_s)
            opens, bars, rejected = self._read(pair, answer, start)
            end = min(final, self.until) if self.until else final
            over = [bar for bar in bars if bar.open_time + self.step <= end]
            if over and joins:
                last = max(over[-1].open_time, stored or over[-1].open_time)
                newest[stream] = last.isoformat()
            fresh = sum(1 for bar in over if stored is None or bar.open_time > stored)
            poll = Poll(stream, "ok" if fresh else "empty", answer.fetched_at, fresh)
            yield Batch(over, json.dumps(newest), (poll,), tuple(rejected))
            if len(opens) < self.page or opens[-1] + self.step >= end:
                return
            start = opens[-1] + self.step

    def _read(
        self, pair: Pair, answer: Answer, start: datetime
    ) -> tuple[list[datetime], list[Bar], list[Rejected]]:
        """Return the opens of all bars of a page, its bars, and rows that are none."""
        rows = answer.json()
        if not isinstance(rows, list) or len(rows) > self.page:
            raise CouldNotRead(f"{answer.place} sent no page of bars.")
        opens: list[datetime] = []
        bars, rejected = [], []
        for row in rows:
            opened = self._open_time(row, answer.place)
            if self._grid(opened) != opened or opened < (opens[-1] + self.step if opens else start):
                raise CouldNotRead(
                    f"{answer.place} sent a bar of {iso(opened)} out of place, asked for"
                    f" {self.interval} bars since {iso(start)}."
                )
            opens.append(opened)
            try:
                bars.append(_bar(pair, self.interval, opened, row))
            except (TypeError, ValueError, OverflowError):
                place = f"{pair.symbol} {self.interval} {opened:%Y-%m-%dT%H:%MZ}"
                rejected.append(Rejected(place, "a number cannot be read", json.dumps(row)[:4096]))
        return opens, bars, rejected

    @staticmethod
    def _open_time(row: Any, place: str) -> datetime:
        if not isinstance(row, list) or len(row) != COLUMNS or type(row[0]) is not int:
            raise CouldNotRead(f"{place} sent a bar that has not its {COLUMNS} columns.")
        micros = row[0] if row[0] > 10**14 else row[0] * 1000
        try:
            return EPOCH + timedelta(microseconds=micros)
        except OverflowError as exc:
            raise CouldNotRead(f"{place} sent a bar of no year that there is.") from exc


def _bar(pair: Pair, interval: str, opened: datetime, row: Sequence[Any]) -> Bar:
    opening, high, low, close, volume = (float(cell) for cell in row[1:6])
    return Bar(
        pair.symbol, VENUE, pair.quote, interval, opened, opening, high, low, close, volume,
        float(row[7]), int(row[8]), float(row[9]),
    )  # fmt: skip


def _milliseconds(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)
