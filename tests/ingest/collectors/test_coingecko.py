"""CoinGecko through the real client: hours only, the last point left out, when known, the key."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import CoinGeckoSection, Config
from moodtape.errors import ConfigError
from moodtape.ingest.backfill import backfill
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.coingecko import KEY, CoinGecko, collector
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.ingest.series import payload
from moodtape.records import Metric
from moodtape.storage.db import Warehouse
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PATH = "/api/v3/coins/bitcoin/market_chart/range"
CANARY = "canary-3c07"
Collect = Callable[..., list[Batch]]


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def chart(*points: tuple[datetime, Any], volumes: Any = None, caps: Any = None) -> bytes:
    """Return an answer in the shape that CoinGecko documents."""
    rows = [[milliseconds(at), value] for at, value in points]
    told = {
        "prices": rows,
        "market_caps": [[at, 20e6] for at, _ in rows] if caps is None else caps,
        "total_volumes": [[at, 30e9] for at, _ in rows] if volumes is None else volumes,
    }
    return json.dumps(told).encode()


class Market:
    """Hours from ten days before noon on, each stamped 41 seconds late, and the point of now."""

    def __init__(self, reply: Any, now: Callable[[], datetime]) -> None:
        self.reply, self.now = reply, now
        self.prices: dict[datetime, float] = {}
        self.missing: set[datetime] = set()

    def __call__(self, asked: Any) -> Any:
        since, until = (datetime.fromtimestamp(int(asked.query[k]), UTC) for k in ("from", "to"))
        points = []
        for n in range(400):
            hour = NOON - 10 * DAY + n * HOUR
            at = hour + timedelta(seconds=41)
            if since <= at <= min(until, self.now()) and hour not in self.missing:
                points.append((at, self.prices.get(hour, 60_000.0 + n)))
        if until >= self.now():
            points.append((self.now() - timedelta(seconds=7), 1.0))
        return self.reply(chart(*points))


@pytest.fixture
def market(loopback: Any, reply: Any, fake_time: Any) -> Market:
    made = Market(reply, fake_time.now)
    loopback.answers[PATH] = made
    return made


@pytest.fixture
def collect(loopback: Any, make_http: Any, fake_time: Any) -> Collect:
    def poll(cursor: str | None = None, **options: Any) -> list[Batch]:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        coins = options.pop("coins", {"BTC": "bitcoin"})
        section = CoinGeckoSection(base_url=f"{loopback.url}/", **{"first_days": 1, **options})
        made = CoinGecko(coins, section, make_http(attempts=1), **bounds)
        return list(made.collect(cursor, fake_time.now()))

    return poll


def found(batches: list[Batch], metric: str = "price_usd") -> list[tuple[str, float]]:
    rows = [r for b in batches for r in b.rows if isinstance(r, Metric) and r.metric == metric]
    return [(f"{r.period_end:%d %H}", r.value) for r in rows]


def poll_of(batches: list[Batch]) -> tuple[str, int]:
    (poll,) = batches[-1].polls
    return poll.state, poll.items


def test_what_is_asked_and_what_comes(collect: Collect, loopback: Any, reply: Any) -> None:
    at = NOON - 2 * HOUR + timedelta(seconds=41)
    loopback.answers[PATH] = reply(chart((at, 60_123.45), (at + HOUR, 2.0), (NOON, 3.0)))
    (batch,) = collect()
    asked = loopback.asked[0]
    assert asked.query == {
        "vs_currency": "usd", "precision": "full",
        "from": str(int((NOON - 3 * DAY).timestamp())), "to": str(int(NOON.timestamp())),
    }  # fmt: skip
    assert "x-cg-demo-api-key" not in asked.headers
    hours = [(NOON - 3 * HOUR, NOON - 2 * HOUR), (NOON - 2 * HOUR, NOON - HOUR)]
    assert batch.rows == [
        Metric("coingecko", "BTC", name, start, end, value)
        for name, values in (
            ("price_usd", (60_123.45, 2.0)),
            ("volume_24h_usd", (30e9, 30e9)),
            ("market_cap_usd", (20e6, 20e6)),
        )
        for (start, end), value in zip(hours, values, strict=True)
    ], "an hour is due an hour after its end"
    assert json.loads(batch.cursor) == {"BTC usd": "2026-10-01T11:00:00+00:00"}
    assert poll_of([batch]) == ("ok", 2)


def test_the_last_point_is_that_of_now_and_never_stored(
    collect: Collect, market: Market, fake_time: Any
) -> None:
    """At 13:05 that of now lies near one o'clock, and is still not the value of that hour."""
    fake_time.sleep(3900)
    batches = collect()
    assert found(batches)[-2:] == [("01 11", 60_239.0), ("01 12", 60_240.0)]
    fake_time.sleep(3600)
    assert found(collect(batches[-1].cursor))[-1] == ("01 13", 60_241.0)


