"""On-chain metrics of Coin Metrics' community data: daily values with their completion stamps.

A value's time labels the start of its day. It is known at its completion stamp; where there
is none, at the day's end plus the provider's lag, and until then it is left for a later poll.

Source: coinmetrics/product-docs, openapi.yaml, `/timeseries/asset-metrics`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moodtape.clock import floor_to, from_datetime64, metric_known_at, to_datetime64
from moodtape.config import OnchainSection
from moodtape.errors import CouldNotRead, SourceFailed
from moodtape.ingest.base import Batch, Door, Tools, failed_poll
from moodtape.ingest.http import Answer
from moodtape.ingest.metrics import providers
from moodtape.ingest.rejects import Rejected
from moodtape.records import Metric, Poll

PROVIDER = "coinmetrics"
DAY = timedelta(days=1)
MAX_PAGES = 10_000


def collector(tools: Tools) -> CoinMetrics:
    """Return the collector of the symbols that the config forecasts."""
    config = tools.config
    return CoinMetrics(config.market.symbols, config.onchain, tools.http, tools.since, tools.until)


class CoinMetrics:
    """Collects daily metrics; the cursor is the newest day of each asset that had a value."""

    name = "onchain"

    def __init__(
        self,
        symbols: Sequence[str],
        onchain: OnchainSection,
        http: Door,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.symbols, self.onchain, self.http = symbols, onchain, http
        self.since, self.until = since, until

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each page; an asset that fails does not keep the others from it."""
        newest: dict[str, str] = json.loads(cursor or "{}")
        for symbol in self.symbols:
            try:
                yield from self._pages(symbol, newest, now)
            except SourceFailed as failure:
                poll = failed_poll(symbol, failure, self.http.now())
                yield Batch((), json.dumps(newest), (poll,))

    def _pages(self, symbol: str, newest: dict[str, str], now: datetime) -> Iterator[Batch]:
        """Yield the values of one asset, oldest first, and move its place in the cursor."""
        stored = datetime.fromisoformat(newest[symbol]) if symbol in newest else None
        start = floor_to(self.since or self._begin(stored, now), DAY)
        joins = stored is None or start <= stored + DAY
        question = {
            "assets": symbol.lower(),
            "metrics": ",".join(self.onchain.metrics),
            "frequency": "1d",
            "start_time": f"{start:%Y-%m-%d}",
            "page_size": self.onchain.page,
            # By default the newest page comes first, and a crash would leave a hole behind it.
            "paging_from": "start",
        }
        url = f"{self.onchain.base_url.rstrip('/')}/v4/timeseries/asset-metrics"
        token = None
        for _ in range(MAX_PAGES):
            params = question if token is None else {**question, "next_page_token": token}
            answer = self.http.get(url, params)
            values, rejected, last, following = self._read(symbol, answer, start)
            if values and joins:
                newest[symbol] = max(last, stored or last).isoformat()
            fresh = sum(1 for value in values if stored is None or value.period_start > stored)
            poll = Poll(symbol, "ok" if fresh else "empty", answer.fetched_at, fresh)
            yield Batch(values, json.dumps(newest), (poll,), tuple(rejected))
            if following is None:
                return
            if following == token:
                raise CouldNotRead(f"{answer.place} goes on to the page that it has sent.")
            token = following

    def _begin(self, stored: datetime | None, now: datetime) -> datetime:
        """Return where to go on: some days back, since values are reviewed and restated."""
        if stored is None:
            return now - timedelta(days=self.onchain.first_days)
        return stored - self.onchain.overlap_days * DAY

    def _read(
        self, symbol: str, answer: Answer, start: datetime
    ) -> tuple[list[Metric], list[Rejected], datetime, str | None]:
        """Return values known by now, what is none, the newest day and the next page's token."""
        told = answer.json()
        rows = told.get("data") if isinstance(told, dict) else None
        if not isinstance(rows, list):
            raise CouldNotRead(f"{answer.place} sent no page of metrics.")
        token = told.get("next_page_token")
        values: list[Metric] = []
        rejected: list[Rejected] = []
        last = start
        for row in rows:
            day = _day(row, symbol, answer.place)
            if self.until is not None and day + DAY > self.until:
                return values, rejected, last, None
            found = self._row(symbol, day, row, answer.fetched_at, rejected)
            if found:
                values += found
                last = max(last, day)
        return values, rejected, last, str(token) if token else None

    def _row(
        self,
        symbol: str,
        day: datetime,
        row: dict[str, Any],
        fetched_at: datetime,
        rejected: list[Rejected],
    ) -> list[Metric]:
        """Return the values of one day; null is no data yet, a name that is absent is none ever."""
        found = []
        for name in self.onchain.metrics:
            if row.get(name) is None:
                continue
            try:
                value, stamp = float(row[name]), _stamp(row.get(f"{name}-status-time"))
            except (TypeError, ValueError, OverflowError):
                place = f"{symbol} {name} {day:%Y-%m-%dT%H:%MZ}"
                rejected.append(Rejected(place, "a value cannot be read", json.dumps(row)[:4096]))
                continue
            metric = Metric(PROVIDER, symbol, name, day, day + DAY, value, stamp)
            if _known_at(metric) <= fetched_at:
                found.append(metric)
        return found


def _known_at(metric: Metric) -> datetime:
    import numpy as np

    end, stamp = metric.period_end, metric.completed_at
    stamps = np.array([stamp and to_datetime64(stamp)], dtype="datetime64[us]")
    ends = np.array([to_datetime64(end)])
    return from_datetime64(metric_known_at(ends, stamps, providers()[PROVIDER].lag)[0])


def _day(row: Any, symbol: str, place: str) -> datetime:
    if not isinstance(row, dict) or str(row.get("asset", "")).upper() != symbol:
        raise CouldNotRead(f"{place} sent a row that is not about {symbol}.")
    try:
        day = _stamp(row.get("time"))
    except ValueError:
        day = None
    if day is None or floor_to(day, DAY) != day:
        raise CouldNotRead(
            f"{place} sent a row whose time is no day: {str(row.get('time'))[:40]!r}."
        )
    return day


def _stamp(text: Any) -> datetime | None:
    """Return the instant of `2020-03-01T09:59:13.847251000Z`; nanoseconds are cut."""
    if text is None:
        return None
    instant = datetime.fromisoformat(str(text))
    if instant.tzinfo is None:
        raise ValueError("a time without a zone")
    return instant.astimezone(UTC)
