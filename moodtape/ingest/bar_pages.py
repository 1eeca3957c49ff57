"""Bars of a venue page by page, oldest first: what does not depend on the venue.

1. begin    a few bars before the newest stored one, since a venue corrects its last bars
2. ask      the venue's own module asks and reads; here every page is checked before it is used
3. over     a bar is stored when it is over by the venue's clock
4. go on    from the bar after the page: a page without bars ends nothing

The cursor is the open of the newest stored bar of each pair; the venue is part of the name, so
that another venue begins anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from moodtape.clock import EPOCH, format_duration, iso, parse_duration
from moodtape.config import BarsSection
from moodtape.errors import ConfigError, CouldNotRead
from moodtape.ingest.bar_series import BarSeries, Pair
from moodtape.ingest.base import Batch, Door, Tools
from moodtape.ingest.http import Answer
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.turn import Turn
from moodtape.records import Bar, Span

_OFF = timedelta(days=1)
"""A clock is not further off."""


class Row(NamedTuple):
    """One bar as a venue sent it.

    cells: open, high, low, close, volume; numbers, or texts of them.
    more: quote_volume and trades, where the venue has them.
    """

    opened: datetime
    cells: Sequence[Any]
    more: Mapping[str, Any]
    sent: Any


class Page(NamedTuple):
    """What came of one question.

    rows: rising. over: bars that open later are not over, whatever the clock says.
    left_out: rows that are no trades, and so no bars. note: what the poll should say.
    begins: the venue has nothing before, so the next page may be as late as this.
    """

    answer: Answer | None
    rows: Sequence[Row]
    over: datetime | None = None
    left_out: int = 0
    note: str = ""
    begins: datetime | None = None


class Venue(Protocol):
    """What differs between venues.

    delay: how old an answer may be that says it is new.
    """

    name: str
    base_url: str
    quote: str
    most_bars: int
    delay: timedelta
    intervals: Mapping[timedelta, str]

    def ask(
        self, http: Door, base_url: str, pair: Pair, step: timedelta, wanted: Span, bars: int
    ) -> Page:
        """Return the first so many bars of a stretch, or what the venue shows of them.

        wanted: from the first open, on the grid, until now.

        Raises:
            CouldNotAsk, Refused, CouldNotRead: see `moodtape.errors`.
        """


def make(venue: Venue, tools: Tools) -> VenueBars:
    """Return the collector of the symbols that the config forecasts.

    Raises:
        ConfigError: the venue has no bars of that length.
    """
    market, bars = tools.config.market, tools.config.bars
    quote = bars.quote or venue.quote
    pairs = [Pair(symbol, market.quote.get(symbol, quote)) for symbol in market.symbols]
    step = parse_duration(market.interval)
    if step not in venue.intervals:
        raise ConfigError(
            f"market.interval: {venue.name} has no bars of {format_duration(step)}."
            f" It has: {', '.join(format_duration(length) for length in venue.intervals)}."
        )
    return VenueBars(venue, pairs, step, bars, tools.http, tools.since, tools.until)


@dataclass
class VenueBars(BarSeries[Pair]):
    """Collects the bars of some pairs from any venue of this kind."""

    venue: Venue
    pairs: Sequence[Pair]
    step: timedelta
    bars: BarsSection
    http: Door
    since: datetime | None = None
    until: datetime | None = None

    def _stream(self, pair: Pair) -> str:
        return f"{self.venue.name} {pair.symbol}/{pair.quote} {format_duration(self.step)}"

    def _now(self) -> datetime:
        return self.http.now()

    def _pages(
        self, pair: Pair, stream: str, newest: dict[str, str], now: datetime
    ) -> Iterator[Batch]:
        """Yield the bars of one pair, oldest first, and move its place in the cursor."""
        stored = datetime.fromisoformat(newest[stream]) if stream in newest else None
        start = self._grid(self.since or self._begin(stored, now))
        joins = stored is None or start <= stored + self.step
        turn = Turn(stream, stored, self.step, self.since is not None)
        page_bars = min(self.bars.page, self.venue.most_bars)
        base_url = (self.bars.base_url or self.venue.base_url).rstrip("/")
        left_out, server_time = 0, now
        while True:
            wanted = Span(start, max(start, now))
            page = self.venue.ask(self.http, base_url, pair, self.step, wanted, page_bars)
            server_time = page.answer.server_time if page.answer else server_time
            over = self._over(server_time, page.over)
            opens = self._checked(page, start, server_time)
            bars, rejected = self._bars(pair, page, over)
            left_out += page.left_out
            turn.take(opens, [bar.open_time for bar in bars])
            if bars and joins:
                last = bars[-1].open_time
                newest[stream] = max(last, stored or last).isoformat()
            start = self._following(page, start, page_bars)
            goes_on = page.over is None and start + self.step <= over
            if not goes_on:
                turn.finish()
            if opens or not goes_on:
                poll = turn.poll(self.http.now())
                detail = _sentences(poll.detail, page.note, _skipped(left_out))
                poll = replace(poll, detail=detail)
                yield Batch(bars, json.dumps(newest), (poll,), tuple(rejected))
            if not goes_on:
                return

    def _following(self, page: Page, start: datetime, page_bars: int) -> datetime:
        """Return where the next page begins: after the last row, and after what was asked for."""
        ends = [row.opened + self.step for row in page.rows[-1:]]
        ends += [start if page.over else start + page_bars * self.step]
        ends += [self._grid(page.begins)] if page.begins else []
        return max(ends)

    def _over(self, server_time: datetime, shown: datetime | None) -> datetime:
        """Return until when bars are over: by the venue's clock, its own word, and the user's."""
        ends = [server_time - max(timedelta(seconds=self.bars.grace_s), self.venue.delay)]
        ends += [shown + self.step] if shown is not None else []
        return min([*ends, *([self.until] if self.until else [])])

    def _checked(self, page: Page, start: datetime, server_time: datetime) -> list[datetime]:
        """Return the opens of a page: on the grid, rising, not in the future.

        Raises:
            CouldNotRead: one is out of place.
        """
        earliest, latest = start, server_time + self.step + _OFF
        for row in page.rows:
            on_grid = self._grid(row.opened) == row.opened
            if not on_grid or not earliest <= row.opened <= latest:
                place = page.answer.place if page.answer else self.venue.name
                raise CouldNotRead(
                    f"{place} sent a bar of {iso(row.opened)} out of place, asked for"
                    f" {format_duration(self.step)} bars since {iso(start)}."
                )
            earliest = row.opened + self.step
        return [row.opened for row in page.rows]

    def _bars(self, pair: Pair, page: Page, over: datetime) -> tuple[list[Bar], list[Rejected]]:
        """Return the bars of a page that are over, and rows that are none.

        Raises:
            CouldNotRead: most rows make no sense.
        """
        bars, rejected = [], []
        for row in page.rows:
            if row.opened + self.step > over:
                break
            try:
                bars.append(self._bar(pair, row))
            except (TypeError, ValueError, OverflowError) as exc:
                where = f"{pair.symbol} {format_duration(self.step)} {row.opened:%Y-%m-%dT%H:%MZ}"
                reason = str(exc)[:200] or "a number cannot be read"
                rejected.append(Rejected(where, reason, json.dumps(row.sent)[:4096]))
        if len(rejected) > len(bars):
            raise CouldNotRead(
                f"{self.venue.name}: {len(rejected)} of {len(rejected) + len(bars)} bars make no"
                f" sense, first that of {rejected[0].place}: {rejected[0].reason}."
            )
        return bars, rejected

    def _bar(self, pair: Pair, row: Row) -> Bar:
        numbers = [float(cell) for cell in row.cells if not isinstance(cell, bool)]
        if len(numbers) != 5 or not all(map(math.isfinite, numbers)):
            raise ValueError("a number is missing")
        opening, high, low, close, volume = numbers
        if not 0 < low <= min(opening, close) <= max(opening, close) <= high or volume < 0:
            raise ValueError("open, high, low and close are not in order, or the volume is below 0")
        more = {name: float(value) for name, value in row.more.items()}
        if not all(0 <= value < math.inf for value in more.values()):
            raise ValueError(f"{' or '.join(more)} is below 0 or without end")
        return Bar(
            pair.symbol, self.venue.name, pair.quote, format_duration(self.step), row.opened,
            opening, high, low, close, volume,
            more.get("quote_volume"), int(more["trades"]) if "trades" in more else None,
        )  # fmt: skip


def _skipped(left_out: int) -> str:
    return f"{left_out:,} bars without a trade are left out" if left_out else ""


def _sentences(*notes: str) -> str:
    return " ".join(f"{note.rstrip('.')}." for note in notes if note)


def instant_of(second: Any, place: str) -> datetime:
    """Return the instant of a whole number of seconds, also of one that is written as text.

    Raises:
        CouldNotRead: it is none.
    """
    written = isinstance(second, str) and len(second) < 20 and second.isascii()
    if type(second) is not int and not (written and second.isdigit()):
        raise CouldNotRead(f"{place} sent a bar without a time.")
    try:
        return EPOCH + timedelta(seconds=int(second))
    except OverflowError as exc:
        raise CouldNotRead(f"{place} sent a bar of no year that there is.") from exc


def seconds_of(instant: datetime) -> int:
    """Return an instant in whole seconds."""
    return (instant - EPOCH) // timedelta(seconds=1)
