"""Price bars of any exchange by ccxt: `bars.venue = "ccxt:NAME"`, pages of bars that are over.

Exchanges page differently: some send the first bars since a time, some those of a stretch,
which may be empty though more come after it, some their last ones only. So a page ends
nothing; the next one is asked for from the bar after it, until the last bar that is over.
ccxt's own paging is not used: without an end it jumps over what is older.

Numbers are those that the exchange wrote, as float64; ccxt rounds none of them.

Source: ccxt/ccxt, wiki/Manual.md, "OHLCV Candlestick Charts".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from moodtape.clock import EPOCH, format_duration, iso, parse_duration
from moodtape.config import BarsSection
from moodtape.errors import ConfigError, CouldNotRead
from moodtape.ingest import bar_series
from moodtape.ingest.bar_series import BarSeries
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.ccxt_client import SPOT, Exchange
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.turn import Turn
from moodtape.records import Bar

SETTING, PREFIX = "bars.venue", "ccxt:"
USUAL_QUOTE = "USDT"
COLUMNS = 6
CAUTIOUS_PAGE = 300
"""Bars of one request where ccxt does not know how many the exchange sends."""

_OFF = timedelta(days=1)
"""A clock is not further off."""


class Pair(bar_series.Pair):
    """One series of bars."""

    @property
    def code(self) -> str:
        """Return the pair as ccxt writes it."""
        return f"{self.symbol}/{self.quote}"


def collector(tools: Tools) -> ExchangeBars:
    """Return the collector of the symbols that the config forecasts.

    Raises:
        UsageError: ccxt is not installed.
        ConfigError: ccxt has no such exchange, or no such bars of it.
    """
    market, bars = tools.config.market, tools.config.bars
    name = bars.venue.removeprefix(PREFIX)
    exchange = Exchange(name, SETTING, bars.base_url, tools.http, SPOT)
    exchange.require("fetchOHLCV", "bars")
    quote = bars.quote or USUAL_QUOTE
    pairs = [Pair(symbol, market.quote.get(symbol, quote)) for symbol in market.symbols]
    interval = format_duration(parse_duration(market.interval))
    return ExchangeBars(exchange, pairs, interval, bars, tools.since, tools.until)


class ExchangeBars(BarSeries[Pair]):
    """Collects bars page by page."""

    def __init__(
        self,
        exchange: Exchange,
        pairs: Sequence[Pair],
        interval: str,
        bars: BarsSection,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.exchange, self.pairs, self.interval, self.bars = exchange, pairs, interval, bars
        self.since, self.until = since, until
        self.step = parse_duration(interval)
        self.timeframe = _timeframe(exchange, self.step)
        self.page = min(bars.page, _most_bars(exchange))

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each page, after the exchange's client has been told the time."""
        self.exchange.begin(now)
        yield from super().collect(cursor, now)

    def _stream(self, pair: Pair) -> str:
        # The exchange is part of the name: another one begins anew.
        return f"{self.exchange.name} {pair.code} {self.interval}"

    def _now(self) -> datetime:
        return self.exchange.now()

    def _pages(
        self, pair: Pair, stream: str, newest: dict[str, str], now: datetime
    ) -> Iterator[Batch]:
        """Yield the bars of one pair, oldest first, and move its place in the cursor."""
        self.exchange.require_market(pair.code)
        stored = datetime.fromisoformat(newest[stream]) if stream in newest else None
        start = self._grid(self.since or self._begin(stored, now))
        joins = stored is None or start <= stored + self.step
        turn = Turn(stream, stored, self.step, self.since is not None)
        while True:
            page = self._ask(pair, start)
            turn.take(page.opens, [bar.open_time for bar in page.bars])
            if page.bars and joins:
                last = page.bars[-1].open_time
                newest[stream] = max(last, stored or last).isoformat()
            start = page.opens[-1] + self.step if page.opens else start + self.page * self.step
            goes_on = start + self.step <= self._over()
            if not goes_on:
                turn.finish()
            if page.opens or not goes_on:
                poll = turn.poll(self.exchange.now())
                yield Batch(page.bars, json.dumps(newest), (poll,), page.rejected)
            if not goes_on:
                return

    def _over(self) -> datetime:
        """Return until when bars are over, by the exchange's clock."""
        over = self.exchange.answer.server_time - timedelta(seconds=self.bars.grace_s)
        return over if self.until is None else min(over, self.until)

    def _ask(self, pair: Pair, start: datetime) -> _Page:
        """Return a page of bars since a time.

        Raises:
            CouldNotRead: it is none, or most of it makes no sense.
        """
        since = (start - EPOCH) // timedelta(milliseconds=1)
        client = self.exchange.client
        rows = self.exchange.ask(client.fetch_ohlcv, pair.code, self.timeframe, since, self.page)
        place, over = self.exchange.answer.place, self._over()
        if not isinstance(rows, list):
            raise CouldNotRead(f"{place} sent no page of bars.")
        timed = [(_open_time(row, place), row) for row in rows]
        # Some send older bars than they were asked for.
        timed = [(opened, row) for opened, row in timed if opened >= start]
        opens = [opened for opened, _ in timed]
        self._require_order(opens, start, place)
        bars, rejected = [], []
        for opened, row in timed:
            if opened + self.step > over:
                break
            try:
                bars.append(_bar(pair, self.exchange.name, self.interval, opened, row))
            except (TypeError, ValueError) as exc:
                where = f"{pair.symbol} {self.interval} {opened:%Y-%m-%dT%H:%MZ}"
                rejected.append(Rejected(where, str(exc), json.dumps(row)[:4096]))
        if len(rejected) > len(bars):
            raise CouldNotRead(
                f"{place}: {len(rejected)} of {len(rejected) + len(bars)} bars make no sense,"
                f" first that of {rejected[0].place}: {rejected[0].reason}."
            )
        return _Page(opens, bars, tuple(rejected))

    def _require_order(self, opens: Sequence[datetime], start: datetime, place: str) -> None:
        """Make sure that bars open on the grid, one after the other, until now.

        Raises:
            CouldNotRead: one does not.
        """
        earliest, latest = start, self.exchange.answer.server_time + self.step + _OFF
        for opened in opens:
            if self._grid(opened) != opened or not earliest <= opened <= latest:
                raise CouldNotRead(
                    f"{place} sent a bar of {iso(opened)} out of place, asked for"
                    f" {self.interval} bars since {iso(start)}."
                )
            earliest = opened + self.step