def test_a_value_that_comes_live_is_known_when_fetched(
    collect: Collect, market: Market, fake_time: Any
) -> None:
    first = collect()
    assert {row.completed_at for b in first for row in b.rows if isinstance(row, Metric)} == {None}
    fake_time.sleep(1800)
    (batch,) = collect(first[-1].cursor)
    assert poll_of([batch]) == ("empty", 0)
    fake_time.sleep(5400)
    (batch,) = collect(first[-1].cursor)
    assert poll_of([batch]) == ("ok", 2)
    stamps = {row.completed_at for row in batch.rows if isinstance(row, Metric)}
    assert stamps == {NOON + 2 * HOUR}


def test_a_year_is_asked_for_in_stretches_that_are_answered_by_the_hour(
    collect: Collect, market: Market, loopback: Any
) -> None:
    batches = collect(first_days=165)
    spans = [(int(a.query["to"]) - int(a.query["from"])) / 86_400 for a in loopback.asked]
    assert spans == [80, 80, 5]
    assert len(found(batches)) == 10 * 24
    loopback.asked.clear()
    again = collect(batches[-1].cursor)
    assert [a.query["from"] for a in loopback.asked] == [str(int((NOON - 3 * DAY).timestamp()))]
    assert found(again)[0] == ("29 12", 60_192.0), "two days are read again"
    loopback.asked.clear()
    collect(first_days=81)
    assert [int(a.query["to"]) - int(a.query["from"]) for a in loopback.asked] == [
        80 * 86_400, 3 * 86_400
    ]  # fmt: skip


def test_a_bounded_stretch(collect: Collect, market: Market) -> None:
    cursor = json.dumps({"BTC usd": (NOON - 9 * DAY).isoformat()})
    batches = collect(cursor, since=NOON - 30 * HOUR, until=NOON - 27 * HOUR)
    assert [hour for hour, _ in found(batches)] == ["30 07", "30 08", "30 09"]
    assert batches[-1].cursor == cursor, "no cursor moves over a gap"
    stamps = {row.completed_at for b in batches for row in b.rows if isinstance(row, Metric)}
    assert stamps == {None}, "what is fetched later was known in time"


@pytest.mark.parametrize(("step", "told"), [(5, "5min apart"), (1440, "1d apart")])
def test_another_step_is_never_mixed_in(
    step: int, told: str, collect: Collect, loopback: Any, reply: Any
) -> None:
    points = [(NOON - timedelta(minutes=step * n), 1.0) for n in range(20, 0, -1)]
    loopback.answers[PATH] = reply(chart(*points))
    (batch,) = collect()
    assert (batch.rows, batch.cursor, poll_of([batch])) == ((), "{}", ("unreadable", 0))
    assert f"sent points {told}, asked for one every 1h" in batch.polls[0].detail


def test_points_in_no_order_and_off_the_hour(collect: Collect, loopback: Any, reply: Any) -> None:
    late, early = timedelta(minutes=14), timedelta(minutes=-14)
    points = [
        (NOON - 3 * HOUR, 3.0), (NOON - 5 * HOUR + early, 5.0), (NOON - 4 * HOUR + late, 4.0),
        (NOON - 3 * HOUR + late, 9.0), (NOON - 2 * HOUR + timedelta(minutes=16), 2.0),
    ]  # fmt: skip
    loopback.answers[PATH] = reply(chart(*points))
    assert found(collect()) == [("01 07", 5.0), ("01 08", 4.0), ("01 09", 3.0)]


def test_values_that_are_none_are_set_aside(collect: Collect, loopback: Any, reply: Any) -> None:
    hours = [NOON - n * HOUR for n in range(9, 1, -1)]
    prices = list(zip(hours, [1.0, 0, -1, None, "7", 6.0, True, 8.0], strict=True))
    caps = [[milliseconds(hours[0]), 0.0], [milliseconds(hours[1]), -5], [1e300, 1], [2], "x"]
    volumes = [[milliseconds(at), 0] for at in hours]
    loopback.answers[PATH] = reply(chart(*prices, caps=caps, volumes=volumes))
    (batch,) = collect()
    assert found([batch]) == [("01 03", 1.0), ("01 08", 6.0), ("01 10", 8.0)]
    assert len(found([batch], "volume_24h_usd")) == 8, "nothing may have been traded"
    assert found([batch], "market_cap_usd") == [], "0 says that it is not known"
    assert [(r.place, r.reason) for r in batch.rejected] == [
        ("BTC market_cap_usd", "no year that there is"),
        ("BTC market_cap_usd", "not a time and a value"),
        ("BTC market_cap_usd", "not a time and a value"),
        ("BTC price_usd 2026-10-01T03:00Z", "not above zero"),
        ("BTC price_usd 2026-10-01T04:00Z", "not above zero"),
        ("BTC price_usd 2026-10-01T06:00Z", "not a number"),
        ("BTC price_usd 2026-10-01T08:00Z", "not a number"),
        ("BTC market_cap_usd 2026-10-01T03:00Z", "below zero"),
    ]


