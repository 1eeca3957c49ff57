"""Coin Metrics through the real client: pages from the start, stamps, values that are due."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.config import OnchainSection
from moodtape.ingest.base import Batch
from moodtape.ingest.onchain import CoinMetrics
from moodtape.records import Metric

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PATH = "/v4/timeseries/asset-metrics"
Collect = Callable[..., list[Batch]]


def page(*rows: dict[str, Any], token: str | None = None) -> bytes:
    told: dict[str, Any] = {"data": [{"asset": "btc", **row} for row in rows]}
    if token:
        told |= {"next_page_token": token, "next_page_url": "http://169.254.169.254/"}
    return json.dumps(told).encode()


def day(text: str, **values: Any) -> dict[str, Any]:
    return {"time": f"2026-{text}T00:00:00.000000000Z", **values}


@pytest.fixture
def collect(loopback: Any, make_http: Any, fake_time: Any) -> Collect:
    def poll(cursor: str | None = None, *symbols: str, **options: Any) -> list[Batch]:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        section = OnchainSection(
            base_url=f"{loopback.url}/", metrics=("AdrActCnt", "TxCnt"), **options
        )
        made = CoinMetrics(symbols or ("BTC",), section, make_http(attempts=1), **bounds)
        return list(made.collect(cursor, fake_time.now()))

    return poll


def found(batches: list[Batch]) -> list[tuple[str, str, float]]:
    rows = [r for batch in batches for r in batch.rows if isinstance(r, Metric)]
    return [(r.metric, f"{r.period_start:%m-%d}", r.value) for r in rows]


def test_what_is_asked_and_what_comes(collect: Collect, loopback: Any, reply: Any) -> None:
    status = {
        "AdrActCnt-status": "flash",
        "AdrActCnt-status-time": "2026-09-30T04:41:07.123456789Z",
    }
    loopback.answers[PATH] = reply(
        page(day("09-29", AdrActCnt="652345", TxCnt="431234.5", **status))
    )
    (batch,) = collect(first_days=30)
    assert loopback.asked[0].query == {
        "assets": "btc", "metrics": "AdrActCnt,TxCnt", "frequency": "1d",
        "start_time": "2026-09-01", "page_size": "1000", "paging_from": "start",
    }  # fmt: skip
    start = datetime(2026, 9, 29, tzinfo=UTC)
    stamp = datetime(2026, 9, 30, 4, 41, 7, 123456, tzinfo=UTC)
    assert batch.rows == [
        Metric("coinmetrics", "BTC", "AdrActCnt", start, start + DAY, 652345.0, stamp),
        Metric("coinmetrics", "BTC", "TxCnt", start, start + DAY, 431234.5),
    ]
    assert json.loads(batch.cursor) == {"BTC": "2026-09-29T00:00:00+00:00"}


def test_null_is_no_data_and_a_missing_name_is_none(
    collect: Collect, loopback: Any, reply: Any
) -> None:
    loopback.answers[PATH] = reply(
        page(day("09-28", AdrActCnt=None, TxCnt="1"), day("09-29", TxCnt="2"))
    )
    assert found(collect()) == [("TxCnt", "09-28", 1.0), ("TxCnt", "09-29", 2.0)]


def test_a_value_that_is_not_due_is_left_for_later(
    collect: Collect, loopback: Any, reply: Any, fake_time: Any
) -> None:
    """Without a stamp a day is known six hours after its end: that of the 1st on the 2nd at 6."""
    stamped = {"AdrActCnt": "3", "AdrActCnt-status-time": "2026-10-02T01:00:00Z"}
    loopback.answers[PATH] = reply(page(day("10-01", TxCnt="5", **stamped)))
    fake_time.sleep(15 * 3600)
    early = collect()
    assert found(early) == [("AdrActCnt", "10-01", 3.0)]
    fake_time.sleep(3 * 3600)
    assert found(collect(early[-1].cursor)) == [
        ("AdrActCnt", "10-01", 3.0),
        ("TxCnt", "10-01", 5.0),
    ]


def test_pages_go_on_by_token_and_never_by_address(
    collect: Collect, loopback: Any, reply: Any
) -> None:
    loopback.answers[PATH] = [
        reply(page(day("09-27", TxCnt="1"), token="a")),
        reply(page(day("09-28", TxCnt="2"), token="b")),
        reply(page(day("09-29", TxCnt="3"))),
    ]
    batches = collect()
    assert [json.loads(b.cursor)["BTC"][:10] for b in batches] == [
        "2026-09-27", "2026-09-28", "2026-09-29"
    ]  # fmt: skip
    assert [a.query.get("next_page_token") for a in loopback.asked] == [None, "a", "b"]


def test_a_token_that_leads_nowhere(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers[PATH] = reply(page(day("09-27", TxCnt="1"), token="a"))
    batches = collect()
    assert [b.polls[0].state for b in batches] == ["ok", "ok", "unreadable"]
    assert "the page that it has sent" in batches[-1].polls[0].detail
    assert len(loopback.asked) == 2


def test_the_next_poll_reads_some_days_again(collect: Collect, loopback: Any, reply: Any) -> None:
    loopback.answers[PATH] = reply(page(day("09-28", TxCnt="1")))
    cursor = json.dumps({"BTC": "2026-09-28T00:00:00+00:00", "ETH": "x"})
    (batch,) = collect(cursor, overlap_days=7)
    assert loopback.asked[0].query["start_time"] == "2026-09-21"
    assert (batch.polls[0].state, batch.polls[0].items) == ("empty", 0)
    assert json.loads(batch.cursor)["ETH"] == "x", "another asset's place is kept"


def test_a_bounded_stretch(collect: Collect, loopback: Any, reply: Any) -> None:
    rows = [day(f"09-{n}", TxCnt=str(n)) for n in range(10, 15)]
    loopback.answers[PATH] = reply(page(*rows, token="more"))
    since, until = datetime(2026, 9, 10, tzinfo=UTC), datetime(2026, 9, 12, tzinfo=UTC)
    cursor = json.dumps({"BTC": "2026-09-01T00:00:00+00:00"})
    batches = collect(cursor, since=since, until=until)
    assert found(batches) == [("TxCnt", "09-10", 10.0), ("TxCnt", "09-11", 11.0)]
    assert json.loads(batches[-1].cursor) == json.loads(cursor), "no cursor moves over a gap"
    assert len(loopback.asked) == 1


def test_an_asset_that_is_refused_keeps_no_other_from_coming(
    collect: Collect, loopback: Any, reply: Any
) -> None:
    def answer(asked: Any) -> Any:
        if asked.query["assets"] == "xxx":
            return reply(b'{"error": {"type": "forbidden", "message": "Not for you."}}', 403)
        return reply(page(day("09-29", TxCnt="2")))

    loopback.answers[PATH] = answer
    batches = collect(None, "XXX", "BTC")
    assert [(p.stream, p.state) for b in batches for p in b.polls] == [
        ("XXX", "refused"), ("BTC", "ok")
    ]  # fmt: skip
    assert batches[0].polls[0].detail.endswith("answered 403: Not for you.")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"data": [{"asset"', "not whole JSON"),
        (b"[]", "no page of metrics"),
        (b'{"data": {}}', "no page of metrics"),
        (b'{"data": [{"asset": "eth", "time": "2026-09-29T00:00:00Z"}]}', "not about BTC"),
        (b'{"data": ["btc"]}', "not about BTC"),
        (page({"time": "2026-09-29T01:00:00Z"}), "no day: '2026-09-29T01:00:00Z'"),
        (page({"time": "2026-09-29T00:00:00"}), "no day"),
        (page({"time": "yesterday"}), "no day: 'yesterday'"),
        (page({}), "no day"),
    ],
)
def test_a_page_that_is_none_gives_no_value(
    body: bytes, told: str, collect: Collect, loopback: Any, reply: Any
) -> None:
    loopback.answers[PATH] = reply(body)
    (batch,) = collect()
    assert (batch.rows, batch.cursor) == ((), "{}")
    assert batch.polls[0].state == "unreadable"
    assert told in batch.polls[0].detail


def test_a_value_that_cannot_be_read_is_set_aside(
    collect: Collect, loopback: Any, reply: Any
) -> None:
    loopback.answers[PATH] = reply(page(day("09-29", TxCnt="many", AdrActCnt=["1"])))
    (batch,) = collect()
    assert [r.place for r in batch.rejected] == [
        "BTC AdrActCnt 2026-09-29T00:00Z", "BTC TxCnt 2026-09-29T00:00Z"
    ]  # fmt: skip
