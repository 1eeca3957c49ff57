"""Price bars of Binance from its files: one for each month, and for each day of the newest one.

1. which     months that are over by their monthly file; days, where there is no such file (yet)
2. what      the checksum that stands beside a file says whether it is new, or was replaced
3. is it so  the archive has that checksum, before anything in it is read
4. rows      `zipped.py` unpacks it, `klines.py` reads it; one batch for each file

A file that is not there is no failure: of a month, its days are asked for; a day comes a day
later; before a pair was listed there is neither.

Source: binance/binance-public-data, README.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from moodtape.clock import parse_duration
from moodtape.config import DumpsSection
from moodtape.errors import CouldNotRead, NotThere, Refused, SourceFailed
from moodtape.ingest.base import BarTable, Batch, Door, Tools, failed_poll
from moodtape.ingest.binance import INTERVALS, VENUE, Pair, wanted_series
from moodtape.ingest.dump_files import (
    DAY,
    Place,
    Stretch,
    months_between,
    read_checksum,
    read_places,
    tell_places,
)
from moodtape.ingest.http import Answer
from moodtape.ingest.klines import Series, read_klines
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.retry import http_date
from moodtape.ingest.zipped import only_member
from moodtape.records import Poll, Span

NOT_OUT_YET = 3 * DAY
"""How long after its end a day's file may come; a month's comes on a Monday."""

MONTHLY_IS_OUT = 14 * DAY


def collector(tools: Tools) -> Dumps:
    """Return the collector of the symbols that the config forecasts."""
    pairs, interval = wanted_series(tools.config)
    return Dumps(pairs, interval, tools.config.dumps, tools.http, tools.since, tools.until)


class Dumps:
    """Collects files, oldest first; the cursor holds the checksum of each one that is stored."""

    name = "dumps"

    def __init__(
        self,
        pairs: Sequence[Pair],
        interval: str,
        section: DumpsSection,
        http: Door,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.pairs, self.interval, self.section, self.http = pairs, interval, section, http
        self.since, self.until = since, until
        self.step = parse_duration(interval)

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each file; a pair that fails does not keep the others from it."""
        places = read_places(cursor)
        for pair in self.pairs:
            stream = f"{pair.code} {self.interval}"
            place = places.setdefault(stream, Place())
            bars, unread = 0, list[CouldNotRead]()
            try:
                for stretch, stated in self._files(pair, place, now):
                    try:
                        rows, rejected = self._read(pair, stretch, stated)
                    except CouldNotRead as failure:
                        unread.append(failure)
                        continue
                    if self._is_whole(stretch):
                        place.note(stretch, stated)
                    bars += len(rows)
                    yield Batch(rows, tell_places(places), (), tuple(rejected))
                poll = self._poll(stream, place, bars, unread)
            except SourceFailed as failure:
                poll = failed_poll(stream, failure, self.http.now())
            yield Batch((), tell_places(places), (poll,))

    def _poll(self, stream: str, place: Place, bars: int, unread: Sequence[CouldNotRead]) -> Poll:
        """Return how the question for a pair ended."""
        if unread:
            more = f" So with {len(unread) - 1} further files." if len(unread) > 1 else ""
            return Poll(stream, "unreadable", self.http.now(), bars, f"{unread[0]}{more}")
        if not bars and not any(place.files.values()) and not self._is_bounded:
            # Another address may have what this one has not.
            place.files.clear()
            raise Refused(
                f"{self.section.base_url} has no file of {stream} since {place.since}:"
                " is there such a pair?"
            )
        return Poll(stream, "ok" if bars else "empty", self.http.now(), bars)

    def _files(self, pair: Pair, place: Place, now: datetime) -> Iterator[tuple[Stretch, str]]:
        """Yield the files to be read, oldest first, each with the checksum that it must have."""
        months = self._months(place, now)
        over = [month for month in months if month.end <= now]
        checked = over[-self.section.recheck_months :] if self.section.recheck_months else []
        for month in months:
            known = place.files.get(month.key)
            stated = None
            if month.end <= now and (known is None or month in checked or self._is_bounded):
                stated = self._stated(pair, month)
            if stated is not None:
                if self._is_bounded or not place.has(month, stated):
                    yield month, stated
            elif known is None and self.step <= DAY:
                yield from self._days(pair, month, place, now)
            elif known is None and month.end <= now - MONTHLY_IS_OUT:
                place.files[month.key] = ""

    def _days(
        self, pair: Pair, month: Stretch, place: Place, now: datetime
    ) -> Iterator[tuple[Stretch, str]]:
        """Yield the daily files of a month that has no monthly one."""
        days = [
            day
            for day in month.days()
            if day.end <= now and self._is_wanted(day)
            if self._is_bounded or day.key not in place.files
        ]
        due = [day for day in days if day.end <= now - NOT_OUT_YET]
        if due and self._stated(pair, due[-1]) is None:
            # Before a pair is listed, and after it is not, no day has a file.
            if month.end <= now - MONTHLY_IS_OUT and not self._is_bounded:
                place.files[month.key] = ""
            return
        for day in days:
            stated = self._stated(pair, day)
            if stated is not None:
                yield day, stated
            elif day not in due:
                return
            elif not self._is_bounded:
                place.files[day.key] = ""

    def _is_wanted(self, stretch: Stretch) -> bool:
        """Say whether a stretch meets the bounds that the user set."""
        ends = self.since is None or stretch.end > self.since
        return ends and (self.until is None or stretch.start < self.until)

    @property
    def _is_bounded(self) -> bool:
        """Say whether the user set bounds: then every file between is read, known or not."""
        return self.since is not None or self.until is not None

    def _months(self, place: Place, now: datetime) -> list[Stretch]:
        """Return the months to be looked at, and move the place's first one."""
        first = now - timedelta(days=self.section.first_days)
        if self.since is not None:
            first = self.since
        elif self.until is None:
            first = place.begin(first)
        return months_between(first, min(self.until or now, now))

    def _stated(self, pair: Pair, stretch: Stretch) -> str | None:
        """Return the checksum that stands beside a file; None if there is no such file."""
        try:
            answer = self.http.get(f"{self._address(pair, stretch)}.CHECKSUM")
        except NotThere:
            return None
        stated = read_checksum(answer.body, self._name(pair, stretch, "zip"))
        if stated is None:
            raise CouldNotRead(f"{answer.place} sent no checksum of its file.")
        return stated

    def _read(self, pair: Pair, stretch: Stretch, stated: str) -> tuple[BarTable, list[Rejected]]:
        """Return the bars of a file that has the checksum it must have."""
        answer = self.http.get(self._address(pair, stretch))
        if hashlib.sha256(answer.body).hexdigest() != stated:
            raise CouldNotRead(
                f"{answer.place} sent {len(answer.body):,} bytes that have not the checksum"
                " beside them: cut short, or replaced just now."
            )
        name = self._name(pair, stretch, "csv")
        limit = int(self.section.file_limit_mib * 2**20)
        text = only_member(answer.body, name, limit, answer.place)
        end = min(self._final(answer), self.until) if self.until else self._final(answer)
        wanted = Span(max(self.since or stretch.start, stretch.start), end)
        series = Series(pair.symbol, VENUE, pair.quote, self.interval)
        return read_klines(text, series, Span(stretch.start, stretch.end), wanted, name)

    def _final(self, answer: Answer) -> datetime:
        """Return up to when bars were over when the file was made, as far as that is known."""
        made = http_date(answer.headers.get("last-modified")) if self.step > DAY else None
        return answer.server_time if made is None else min(made, answer.server_time)

    def _is_whole(self, stretch: Stretch) -> bool:
        """Say whether a stretch lies inside the bounds that the user set."""
        begins = self.since is None or self.since <= stretch.start
        return begins and (self.until is None or self.until >= stretch.end)

    def _address(self, pair: Pair, stretch: Stretch) -> str:
        kind = "monthly" if stretch.is_month else "daily"
        folder = f"data/spot/{kind}/klines/{pair.code}/{INTERVALS[self.interval]}"
        return f"{self.section.base_url.rstrip('/')}/{folder}/{self._name(pair, stretch, 'zip')}"

    def _name(self, pair: Pair, stretch: Stretch, ending: str) -> str:
        return f"{pair.code}-{INTERVALS[self.interval]}-{stretch.key}.{ending}"
