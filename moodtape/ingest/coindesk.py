"""Price bars of CoinDesk Data, once CryptoCompare: `bars.venue = "coindesk"`; a key is optional.

Its bars are of CADLI, an index over many exchanges. A bar in which no exchange traded is filled
with the last price: it is left out, for it says nothing. Pages are asked for by their end; where
a coin was not traded yet, the answer is 404 and names the time from which on it was. An answer
may come from a store of theirs and be five minutes old, while its date is new.

Source: CoinDesk Data API, "Index & Reference Rates", Historical OHLCV+.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from moodtape.errors import CouldNotRead, NotThere, Refused
from moodtape.ingest.bar_pages import Page, Row, VenueBars, instant_of, make, seconds_of
from moodtape.ingest.bar_series import Pair
from moodtape.ingest.base import Door, Tools
from moodtape.ingest.credentials import find_secret
from moodtape.ingest.http import Answer
from moodtape.ingest.text import clean
from moodtape.records import Span

KEY = "MOODTAPE_COINDESK_KEY"
MARKET = "cadli"
PRICES = ("OPEN", "HIGH", "LOW", "CLOSE", "VOLUME")
_BEGINNING = re.compile(r"earliest \S+ bucket timestamp is (\d{1,12})\b")


class CoinDesk:
    """Asks for bars up to a time."""

    name = "coindesk"
    base_url = "https://data-api.cryptocompare.com"
    quote = "USD"
    most_bars = 2000
    delay = timedelta(minutes=5)
    intervals: Mapping[timedelta, str] = {
        timedelta(minutes=1): "minutes",
        timedelta(hours=1): "hours",
        timedelta(days=1): "days",
    }

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key

    def ask(
        self, http: Door, base_url: str, pair: Pair, step: timedelta, wanted: Span, bars: int
    ) -> Page:
        """Return the bars of a stretch; none where the coin was not traded yet."""
        start, url = wanted.since, f"{base_url}/index/cc/v1/historical/{self.intervals[step]}"
        count = min(bars, (wanted.until - start) // step + 1)
        end = start + (count - 1) * step
        try:
            answer = self._get(http, url, pair, end, count)
        except NotThere as refusal:
            return Page(None, (), begins=_beginning(refusal, end))
        rows = [_row(row, answer) for row in _read(answer)]
        if rows[0].opened > start:
            self._require_beginning(http, url, pair, rows[0].opened - step)
        rows = [row for row in rows if row.opened >= start]
        traded = [row for row in rows if row.sent["TOTAL_INDEX_UPDATES"]]
        return Page(answer, traded, left_out=len(rows) - len(traded))

    def _get(self, http: Door, url: str, pair: Pair, end: datetime, count: int) -> Answer:
        question = {
            "market": MARKET,
            "instrument": f"{pair.symbol}-{pair.quote}",
            "limit": count,
            "to_ts": seconds_of(end),
        }
        headers = {"Authorization": f"Apikey {self._key.get_secret_value()}"} if self._key else {}
        return http.get(url, question, headers)

    def _require_beginning(self, http: Door, url: str, pair: Pair, before: datetime) -> None:
        """Make sure that a page that begins late does so because the coin did.

        Raises:
            CouldNotRead: there are bars before it, which the page should have held.
        """
        try:
            answer = self._get(http, url, pair, before, 1)
        except NotThere as refusal:
            _beginning(refusal, before)
            return
        raise CouldNotRead(
            f"{answer.place} sent fewer bars than it was asked for, and left out the first."
            " Set bars.page lower."
        )


def _beginning(refusal: NotThere, asked: datetime) -> datetime:
    """Return when a coin was first traded, where that is why there is nothing.

    Raises:
        NotThere: it is not.
    """
    found = _BEGINNING.search(str(refusal))
    begins = instant_of(found[1], "CoinDesk") if found else asked
    if begins <= asked:
        raise refusal
    return begins


def _row(row: Mapping[str, Any], answer: Answer) -> Row:
    cells = [row.get(name) for name in PRICES]
    more = {"quote_volume": row["QUOTE_VOLUME"]} if "QUOTE_VOLUME" in row else {}
    return Row(instant_of(row.get("TIMESTAMP"), answer.place), cells, more, row)


def _read(answer: Answer) -> list[Mapping[str, Any]]:
    """Return the rows of an answer; there is always one, since bars without a trade are filled.

    Raises:
        Refused: it is a refusal. CouldNotRead: it is something else.
    """
    told = answer.json()
    fault = told.get("Err") if isinstance(told, dict) else None
    if isinstance(fault, dict) and fault.get("message"):
        raise Refused(f"{answer.place} refused: {clean(str(fault['message']), 200)}.")
    rows = told.get("Data") if isinstance(told, dict) else None
    if not isinstance(rows, list) or not rows:
        raise CouldNotRead(f"{answer.place} sent no page of bars.")
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("TOTAL_INDEX_UPDATES"), int):
            raise CouldNotRead(f"{answer.place} sent a bar that has not its columns.")
    return rows


def collector(tools: Tools) -> VenueBars:
    """Return the collector of CoinDesk's bars."""
    return make(CoinDesk(find_secret(tools, KEY)), tools)
