"""Prices, trailing volumes and market values of CoinGecko: averages over exchanges, by the hour.

The value of an hour is the one stamped nearest to its end, a quarter of an hour off at most;
the last point of an answer is that of now, and on no grid. Asked for two to ninety days,
CoinGecko answers by the hour; for less or more by another step, which is never asked for.
The volume is that of the 24 hours before, not of the hour.

Source: docs.coingecko.com/reference/coins-id-market-chart-range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from moodtape.clock import EPOCH, floor_to
from moodtape.config import CoinGeckoSection
from moodtape.errors import ConfigError, CouldNotRead, Refused, SourceFailed
from moodtape.ingest.base import Batch, Door, Tools, failed_poll
from moodtape.ingest.credentials import find_secret
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

PROVIDER = "coingecko"
KEY, KEY_HEADER = "MOODTAPE_COINGECKO_DEMO_KEY", "x-cg-demo-api-key"
MILLISECOND, HOUR = timedelta(milliseconds=1), timedelta(hours=1)
NEAR = timedelta(minutes=15)
OVERLAP = timedelta(days=2)
SHORTEST, LONGEST = timedelta(days=3), timedelta(days=80)
"""Of what one question covers, well inside what is answered by the hour."""


def collector(tools: Tools) -> CoinGecko:
    """Return the collector of the symbols that the config forecasts.

    Raises:
        ConfigError: the config does not say what CoinGecko calls one of them.
    """
    section = tools.config.coingecko
    for symbol in tools.config.market.symbols:
        if symbol not in section.coins:
            raise ConfigError(
                f"coingecko.coins does not say what CoinGecko calls {symbol}. Add the API id that"
                " the coin's page shows."
            )
    coins = {symbol: section.coins[symbol] for symbol in tools.config.market.symbols}
    key = find_secret(tools, KEY)
    return CoinGecko(coins, section, tools.http, key, tools.since, tools.until)


class CoinGecko:
    """Collects three metrics of each coin; the cursor is the newest hour of each."""

    name = "coingecko"

    def __init__(
        self,
        coins: Mapping[str, str],
        section: CoinGeckoSection,
        http: Door,
        key: SecretStr | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.coins, self.section, self.http = coins, section, http
        self._key, self.bounds = key, Bounds(since, until)
        self.metrics = {
            "prices": f"price_{section.currency}",
            "total_volumes": f"volume_24h_{section.currency}",
            "market_caps": f"market_cap_{section.currency}",
        }

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each stretch; a coin that fails keeps no other from coming."""
        places = Places(cursor)
        for symbol, coin in self.coins.items():
            stream = f"{symbol} {self.section.currency}"
            try:
                yield from self._stretches(symbol, coin, stream, places, now)
            except SourceFailed as failure:
                poll = failed_poll(stream, failure, self.http.now())
                yield Batch((), places.cursor, (poll,))

    def _stretches(
        self, symbol: str, coin: str, stream: str, places: Places, now: datetime
    ) -> Iterator[Batch]:
        """Yield the hours of one coin, oldest first."""
        first = now - timedelta(days=self.section.first_days)
        series = begin(stream, symbol, PROVIDER, HOUR, places, self.bounds, first, OVERLAP)
        url = f"{self.section.base_url.rstrip('/')}/api/v3/coins/{coin}/market_chart/range"
        end = min(now, (self.bounds.until or now) + NEAR)
        for since, until in _windows(series.start, end):
            question = {
                "vs_currency": self.section.currency,
                "from": (since - EPOCH) // timedelta(seconds=1),
                "to": (until - EPOCH) // timedelta(seconds=1),
                "precision": "full",
            }
            answer = self.http.get(url, question, self._headers())
            points, rejected = self._read(symbol, answer)
            yield series.batch(points, answer, places, rejected, until == end)

    def _headers(self) -> dict[str, str]:
        return {} if self._key is None else {KEY_HEADER: self._key.get_secret_value()}

    def _read(self, symbol: str, answer: Answer) -> tuple[list[Point], list[Rejected]]:
        """Return the points of an answer that lie on the hour, and what is none."""
        told = _told(answer)
        points: list[Point] = []
        rejected: list[Rejected] = []
        for name, metric in self.metrics.items():
            rows = told.get(name)
            if not isinstance(rows, list):
                raise CouldNotRead(f"{answer.place} sent no {name}.")
            times: dict[datetime, Any] = {}
            for row in rows:
                try:
                    at, value = _pair(row)
                    times[at] = value
                except ValueError as exc:
                    rejected.append(Rejected(f"{symbol} {metric}", str(exc), payload(row)))
            require_grid(list(times), HOUR, answer.place)
            # Where it does not know how many coins there are, CoinGecko says 0 for their value.
            unknown = (None, 0) if name == "market_caps" else (None,)
            points += [
                Point(metric, hour, value, above_zero=name == "prices")
                for hour, value in _by_hour(times).items()
                if value not in unknown
            ]
        return points, rejected


def _windows(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield stretches that are answered by the hour; the last may begin before it need."""
    while start < end:
        stop = min(start + LONGEST, end)
        yield min(start, stop - SHORTEST), stop
        start = stop


def _told(answer: Answer) -> dict[str, Any]:
    """Return an answer that is one.

    Raises:
        Refused: it says no under a status that says yes.
    """
    told = answer.json()
    if not isinstance(told, dict):
        raise CouldNotRead(f"{answer.place} sent no series.")
    status = told.get("status")
    said = status.get("error_message") if isinstance(status, dict) else told.get("error")
    if said:
        raise Refused(f"{answer.place} answered: {clean(str(said), 200)}")
    return told


def _pair(row: Any) -> tuple[datetime, Any]:
    if not isinstance(row, list) or len(row) != 2:
        raise ValueError("not a time and a value")
    return read_time(row[0], MILLISECOND), row[1]


def _by_hour(times: Mapping[datetime, Any]) -> dict[datetime, Any]:
    """Return the first value near the end of each hour, by that end; others are on no grid."""
    hours: dict[datetime, Any] = {}
    for at in sorted(times):
        hour = floor_to(at + HOUR / 2, HOUR)
        if abs(at - hour) <= NEAR:
            hours.setdefault(hour, times[at])
    return hours
