"""Price bars of Kraken, without a key: `bars.venue = "kraken"`.

Only the last 720 bars of each length are shown, whatever is asked; the last row still runs, and
`last` names the newest one that does not. Faults come inside an answer of status 200.

Source: Kraken API documentation, REST, "Get OHLC Data".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from moodtape.clock import iso
from moodtape.errors import CouldNotRead, Refused
from moodtape.ingest.bar_pages import Page, Row, VenueBars, instant_of, make, seconds_of
from moodtape.ingest.bar_series import Pair
from moodtape.ingest.base import Door, Tools
from moodtape.ingest.http import Answer
from moodtape.ingest.text import clean
from moodtape.records import Span

COLUMNS = 8
THEIR_NAMES = {"BTC": "XBT", "DOGE": "XDG"}


class Kraken:
    """Asks for the last bars, or those since a time that are among them."""

    name = "kraken"
    base_url = "https://api.kraken.com"
    quote = "USD"
    most_bars = 720
    delay = timedelta()
    intervals: Mapping[timedelta, str] = {
        timedelta(minutes=minutes): str(minutes) for minutes in (1, 5, 15, 30, 60, 240, 1440)
    }

    def ask(
        self, http: Door, base_url: str, pair: Pair, step: timedelta, wanted: Span, bars: int
    ) -> Page:
        """Return the bars since a time; there is only this one page."""
        code = f"{THEIR_NAMES.get(pair.symbol, pair.symbol)}{pair.quote}"
        # Theirs are the bars after a time, not those from it on.
        start = wanted.since
        since = seconds_of(start - step)
        question = {"pair": code, "interval": self.intervals[step], "since": since}
        answer = http.get(f"{base_url}/0/public/OHLC", question)
        rows, last = _read(answer, code)
        found = []
        for row in rows:
            if not isinstance(row, list) or len(row) != COLUMNS:
                raise CouldNotRead(f"{answer.place} sent a bar that has not its {COLUMNS} columns.")
            opened = instant_of(row[0], answer.place)
            if opened >= start:
                cells = (*row[1:5], row[6])
                found.append(Row(opened, cells, {"trades": row[7]}, row))
        note = ""
        if found and found[0].opened > start and len(rows) >= self.most_bars:
            note = f"Kraken shows its last {len(rows)} bars, none before {iso(found[0].opened)}."
        return Page(answer, found, over=instant_of(last, answer.place), note=note)


def _read(answer: Answer, code: str) -> tuple[list[Any], Any]:
    """Return the rows of an answer, and the time of the last one that is over.

    Raises:
        Refused: it is a refusal. CouldNotRead: it is something else.
    """
    told = answer.json()
    said = told.get("error") if isinstance(told, dict) else None
    if said is not None and not isinstance(said, list):
        raise CouldNotRead(f"{answer.place} sent no page of bars.")
    # What begins with W is a warning that comes beside the bars.
    faults = [str(words) for words in said or () if not str(words).startswith("W")]
    if faults:
        raise Refused(f"{answer.place} refused {code}: {clean(faults[0], 200)}.")
    result = told.get("result") if isinstance(told, dict) else None
    if not isinstance(result, dict):
        raise CouldNotRead(f"{answer.place} sent no page of bars.")
    rows = [value for name, value in result.items() if name != "last"]
    if len(rows) != 1 or not isinstance(rows[0], list):
        raise CouldNotRead(f"{answer.place} sent no bars of {code}, or those of several pairs.")
    return rows[0], result.get("last")


def collector(tools: Tools) -> VenueBars:
    """Return the collector of Kraken's bars."""
    return make(Kraken(), tools)
