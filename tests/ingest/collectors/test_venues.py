"""Bars of Coinbase, Kraken and CoinDesk through the real client: one list of promises for all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import BarsSection, Config, MarketSection
from moodtape.errors import ConfigError
from moodtape.ingest.bar_pages import VenueBars
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.raw import Beginning, RecordingDoor, ReplayingDoor, read_tape
from moodtape.ingest.venues import collector
from moodtape.records import Bar
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
FIRST = NOON - timedelta(hours=24)
HOUR = timedelta(hours=1)
VENUES = ("coinbase", "kraken", "coindesk")
CANARY = "canary-5c1e"
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Exchange:
    """One venue: hourly bars of BTC in US dollars from `first` on, the running one too.

    missing: opens without a bar. closes: other closes than 11. most: bars of one answer.
    """

    def __init__(self, name: str, loopback: Any, reply: Any, fake_time: Any) -> None:
        self.name, self.reply, self.fake_time, self.loopback = name, reply, fake_time, loopback
        self.first, self.missing, self.closes = FIRST, set(), {}
        self.most = {"coinbase": 300, "kraken": 720, "coindesk": 2000}[name]
        self.instead: Any = None
        self.asked: list[Any] = []
        paths = {
            "coinbase": "/products/BTC-USD/candles",
            "kraken": "/0/public/OHLC",
            "coindesk": "/index/cc/v1/historical/hours",
        }
        self.path = paths[name]
        loopback.answers[self.path] = self.answer

    def answer(self, asked: Any) -> Any:
        self.asked.append(asked)
        if self.instead is not None:
            return self.instead
        date = {"date": f"{self.fake_time.now():%a, %d %b %Y %H:%M:%S} GMT"}
        status, body = getattr(self, self.name)(asked.query)
        return self.reply(json.dumps(body).encode(), status, date)

    def opens(self, since: datetime, until: datetime) -> list[datetime]:
        """Return the opens of bars from `since` to `until`, both included."""
        opened, found = max(since, self.first), []
        while opened <= min(until, self.fake_time.now()):
            if opened not in self.missing:
                found.append(opened)
            opened += HOUR
        return found

    def coinbase(self, query: dict[str, str]) -> tuple[int, Any]:
        if not all(ISO.fullmatch(query[key]) for key in ("start", "end")):
            return 400, {"message": "start and end must be in ISO 8601"}
        since, until = (datetime.fromisoformat(query[key]) for key in ("start", "end"))
        if (until - since) // HOUR >= self.most:
            return 400, {"message": "granularity too small for the requested time range"}
        # The bar before the stretch comes along, newest first.
        rows = [
            [int(o.timestamp()), 9.0, 12.0, 10.0, self.closes.get(o, 11.0), 5.5]
            for o in self.opens(since - HOUR, until)
        ]
        return 200, rows[::-1]

    def kraken(self, query: dict[str, str]) -> tuple[int, Any]:
        if query["pair"] != "XBTUSD":
            return 200, {"error": ["EQuery:Unknown asset pair"]}
        shown = self.opens(self.first, self.fake_time.now())[-self.most :]
        rows = [
            [int(o.timestamp()), "10.0", "12.0", "9.0", str(self.closes.get(o, 11.0)), "10.5",
             "5.5", 7]
            for o in shown if o.timestamp() > int(query["since"])
        ]  # fmt: skip
        over = [o for o in shown if o + HOUR <= self.fake_time.now()]
        last = int((over[-1] if over else FIRST).timestamp())
        return 200, {"error": [], "result": {"XXBTZUSD": rows, "last": last}}

    def coindesk(self, query: dict[str, str]) -> tuple[int, Any]:
        until = datetime.fromtimestamp(int(query["to_ts"]), UTC)
        if query["instrument"] != "BTC-USD":
            return 404, {"Data": [], "Err": {"type": 1, "message": "Invalid: no such instrument."}}
        if until < self.first:
            first = int(self.first.timestamp())
            words = (
                "Invalid: to_ts parameter. According to our records, BTC-USD was not trading on"
                f" cadli at {query['to_ts']}. Our earliest INDEX_UPDATE bucket timestamp is"
                f" {first}, please check the list of all instruments."
            )
            return 404, {"Data": [], "Err": {"type": 1, "message": words}}
        since = until - (min(int(query["limit"]), self.most) - 1) * HOUR
        opened, rows = max(since, self.first), []
        while opened <= min(until, self.fake_time.now()):
            close, flat = self.closes.get(opened, 11.0), opened in self.missing
            prices = (11.0, 11.0, 11.0, 11.0) if flat else (10.0, 12.0, 9.0, close)
            row = dict(zip(("OPEN", "HIGH", "LOW", "CLOSE"), prices, strict=True))
            rows.append({"UNIT": "HOUR", "TIMESTAMP": int(opened.timestamp()), **row,
                         "TOTAL_INDEX_UPDATES": 0 if flat else 3, "VOLUME": 0 if flat else 5.5,
                         "QUOTE_VOLUME": 0 if flat else 60.0})  # fmt: skip
            opened += HOUR
        return 200, {"Data": rows, "Err": {}}


@pytest.fixture(params=VENUES)
def exchange(request: Any, loopback: Any, reply: Any, fake_time: Any) -> Exchange:
    fake_time.slept.append(600)  # ten past noon
    return Exchange(request.param, loopback, reply, fake_time)


Make = Callable[..., VenueBars]


@pytest.fixture
def make(exchange: Exchange, make_http: Any, tmp_path: Path) -> Make:
    def made(symbols: str = "BTC", http: Any = None, **options: Any) -> VenueBars:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        section = BarsSection(
            **{"venue": exchange.name, "base_url": exchange.loopback.url, "grace_s": 0,
               "first_days": 1, **options}
        )  # fmt: skip
        config = Config(bars=section, market=MarketSection(symbols=tuple(symbols.split())))
        door = http or make_http(attempts=1)
        return collector(Tools(config, door, tmp_path, **bounds))  # type: ignore[return-value]

    return made


@pytest.fixture
def collect(make: Make, fake_time: Any) -> Callable[..., list[Batch]]:
    def poll(cursor: str | None = None, **options: Any) -> list[Batch]:
        return list(make(**options).collect(cursor, fake_time.now()))

    return poll


def hours(batches: list[Batch]) -> list[int]:
    """Return the opens of all bars in hours since the first."""
    rows = [row for batch in batches for row in batch.rows if isinstance(row, Bar)]
    return [(row.open_time - FIRST) // HOUR for row in rows]


def states(batches: list[Batch]) -> list[tuple[str, int]]:
    return [(poll.state, poll.items) for batch in batches for poll in batch.polls]


def test_a_bar_is_read_as_it_stands(exchange: Exchange, collect: Any) -> None:
    batches = collect()
    assert hours(batches) == list(range(24)), "the bar that runs is not over"
    more = {"coinbase": (None, None), "kraken": (None, 7), "coindesk": (60.0, None)}
    quote_volume, trades = more[exchange.name]
    assert batches[0].rows[0] == Bar(
        "BTC", exchange.name, "USD", "1h", FIRST, 10.0, 12.0, 9.0, 11.0, 5.5, quote_volume, trades
    )
    assert json.loads(batches[-1].cursor) == {
        f"{exchange.name} BTC/USD 1h": (FIRST + 23 * HOUR).isoformat()
    }
    assert states(batches) == [("ok", 24)]


def test_the_next_poll_reads_the_last_bars_again(
    exchange: Exchange, collect: Any, fake_time: Any
) -> None:
    cursor = collect()[-1].cursor
    fake_time.slept.append(2 * 3600)
    exchange.closes[FIRST + 22 * HOUR] = 10.5
    again = collect(cursor, overlap_bars=3)
    assert hours(again) == [21, 22, 23, 24, 25]
    assert again[0].rows[1].close == 10.5
    assert states(again) == [("ok", 2)]
    assert states(collect(again[-1].cursor)) == [("empty", 0)]


def test_pages_join(exchange: Exchange, collect: Any) -> None:
    if exchange.name == "kraken":
        return  # all its bars are one page
    batches = collect(page=7)
    assert hours(batches) == list(range(24))
    assert len(exchange.asked) >= 4
    places = [json.loads(batch.cursor) for batch in batches]
    assert [len(batch.rows) for batch in batches][:3] == [7, 7, 7]
    assert places == sorted(places, key=lambda place: list(place.values()))


def test_a_hole_of_the_exchange_stays_one(exchange: Exchange, collect: Any) -> None:
    exchange.missing = {FIRST + hour * HOUR for hour in range(4, 16)}
    batches = collect(page=5)
    assert hours(batches) == [0, 1, 2, 3, *range(16, 24)]
    if exchange.name == "coindesk":
        assert "12 bars without a trade are left out." in batches[-1].polls[0].detail


def test_since_and_until_bound_what_is_taken(exchange: Exchange, collect: Any) -> None:
    batches = collect(since=FIRST + 5 * HOUR, until=FIRST + 9 * HOUR)
    assert hours(batches) == [5, 6, 7, 8]
    cursor = json.dumps({f"{exchange.name} BTC/USD 1h": (FIRST + 20 * HOUR).isoformat()})
    earlier = collect(cursor, since=FIRST, until=FIRST + 3 * HOUR)
    assert hours(earlier) == [0, 1, 2]
    assert json.loads(earlier[-1].cursor) == json.loads(cursor), "a cursor never goes back"


def test_a_stretch_beyond_what_is_stored_moves_no_cursor(exchange: Exchange, collect: Any) -> None:
    cursor = json.dumps({f"{exchange.name} BTC/USD 1h": (FIRST + 3 * HOUR).isoformat()})
    batches = collect(cursor, since=FIRST + 10 * HOUR)
    assert hours(batches) == list(range(10, 24))
    assert json.loads(batches[-1].cursor) == json.loads(cursor)


def test_stored_bars_that_do_not_come_again_are_told(
    exchange: Exchange, collect: Any, fake_time: Any
) -> None:
    cursor = collect()[-1].cursor
    fake_time.slept.append(3 * 3600)
    exchange.first = FIRST + 26 * HOUR  # what came since is no longer shown
    batches = collect(cursor)
    assert hours(batches) == [26]
    assert states(batches) == [("capped", 1)]
    assert "is missing" in batches[0].polls[0].detail


def broken(name: str, reply: Any) -> dict[str, tuple[Any, str]]:
    """Return answers that are none, and the state that each makes."""
    second = int(FIRST.timestamp())
    rows = {
        "coinbase": lambda time, high: [[time, 9.0, high, 10.0, 11.0, 5.5]],
        "kraken": lambda time, high: {
            "error": [], "result": {"X": [[time, "10", str(high), "9", "11", "10", "5", 7]],
                                    "last": second + 86_400},
        },
        "coindesk": lambda time, high: {
            "Data": [{"TIMESTAMP": time, "OPEN": 10.0, "HIGH": high, "LOW": 9.0, "CLOSE": 11.0,
                      "VOLUME": 5.5, "TOTAL_INDEX_UPDATES": 2}],
        },
    }[name]  # fmt: skip

    def page(*cells: Any) -> Any:
        return reply(json.dumps(rows(*cells)).encode())

    return {
        "truncated": (reply(json.dumps(rows(second, 12.0)).encode()[:-9]), "unreadable"),
        "html": (reply(b"<html>wait</html>"), "unreadable"),
        "of another shape": (reply(b'{"result": 3, "Data": 4}'), "unreadable"),
        "a row too short": (reply(b'{"error": [], "result": {"X": [[1]], "last": 1}, "Data": [[1]]}'
                                  if name != "coinbase" else b"[[1]]"), "unreadable"),
        "off the grid": (page(second + 60, 12.0), "unreadable"),
        "without a time": (page(None, 12.0), "unreadable"),
        "of another age": (page(10**15, 12.0), "unreadable"),
        "high below low": (page(second, 8.0), "unreadable"),
        "not finite": (page(second, float("inf")), "unreadable"),
        "refused": (reply(b'{"message": "no"}', 403), "refused"),
        "geo block": (reply(b"", 451), "refused"),
        "banned": (reply(b"", 418), "refused"),
        "silence": (reply(hang_up=True), "down"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "case",
    ["truncated", "html", "of another shape", "a row too short", "off the grid", "without a time",
     "of another age", "high below low", "not finite", "refused", "geo block", "banned", "silence"],
)  # fmt: skip
def test_what_is_no_page_stores_nothing(
    exchange: Exchange, collect: Any, reply: Any, case: str
) -> None:
    exchange.instead, state = broken(exchange.name, reply)[case]
    batches = collect()
    assert hours(batches) == []
    assert [poll.state for batch in batches for poll in batch.polls] == [state]
    assert json.loads(batches[-1].cursor) == {}


def test_one_bad_bar_is_set_aside(exchange: Exchange, collect: Any) -> None:
    exchange.closes[FIRST + 3 * HOUR] = 99.0
    (batch,) = collect()
    assert hours([batch]) == [hour for hour in range(24) if hour != 3]
    (bad,) = batch.rejected
    assert (bad.place, "not in order" in bad.reason) == ("BTC 1h 2026-09-30T15:00Z", True)
    assert "99" in bad.payload


def test_a_pair_that_is_not_there_stops_no_other(exchange: Exchange, collect: Any) -> None:
    batches = collect(symbols="NIX BTC")
    assert hours(batches) == list(range(24))
    by_stream = {poll.stream.split()[1]: poll for batch in batches for poll in batch.polls}
    assert by_stream["BTC/USD"].state == "ok"
    expected = {
        "coinbase": "answered 404",
        "kraken": "refused NIXUSD: EQuery:Unknown asset pair",
        "coindesk": "answered 404: Invalid: no such instrument",
    }
    assert by_stream["NIX/USD"].state == "refused"
    assert expected[exchange.name] in by_stream["NIX/USD"].detail


def test_it_passes_the_check(
    exchange: Exchange, make: Make, fake_time: Any, tmp_path: Path
) -> None:
    counts = check_collector(lambda: make(page=9), fake_time.now(), tmp_path)
    assert (counts.new, counts.quarantined) == (24, 0)


def test_kept_answers_give_the_same_batches(
    exchange: Exchange, make: Make, make_http: Any, tmp_path: Path, fake_time: Any
) -> None:
    start, path = fake_time.now(), tmp_path / "bars.jsonl"
    door = RecordingDoor(make_http(attempts=1), path)
    door.begin(Beginning("run", "bars", None, start))
    live = list(make("BTC NIX", http=door, page=7).collect(None, start))
    asked = len(exchange.asked)
    tape = read_tape(path)
    assert tape is not None
    again = list(make("BTC NIX", http=ReplayingDoor(tape), page=7).collect(None, start))
    assert again == live
    assert len(exchange.asked) == asked


def test_a_length_that_the_venue_has_not_is_told_before_anything_is_asked(
    exchange: Exchange, make_http: Any, tmp_path: Path
) -> None:
    config = Config(bars=BarsSection(venue=exchange.name), market=MarketSection(interval="7min"))
    with pytest.raises(ConfigError, match=f"{exchange.name} has no bars of 7min. It has: 1min"):
        collector(Tools(config, make_http(), tmp_path))
    assert not exchange.asked


def test_the_quote_currency_is_the_venues_own_unless_one_is_said(
    exchange: Exchange, make: Make
) -> None:
    assert [pair.quote for pair in make().pairs] == ["USD"]
    assert [pair.quote for pair in make(quote="EUR").pairs] == ["EUR"]


@pytest.mark.parametrize("exchange", ["kraken"], indirect=True)
def test_krakens_last_bars_are_all_there_is(
    exchange: Exchange, collect: Any, fake_time: Any
) -> None:
    exchange.most = 720
    exchange.first = NOON - 1000 * HOUR
    (batch,) = collect(first_days=365)
    assert len(batch.rows) == 719, "the last of them still runs"
    (poll,) = batch.polls
    assert (poll.state, "shows its last 720 bars" in poll.detail) == ("ok", True)


@pytest.mark.parametrize("exchange", ["kraken"], indirect=True)
@pytest.mark.parametrize(
    "fault", ["EGeneral:Too many requests", "EAPI:Rate limit exceeded", "EService:Unavailable"]
)
def test_krakens_faults_inside_a_good_answer(
    exchange: Exchange, collect: Any, reply: Any, fault: str
) -> None:
    exchange.instead = reply(json.dumps({"error": [fault]}).encode())
    (poll,) = collect()[-1].polls
    assert (poll.state, fault in poll.detail) == ("refused", True)


@pytest.mark.parametrize("exchange", ["kraken"], indirect=True)
def test_krakens_warnings_and_seconds_as_text_are_no_faults(
    exchange: Exchange, collect: Any, reply: Any
) -> None:
    _, body = exchange.kraken({"pair": "XBTUSD", "since": "0"})
    rows = [[str(row[0]), *row[1:]] for row in body["result"]["XXBTZUSD"]]
    result = {"XXBTZUSD": rows, "last": str(body["result"]["last"])}
    told = {"error": ["WGeneral:Old name"], "result": result}
    exchange.instead = reply(json.dumps(told).encode())
    assert hours(collect()) == list(range(24))


@pytest.mark.parametrize("exchange", ["kraken"], indirect=True)
@pytest.mark.parametrize(("cell", "number"), [(3, "0.0"), (6, "-1"), (7, -1), (7, float("inf"))])
def test_numbers_that_cannot_be_are_set_aside(
    exchange: Exchange, collect: Any, reply: Any, cell: int, number: Any
) -> None:
    _, body = exchange.kraken({"pair": "XBTUSD", "since": "0"})
    body["result"]["XXBTZUSD"][5][cell] = number
    exchange.instead = reply(json.dumps(body).encode())
    (batch,) = collect()
    assert hours([batch]) == [hour for hour in range(24) if hour != 5]
    assert batch.rejected[0].place == "BTC 1h 2026-09-30T17:00Z"


@pytest.mark.parametrize("exchange", ["kraken"], indirect=True)
def test_krakens_own_word_on_what_is_over_counts(
    exchange: Exchange, collect: Any, monkeypatch: pytest.MonkeyPatch, reply: Any
) -> None:
    """Its clock may be ahead of what it has committed."""
    _, body = exchange.kraken({"pair": "XBTUSD", "since": "0"})
    body["result"]["last"] = int((FIRST + 20 * HOUR).timestamp())
    exchange.instead = reply(json.dumps(body).encode())
    assert hours(collect())[-1] == 20


@pytest.mark.parametrize("exchange", ["coindesk"], indirect=True)
def test_coindesk_begins_where_a_coin_was_first_traded(exchange: Exchange, collect: Any) -> None:
    batches = collect(first_days=30, page=100)
    assert hours(batches) == list(range(24))
    assert len(exchange.asked) == 2, "the answer to the first says where to go on"


@pytest.mark.parametrize("exchange", ["coindesk"], indirect=True)
def test_a_page_may_hold_the_beginning_of_a_coin(exchange: Exchange, collect: Any) -> None:
    batches = collect(first_days=2)
    assert hours(batches) == list(range(24))
    assert [asked.query["limit"] for asked in exchange.asked] == ["49", "1"]


@pytest.mark.parametrize("exchange", ["coindesk"], indirect=True)
def test_coindesk_sending_less_than_a_page_makes_no_hole(exchange: Exchange, collect: Any) -> None:
    """A page ends where it was asked to, so what is left out is its beginning."""
    exchange.first, exchange.most = FIRST - 100 * HOUR, 10
    batches = collect()
    assert hours(batches) == []
    (poll,) = batches[-1].polls
    assert (poll.state, "Set bars.page lower" in poll.detail) == ("unreadable", True)
    assert hours(collect(page=10)) == list(range(24))


@pytest.mark.parametrize("exchange", ["coindesk"], indirect=True)
def test_coindesks_answers_may_be_five_minutes_old(
    exchange: Exchange, collect: Any, fake_time: Any
) -> None:
    fake_time.slept[:] = [299]
    assert hours(collect())[-1] == 22
    fake_time.slept[:] = [300]
    assert hours(collect())[-1] == 23


@pytest.mark.parametrize("exchange", ["coindesk"], indirect=True)
@pytest.mark.parametrize(
    ("body", "status", "state"),
    [
        ({"Data": [], "Err": {"type": 99, "message": "Your key has no credits."}}, 200, "refused"),
        ({"Data": [], "Err": {}}, 200, "unreadable"),
        ({"Data": [], "Err": {"message": "earliest X bucket timestamp is 12"}}, 404, "refused"),
    ],
)
def test_coindesk_always_has_a_bar_or_a_reason(
    exchange: Exchange, collect: Any, reply: Any, body: Any, status: int, state: str
) -> None:
    exchange.instead = reply(json.dumps(body).encode(), status)
    (poll,) = collect()[-1].polls
    assert poll.state == state
    assert body["Err"].get("message", "no page of bars").rstrip(".") in poll.detail


@pytest.mark.parametrize("exchange", ["coindesk"], indirect=True)
def test_coindesks_key_goes_into_a_header_and_nowhere_else(
    exchange: Exchange, make: Make, make_http: Any, tmp_path: Path, fake_time: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MOODTAPE_COINDESK_KEY", CANARY)
    path = tmp_path / "bars.jsonl"
    door = RecordingDoor(make_http(attempts=1), path)
    door.begin(Beginning("run", "bars", None, fake_time.now()))
    made = make("BTC NIX", http=door)
    batches = list(made.collect(None, fake_time.now()))
    assert exchange.asked[0].headers["authorization"] == f"Apikey {CANARY}"
    assert CANARY not in path.read_text() + repr(batches) + repr(made)
    assert CANARY not in json.dumps(exchange.asked[0].query)


def test_a_recorded_day_of_kraken(
    loopback: Any, reply: Any, make_http: Any, tmp_path: Path
) -> None:
    """The shape of a recorded answer: the last row runs, and `last` says so."""
    days = [1_786_752_000, 1_786_838_400, 1_786_924_800]
    rows = [[day, "62979.4", "63111.0", "62855.8", "63024.3", "63010.3", "339.06130219", 25800]
            for day in days]  # fmt: skip
    body = {"error": [], "result": {"XXBTZUSD": rows, "last": days[1]}}
    loopback.answers["/0/public/OHLC"] = reply(json.dumps(body).encode())
    bars = BarsSection(venue="kraken", base_url=loopback.url, first_days=30)
    config = Config(bars=bars, market=MarketSection(interval="1d"))
    tools = Tools(config, make_http(attempts=1), tmp_path)
    tools = replace(tools, since=datetime(2026, 8, 1, tzinfo=UTC))
    (batch,) = collector(tools).collect(None, datetime(2026, 8, 17, 20, tzinfo=UTC))
    assert [row.open_time.day for row in batch.rows] == [15, 16]
    assert (batch.rows[0].volume, batch.rows[0].trades) == (339.06130219, 25800)