@pytest.mark.parametrize(
    ("body", "state", "told"),
    [
        (b'{"prices": [[1', "unreadable", "not whole JSON"),
        (b"<html>wait</html>", "unreadable", "not whole JSON"),
        (b"[]", "unreadable", "sent no series"),
        (b"{}", "unreadable", "sent no prices"),
        (b'{"prices": [], "total_volumes": {}}', "unreadable", "sent no total_volumes"),
        (b'{"status": {"error_code": 429, "error_message": "Slow"}}', "refused", "answered: Slow"),
        (b'{"error": "coin not found"}', "refused", "answered: coin not found"),
        (b'{"prices": [[NaN, 1]], "total_volumes": [], "market_caps": []}', "unreadable",
         "1 of 1 values make no sense, first BTC price_usd: not finite"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_gives_no_value(
    body: bytes, state: str, told: str, collect: Collect, loopback: Any, reply: Any
) -> None:
    loopback.answers[PATH] = reply(body)
    (batch,) = collect()
    assert (batch.rows, batch.cursor, batch.polls[0].state) == ((), "{}", state)
    assert told in batch.polls[0].detail


@pytest.mark.parametrize("depth", [100, 10_000])
def test_an_answer_that_is_nested_without_end(
    depth: int, collect: Collect, loopback: Any, reply: Any
) -> None:
    body = b'{"prices": ' + b"[" * depth + b"]" * depth + b', "total_volumes": []}'
    loopback.answers[PATH] = reply(body)
    (batch,) = collect()
    assert (batch.rows, batch.cursor, poll_of([batch])) == ((), "{}", ("unreadable", 0))
    nest: list[Any] = []
    for _ in range(depth):
        nest = [nest]
    assert payload(nest) == (
        "nested too deeply" if depth > 1000 else "[" * depth + "[]" + "]" * depth
    )


def test_an_empty_answer(collect: Collect, loopback: Any, reply: Any, market: Market) -> None:
    cursor = collect()[-1].cursor
    loopback.answers[PATH] = reply(chart())
    assert poll_of(collect()) == ("empty", 0)
    (batch,) = collect(cursor)
    assert (batch.cursor, poll_of([batch])) == (cursor, ("unreadable", 0))
    assert "nothing came, not even 2026-10-01 11:00Z again" in batch.polls[0].detail


@pytest.mark.parametrize("status", [401, 403, 404, 451])
def test_a_coin_that_is_refused_keeps_no_other_from_coming(
    status: int, collect: Collect, loopback: Any, market: Market, reply: Any
) -> None:
    loopback.answers["/api/v3/coins/gone/market_chart/range"] = reply(b'{"error": "no"}', status)
    batches = collect(coins={"XXX": "gone", "BTC": "bitcoin"})
    assert [(p.stream, p.state) for b in batches for p in b.polls] == [
        ("XXX usd", "refused"), ("BTC usd", "ok")
    ]  # fmt: skip
    assert f"answered {status}: no." in batches[0].polls[0].detail


def test_too_many_requests_are_waited_out(
    market: Market, loopback: Any, make_http: Any, fake_time: Any, reply: Any
) -> None:
    tries = [reply(b"{}", 429, {"Retry-After": "60"})]
    loopback.answers[PATH] = lambda asked: tries.pop() if tries else market(asked)
    section = CoinGeckoSection(base_url=loopback.url, first_days=1)
    made = CoinGecko({"BTC": "bitcoin"}, section, make_http(attempts=2))
    assert poll_of(list(made.collect(None, fake_time.now()))) == ("ok", 23)
    assert fake_time.slept == [60]


def test_no_network(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers[PATH] = reply(hang_up=True)
    (batch,) = collect()
    assert (batch.rows, batch.cursor, poll_of([batch])) == ((), "{}", ("down", 0))


def test_every_promise_of_a_collector(
    market: Market, loopback: Any, make_http: Any, fake_time: Any, tmp_path: Path
) -> None:
    section = CoinGeckoSection(base_url=loopback.url, first_days=165)

    def make() -> CoinGecko:
        return CoinGecko({"BTC": "bitcoin"}, section, make_http(attempts=1))

    counts = check_collector(make, fake_time.now(), tmp_path)
    assert (counts.new, counts.quarantined) == (3 * 240, 0)


def plan_of(loopback: Any, fake_time: Any, folder: Path) -> Plan:
    config = Config.model_validate(
        {
            "market": {"symbols": ["BTC"]}, "http": {"attempts": 1},
            "coingecko": {"base_url": loopback.url, "first_days": 3},
        }
    )  # fmt: skip
    return Plan(
        Warehouse(folder / "live.duckdb"), folder / "staging", folder, config,
        timing=fake_time.timing, answers=folder / "answers",
    )  # fmt: skip


ROWS = """
    SELECT metric, period_end::VARCHAR, known_at::VARCHAR, value, vintage
    FROM metric ORDER BY metric, known_at, period_end
"""


def test_a_corrected_hour_a_hole_and_a_replay(
    market: Market, loopback: Any, fake_time: Any, tmp_path: Path
) -> None:
    plan = plan_of(loopback, fake_time, tmp_path)
    market.missing = {NOON - 6 * HOUR, NOON - 5 * HOUR}
    (first,) = run_collectors(plan, ["coingecko"])
    assert (first.state, first.counts.new) == ("done", 3 * 69)
    fake_time.sleep(5400)
    market.prices[NOON - 3 * HOUR] = 1.0
    (second,) = run_collectors(plan, ["coingecko"])
    assert (second.counts.new, second.counts.corrected) == (3, 1)
    market.missing = set()
    (filled,) = backfill(plan, ["coingecko"])
    assert (filled.state, filled.counts.new) == ("done", 6)
    with plan.warehouse.read() as connection:
        live = connection.execute(ROWS).fetchall()
    day = "2026-10-01"
    assert [row[1:4] for row in live if row[0] == "price_usd"][-4:] == [
        (f"{day} 10:00:00+00", f"{day} 11:00:00+00", 60_238.0),
        (f"{day} 11:00:00+00", f"{day} 12:00:00+00", 60_239.0),
        (f"{day} 09:00:00+00", f"{day} 13:30:00+00", 1.0),
        (f"{day} 12:00:00+00", f"{day} 13:30:00+00", 60_240.0),
    ]
    plan.warehouse.path.unlink()
    asked = len(loopback.asked)
    replay_answers(plan, ["coingecko"])
    with plan.warehouse.read() as connection:
        assert connection.execute(ROWS).fetchall() == live
    assert len(loopback.asked) == asked


def test_a_coin_without_a_name_is_told_before_anything_is_asked(
    make_http: Any, loopback: Any, tmp_path: Path
) -> None:
    config = Config.model_validate({"market": {"symbols": ["BTC", "SOL"]}})
    with pytest.raises(ConfigError, match="does not say what CoinGecko calls SOL"):
        collector(Tools(config, make_http(), tmp_path))
    with pytest.raises(ValueError, match="is no API id"):
        CoinGeckoSection(coins={"BTC": "../ping"})
    assert loopback.asked == []


def test_the_key_is_sent_and_told_to_nobody(
    market: Market, loopback: Any, reply: Any, fake_time: Any, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Not to logs at debug, exceptions, the warehouse, or kept answers."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(KEY, CANARY)
    plan = plan_of(loopback, fake_time, tmp_path)
    told = []
    for answer in (market, reply(status=401), reply(hang_up=True), reply(b"{")):
        loopback.answers[PATH] = answer
        (result,) = run_collectors(plan, ["coingecko"])
        told.append(repr(result))
        fake_time.sleep(3600)
    assert {a.headers["x-cg-demo-api-key"] for a in loopback.asked} == {CANARY}
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(list((tmp_path / "answers").rglob("*.jsonl"))) == 4
    for place in (*told, caplog.text, kept.decode("latin-1"), repr(plan)):
        assert CANARY not in place


def test_the_key_may_stand_in_the_projects_env_file(
    market: Market, loopback: Any, make_http: Any, fake_time: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv(KEY, raising=False)
    (tmp_path / ".env").write_text(f"{KEY}={CANARY}\n")
    (tmp_path / ".env").chmod(0o600)
    plan = plan_of(loopback, fake_time, tmp_path)
    list(collector(Tools(plan.config, make_http(), tmp_path)).collect(None, NOON))
    assert loopback.asked[0].headers["x-cg-demo-api-key"] == CANARY


def test_why_it_refuses_is_told(collect: Collect, loopback: Any, reply: Any) -> None:
    said = {"error": {"status": {"error_code": 10012, "error_message": "Past 365 days only."}}}
    loopback.answers[PATH] = reply(json.dumps(said).encode(), 401)
    (batch,) = collect(since=NOON - 900 * DAY, until=NOON - 899 * DAY)
    assert batch.polls[0].detail.endswith("answered 401: Past 365 days only.")
