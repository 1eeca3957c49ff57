"""Price bars of CoinDesk Data, once CryptoCompare: `bars.venue = "coindesk"`; a key is optional.

Its bars are of CADLI, an index over many exchanges. A bar in which no exchange traded is filled
with the last price: it is left out, for it says nothing. Pages are asked for by their end; where
a coin was not traded yet, the answer is 404, and the next page begins later.

Source: CoinDesk Data API, "Index & Reference Rates", Historical OHLCV+.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from moodtape.errors import CouldNotRead, NotThere
from moodtape.ingest.bar_pages import Page, Pair, Row, VenueBars, instant_of, make, seconds_of
from moodtape.ingest.base import Door, Tools
from moodtape.ingest.credentials import find_secret
from moodtape.ingest.http import Answer
from moodtape.records import Span

KEY = "MOODTAPE_COINDESK_KEY"
MARKET = "cadli"
PRICES = ("OPEN", "HIGH", "LOW", "CLOSE", "VOLUME")


class CoinDesk:
    """Asks for bars up to a time."""

    name = "coindesk"
    base_url = "https://data-api.cryptocompare.com"
    quote = "USD"
    most_bars = 2000
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
        start = wanted.since
        count = min(bars, (wanted.until - start) // step + 1)
        question = {
            "market": MARKET,
            "instrument": f"{pair.symbol}-{pair.quote}",
            "limit": count,
            "to_ts": seconds_of(start + (count - 1) * step),
        }
        headers = {"Authorization": f"Apikey {self._key.get_secret_value()}"} if self._key else {}
        url = f"{base_url}/index/cc/v1/historical/{self.intervals[step]}"
        try:
            answer = http.get(url, question, headers)
        except NotThere:
            return Page(None, ())
        rows = _read(answer)
        found = [
            Row(
                instant_of(row.get("TIMESTAMP"), answer.place),
                [row.get(name) for name in PRICES],
                {"quote_volume": row["QUOTE_VOLUME"]} if "QUOTE_VOLUME" in row else {},
                row,
            )
            for row in rows
        ]
        traded = [row for row in found if row.opened >= start and row.sent["TOTAL_INDEX_UPDATES"]]
        left_out = sum(row.opened >= start for row in found) - len(traded)
        return Page(answer, traded, left_out=left_out)


def _read(answer: Answer) -> list[Mapping[str, Any]]:
    """Return the rows of an answer.

    Raises:
        CouldNotRead: it is something else.
    """
    told = answer.json()
    rows = told.get("Data") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise CouldNotRead(f"{answer.place} sent no page of bars.")
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("TOTAL_INDEX_UPDATES"), int):
            raise CouldNotRead(f"{answer.place} sent a bar that has not its columns.")
    return rows


def collector(tools: Tools) -> VenueBars:
    """Return the collector of CoinDesk's bars."""
    return make(CoinDesk(find_secret(tools, KEY)), tools)
