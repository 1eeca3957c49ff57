"""Funding rates by ccxt: its own classes, through the door, against exchanges on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config, FundingSection, HttpSection, MarketSection
from moodtape.errors import ConfigError, UsageError
from moodtape.ingest.backfill import backfill
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.funding import FundingRates, collector
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.records import Metric
from moodtape.storage.db import Warehouse
from moodtape.storage.summary import gaps
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EXCHANGES = ("binanceusdm", "bybit", "gate")


class Exchange:
    """Contracts on BTC and ETH, settled every eight hours for a week until 08:00 of today.

    rates: by hours before noon. late: milliseconds by which the stated times are off.
    most: rates of one answer.
    """

    def __init__(self, name: str, loopback: Any, reply: Any) -> None:
        self.name, self.loopback, self.reply = name, loopback, reply
        self.rates = dict.fromkeys(range(4, 7 * 24, 8), "0.0001")
        self.late, self.most = 0, 1000
        self.questions: list[dict[str, str]] = []
        path, markets, self.rates_path = getattr(self, f"_{name}")()
        loopback.answers |= {path: lambda asked: self.say(markets), self.rates_path: self.answer}
        loopback.answers["/api/v4/futures/btc/contracts"] = reply(b"[]")

    def say(self, told: Any) -> Any:
        return self.reply(json.dumps(told).encode(), headers={"Content-Type": "application/json"})

    def let(self, answer: Any) -> None:
        """Answer all questions for rates by this."""
        self.loopback.answers[self.rates_path] = answer

    def answer(self, asked: Any) -> Any:
        self.questions.append(asked.query)
        return self.say(getattr(self, f"_{self.name}_rates")(asked.query))

    def between(self, start: int, end: int) -> list[tuple[int, str]]:
        """Return milliseconds and rates of what was settled in a stretch, oldest first."""
        found = [
            (int((NOON - hours * HOUR).timestamp()) * 1000 + self.late, rate)
            for hours, rate in sorted(self.rates.items(), reverse=True)
        ]
        return [(at, rate) for at, rate in found if start <= at <= end]

    def _binanceusdm(self) -> Any:
        symbols: list[dict[str, Any]] = [
            {"symbol": f"{base}USDT", "pair": f"{base}USDT", "contractType": "PERPETUAL",
             "baseAsset": base, "quoteAsset": "USDT", "marginAsset": "USDT", "status": "TRADING",
             "onboardDate": 1569398400000, "deliveryDate": 4133404800000, "filters": []}
            for base in ("BTC", "ETH")
        ]  # fmt: skip
        return "/fapi/v1/exchangeInfo", {"symbols": symbols}, "/fapi/v1/fundingRate"

    def _binanceusdm_rates(self, query: dict[str, str]) -> Any:
        found = self.between(int(query["startTime"]), int(query["endTime"]))
        return [
            {"symbol": query["symbol"], "fundingRate": rate, "fundingTime": at, "markPrice": "1.0"}
            for at, rate in found[: min(int(query["limit"]), self.most)]
        ]

    def _gate(self) -> Any:
        contracts = [
            {"name": f"{base}_USDT", "quanto_multiplier": "0.0001", "type": "direct",
             "order_size_min": 1, "order_size_max": 1000000, "order_price_round": "0.1",
             "leverage_max": "100", "leverage_min": "1", "in_delisting": False,
             "order_price_deviate": "0.5", "mark_price": "1", "funding_interval": 28800}
            for base in ("BTC", "ETH")
        ]  # fmt: skip
        return "/api/v4/futures/usdt/contracts", contracts, "/api/v4/futures/usdt/funding_rate"

    def _gate_rates(self, query: dict[str, str]) -> Any:
        """Newest first, in seconds."""
        found = self.between(int(query["from"]) * 1000, int(query["to"]) * 1000)
        latest = found[-min(int(query["limit"]), self.most) :]
        return [{"t": at // 1000, "r": rate} for at, rate in reversed(latest)]

    def _bybit(self) -> Any:
        contracts = [
            {"symbol": f"{base}USDT", "contractType": "LinearPerpetual", "status": "Trading",
             "baseCoin": base, "quoteCoin": "USDT", "settleCoin": "USDT", "launchTime": "0",
             "deliveryTime": "0", "priceScale": "2", "fundingInterval": 480,
             "leverageFilter": {"minLeverage": "1", "maxLeverage": "100"},
             "priceFilter": {"tickSize": "0.1"}, "lotSizeFilter": {"qtyStep": "0.001"}}
            for base in ("BTC", "ETH")
        ]  # fmt: skip
        markets = self.bybits({"category": "linear", "list": contracts})
        return "/v5/market/instruments-info", markets, "/v5/market/funding/history"

    def _bybit_rates(self, query: dict[str, str]) -> Any:
        """Newest first, as texts."""
        assert int(query["limit"]) <= 200, "more is refused"
        found = self.between(int(query["startTime"]), int(query["endTime"]))
        rates = [
            {"symbol": query["symbol"], "fundingRate": rate, "fundingRateTimestamp": str(at)}
            for at, rate in reversed(found[-int(query["limit"]) :])
        ]
        return self.bybits({"category": "linear", "list": rates})

    @staticmethod
    def bybits(result: Any) -> Any:
        return {"retCode": 0, "retMsg": "OK", "result": result, "time": 1}


@pytest.fixture
def make_exchange(loopback: Any, reply: Any) -> Callable[[str], Exchange]:
    return lambda name: Exchange(name, loopback, reply)


@pytest.fixture(params=EXCHANGES)
def exchange(request: pytest.FixtureRequest, make_exchange: Any) -> Exchange:
    made: Exchange = make_exchange(request.param)
    return made


@pytest.fixture
def binance(make_exchange: Any) -> Exchange:
    made: Exchange = make_exchange("binanceusdm")
    return made


Make = Callable[..., FundingRates]


@pytest.fixture
def make(loopback: Any, make_http: Any, tmp_path: Path) -> Make:
    def made(name: str, symbols: str = "BTC", attempts: int = 1, **options: Any) -> FundingRates:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        section = {"exchange": name, "base_url": loopback.url, "first_days": 1, **options}
        config = Config(
            market=MarketSection(symbols=tuple(symbols.split())), funding=FundingSection(**section)
        )
        return collector(Tools(config, make_http(attempts=attempts), tmp_path, **bounds))

    return made


Collect = Callable[..., list[Batch]]


@pytest.fixture
def collect(make: Make, fake_time: Any) -> Collect:
    def poll(name: str, cursor: str | None = None, **options: Any) -> list[Batch]:
        return list(make(name, **options).collect(cursor, fake_time.now()))

    return poll


def ends(batches: list[Batch]) -> list[float]:
    """Return the settlements in hours before noon."""
    rows = [r for batch in batches for r in batch.rows if isinstance(r, Metric)]
    return [(NOON - r.period_end) / HOUR for r in rows]


def test_rates_of_every_exchange(exchange: Exchange, collect: Collect, loopback: Any) -> None:
    (batch,) = collect(exchange.name)
    assert ends([batch]) == [20, 12, 4]
    at = NOON - 4 * HOUR
    assert batch.rows[-1] == Metric(
        "funding", "BTC", "funding_rate", at - 8 * HOUR, at, 0.0001, completed_at=at
    )
    assert json.loads(batch.cursor) == {
        f"{exchange.name} BTC/USDT:USDT": "2026-10-01T08:00:00+00:00"
    }
    assert [(p.stream, p.state, p.items) for p in batch.polls] == [
        (f"{exchange.name} BTC/USDT:USDT", "ok", 3)
    ]
    assert len(exchange.questions) == 1


def test_the_next_poll_reads_the_last_rates_again(
    exchange: Exchange, collect: Collect, fake_time: Any
) -> None:
    cursor = collect(exchange.name)[-1].cursor
    fake_time.sleep(4 * 3600 + 60)
    exchange.rates |= {-4: "-0.0002", 4: "0.0003"}
    (batch,) = collect(exchange.name, cursor, overlap_rates=2)
    assert ends([batch]) == [12, 4, -4]
    assert [r.value for r in batch.rows if isinstance(r, Metric)] == [0.0001, 0.0003, -0.0002]
    assert [(p.state, p.items) for p in batch.polls] == [("ok", 1)]
    assert [p.state for p in collect(exchange.name, batch.cursor)[0].polls] == ["empty"]


def test_a_rate_that_is_not_settled_yet_is_left(
    exchange: Exchange, collect: Collect, reply: Any, monkeypatch: Any
) -> None:
    """By the clock of the exchange, where it is behind ours."""
    exchange.rates[-4] = "0.0009"
    assert ends(collect(exchange.name)) == [20, 12, 4]
    behind = {"Date": "Thu, 01 Oct 2026 07:59:59 GMT"}
    monkeypatch.setattr(
        exchange, "say", lambda told: reply(json.dumps(told).encode(), headers=behind)
    )
    assert ends(collect(exchange.name)) == [20, 12]


def test_pages_follow_each_other(binance: Exchange, collect: Collect) -> None:
    batches = collect("binanceusdm", first_days=7, page=8)
    assert ends(batches) == list(range(164, 0, -8))
    assert [len(b.rows) for b in batches] == [2, 8, 8, 3]
    assert [p.state for b in batches for p in b.polls] == ["ok"] * 4
    lengths = {
        r.period_end - r.period_start for b in batches for r in b.rows if isinstance(r, Metric)
    }
    assert lengths == {8 * HOUR}


def test_an_exchange_that_sends_the_newest_of_a_stretch(
    make_exchange: Any, collect: Collect
) -> None:
    """Its stretches are no longer than what it sends at once, once it is known how many come."""
    gate = make_exchange("gate")
    gate.rates = dict.fromkeys(range(4, 90 * 24, 8), "0.0001")
    assert ends(collect("gate", first_days=90)) == list(range(2156, 0, -8))
    gate.rates = dict.fromkeys(range(1, 30 * 24), "0.0001")
    assert ends(collect("gate", first_days=20)) == list(range(480, 0, -1))


def test_a_contract_that_is_younger_than_what_is_asked_for(
    exchange: Exchange, collect: Collect
) -> None:
    """A stretch before its first rate is empty, and is no end."""
    assert ends(collect(exchange.name, first_days=200)) == list(range(164, 0, -8))


def test_a_settlement_to_the_millisecond(binance: Exchange, collect: Collect) -> None:
    """Its period ends at the full minute; it is known no earlier than it was settled."""
    binance.late = 7
    (batch,) = collect("binanceusdm")
    at = NOON - 4 * HOUR
    assert batch.rows[-1] == Metric(
        "funding", "BTC", "funding_rate", at - 8 * HOUR, at, 0.0001, at + timedelta(milliseconds=7)
    )


def test_contracts_that_settle_more_often(binance: Exchange, collect: Collect) -> None:
    binance.rates = dict.fromkeys((28, 20, 12, 8, 4, 3, 2, 1), "0.0001")
    batches = collect("binanceusdm", first_days=0.75)
    rates = [r for batch in batches for r in batch.rows if isinstance(r, Metric)]
    lengths = [(r.period_end - r.period_start) / HOUR for r in rates]
    assert (ends(batches), lengths) == ([12, 8, 4, 3, 2, 1], [8, 4, 4, 1, 1, 1])


def test_a_settlement_that_is_missing_leaves_a_hole(binance: Exchange, collect: Collect) -> None:
    del binance.rates[12]
    (batch,) = collect("binanceusdm")
    spans = [
        ((NOON - r.period_start) / HOUR, (NOON - r.period_end) / HOUR)
        for r in batch.rows
        if isinstance(r, Metric)
    ]
    assert spans == [(28, 20), (12, 4)]


def test_a_bounded_stretch_moves_the_cursor_only_where_it_joins(
    exchange: Exchange, collect: Collect
) -> None:
    name = exchange.name
    first = collect(name, since=NOON - 100 * HOUR, until=NOON - 76 * HOUR)
    assert ends(first) == [100, 92, 84], "until is left out"
    cursor = first[-1].cursor
    assert list(json.loads(cursor).values()) == ["2026-09-28T00:00:00+00:00"]
    older = collect(name, cursor, since=NOON - 124 * HOUR, until=NOON - 100 * HOUR)
    assert (ends(older), older[-1].cursor) == ([124, 116, 108], cursor), "it never goes back"
    apart = collect(name, cursor, since=NOON - 24 * HOUR)
    assert (ends(apart), apart[-1].cursor) == ([20, 12, 4], cursor), "nor over a gap"
    joined = collect(name, cursor, since=NOON - 76 * HOUR)
    assert list(json.loads(joined[-1].cursor).values()) == ["2026-10-01T08:00:00+00:00"]


def test_rates_that_are_no_longer_shown_are_told(make_exchange: Any, collect: Collect) -> None:
    gate = make_exchange("gate")
    cursor = collect("gate", since=NOON - 130 * HOUR, until=NOON - 100 * HOUR)[-1].cursor
    gate.rates = {4: "0.0001", 12: "0.0001", 20: "0.0001"}
    (batch,) = collect("gate", cursor)
    assert ends([batch]) == [20, 12, 4]
    (poll,) = batch.polls
    assert (poll.state, poll.items) == ("capped", 3)
    assert poll.detail.startswith("nothing before 2026-09-30 16:00Z is shown any more")


def test_a_contract_without_any_rate_yet(binance: Exchange, collect: Collect) -> None:
    binance.rates = {}
    (batch,) = collect("binanceusdm")
    assert (list(batch.rows), batch.cursor, batch.polls[0].state) == ([], "{}", "empty")


def test_a_contract_that_is_not_listed_keeps_no_other_from_coming(
    exchange: Exchange, collect: Collect, loopback: Any
) -> None:
    batches = collect(exchange.name, symbols="DOGE BTC ETH")
    polls = [p for b in batches for p in b.polls]
    assert [p.state for p in polls] == ["refused", "ok", "ok"]
    assert polls[0].detail.startswith(f"{exchange.name} has no market DOGE/USDT:USDT.")
    assert [asked.path for asked in loopback.asked].count(exchange.rates_path) == 2
    assert len({str(asked) for asked in loopback.asked}) == len(loopback.asked), "nothing twice"


def test_a_body_that_was_cut_short_gives_no_rate(
    exchange: Exchange, collect: Collect, reply: Any
) -> None:
    cursor = collect(exchange.name, until=NOON - 6 * HOUR)[-1].cursor
    for cut in (1, 30, -1):
        exchange.let(lambda asked, cut=cut: reply(exchange.answer(asked).body[:cut]))
        (batch,) = collect(exchange.name, cursor)
        assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), cursor, "unreadable")
        assert "not whole JSON" in batch.polls[0].detail


SOMETHING_ELSE = (
    *(b"", b"<html>", b'"maintenance"', b"7", b"null", b"{}", b"[]"),
    *(b'{"a": 1}', b"[[]]", b"[{}]", b"[1]", b"[null]", b'["[", "1"]'),
)


def test_an_answer_that_is_something_else_gives_no_rate(
    exchange: Exchange, collect: Collect, reply: Any
) -> None:
    cursor = collect(exchange.name)[-1].cursor
    for body in SOMETHING_ELSE:
        exchange.let(reply(body))
        (batch,) = collect(exchange.name, cursor)
        assert (batch.rows, batch.cursor) == ((), cursor), body
        assert batch.polls[0].state in ("unreadable", "refused"), body


AT = int((NOON - 4 * HOUR).timestamp() * 1000)


def row(rate: Any = "0.0001", at: Any = AT, symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {"symbol": symbol, "fundingRate": rate, "fundingTime": at}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row(), row()], "2026-10-01 08:00Z out of place"),
        ([row(at=10**30)], "of no year that there is"),
        ([row(None)], "1 of 1 funding rates make no sense, first BTC funding_rate 2026-10-01 08"),
        ([row("many")], "the rate is missing"),
        ([row("NaN")], "the rate is no share of a position"),
        ([row("-1.5")], "the rate is no share of a position"),
        ([row(), row(at="soon")], "a funding rate without a time"),
    ],
)
def test_a_page_that_is_none_gives_no_rate(
    rows: list[Any], told: str, binance: Exchange, collect: Collect, reply: Any
) -> None:
    binance.let(reply(json.dumps(rows).encode()))
    (batch,) = collect("binanceusdm")
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), "{}", "unreadable")
    assert told in batch.polls[0].detail


def test_rates_of_another_contract_are_not_taken(
    binance: Exchange, collect: Collect, reply: Any
) -> None:
    binance.let(reply(json.dumps([row("0.5", symbol="ETHUSDT"), row()]).encode()))
    (batch,) = collect("binanceusdm")
    assert [r.value for r in batch.rows if isinstance(r, Metric)] == [0.0001]


def test_one_rate_that_makes_no_sense_is_set_aside(
    binance: Exchange, collect: Collect, reply: Any
) -> None:
    binance.let(reply(json.dumps([row(at=AT - 28_800_000), row("7")]).encode()))
    (batch,) = collect("binanceusdm")
    assert ends([batch]) == [12]
    (one,) = batch.rejected
    assert (one.place, one.reason) == (
        "BTC funding_rate 2026-10-01 08:00Z", "the rate is no share of a position"
    )  # fmt: skip
    assert json.loads(one.payload)["fundingRate"] == 7
    assert list(json.loads(batch.cursor).values()) == ["2026-10-01T00:00:00+00:00"]


@pytest.mark.parametrize("status", [403, 404, 418, 451])
def test_what_will_not_pass_is_asked_once(
    status: int, exchange: Exchange, collect: Collect, loopback: Any, reply: Any
) -> None:
    loopback.answers[next(iter(loopback.answers))] = reply(b'{"msg": "not from here"}', status)
    batches = collect(exchange.name, symbols="BTC ETH", attempts=4)
    polls = [p for b in batches for p in b.polls]
    assert [p.state for p in polls] == ["refused", "refused"]
    assert polls[1].detail.endswith(f"answered {status}: not from here.")
    assert len(loopback.asked) == 1


def test_too_many_requests_are_waited_out(
    exchange: Exchange, collect: Collect, reply: Any, fake_time: Any
) -> None:
    tries = [reply(b"{}", 429, {"Retry-After": "12"})]
    exchange.let(lambda asked: tries.pop() if tries else exchange.answer(asked))
    assert ends(collect(exchange.name, attempts=4)) == [20, 12, 4]
    assert fake_time.slept == [12]


def test_no_network(exchange: Exchange, collect: Collect, reply: Any) -> None:
    exchange.let(reply(hang_up=True))
    (batch,) = collect(exchange.name)
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), "{}", "down")


def test_every_promise_of_a_collector(
    binance: Exchange, make: Make, tmp_path: Path, fake_time: Any
) -> None:
    counts = check_collector(
        lambda: make("binanceusdm", first_days=7, page=9), fake_time.now(), tmp_path
    )
    assert (counts.new, counts.quarantined) == (21, 0)


@pytest.fixture
def plan(loopback: Any, fake_time: Any, tmp_path: Path) -> Plan:
    section = FundingSection(base_url=loopback.url, first_days=1)
    return Plan(
        Warehouse(tmp_path / "live.duckdb"), tmp_path / "staging", tmp_path,
        Config(funding=section, http=HttpSection(attempts=1)),
        timing=fake_time.timing, answers=tmp_path / "answers",
    )  # fmt: skip


def test_a_hole_is_asked_for_again(binance: Exchange, plan: Plan) -> None:
    del binance.rates[12]
    run_collectors(plan, ["funding"])
    with plan.warehouse.read() as connection:
        (gap,) = gaps(connection, HOUR)
    assert (gap["series"], gap["missing"]) == ("BTC funding_rate", 1)
    binance.rates[12] = "0.0004"
    (result,) = backfill(plan, ["funding"])
    assert (result.counts.new, result.counts.known) == (1, 2)
    with plan.warehouse.read() as connection:
        assert gaps(connection, HOUR) == []


def test_a_run_a_corrected_rate_and_a_replay(
    binance: Exchange, plan: Plan, loopback: Any, fake_time: Any
) -> None:
    (first,) = run_collectors(plan, ["funding"])
    assert (first.state, first.counts.new) == ("done", 3)
    fake_time.sleep(3600)
    binance.rates[4] = "0.0002"
    (second,) = run_collectors(plan, ["funding"])
    assert (second.counts.new, second.counts.corrected, second.counts.known) == (0, 1, 2)
    rows = """
        SELECT provider, symbol, metric, period_start::VARCHAR, period_end::VARCHAR,
            known_at::VARCHAR, value
        FROM metric ORDER BY known_at
    """
    with plan.warehouse.read() as connection:
        live = connection.execute(rows).fetchall()
    who = ("funding", "BTC", "funding_rate")
    start, end = "2026-10-01 00:00:00+00", "2026-10-01 08:00:00+00"
    assert live[2:] == [
        (*who, start, end, end, 0.0001), (*who, start, end, "2026-10-01 13:00:00+00", 0.0002)
    ]  # fmt: skip
    plan.warehouse.path.unlink()
    asked = len(loopback.asked)
    replay_answers(plan, ["funding"])
    with plan.warehouse.read() as connection:
        assert connection.execute(rows).fetchall() == live
    assert len(loopback.asked) == asked


def test_a_wrong_setting_is_told_before_anything_is_asked(make: Make, loopback: Any) -> None:
    with pytest.raises(ConfigError, match=r"funding.exchange: ccxt has no exchange 'binanceusd'\."):
        make("binanceusd")
    with pytest.raises(ConfigError, match=r"funding.exchange: ccxt brings no funding rates of kr"):
        make("kraken")
    assert loopback.asked == []


def test_without_ccxt_it_says_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ccxt", None)
    with pytest.raises(
        UsageError, match=r"needs the 'exchanges' extra: pip install \"moodtape\[exc"
    ):
        make("binanceusdm")
