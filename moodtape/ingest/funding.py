"""Funding rates of perpetual contracts by ccxt: a rate is settled, and known, at its stated time.

A rate's period ends at the full minute of its settlement and begins at the one before, eight
hours earlier at most; the settlement to the millisecond is its completion stamp.

Source: ccxt/ccxt, wiki/Manual.md, "Funding Rate History".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from moodtape.clock import EPOCH, floor_to, iso
from moodtape.config import FundingSection
from moodtape.errors import CouldNotRead, SourceFailed
from moodtape.ingest.base import Batch, Tools, failed_poll
from moodtape.ingest.ccxt_client import SWAP, Exchange
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.turn import Turn
from moodtape.records import Metric

PROVIDER, METRIC, SETTING = "funding", "funding_rate", "funding.exchange"
MINUTE, A_DAY = timedelta(minutes=1), timedelta(days=1)
SHORTEST, LONGEST = timedelta(hours=1), timedelta(hours=8)
"""Between two settlements; some contracts settle every four hours or every hour."""

MOST_RATES = {"binance": 1000, "binancecoinm": 1000, "binanceusdm": 1000}
CAUTIOUS_PAGE = 100
"""Rates of one request of any other exchange; most send no more at once."""


class Contract(NamedTuple):
    """A perpetual contract that is settled in its quote currency."""

    symbol: str
    quote: str

    @property
    def code(self) -> str:
        """Return the contract as ccxt writes it."""
        return f"{self.symbol}/{self.quote}:{self.quote}"


class Settlement(NamedTuple):
    """A row of an answer. at: to the millisecond; end: the full minute of it."""

    at: datetime
    end: datetime
    row: dict[str, Any]


def collector(tools: Tools) -> FundingRates:
    """Return the collector of the symbols that the config forecasts.

    Raises:
        UsageError: ccxt is not installed.
        ConfigError: ccxt has no such exchange, or no funding rates of it.
    """
    config = tools.config
    funding = config.funding
    exchange = Exchange(funding.exchange, SETTING, funding.base_url, tools.http, SWAP)
    exchange.require("fetchFundingRateHistory", "funding rates")
    contracts = [Contract(symbol, funding.quote) for symbol in config.market.symbols]
    return FundingRates(exchange, contracts, funding, tools.since, tools.until)


@dataclass
class _Place:
    """Where the pages of one contract stand.

    asked: begins before what is wanted: the settlement before says how long the first period is.
    previous: the last settlement that came. rhythm: between the last two.
    """

    asked: datetime
    previous: datetime | None = None
    rhythm: timedelta = SHORTEST

    def move(self, found: Sequence[Settlement], stop: datetime) -> datetime:
        """Go behind a page, and return when the next settlement may be."""
        if not found:
            self.asked = stop
            return stop
        before = found[-2].end if len(found) > 1 else self.previous
        self.previous = found[-1].end
        self.rhythm = _length(before, self.previous)
        self.asked = self.previous + MINUTE
        return self.previous + self.rhythm


class FundingRates:
    """Collects rates page by page; the cursor is the newest settlement of each contract."""

    name = "funding"

    def __init__(
        self,
        exchange: Exchange,
        contracts: Sequence[Contract],
        funding: FundingSection,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self.exchange, self.contracts, self.funding = exchange, contracts, funding
        self.since, self.until = since, until
        self.page = min(funding.page, MOST_RATES.get(exchange.name, CAUTIOUS_PAGE))
        self.bounded = exchange.takes_until("fetch_funding_rate_history")

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each page; a contract that fails keeps no other from coming."""
        newest: dict[str, str] = json.loads(cursor or "{}")
        self.exchange.begin(now)
        for contract in self.contracts:
            # The exchange is part of the name: another one begins anew.
            stream = f"{self.exchange.name} {contract.code}"
            try:
                yield from self._pages(contract, stream, newest, now)
            except SourceFailed as failure:
                poll = failed_poll(stream, failure, self.exchange.now())
                yield Batch((), json.dumps(newest), (poll,))

    def _pages(
        self, contract: Contract, stream: str, newest: dict[str, str], now: datetime
    ) -> Iterator[Batch]:
        """Yield the rates of one contract, oldest first, and move its place in the cursor."""
        self.exchange.require_market(contract.code)
        stored = datetime.fromisoformat(newest[stream]) if stream in newest else None
        start = self.since or self._begin(stored, now)
        joins = stored is None or start <= stored + LONGEST
        turn = Turn(stream, stored, LONGEST, self.since is not None)
        place = _Place(start - LONGEST - MINUTE)
        while True:
            stop = place.asked + max(self.page * place.rhythm, A_DAY)
            found = self._ask(contract, place.asked, stop)
            rates, rejected = _read(contract.symbol, found, place.previous, start)
            turn.take([one.end for one in found], [rate.period_end for rate in rates])
            if rates and joins:
                last = rates[-1].period_end
                newest[stream] = max(last, stored or last).isoformat()
            goes_on = self._is_settled(place.move(found, stop)) and bool(found or self.bounded)
            if not goes_on:
                turn.finish()
            if found or not goes_on:
                poll = turn.poll(self.exchange.now())
                yield Batch(rates, json.dumps(newest), (poll,), rejected)
            if not goes_on:
                return

    def _begin(self, stored: datetime | None, now: datetime) -> datetime:
        """Return where to go on: a few settlements back."""
        if stored is None:
            return now - timedelta(days=self.funding.first_days)
        return stored - (self.funding.overlap_rates - 1) * LONGEST

    def _is_settled(self, at: datetime) -> bool:
        """Say whether a rate is settled by the exchange's clock, and wanted."""
        settled = at <= self.exchange.answer.server_time
        return settled and (self.until is None or at < self.until)

    def _ask(self, contract: Contract, asked: datetime, stop: datetime) -> list[Settlement]:
        """Return what was settled since a time, oldest first.

        Args:
            stop: no later than this, where the exchange can be told so: many send the newest
                rates of a stretch, so one that is too long would come without its beginning.
        Raises:
            CouldNotRead: what came is no page of rates.
        """
        ask = self.exchange.client.fetch_funding_rate_history
        since, until = ((at - EPOCH) // timedelta(milliseconds=1) for at in (asked, stop))
        more = {"until": until} if self.bounded else {}
        rows = self.exchange.ask(ask, contract.code, since, self.page, more)
        place = self.exchange.answer.place
        if not isinstance(rows, list):
            raise CouldNotRead(f"{place} sent no page of funding rates.")
        found: list[Settlement] = []
        for row in rows:
            at = _time(row, place)
            end = floor_to(at, MINUTE)
            if at < asked:
                continue  # some send older rates than they were asked for
            if found and end <= found[-1].end:
                raise CouldNotRead(
                    f"{place} sent a rate of {iso(at)} out of place, asked for rates since"
                    f" {iso(asked)}."
                )
            if self._is_settled(at):
                found.append(Settlement(at, end, row))
        return found


def _read(
    symbol: str, found: Sequence[Settlement], previous: datetime | None, start: datetime
) -> tuple[list[Metric], tuple[Rejected, ...]]:
    """Return the rates since `start`, and rows that are none.

    Args:
        previous: the settlement before the first one, where it is known.
    Raises:
        CouldNotRead: most of them make no sense.
    """
    rates: list[Metric] = []
    rejected: list[Rejected] = []
    for before, one in zip([previous, *(each.end for each in found)], found, strict=False):
        if one.end < start:
            continue
        try:
            rate = _rate(one.row)
        except (TypeError, ValueError) as exc:
            payload = json.dumps(one.row, default=str)[:4096]
            rejected.append(Rejected(f"{symbol} {METRIC} {iso(one.end)}", str(exc), payload))
            continue
        begin = one.end - _length(before, one.end)
        rates.append(Metric(PROVIDER, symbol, METRIC, begin, one.end, rate, one.at))
    if len(rejected) > len(rates):
        raise CouldNotRead(
            f"{len(rejected)} of {len(rejected) + len(rates)} funding rates make no sense, first"
            f" {rejected[0].place}: {rejected[0].reason}."
        )
    return rates, tuple(rejected)


def _length(before: datetime | None, end: datetime) -> timedelta:
    """Return how long a period is; where the settlement before is missing, the usual length."""
    return LONGEST if before is None else min(end - before, LONGEST)


def _time(row: Any, place: str) -> datetime:
    stated = row.get("timestamp") if isinstance(row, dict) else None
    if type(stated) is not int:
        raise CouldNotRead(f"{place} sent a funding rate without a time.")
    try:
        return EPOCH + timedelta(milliseconds=stated)
    except OverflowError as exc:
        raise CouldNotRead(f"{place} sent a funding rate of no year that there is.") from exc


def _rate(row: dict[str, Any]) -> float:
    """Return the share of a position that its one side paid the other.

    Raises:
        ValueError: it is none, and why.
    """
    if row.get("fundingRate") is None:
        raise ValueError("the rate is missing")
    rate = float(row["fundingRate"])
    if not math.isfinite(rate) or abs(rate) > 1:
        raise ValueError("the rate is no share of a position")
    return rate