class _Page(NamedTuple):
    """opens: of all bars, those that still run too; bars: those that are over."""

    opens: Sequence[datetime]
    bars: Sequence[Bar]
    rejected: tuple[Rejected, ...]


def _timeframe(exchange: Exchange, step: timedelta) -> str:
    """Return ccxt's name of a length of bars.

    Raises:
        ConfigError: the exchange has no such bars.
    """
    names = [name for name in exchange.client.timeframes or {} if name[-1] in "smhdw"]
    lengths = {exchange.client.parse_timeframe(name): name for name in names}
    if step.total_seconds() not in lengths:
        raise ConfigError(
            f"market.interval: {exchange.name} has no bars of {format_duration(step)}."
            f" It has: {', '.join(lengths[length] for length in sorted(lengths))}."
        )
    return str(lengths[int(step.total_seconds())])


def _most_bars(exchange: Exchange) -> int:
    """Return how many bars the exchange sends at once."""
    told = exchange.client.features or {}
    limit = ((told.get("spot") or {}).get("fetchOHLCV") or {}).get("limit")
    return int(limit or CAUTIOUS_PAGE)


def _open_time(row: Any, place: str) -> datetime:
    if not isinstance(row, list) or len(row) != COLUMNS:
        raise CouldNotRead(f"{place} sent a bar that has not its {COLUMNS} columns.")
    if type(row[0]) is not int:
        raise CouldNotRead(f"{place} sent a bar without a time.")
    try:
        return EPOCH + timedelta(milliseconds=row[0])
    except OverflowError as exc:
        raise CouldNotRead(f"{place} sent a bar of no year that there is.") from exc


def _bar(pair: Pair, venue: str, interval: str, opened: datetime, row: Sequence[Any]) -> Bar:
    """Return a row as a bar.

    Raises:
        TypeError, ValueError: it is none, and why.
    """
    if None in row[1:5]:
        raise ValueError("a price is missing")
    opening, high, low, close = (float(cell) for cell in row[1:5])
    volume = None if row[5] is None else float(row[5])
    if not all(math.isfinite(number) for number in (opening, high, low, close, volume or 0.0)):
        raise ValueError("a number is not finite")
    if not 0 < low <= min(opening, close) <= max(opening, close) <= high:
        raise ValueError("low, open, close and high are in no order")
    if (volume or 0.0) < 0:
        raise ValueError("volume is negative")
    return Bar(pair.symbol, venue, pair.quote, interval, opened, opening, high, low, close, volume)
