"""Bars of Binance through the real client: every page checked, the running bar never taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.config import BarsSection, Config, MarketSection
from moodtape.errors import ConfigError
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.binance import BinanceBars, Pair, collector
from moodtape.records import Bar

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def row(opened: datetime, close: float = 11.0, **cells: Any) -> list[Any]:
    """Return a bar in the shape that the provider documents."""
    start = int(opened.timestamp() * 1000)
    made = [start, "10.0", "12.0", "9.0", str(close), "5.5", start + 3_599_999, "55.0", 7, "2.5",
            "25.0", "0"]  # fmt: skip
    for column, value in cells.items():
        made[int(column[1:])] = value
    return made


class Exchange:
    """Answers as the exchange does: at most `limit` bars since `startTime`, the running one too."""

    def __init__(self, loopback: Any, reply: Any, fake_time: Any) -> None:
        self.reply, self.fake_time = reply, fake_time
        self.first = NOON - 24 * HOUR
        self.closes: dict[datetime, float] = {}
        self.missing: set[datetime] = set()
        self.questions: list[dict[str, str]] = []
        loopback.answers["/api/v3/klines"] = self.klines

    def klines(self, asked: Any) -> Any:
        self.questions.append(asked.query)
        if asked.query["symbol"] != "BTCUSDT":
            return self.reply(b'{"code": -1121, "msg": "Invalid symbol."}', 400)
        start = datetime.fromtimestamp(int(asked.query["startTime"]) / 1000, UTC)
        opened, rows = max(start, self.first), []
        while opened <= self.fake_time.now() and len(rows) < int(asked.query["limit"]):
            if opened not in self.missing:
                rows.append(row(opened, self.closes.get(opened, 11.0)))
            opened += HOUR
        return self.reply(json.dumps(rows).encode())


@pytest.fixture
def exchange(loopback: Any, reply: Any, fake_time: Any) -> Exchange:
    return Exchange(loopback, reply, fake_time)


Collect = Callable[..., list[Batch]]


@pytest.fixture
def collect(loopback: Any, make_http: Any, fake_time: Any) -> Collect:
    def poll(cursor: str | None = None, symbols: str = "BTC", **options: Any) -> list[Batch]:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        section = BarsSection(**{"base_url": loopback.url, "grace_s": 0, **options})
        pairs = [Pair(symbol, "USDT") for symbol in symbols.split()]
        made = BinanceBars(pairs, "1h", section, make_http(attempts=1), **bounds)
        return list(made.collect(cursor, fake_time.now()))

    return poll


def opens(batches: list[Batch]) -> list[int]:
    """Return the opens of all bars in hours from 2026-09-30 12:00."""
    rows = [r for batch in batches for r in batch.rows if isinstance(r, Bar)]
    return [(r.open_time - NOON) // HOUR + 24 for r in rows]


def test_a_bar_with_all_its_columns(exchange: Exchange, collect: Collect) -> None:
    (batch,) = collect(first_days=1 / 24)
    assert batch.rows == [
        Bar("BTC", "binance", "USDT", "1h", NOON - HOUR, 10, 12, 9, 11, 5.5, 55, 7, 2.5)
    ]
    assert json.loads(batch.cursor) == {"BTCUSDT 1h": "2026-10-01T11:00:00+00:00"}
    assert exchange.questions == [
        {"symbol": "BTCUSDT", "interval": "1h", "startTime": "1790852400000", "limit": "1000"}
    ]


def test_the_running_bar_is_never_taken(
    exchange: Exchange, collect: Collect, fake_time: Any
) -> None:
    fake_time.sleep(3605)
    assert opens(collect(grace_s=10))[-1] == 23, "12:00 ended 5 s ago and may still change"
    fake_time.sleep(5)
    assert opens(collect(grace_s=10))[-1] == 24


def test_the_servers_clock_counts_where_it_is_behind(
    exchange: Exchange, collect: Collect, loopback: Any, reply: Any
) -> None:
    body = json.dumps([row(NOON - 2 * HOUR), row(NOON - HOUR)]).encode()
    loopback.answers["/api/v3/klines"] = reply(
        body, headers={"Date": "Thu, 01 Oct 2026 11:59:00 GMT"}
    )
    assert opens(collect()) == [22]


def test_pages_follow_each_other_without_overlap(exchange: Exchange, collect: Collect) -> None:
    batches = collect(page=10)
    assert opens(batches) == list(range(24))
    assert [len(b.rows) for b in batches] == [10, 10, 4]
    assert [json.loads(b.cursor)["BTCUSDT 1h"][11:16] for b in batches] == [
        "21:00",
        "07:00",
        "11:00",
    ]
    assert [(p.state, p.items) for b in batches for p in b.polls] == [
        ("ok", 10),
        ("ok", 10),
        ("ok", 4),
    ]


def test_the_next_poll_reads_the_last_bars_again(
    exchange: Exchange, collect: Collect, fake_time: Any
) -> None:
    cursor = collect()[-1].cursor
    fake_time.sleep(7300)
    exchange.closes[NOON - HOUR] = 10.5
    (batch,) = collect(cursor, overlap_bars=3)
    assert opens([batch]) == [21, 22, 23, 24, 25]
    assert [r.close for r in batch.rows if isinstance(r, Bar)][2] == 10.5, "a corrected bar"
    assert [(p.state, p.items) for p in batch.polls] == [("ok", 2)], "two of them are new"
    assert [p.state for p in collect(batch.cursor)[0].polls] == ["empty"]


def test_an_outage_of_the_exchange_is_a_hole(exchange: Exchange, collect: Collect) -> None:
    exchange.missing = {NOON - 5 * HOUR, NOON - 4 * HOUR}
    assert opens(collect(page=7)) == [h for h in range(24) if h not in (19, 20)]


def test_a_bounded_stretch_moves_the_cursor_only_where_it_joins(
    exchange: Exchange, collect: Collect
) -> None:
    first = collect(since=NOON - 20 * HOUR, until=NOON - 15 * HOUR)
    assert opens(first) == [4, 5, 6, 7, 8]
    cursor = first[-1].cursor
    assert json.loads(cursor) == {"BTCUSDT 1h": "2026-09-30T20:00:00+00:00"}
    older = collect(cursor, since=NOON - 24 * HOUR, until=NOON - 20 * HOUR)
    assert (opens(older), older[-1].cursor) == ([0, 1, 2, 3], cursor), "it never goes back"
    apart = collect(cursor, since=NOON - 4 * HOUR)
    assert (opens(apart), apart[-1].cursor) == ([20, 21, 22, 23], cursor), "nor over a gap"
    joined = collect(cursor, since=NOON - 15 * HOUR)
    assert json.loads(joined[-1].cursor) == {"BTCUSDT 1h": "2026-10-01T11:00:00+00:00"}


def test_a_pair_that_fails_keeps_no_other_from_coming(exchange: Exchange, collect: Collect) -> None:
    batches = collect(symbols="XXX BTC", first_days=0.1)
    assert [(p.stream, p.state) for b in batches for p in b.polls] == [
        ("XXXUSDT 1h", "refused"), ("BTCUSDT 1h", "ok")
    ]  # fmt: skip
    assert batches[0].polls[0].detail.endswith("/api/v3/klines answered 400: Invalid symbol.")
    assert opens(batches) == [21, 22, 23]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'[[1790852400000,"10', "not whole JSON"),
        (b'{"code": 0}', "no page of bars"),
        (b'["[", "[", "1"]', "has not its 12 columns"),
        (b"[[1790852400000, 1, 2]]", "has not its 12 columns"),
        ([row(NOON - HOUR, c0="1790852400000")], "has not its 12 columns"),
        ([row(NOON - HOUR), row(NOON - 2 * HOUR)], "2026-10-01 10:00Z out of place"),
        ([row(NOON - HOUR), row(NOON - HOUR)], "out of place"),
        ([row(NOON - HOUR + timedelta(minutes=1))], "11:01Z out of place"),
        ([row(NOON - 800 * 24 * HOUR)], "out of place"),
        ([row(NOON - HOUR, c0=10**30)], "of no year that there is"),
    ],
)
def test_a_page_that_is_none_gives_no_bar(
    body: Any, told: str, collect: Collect, loopback: Any, reply: Any
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    loopback.answers["/api/v3/klines"] = reply(raw)
    (batch,) = collect()
    assert (batch.rows, batch.cursor) == ((), "{}")
    assert batch.polls[0].state == "unreadable"
    assert told in batch.polls[0].detail


def test_a_row_that_cannot_be_read_is_set_aside(
    collect: Collect, loopback: Any, reply: Any
) -> None:
    body = json.dumps([row(NOON - 2 * HOUR, c4=None), row(NOON - HOUR, c8="many")]).encode()
    loopback.answers["/api/v3/klines"] = reply(body)
    (batch,) = collect()
    assert [(r.place, r.reason) for r in batch.rejected] == [
        ("BTC 1h 2026-10-01T10:00Z", "a number cannot be read"),
        ("BTC 1h 2026-10-01T11:00Z", "a number cannot be read"),
    ]


def test_an_empty_page(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers["/api/v3/klines"] = reply(b"[]")
    (batch,) = collect()
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ([], "{}", "empty")


def test_microseconds_are_told_by_their_size(collect: Collect, loopback: Any, reply: Any) -> None:
    micros = int((NOON - HOUR).timestamp() * 1_000_000)
    loopback.answers["/api/v3/klines"] = reply(json.dumps([row(NOON - HOUR, c0=micros)]).encode())
    assert opens(collect()) == [23]


def test_symbols_quotes_and_intervals_come_from_the_config(make_http: Any, tmp_path: Any) -> None:
    market = MarketSection(symbols=("BTC", "ETH"), quote={"ETH": "EUR"}, interval="15m")
    made = collector(Tools(Config(market=market), make_http(), tmp_path))
    assert [p.code for p in made.pairs] == ["BTCUSDT", "ETHEUR"]
    assert made.interval == "15min"
    odd = Config(market=MarketSection(interval="7h"))
    with pytest.raises(ConfigError, match="Binance has no bars of 7h"):
        collector(Tools(odd, make_http(), tmp_path))


def test_weeks_open_on_mondays(make_http: Any) -> None:
    made = BinanceBars([], "7d", BarsSection(), make_http())
    assert made._grid(NOON) == datetime(2026, 9, 28, tzinfo=UTC)
