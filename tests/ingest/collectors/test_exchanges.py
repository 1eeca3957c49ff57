"""Bars by ccxt: its own classes, through the door, against exchanges on this machine.

Each stand-in pages as the exchange does that it stands for: Binance sends the first bars since
a time, Coinbase and OKX those of a stretch, newest first, Kraken its latest ones whatever is
asked, Bitstamp those of a stretch, oldest first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ccxt
import pytest

from moodtape.config import BarsSection, Config, MarketSection
from moodtape.errors import ConfigError, UsageError
from moodtape.ingest.backfill import backfill
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.exchanges import ExchangeBars, collector
from moodtape.ingest.raw import Beginning, RecordingDoor, ReplayingDoor, read_tape
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.records import Bar
from moodtape.storage.db import Warehouse
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EXCHANGES = ("binance", "kraken", "coinbaseexchange", "bitstamp", "okx")
RECORDED = Path(__file__).parent / "fixtures" / "ccxt" / "coinbase_exchange_candles_1h.json"


class Exchange:
    """BTC and ETH in US dollars, hourly, for a day until now; the bar that runs is shown too.

    missing: hours, counted like the bars from 24 hours before noon, without a bar.
    most: bars of one answer.
    """

    def __init__(self, name: str, loopback: Any, reply: Any, now: Callable[[], datetime]) -> None:
        self.name, self.reply, self.now = name, reply, now
        self.first, self.most = NOON - 24 * HOUR, 1000
        self.closes: dict[int, str] = {}
        self.missing: set[int] = set()
        self.questions: list[dict[str, str]] = []
        markets, bars = getattr(self, f"_{name}")()
        self.loopback, self.bars_paths = loopback, bars
        loopback.answers[markets[0]] = lambda asked: self.say(markets[1])
        self.let(self.answer)

    def let(self, answer: Any) -> None:
        """Answer all questions for bars by this."""
        self.loopback.answers |= dict.fromkeys(self.bars_paths, answer)

    def say(self, told: Any) -> Any:
        return self.reply(json.dumps(told).encode(), headers={"Content-Type": "application/json"})

    def answer(self, asked: Any) -> Any:
        self.questions.append(asked.query)
        return self.say(getattr(self, f"_{self.name}_bars")(asked.query))

    def between(self, start: datetime, end: datetime) -> list[tuple[int, str]]:
        """Return seconds and closes of the bars that open in a stretch, both ends included."""
        found, hour = [], (max(start, self.first) - self.first + HOUR / 2) // HOUR
        while (opened := self.first + hour * HOUR) <= min(end, self.now()):
            if hour not in self.missing and opened >= start:
                found.append((int(opened.timestamp()), self.closes.get(hour, "11.0")))
            hour += 1
        return found

    def _binance(self) -> Any:
        symbols = [
            {"symbol": f"{base}USD", "baseAsset": base, "quoteAsset": "USD", "status": "TRADING",
             "permissions": ["SPOT"], "isSpotTradingAllowed": True, "filters": []}
            for base in ("BTC", "ETH")
        ]  # fmt: skip
        return ("/api/v3/exchangeInfo", {"symbols": symbols}), ("/api/v3/klines",)

    def _binance_bars(self, query: dict[str, str]) -> Any:
        found = self.between(
            datetime.fromtimestamp(int(query["startTime"]) / 1000, UTC), self.now()
        )
        return [
            [at * 1000, "10.0", "12.0", "9.0", close, "5.5", at * 1000 + 3_599_999, "55.0", 7,
             "2.5", "25.0", "0"]
            for at, close in found[: min(int(query["limit"]), self.most)]
        ]  # fmt: skip

    def _kraken(self) -> Any:
        pairs = {
            f"X{base}ZUSD": {"altname": f"{base}USD", "wsname": f"{base}/USD", "base": f"X{base}",
                             "quote": "ZUSD", "pair_decimals": 1, "lot_decimals": 8, "fees": [],
                             "status": "online", "ordermin": "0.0001"}
            for base in ("XBT", "ETH")
        }  # fmt: skip
        return ("/0/public/AssetPairs", {"error": [], "result": pairs}), ("/0/public/OHLC",)

    def _kraken_bars(self, query: dict[str, str]) -> Any:
        found = self.between(self.first, self.now())[-min(self.most, 720) :]
        rows = [[at, "10.0", "12.0", "9.0", close, "10.5", "5.5", 7] for at, close in found]
        return {"error": [], "result": {query["pair"]: rows, "last": found[-1][0] - 3600}}

    def _coinbaseexchange(self) -> Any:
        products = [
            {"id": f"{base}-USD", "base_currency": base, "quote_currency": "USD",
             "status": "online", "quote_increment": "0.01", "base_increment": "0.00000001"}
            for base in ("BTC", "ETH")
        ]  # fmt: skip
        candles = ("/products/BTC-USD/candles", "/products/ETH-USD/candles")
        return ("/products", products), candles

    def _coinbaseexchange_bars(self, query: dict[str, str]) -> Any:
        start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        assert (end - start) / HOUR < 300, "more is refused"
        found = self.between(start, end)
        return [[at, 9.0, 12.0, 10.0, float(close), 5.5] for at, close in reversed(found)]

    def _bitstamp(self) -> Any:
        markets = [
            {"name": f"{base}/USD", "market_symbol": f"{base}usd".lower(), "base_currency": base,
             "base_decimals": 8, "counter_currency": "USD", "counter_decimals": 0,
             "minimum_order_value": "10", "trading": "Enabled", "market_type": "SPOT"}
            for base in ("BTC", "ETH")
        ]  # fmt: skip
        return ("/api/v2/markets/", markets), ("/api/v2/ohlc/btcusd/", "/api/v2/ohlc/ethusd/")

    def _bitstamp_bars(self, query: dict[str, str]) -> Any:
        start, end = (datetime.fromtimestamp(int(query[n]), UTC) for n in ("start", "end"))
        rows = [
            {"timestamp": str(at), "open": "10.0", "high": "12.0", "low": "9.0", "close": close,
             "volume": "5.5"}
            for at, close in self.between(start, end)[: int(query["limit"])]
        ]  # fmt: skip
        return {"data": {"pair": "BTC/USD", "ohlc": rows}}

    def _okx(self) -> Any:
        instruments = [
            {"instId": f"{base}-USD", "instType": "SPOT", "baseCcy": base, "quoteCcy": "USD",
             "state": "live", "lotSz": "0.00000001", "minSz": "0.00001", "tickSz": "0.1"}
            for base in ("BTC", "ETH")
        ]  # fmt: skip
        markets = {"code": "0", "msg": "", "data": instruments}
        candles = ("/api/v5/market/candles", "/api/v5/market/history-candles")
        return ("/api/v5/public/instruments", markets), candles

    def _okx_bars(self, query: dict[str, str]) -> Any:
        after, before = (int(query[n]) / 1000 for n in ("before", "after"))
        found = self.between(NOON - 1000 * HOUR, self.now())
        shown = [(at, close) for at, close in found if after < at < before][-int(query["limit"]) :]
        rows = [
            [str(at * 1000), "10.0", "12.0", "9.0", close, "5.5", "55", "55", "1"]
            for at, close in reversed(shown)
        ]
        return {"code": "0", "msg": "", "data": rows}


@pytest.fixture
def make_exchange(loopback: Any, reply: Any, fake_time: Any) -> Callable[[str], Exchange]:
    return lambda name: Exchange(name, loopback, reply, fake_time.now)


@pytest.fixture(params=EXCHANGES)
def exchange(request: pytest.FixtureRequest, make_exchange: Any) -> Exchange:
    made: Exchange = make_exchange(request.param)
    return made


@pytest.fixture
def binance(make_exchange: Any) -> Exchange:
    made: Exchange = make_exchange("binance")
    return made


Make = Callable[..., ExchangeBars]


@pytest.fixture
def make(loopback: Any, make_http: Any, tmp_path: Path) -> Make:
    def made(
        name: str, symbols: str = "BTC", http: Any = None, interval: str = "1h", **options: Any
    ) -> ExchangeBars:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        policy = {k: options.pop(k) for k in ("attempts",) if k in options}
        section = {"base_url": loopback.url, "grace_s": 0, "quote": "USD", **options}
        config = Config(
            market=MarketSection(symbols=tuple(symbols.split()), interval=interval),
            bars=BarsSection(venue=f"ccxt:{name}", **section),
        )
        door = http or make_http(**({"attempts": 1} | policy))
        return collector(Tools(config, door, tmp_path, **bounds))

    return made


Collect = Callable[..., list[Batch]]


@pytest.fixture
def collect(make: Make, fake_time: Any) -> Collect:
    def poll(name: str, cursor: str | None = None, **options: Any) -> list[Batch]:
        return list(make(name, **options).collect(cursor, fake_time.now()))

    return poll


def opens(batches: list[Batch]) -> list[int]:
    """Return the opens of all bars in hours from 2026-09-30 12:00."""
    rows = [r for batch in batches for r in batch.rows if isinstance(r, Bar)]
    return [(r.open_time - NOON) // HOUR + 24 for r in rows]


def test_bars_of_every_exchange_the_running_one_never(
    exchange: Exchange, collect: Collect, loopback: Any
) -> None:
    batches = collect(exchange.name, first_days=1)
    assert opens(batches) == list(range(24)), "that of 12:00 is shown, and runs"
    assert batches[0].rows[0] == Bar(
        "BTC", exchange.name, "USD", "1h", NOON - 24 * HOUR, 10, 12, 9, 11, 5.5
    )
    cursor = {f"{exchange.name} BTC/USD 1h": "2026-10-01T11:00:00+00:00"}
    assert json.loads(batches[-1].cursor) == cursor
    assert batches[-1].polls[0].state == "ok"
    assert len(loopback.asked) == 1 + len(exchange.questions) == 2


def test_a_bar_is_over_by_the_clock_of_the_exchange(
    exchange: Exchange, collect: Collect, fake_time: Any, reply: Any, monkeypatch: Any
) -> None:
    fake_time.sleep(3605)
    assert opens(collect(exchange.name, grace_s=10))[-1] == 23, "that of 12:00 ended 5 s ago"
    fake_time.sleep(5)
    assert opens(collect(exchange.name, grace_s=10))[-1] == 24
    behind = {"Date": "Thu, 01 Oct 2026 11:59:00 GMT"}
    monkeypatch.setattr(
        exchange, "say", lambda told: reply(json.dumps(told).encode(), headers=behind)
    )
    assert opens(collect(exchange.name))[-1] == 22


def test_pages_follow_each_other(exchange: Exchange, collect: Collect) -> None:
    batches = collect(exchange.name, first_days=1, page=10)
    assert opens(batches) == list(range(24))
    if exchange.name == "kraken":
        assert len(batches) == 1, "it always sends all that it shows"
        return
    assert [len(b.rows) for b in batches] == [10, 10, 4]
    assert [p.items for b in batches for p in b.polls] == [10, 10, 4]
    places = [next(iter(json.loads(b.cursor).values()))[11:16] for b in batches]
    assert places == ["21:00", "07:00", "11:00"]


def test_the_next_poll_reads_the_last_bars_again(
    exchange: Exchange, collect: Collect, fake_time: Any
) -> None:
    cursor = collect(exchange.name, first_days=1)[-1].cursor
    fake_time.sleep(7300)
    exchange.closes[23] = "10.5"
    (batch,) = collect(exchange.name, cursor, overlap_bars=3)
    assert opens([batch]) == [21, 22, 23, 24, 25]
    assert [r.close for r in batch.rows if isinstance(r, Bar)][2] == 10.5, "a corrected bar"
    assert [(p.state, p.items) for p in batch.polls] == [("ok", 2)], "two of them are new"
    assert [p.state for p in collect(exchange.name, batch.cursor)[0].polls] == ["empty"]


def test_an_outage_of_the_exchange_is_a_hole(exchange: Exchange, collect: Collect) -> None:
    exchange.missing = {4, 5, 6, 7, 8, 9, 18}
    batches = collect(exchange.name, first_days=1, page=4)
    assert opens(batches) == [h for h in range(24) if h not in exchange.missing]
    assert batches[-1].polls[0].state == "ok"


def test_a_page_without_a_bar_does_not_make_a_run_empty(
    exchange: Exchange, collect: Collect
) -> None:
    exchange.missing = {22, 23}
    batches = collect(exchange.name, first_days=1, page=22)
    assert opens(batches) == list(range(22))
    assert [p.state for p in batches[-1].polls] == ["ok"]


def test_a_coin_that_is_younger_than_what_is_asked_for(
    exchange: Exchange, collect: Collect
) -> None:
    """A stretch before its first bar is empty, and is no end."""
    assert opens(collect(exchange.name, first_days=40)) == list(range(24))


def test_a_bounded_stretch_moves_the_cursor_only_where_it_joins(
    exchange: Exchange, collect: Collect
) -> None:
    name = exchange.name
    first = collect(name, since=NOON - 20 * HOUR, until=NOON - 15 * HOUR)
    assert opens(first) == [4, 5, 6, 7, 8]
    cursor = first[-1].cursor
    assert list(json.loads(cursor).values()) == ["2026-09-30T20:00:00+00:00"]
    older = collect(name, cursor, since=NOON - 24 * HOUR, until=NOON - 20 * HOUR)
    assert (opens(older), older[-1].cursor) == ([0, 1, 2, 3], cursor), "it never goes back"
    apart = collect(name, cursor, since=NOON - 4 * HOUR)
    assert (opens(apart), apart[-1].cursor) == ([20, 21, 22, 23], cursor), "nor over a gap"
    joined = collect(name, cursor, since=NOON - 15 * HOUR)
    assert list(json.loads(joined[-1].cursor).values()) == ["2026-10-01T11:00:00+00:00"]


def test_bars_that_kraken_no_longer_shows_are_told(make_exchange: Any, collect: Collect) -> None:
    kraken = make_exchange("kraken")
    cursor = collect("kraken", until=NOON - 10 * HOUR)[-1].cursor
    kraken.most = 6
    (batch,) = collect("kraken", cursor)
    assert opens([batch]) == [19, 20, 21, 22, 23], "and the one that runs"
    (poll,) = batch.polls
    assert (poll.state, poll.items) == ("capped", 5)
    assert poll.detail == (
        "nothing before 2026-10-01 07:00Z is shown any more: what came since 2026-10-01 01:00Z"
        " is missing"
    )


def test_the_candle_that_coinbase_sent_once(
    make_exchange: Any, collect: Collect, loopback: Any, reply: Any
) -> None:
    make_exchange("coinbaseexchange").let(reply(RECORDED.read_bytes()))
    opened = datetime(2024, 3, 13, 11, tzinfo=UTC)
    (batch,) = collect("coinbaseexchange", since=opened, until=opened + HOUR)
    assert batch.rows == [
        Bar("BTC", "coinbaseexchange", "USD", "1h", opened, 73243.33, 73402.47, 73241.5, 73370.65,
            1.56794406)
    ]  # fmt: skip


def test_markets_are_listed_once_for_all_pairs(
    exchange: Exchange, collect: Collect, loopback: Any
) -> None:
    batches = collect(exchange.name, symbols="BTC ETH", first_days=0.1)
    assert [r.symbol for b in batches for r in b.rows if isinstance(r, Bar)][::3] == ["BTC", "ETH"]
    paths = [asked.path for asked in loopback.asked]
    assert len(paths) == 3
    assert paths[0] not in paths[1:]


def test_a_pair_that_is_not_listed_keeps_no_other_from_coming(
    exchange: Exchange, collect: Collect
) -> None:
    batches = collect(exchange.name, symbols="BTX BTC", first_days=0.1)
    polls = [p for b in batches for p in b.polls]
    assert [p.state for p in polls] == ["refused", "ok"]
    assert polls[0].stream == f"{exchange.name} BTX/USD 1h"
    assert polls[0].detail == (f"{exchange.name} has no market BTX/USD. Did you mean BTC/USD?")
    assert opens(batches) == [21, 22, 23]


def test_a_body_that_was_cut_short_gives_no_bar(
    exchange: Exchange, collect: Collect, reply: Any
) -> None:
    """ccxt itself makes rows of it, one for each letter."""
    cursor = collect(exchange.name, until=NOON - 2 * HOUR)[-1].cursor
    for cut in (1, 20, -1):
        exchange.let(lambda asked, cut=cut: reply(exchange.answer(asked).body[:cut]))
        (batch,) = collect(exchange.name, cursor)
        assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), cursor, "unreadable")
        assert "not whole JSON" in batch.polls[0].detail


def test_a_list_of_markets_that_was_cut_short_is_not_asked_for_twice(
    exchange: Exchange, collect: Collect, loopback: Any, reply: Any
) -> None:
    path = next(iter(loopback.answers))
    loopback.answers[path] = reply(b'[{"symbol": "BTC')
    batches = collect(exchange.name, symbols="BTC ETH")
    assert [p.state for b in batches for p in b.polls] == ["unreadable", "unreadable"]
    assert len(loopback.asked) == 1


SOMETHING_ELSE = (
    *(b"", b"<html>", b'"maintenance"', b"7", b"null", b"{}", b"[]"),
    *(b'{"a": 1}', b"[[]]", b"[{}]", b"[1]", b"[null]", b'["[", "1"]'),
)


def test_an_answer_that_is_something_else_gives_no_bar(
    exchange: Exchange, collect: Collect, reply: Any
) -> None:
    cursor = collect(exchange.name, first_days=1)[-1].cursor
    for body in SOMETHING_ELSE:
        exchange.let(reply(body))
        (batch,) = collect(exchange.name, cursor)
        assert (batch.rows, batch.cursor) == ((), cursor), body
        assert batch.polls[0].state in ("unreadable", "refused"), body


class SameAnswer(dict[str, Any]):
    """Answers of a server that says one thing, whatever it is asked."""

    def get(self, path: str, default: Any = None) -> Any:
        return self["any"]


def test_no_exchange_of_ccxt_makes_bars_of_rubbish(
    make: Make, loopback: Any, reply: Any, fake_time: Any
) -> None:
    loopback.answers = SameAnswer()
    market = {
        "id": "BTCUSD", "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "baseId": "BTC",
        "quoteId": "USD", "type": "spot", "spot": True, "swap": False, "future": False,
        "option": False, "contract": False, "active": True, "limits": {}, "info": {},
        "precision": {"amount": 1e-8, "price": 0.01}, "lowercaseId": "btcusd",
    }  # fmt: skip
    names = [name for name in ccxt.exchanges if getattr(ccxt, name)().has["fetchOHLCV"] is True]
    assert len(names) > 80
    for name in names:
        for body in (b'[["1790848800000","10', b'{"data": [[1, 2]]}', b'[[], {}, "x", 7, null]'):
            loopback.answers["any"] = reply(body)
            made = make(name, first_days=1)
            made.exchange.client.set_markets([market])
            batches = list(made.collect(None, fake_time.now()))
            assert [row for batch in batches for row in batch.rows] == [], (name, body)


ROW: list[Any] = [
    int((NOON - HOUR).timestamp() * 1000),
    "10",
    "12",
    "9",
    "11",
    "5.5",
    0,
    "55",
    7,
    "2",
    "2",
    0,
]
OLD = [int((NOON - 2 * HOUR).timestamp() * 1000), *ROW[1:]]


def with_cells(**cells: Any) -> list[Any]:
    row: list[Any] = list(ROW)
    for column, value in cells.items():
        row[int(column[1:])] = value
    return row


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([with_cells(c0=ROW[0] + 60_000)], "2026-10-01 11:01Z out of place"),
        ([OLD, OLD], "2026-10-01 10:00Z out of place"),
        ([with_cells(c0=10**30)], "of no year that there is"),
        ([with_cells(c0=4_000_000_000_000 // 3_600_000 * 3_600_000)], "out of place"),
        ([with_cells(c0="soon")], "sent a bar without a time"),
        ([ROW, with_cells(c0=None)], "sent a bar without a time"),
        ([with_cells(c4=None)], "1 of 1 bars make no sense, first that of BTC 1h 2026-10-01T11"),
        ([with_cells(c4="NaN")], "a number is not finite"),
        ([with_cells(c5="inf")], "a number is not finite"),
        ([with_cells(c2="9.5")], "low, open, close and high are in no order"),
        ([with_cells(c3="10.5")], "low, open, close and high are in no order"),
        ([with_cells(c3="-9")], "low, open, close and high are in no order"),
        ([with_cells(c5="-1")], "volume is negative"),
    ],
)
def test_a_page_that_is_none_gives_no_bar(
    rows: list[Any], told: str, binance: Exchange, collect: Collect, loopback: Any, reply: Any
) -> None:
    binance.let(reply(json.dumps(rows).encode()))
    (batch,) = collect("binance", first_days=0.1)
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), "{}", "unreadable")
    assert told in batch.polls[0].detail


def test_rows_that_came_in_disorder_are_put_in_order(
    binance: Exchange, collect: Collect, loopback: Any, reply: Any
) -> None:
    binance.let(reply(json.dumps([ROW, OLD]).encode()))
    assert opens(collect("binance", first_days=0.1)) == [22, 23]


def test_one_row_that_makes_no_sense_is_set_aside(
    binance: Exchange, collect: Collect, loopback: Any, reply: Any
) -> None:
    body = json.dumps([OLD, with_cells(c2="1")]).encode()
    binance.let(reply(body))
    (batch,) = collect("binance", first_days=0.1)
    assert opens([batch]) == [22]
    (one,) = batch.rejected
    assert (one.place, one.reason) == (
        "BTC 1h 2026-10-01T11:00Z", "low, open, close and high are in no order"
    )  # fmt: skip
    assert json.loads(one.payload)[2] == 1.0
    assert list(json.loads(batch.cursor).values()) == ["2026-10-01T10:00:00+00:00"]


@pytest.mark.parametrize("status", [403, 404, 418, 451])
def test_what_will_not_pass_is_asked_once(
    status: int, exchange: Exchange, collect: Collect, loopback: Any, reply: Any
) -> None:
    markets = next(iter(loopback.answers))
    loopback.answers[markets] = reply(b'{"msg": "not from your country"}', status)
    batches = collect(exchange.name, symbols="BTC ETH", attempts=4)
    polls = [p for b in batches for p in b.polls]
    assert [p.state for p in polls] == ["refused", "refused"]
    assert polls[0].detail.endswith(f"answered {status}: not from your country.")
    assert len(loopback.asked) == 1


def test_a_ban_ends_the_run_of_all_pairs(
    exchange: Exchange, collect: Collect, loopback: Any, reply: Any
) -> None:
    """ccxt calls it a network error, and a caller that tries again makes it longer."""
    exchange.let(reply(b'{"msg": "banned"}', 418, {"Retry-After": "600"}))
    batches = collect(exchange.name, symbols="BTC ETH", attempts=4)
    assert [p.state for b in batches for p in b.polls] == ["refused", "down"]
    assert len(loopback.asked) == 2, "the list of markets, and BTC"


def test_too_many_requests_are_waited_out(
    exchange: Exchange, collect: Collect, loopback: Any, reply: Any, fake_time: Any
) -> None:
    busy = reply(b'{"code": -1003, "msg": "too many"}', 429, {"Retry-After": "12"})
    tries = [busy]
    exchange.let(lambda asked: tries.pop() if tries else exchange.answer(asked))
    assert opens(collect(exchange.name, first_days=0.1, attempts=4)) == [21, 22, 23]
    assert fake_time.slept == [12]


def test_no_network(exchange: Exchange, collect: Collect, loopback: Any, reply: Any) -> None:
    exchange.let(reply(hang_up=True))
    (batch,) = collect(exchange.name)
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), "{}", "down")
    assert batch.polls[0].detail.endswith("gave no answer: it hung up.")


def test_a_no_inside_an_answer(
    make_exchange: Any, collect: Collect, loopback: Any, reply: Any
) -> None:
    kraken = make_exchange("kraken")
    kraken.let(reply(b'{"error": ["EGeneral:Temporary lockout"]}'))
    (batch,) = collect("kraken")
    assert batch.polls[0].state == "refused"
    assert batch.polls[0].detail.startswith("kraken said no (DDoSProtection): kraken {")
    assert "Temporary lockout" in batch.polls[0].detail
    assert len(loopback.asked) == 2, "ccxt calls it a network error; it is not asked again"


def test_an_exchange_that_is_asked_by_post_is_refused(collect: Collect, loopback: Any) -> None:
    (batch,) = collect("hyperliquid")
    assert (batch.polls[0].state, loopback.asked) == ("refused", [])
    assert "is asked by POST, whose answers cannot be replayed" in batch.polls[0].detail


@pytest.mark.parametrize("name", ["kraken", "coinbaseexchange"])
def test_every_promise_of_a_collector(
    name: str, make_exchange: Any, make: Make, tmp_path: Path, fake_time: Any
) -> None:
    make_exchange(name)
    counts = check_collector(lambda: make(name, first_days=1, page=9), fake_time.now(), tmp_path)
    assert (counts.new, counts.quarantined) == (24, 0)


def test_kept_answers_give_the_same_batches(
    exchange: Exchange, make: Make, make_http: Any, tmp_path: Path, fake_time: Any, loopback: Any
) -> None:
    """Also where ccxt asks by the time: OKX has two addresses, for new bars and for old ones."""
    start = fake_time.now()
    door = RecordingDoor(make_http(attempts=1), tmp_path / "bars.jsonl")
    door.begin(Beginning("run", "bars", None, start))
    options: dict[str, Any] = {"symbols": "BTC BTX", "first_days": 1, "page": 7}
    live = list(make(exchange.name, http=door, **options).collect(None, start))
    asked = len(loopback.asked)
    fake_time.sleep(90 * 24 * 3600)
    tape = read_tape(tmp_path / "bars.jsonl")
    assert tape is not None
    again = make(exchange.name, http=ReplayingDoor(tape), **options)
    assert list(again.collect(None, start)) == live
    assert (len(opens(live)), len(loopback.asked)) == (24, asked)


def test_a_run_a_hole_and_a_replay(
    make_exchange: Any, loopback: Any, fake_time: Any, tmp_path: Path
) -> None:
    kraken = make_exchange("kraken")
    section = BarsSection(
        venue="ccxt:kraken", base_url=loopback.url, quote="USD", first_days=1, grace_s=0
    )
    plan = Plan(
        Warehouse(tmp_path / "live.duckdb"), tmp_path / "staging", tmp_path,
        Config(bars=section), timing=fake_time.timing, answers=tmp_path / "answers",
    )  # fmt: skip
    kraken.missing = {7, 8}
    (first,) = run_collectors(plan, ["bars"])
    assert (first.state, first.counts.new) == ("done", 22)
    fake_time.sleep(3600)
    kraken.missing, kraken.closes[23] = set(), "10.5"
    (filled,) = backfill(plan, ["bars"])
    assert filled.counts.new == 2
    (second,) = run_collectors(plan, ["bars"])
    assert (second.counts.new, second.counts.corrected, second.counts.known) == (1, 1, 2)
    rows = "SELECT venue, quote, open_time::VARCHAR, known_at::VARCHAR, close FROM bar ORDER BY ALL"
    with plan.warehouse.read() as connection:
        live = connection.execute(rows).fetchall()
    start = "2026-10-01 11:00:00+00"
    assert [row for row in live if row[2] == start] == [
        ("kraken", "USD", start, "2026-10-01 12:00:00+00", 11.0),
        ("kraken", "USD", start, "2026-10-01 13:00:00+00", 10.5),
    ]
    plan.warehouse.path.unlink()
    asked = len(loopback.asked)
    replay_answers(plan, ["bars"])
    with plan.warehouse.read() as connection:
        assert connection.execute(rows).fetchall() == live
    assert len(loopback.asked) == asked


def test_ccxt_tells_time_by_the_answers(make_exchange: Any, make: Make, fake_time: Any) -> None:
    """By its own clock it would ask other questions in a replay."""
    make_exchange("okx")
    made = make("okx", first_days=1)
    fake_time.sleep(60)
    turn = made.collect(None, NOON)
    made.exchange.begin(NOON)
    client, seconds = made.exchange.client, NOON.timestamp()
    assert (client.seconds(), client.milliseconds()) == (seconds, seconds * 1000)
    next(turn)
    assert client.microseconds() == (seconds + 60) * 1_000_000, "when the answer came"


def test_a_wrong_setting_is_told_before_anything_is_asked(make: Make, loopback: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"bars.venue: ccxt has no exchange 'krakn'. Did you mean kraken\?"
    ):
        make("krakn")
    with pytest.raises(ConfigError, match=r"bars.venue: ccxt brings no bars of bitflyer"):
        make("bitflyer")
    with pytest.raises(
        ConfigError, match=r"coinbaseexchange has no bars of 7h. It has: 1m, 5m, 15m, 1h, 6h, 1d."
    ):
        make("coinbaseexchange", interval="7h")
    assert loopback.asked == []


def test_without_ccxt_it_says_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ccxt", None)
    with pytest.raises(
        UsageError, match=r"needs the 'exchanges' extra: pip install \"moodtape\[exc"
    ):
        make("kraken")


def test_months_are_no_length(make: Make) -> None:
    with pytest.raises(ConfigError, match="binance has no bars of 30d"):
        make("binance", interval="30d")
    assert make("binance", interval="15m").timeframe == "15m"
    assert make("binance", interval="7d").timeframe == "1w"


def test_no_exchange_is_asked_for_more_than_it_sends(make: Make) -> None:
    pages = {name: make(name, page=1000).page for name in (*EXCHANGES, "gemini")}
    assert pages == {
        "binance": 1000, "kraken": 720, "coinbaseexchange": 300, "bitstamp": 1000, "okx": 300,
        "gemini": 300,
    }  # fmt: skip


def test_every_address_of_an_exchange_is_moved(make: Make, loopback: Any) -> None:
    def flat(urls: Any) -> list[str]:
        return [u for v in urls.values() for u in flat(v)] if isinstance(urls, dict) else [urls]

    for name in ("binance", "kraken", "gate", "mexc", "htx"):
        urls = flat(make(name).exchange.client.urls["api"])
        assert all(url.startswith(loopback.url) for url in urls), name
