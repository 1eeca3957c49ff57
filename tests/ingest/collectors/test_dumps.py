"""Binance's files of bars through the real client: the right files, nothing unchecked, no bomb."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import BarsSection, Config, DumpsSection, MarketSection
from moodtape.errors import ConfigError, CouldNotRead
from moodtape.ingest.backfill import backfill
from moodtape.ingest.base import BarTable, Batch, Tools
from moodtape.ingest.binance import BinanceBars, Pair
from moodtape.ingest.dumps import Dumps, collector
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.ingest.zipped import only_member
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse
from moodtape.testing import check_collector

NOW = datetime(2025, 2, 3, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SIX_HOURS = 6 * HOUR
DECEMBER, JANUARY, FEBRUARY = (
    datetime(2024, 12, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2025, 2, 1, tzinfo=UTC),
)  # fmt: skip


def line(opened: datetime, step: timedelta = SIX_HOURS, **cells: Any) -> str:
    """Return a bar as its file writes it: milliseconds, or microseconds from 2025 on."""
    unit = 1_000_000 if opened.year >= 2025 else 1000
    start = int(opened.timestamp()) * unit
    end = start + int(step.total_seconds()) * unit - 1
    row = [start, "93000.10000000", "93200.00000000", "92900.00000000", "93100.55000000",
           "12.34567000", end, "1149000.12345678", 4321, "6.10000000", "567000.00000000",
           0]  # fmt: skip
    for column, value in cells.items():
        row[int(column[1:])] = value
    return ",".join(str(cell) for cell in row)


def lines(since: datetime, until: datetime, step: timedelta = SIX_HOURS, **cells: Any) -> list[str]:
    return [line(since + n * step, step, **cells) for n in range((until - since) // step)]


def packed(name: str, text: str | bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive of one file, the same each time."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2025, 2, 1, 0, 0, 0)), text, method)
    return body.getvalue()


class Files:
    """Serves archives of six-hourly bars with their checksums; what it has not is a 404."""

    def __init__(self, loopback: Any, reply: Any) -> None:
        self.loopback, self.reply = loopback, reply
        self.headers: dict[str, str] = {}

    def folder(self, key: str, pair: str, interval: str) -> str:
        kind = "monthly" if len(key) == 7 else "daily"
        return f"/data/spot/{kind}/klines/{pair}/{interval}/"

    def put(
        self, key: str, rows: Sequence[str], pair: str = "BTCUSDT", interval: str = "6h"
    ) -> None:
        stem = f"{pair}-{interval}-{key}"
        self.put_archive(key, packed(f"{stem}.csv", "\n".join(rows) + "\n"), pair, interval)

    def put_archive(
        self, key: str, body: bytes, pair: str = "BTCUSDT", interval: str = "6h", checksum: str = ""
    ) -> None:
        name = f"{pair}-{interval}-{key}.zip"
        path = self.folder(key, pair, interval) + name
        told = checksum or f"{hashlib.sha256(body).hexdigest()}  {name}\n"
        self.loopback.answers[path] = self.reply(body, headers=self.headers)
        self.loopback.answers[f"{path}.CHECKSUM"] = self.reply(told.encode())

    def take_away(self, key: str, pair: str = "BTCUSDT", interval: str = "6h") -> None:
        path = f"{self.folder(key, pair, interval)}{pair}-{interval}-{key}.zip"
        del self.loopback.answers[path], self.loopback.answers[f"{path}.CHECKSUM"]

    def asked(self) -> list[str]:
        """Return what was asked for since the last time, in short."""
        paths = [asked.path.rsplit("/", 1)[1] for asked in self.loopback.asked]
        self.loopback.asked.clear()
        shorter = [p.replace("BTCUSDT-6h-", "").replace(".CHECKSUM", "?") for p in paths]
        return [p.replace(".zip", "") for p in shorter]


@pytest.fixture
def files(loopback: Any, reply: Any) -> Files:
    """Return a server with two months and the first two days of the third."""
    served = Files(loopback, reply)
    served.put("2024-12", lines(DECEMBER, JANUARY))
    served.put("2025-01", lines(JANUARY, FEBRUARY))
    for n in range(2):
        day = FEBRUARY + n * DAY
        served.put(f"{day:%Y-%m-%d}", lines(day, day + DAY))
    return served


@pytest.fixture(autouse=True)
def _in_february(fake_time: Any) -> None:
    fake_time.start = NOW


Collect = Callable[..., list[Batch]]


@pytest.fixture
def make(loopback: Any, make_http: Any) -> Callable[..., Dumps]:
    def made(symbols: str = "BTC", interval: str = "6h", **options: Any) -> Dumps:
        bounds = {k: options.pop(k) for k in ("since", "until") if k in options}
        policy = options.pop("policy", {"attempts": 1})
        section = DumpsSection(**{"base_url": loopback.url, "first_days": 60, **options})
        pairs = [Pair(symbol, "USDT") for symbol in symbols.split()]
        return Dumps(pairs, interval, section, make_http(**policy), **bounds)

    return made


@pytest.fixture
def collect(make: Callable[..., Dumps], fake_time: Any) -> Collect:
    def run(cursor: str | None = None, **options: Any) -> list[Batch]:
        return list(make(**options).collect(cursor, fake_time.now()))

    return run


def opens(batches: Sequence[Batch]) -> list[datetime]:
    return [
        opened.to_pydatetime()
        for batch in batches
        if isinstance(batch.rows, BarTable)
        for opened in batch.rows.table["open_time"]
    ]


def ends(batches: Sequence[Batch]) -> list[tuple[str, str, int]]:
    return [(p.stream, p.state, p.items) for batch in batches for p in batch.polls]


def noted(batches: Sequence[Batch], stream: str = "BTCUSDT 6h") -> list[str]:
    return sorted(json.loads(batches[-1].cursor)[stream]["files"])


# Which files


def test_months_by_their_files_and_the_newest_one_by_its_days(
    files: Files, collect: Collect
) -> None:
    batches = collect()
    assert files.asked() == [
        "2024-12?", "2024-12", "2025-01?", "2025-01",
        "2025-02-01?", "2025-02-01", "2025-02-02?", "2025-02-02",
    ]  # fmt: skip
    assert opens(batches) == [DECEMBER + n * SIX_HOURS for n in range(4 * 64)]
    assert [len(batch.rows) for batch in batches] == [124, 124, 4, 4, 0], "a batch for each file"
    assert ends(batches) == [("BTCUSDT 6h", "ok", 256)]
    assert noted(batches) == ["2024-12", "2025-01", "2025-02-01", "2025-02-02"]


def test_a_bar_with_all_its_columns(files: Files, collect: Collect) -> None:
    first = collect()[0].rows
    assert isinstance(first, BarTable)
    assert (first.symbol, first.venue, first.quote, first.interval) == (
        "BTC", "binance", "USDT", "6h"
    )  # fmt: skip
    assert first.table.iloc[0].to_dict() == {
        "open_time": DECEMBER, "open": 93000.1, "high": 93200.0, "low": 92900.0,
        "close": 93100.55, "volume": 12.34567, "quote_volume": 1149000.12345678,
        "taker_buy_volume": 6.1, "trades": 4321.0,
    }  # fmt: skip


def test_the_next_run_asks_for_little_and_reads_only_what_is_new(
    files: Files, collect: Collect, fake_time: Any
) -> None:
    cursor = collect()[-1].cursor
    files.asked()
    again = collect(cursor)
    assert files.asked() == ["2024-12?", "2025-01?"]
    assert (opens(again), ends(again)) == ([], [("BTCUSDT 6h", "empty", 0)])
    fake_time.sleep(86_400)
    third = FEBRUARY + 2 * DAY
    assert ends(collect(cursor)) == [("BTCUSDT 6h", "empty", 0)], "the third is not out yet"
    files.put("2025-02-03", lines(third, third + DAY))
    files.asked()
    later = collect(cursor, recheck_months=1)
    assert files.asked() == ["2025-01?", "2025-02-03?", "2025-02-03"]
    assert opens(later) == [third + n * SIX_HOURS for n in range(4)]


def test_a_month_takes_the_place_of_its_days_when_its_file_is_out(
    files: Files, collect: Collect, fake_time: Any
) -> None:
    files.take_away("2025-01")
    for n in range(31):
        day = JANUARY + n * DAY
        files.put(f"{day:%Y-%m-%d}", lines(day, day + DAY))
    batches = collect()
    assert len(opens(batches)) == 256
    assert len(noted(batches)) == 1 + 31 + 2
    files.put("2025-01", lines(JANUARY, FEBRUARY))
    later = collect(batches[-1].cursor)
    assert opens(later) == [JANUARY + n * SIX_HOURS for n in range(124)], "read again, and known"
    assert noted(later) == ["2024-12", "2025-01", "2025-02-01", "2025-02-02"]


def test_a_day_that_has_no_file_is_passed_and_left_to_the_month(
    files: Files, collect: Collect, fake_time: Any
) -> None:
    fake_time.sleep(10 * 86_400)
    for n in (3, 5, 6, 7, 8, 9, 10, 11):
        day = FEBRUARY + (n - 1) * DAY
        files.put(f"{day:%Y-%m-%d}", lines(day, day + DAY))
    batches = collect()
    days = sorted({opened.day for opened in opens(batches) if opened >= FEBRUARY})
    assert days == [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert ends(batches) == [("BTCUSDT 6h", "ok", 288)], "no failure"
    files.asked()
    collect(batches[-1].cursor, recheck_months=0)
    assert files.asked() == ["2025-02-12?"], "the fourth is not asked for each time"


def test_before_a_pair_was_listed_a_month_costs_two_questions_once(
    files: Files, collect: Collect
) -> None:
    batches = collect(first_days=120)
    assert files.asked()[:4] == ["2024-10?", "2024-10-31?", "2024-11?", "2024-11-30?"]
    assert len(opens(batches)) == 256
    collect(batches[-1].cursor, recheck_months=2, first_days=120)
    assert files.asked() == ["2024-12?", "2025-01?"]


def test_a_pair_that_has_no_file_at_all_is_told(files: Files, collect: Collect) -> None:
    batches = collect(symbols="XXX BTC")
    assert ends(batches) == [("XXXUSDT 6h", "refused", 0), ("BTCUSDT 6h", "ok", 256)]
    detail = batches[0].polls[0].detail
    assert detail.endswith("has no file of XXXUSDT 6h since 2024-12: is there such a pair?")
    assert noted(batches, "XXXUSDT 6h") == [], "another address may have them"


def test_runs_do_not_lose_what_lies_before_a_shorter_first_run(
    files: Files, collect: Collect
) -> None:
    december = files.loopback.answers.pop(
        "/data/spot/monthly/klines/BTCUSDT/6h/BTCUSDT-6h-2024-12.zip"
    )
    first = collect()
    assert ends(first) == [("BTCUSDT 6h", "refused", 0)], "a checksum without its file"
    path = "/data/spot/monthly/klines/BTCUSDT/6h/BTCUSDT-6h-2024-12.zip"
    files.loopback.answers[path] = december
    later = collect(first[-1].cursor, first_days=1)
    assert opens(later)[0] == DECEMBER


# What has changed


def test_a_file_that_was_replaced_is_read_again(files: Files, collect: Collect) -> None:
    cursor = collect()[-1].cursor
    changed = [line(JANUARY, c4="93150.00000000"), *lines(JANUARY + SIX_HOURS, FEBRUARY)]
    files.put("2025-01", changed)
    files.asked()
    again = collect(cursor)
    assert files.asked() == ["2024-12?", "2025-01?", "2025-01"]
    rows = again[0].rows
    assert isinstance(rows, BarTable)
    assert (len(rows), rows.table["close"][0]) == (124, 93150.0)
    assert ends(again) == [("BTCUSDT 6h", "ok", 124)]
    assert ends(collect(again[-1].cursor)) == [("BTCUSDT 6h", "empty", 0)]


def test_how_many_months_are_checked_again_is_a_setting(files: Files, collect: Collect) -> None:
    cursor = collect()[-1].cursor
    files.put("2024-12", lines(DECEMBER, JANUARY, c4="93150.00000000"))
    files.asked()
    assert opens(collect(cursor, recheck_months=0)) == []
    assert files.asked() == []
    assert opens(collect(cursor, recheck_months=1)) == []
    assert len(opens(collect(cursor, recheck_months=2))) == 124


# Bounds


def test_between_bounds_files_are_read_whatever_is_stored(files: Files, collect: Collect) -> None:
    cursor = collect()[-1].cursor
    files.asked()
    since, until = FEBRUARY - DAY, FEBRUARY + DAY + SIX_HOURS
    batches = collect(cursor, since=since, until=until)
    assert files.asked() == [
        "2025-01?", "2025-01", "2025-02-01?", "2025-02-01", "2025-02-02?", "2025-02-02"
    ]  # fmt: skip
    assert opens(batches) == [since + n * SIX_HOURS for n in range(9)]
    assert batches[-1].cursor == cursor


def test_a_file_that_is_read_in_part_is_not_noted(files: Files, collect: Collect) -> None:
    batches = collect(since=DECEMBER + DAY, until=JANUARY + 2 * DAY)
    assert (opens(batches)[0], opens(batches)[-1]) == (
        DECEMBER + DAY, JANUARY + 2 * DAY - SIX_HOURS
    )  # fmt: skip
    assert noted(batches) == []
    whole = collect(since=JANUARY, until=FEBRUARY)
    assert noted(whole) == ["2025-01"]
    assert len(opens(collect(whole[-1].cursor))) == 256 - 124, "the other files are still due"


def test_a_stretch_before_the_pair_was_listed_is_empty(files: Files, collect: Collect) -> None:
    batches = collect(since=DECEMBER - 40 * DAY, until=DECEMBER - 20 * DAY)
    assert (opens(batches), ends(batches)) == ([], [("BTCUSDT 6h", "empty", 0)])


# Lengths of bars


def test_weeks_have_no_daily_files_and_only_those_that_were_over_are_taken(
    files: Files, collect: Collect
) -> None:
    week, mondays = 7 * DAY, [DECEMBER + DAY + n * 7 * DAY for n in range(9)]
    files.put("2024-12", [line(m, week) for m in mondays if m < JANUARY], interval="1w")
    files.headers = {"Last-Modified": "Sun, 02 Feb 2025 00:00:00 GMT"}
    files.put("2025-01", [line(m, week) for m in mondays if m >= JANUARY], interval="1w")
    batches = collect(interval="7d", first_days=100)
    assert files.asked() == [
        f"BTCUSDT-1w-{key}"
        for key in ("2024-10?", "2024-11?", "2024-12?", "2024-12", "2025-01?", "2025-01")
    ]
    assert opens(batches) == mondays[:8], "the last week ended when its file was made"
    assert noted(batches, "BTCUSDT 7d") == ["2024-10", "2024-11", "2024-12", "2025-01"]


def test_the_running_bar_is_never_taken(files: Files, collect: Collect, reply: Any) -> None:
    path = "/data/spot/daily/klines/BTCUSDT/6h/BTCUSDT-6h-2025-02-02.zip"
    served = files.loopback.answers[path]
    date = {"Date": "Sun, 02 Feb 2025 20:00:00 GMT"}
    files.loopback.answers[path] = replace(served, headers=date)
    assert opens(collect())[-1] == FEBRUARY + DAY + 2 * SIX_HOURS, "by the server's own clock"


def test_symbols_quotes_and_intervals_come_from_the_config(make_http: Any, tmp_path: Path) -> None:
    market = MarketSection(symbols=("BTC", "ETH"), quote={"ETH": "EUR"}, interval="1min")
    made = collector(Tools(Config(market=market), make_http(), tmp_path))
    assert [p.code for p in made.pairs] == ["BTCUSDT", "ETHEUR"]
    assert made.interval == "1min"
    with pytest.raises(ConfigError, match="Binance has no bars of 7h"):
        collector(Tools(Config(market=MarketSection(interval="7h")), make_http(), tmp_path))


# What cannot be used


def test_rows_that_are_none_are_set_aside(files: Files, collect: Collect) -> None:
    rows = lines(JANUARY, FEBRUARY)
    rows[3] = line(JANUARY + 3 * SIX_HOURS, c4="many")
    rows[4] = line(JANUARY + 4 * SIX_HOURS, c5="")
    rows[5] = line(JANUARY + 5 * SIX_HOURS, c8="12.5")
    rows[6] = line(FEBRUARY + DAY)
    rows[7] = line(JANUARY + 7 * SIX_HOURS, c0="soon")
    rows[8] += ",more"
    rows[9] = "1,2,3"
    files.put("2025-01", rows)
    batch = collect(since=JANUARY, until=FEBRUARY)[0]
    assert [(r.place, r.reason) for r in batch.rejected] == [
        ("BTCUSDT-6h-2025-01.csv odd row 1", "it has not its 12 columns"),
        ("BTCUSDT-6h-2025-01.csv odd row 2", "it has not its 12 columns"),
        ("BTCUSDT-6h-2025-01.csv row 4", "a number cannot be read"),
        ("BTCUSDT-6h-2025-01.csv row 5", "a number cannot be read"),
        ("BTCUSDT-6h-2025-01.csv row 6", "a number cannot be read"),
        ("BTCUSDT-6h-2025-01.csv row 7", "outside the time that its file covers"),
        ("BTCUSDT-6h-2025-01.csv row 8", "missing time"),
    ]
    assert batch.rejected[1].payload == "1,2,3"
    assert batch.rejected[2].payload == rows[3]
    assert len(batch.rows) == 124 - 7


def test_a_line_of_names_rows_out_of_order_and_rows_twice_do_no_harm(
    files: Files, collect: Collect
) -> None:
    rows = lines(JANUARY, FEBRUARY)
    files.put("2025-01", ["open_time,open,high,low,close,volume,c,q,n,b,t,ignore", *rows[::-1]])
    assert sorted(opens(collect(since=JANUARY, until=FEBRUARY))) == [
        JANUARY + n * SIX_HOURS for n in range(124)
    ]


def bomb(name: str) -> bytes:
    return packed(name, b"0" * 2_000_000)


def many(name: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr(name, "1")
        archive.writestr("../../etc/passwd", "2")
    return body.getvalue()


def understated(name: str) -> bytes:
    """Return an archive that says that its file is smaller than it is."""
    body = bytearray(packed(name, ",".join("0123456789" * 100)))
    directory = body.rfind(b"PK\x01\x02")
    for at in (22, directory + 24):
        struct.pack_into("<L", body, at, 10)
    return bytes(body)


def renamed_inside(name: str) -> bytes:
    """Return an archive whose file has another name where it lies, one that turns text around."""
    return packed(name, "1").replace(name.encode(), "\u202e".encode() + name[3:].encode(), 1)


def locked(name: str) -> bytes:
    body = bytearray(packed(name, "1"))
    directory = body.rfind(b"PK\x01\x02")
    body[6] |= 1
    body[directory + 8] |= 1
    return bytes(body)


@pytest.mark.parametrize(
    ("archive", "told"),
    [
        (lambda name: b"PK\x03\x04garbage-not-a-zip", "no whole ZIP archive"),
        (lambda name: b"<html>Just a moment</html>", "no whole ZIP archive"),
        (lambda name: b"", "sent 0 bytes that are no whole ZIP archive"),
        (lambda name: packed(name, "1" * 500)[:-30], "no whole ZIP archive"),
        (lambda name: packed(name, "1" * 500)[40:], "no whole ZIP archive"),
        (bomb, "unpacks to over 100 times its size: a ZIP bomb"),
        (many, "does not hold one file"),
        (understated, "damaged: Bad CRC-32"),
        (renamed_inside, "damaged: File name in directory"),
        (locked, "packed in a way that is not read here"),
        (lambda name: packed(name, "1", zipfile.ZIP_LZMA), "packed in a way"),
        (lambda name: packed("../" + name, "1"), "where BTCUSDT-6h-2025-01.csv is due"),
        (lambda name: packed(name.replace("BTC", "ETH"), "1"), "'ETHUSDT-6h-2025-01.csv' where"),
        (lambda name: packed(name, b"0,\xff"), "is no file of bars"),
        (lambda name: packed(name, ""), "is no file of bars"),
        (lambda name: packed(name, "<html>Just a moment</html>"), "1 of 1 rows are no bars"),
        (lambda name: packed(name, "\n".join(lines(DECEMBER, JANUARY))), "124 of 124 rows"),
    ],
)  # fmt: skip
def test_an_archive_that_is_none_keeps_no_other_from_coming(
    archive: Callable[[str], bytes], told: str, files: Files, collect: Collect
) -> None:
    files.put_archive("2025-01", archive("BTCUSDT-6h-2025-01.csv"))
    batches = collect()
    assert ends(batches) == [("BTCUSDT 6h", "unreadable", 132)]
    assert told in batches[-1].polls[0].detail
    assert batches[-1].polls[0].detail.isprintable()
    assert noted(batches) == ["2024-12", "2025-02-01", "2025-02-02"]
    files.put("2025-01", lines(JANUARY, FEBRUARY))
    assert len(opens(collect(batches[-1].cursor))) == 124, "it is asked for again"


def test_a_list_of_a_hundred_thousand_members_is_never_made() -> None:
    one = packed("a.csv", "1")
    directory = one.rfind(b"PK\x01\x02")
    end = one.rfind(b"PK\x05\x06")
    entries = one[directory:end] * 100_000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entries), directory, 0)
    with pytest.raises(CouldNotRead, match="does not hold one file"):
        only_member(one[:directory] + entries + tail, "a.csv", 2**20, "there")


def test_a_file_without_its_checksum_is_never_unpacked(
    files: Files, collect: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = packed("BTCUSDT-6h-2025-01.csv", "\n".join(lines(JANUARY, FEBRUARY)))
    files.put_archive("2025-01", body, checksum=f"{'0' * 64}  BTCUSDT-6h-2025-01.zip")
    monkeypatch.setattr("moodtape.ingest.dumps.only_member", lambda *args: pytest.fail("unpacked"))
    batches = collect(since=JANUARY, until=FEBRUARY)
    assert ends(batches) == [("BTCUSDT 6h", "unreadable", 0)]
    assert "have not the checksum beside them" in batches[-1].polls[0].detail


@pytest.mark.parametrize(
    "checksum",
    ["<html></html>", "0" * 64, f"{'0' * 64}  BTCUSDT-6h-2024-12.zip", f"{'g' * 64}  x.zip"],
)
def test_a_checksum_that_is_none_stops_the_pair(
    checksum: str, files: Files, collect: Collect
) -> None:
    files.put_archive("2025-01", b"", checksum=checksum)
    batches = collect()
    assert ends(batches) == [("BTCUSDT 6h", "unreadable", 0)]
    assert "sent no checksum of its file" in batches[-1].polls[0].detail
    assert noted(batches) == ["2024-12"], "what came before stays"


def test_sizes_are_bounded_and_the_setting_is_named(files: Files, collect: Collect) -> None:
    batches = collect(file_limit_mib=0.001)
    detail = batches[-1].polls[0].detail
    assert "MiB, unpacked; the most is 0.000999 (dumps.file_limit_mib)" in detail
    assert detail.endswith(" So with 1 further files.")
    assert len(opens(batches)) == 8, "a day is small enough"
    larger = collect(policy={"attempts": 1, "body_limit_mib": 0.001})
    assert "MiB (http.body_limit_mib)" in larger[-1].polls[0].detail


# The server


@pytest.mark.parametrize("status", [403, 429, 451, 503])
def test_a_server_that_refuses_ends_the_pair(
    status: int, files: Files, collect: Collect, reply: Any
) -> None:
    path = "/data/spot/monthly/klines/BTCUSDT/6h/BTCUSDT-6h-2025-01.zip"
    for place in (path, f"{path}.CHECKSUM"):
        files.loopback.answers[place] = reply(b"", status)
        batches = collect()
        assert ends(batches) == [("BTCUSDT 6h", "refused", 0)]
        assert f"answered {status}" in batches[-1].polls[0].detail
        assert noted(batches) == ["2024-12"]
        files.put("2025-01", lines(JANUARY, FEBRUARY))


def test_a_server_that_is_down_ends_the_pair(files: Files, collect: Collect, reply: Any) -> None:
    path = "/data/spot/monthly/klines/BTCUSDT/6h/BTCUSDT-6h-2025-01.zip"
    for fault in (reply(hang_up=True), reply(b"PK", cut=100)):
        files.loopback.answers[path] = fault
        batches = collect()
        assert ends(batches) == [("BTCUSDT 6h", "down", 0)]
        assert noted(batches) == ["2024-12"]


# In the warehouse


@pytest.fixture
def plan(loopback: Any, files: Files, fake_time: Any, tmp_path: Path) -> Plan:
    (tmp_path / "moodtape.toml").write_text(
        f"""
        [market]
        symbols = ["BTC"]
        interval = "6h"
        [http]
        attempts = 1
        [dumps]
        base_url = "{loopback.url}"
        first_days = 60
        [bars]
        base_url = "{loopback.url}"
        first_days = 3
        grace_s = 0
        """
    )
    settings = load_settings(tmp_path, environ={})
    return Plan(
        Warehouse(settings.warehouse), settings.staging, tmp_path, settings.config,
        timing=fake_time.timing, answers=settings.answers,
    )  # fmt: skip


def stored(plan: Plan, columns: str = "*") -> list[Any]:
    with plan.warehouse.read() as connection:
        query = f"SELECT {columns} FROM bar ORDER BY open_time, known_at"
        return connection.execute(query).fetchall()


def test_a_bar_is_known_at_its_close_and_a_corrected_one_from_now_on(
    plan: Plan, files: Files, fake_time: Any
) -> None:
    (first,) = run_collectors(plan, ["dumps"])
    assert (first.state, first.counts.new) == ("done", 256)
    assert stored(plan, "open_time, close_time, known_at")[0] == (
        DECEMBER, DECEMBER + SIX_HOURS, DECEMBER + SIX_HOURS
    )  # fmt: skip
    fake_time.sleep(3600)
    files.put(
        "2025-01", [line(JANUARY, c4="93150.00000000"), *lines(JANUARY + SIX_HOURS, FEBRUARY)]
    )
    (second,) = run_collectors(plan, ["dumps"])
    assert (second.counts.new, second.counts.known, second.counts.corrected) == (0, 123, 1)
    versions = [row for row in stored(plan, "open_time, close, known_at") if row[0] == JANUARY]
    assert versions == [
        (JANUARY, 93100.55, JANUARY + SIX_HOURS), (JANUARY, 93150.0, NOW + HOUR)
    ]  # fmt: skip


def test_bars_by_both_ways_are_the_same_bars(
    plan: Plan, loopback: Any, reply: Any, make_http: Any
) -> None:
    odd = ["0.1", "1234567.98765432", "0.07000001", "0.30000000", "99999999.99999999"]
    cells = {"c1": odd[0], "c2": odd[1], "c3": odd[2], "c4": odd[3], "c5": odd[4],
             "c7": "123456789012.12345678", "c9": "0.00000001"}  # fmt: skip
    first = FEBRUARY + DAY
    rows = lines(first, first + DAY, **cells)
    Files(loopback, reply).put("2025-02-02", rows)
    page = [row.split(",") for row in rows]
    answer = json.dumps([[int(row[0]), *row[1:8], int(row[8]), *row[9:]] for row in page])
    loopback.answers["/api/v3/klines"] = reply(answer.encode())
    section = BarsSection(base_url=loopback.url, grace_s=0)
    rest = BinanceBars([Pair("BTC", "USDT")], "6h", section, make_http(), since=first)
    assert len(next(iter(rest.collect(None, NOW))).rows) == 4
    results = [run_collectors(replace(plan, since=first), [name])[0] for name in ("bars", "dumps")]
    counts = [(r.counts.new, r.counts.known, r.counts.corrected) for r in results]
    assert counts == [(4, 0, 0), (0, 4, 0)], "to the last bit"


def test_bad_rows_are_quarantined_by_name(plan: Plan, files: Files) -> None:
    rows = lines(JANUARY, FEBRUARY)
    rows[0] = line(JANUARY, c2="1.0")
    rows[1] = line(JANUARY + SIX_HOURS + HOUR)
    rows[2] = line(JANUARY + 2 * SIX_HOURS, c5="-1")
    rows[3] = line(JANUARY + 3 * SIX_HOURS, c4="x")
    files.put("2025-01", [*rows, rows[9]])
    (result,) = run_collectors(plan, ["dumps"])
    assert (result.counts.new, result.counts.duplicate_in_file) == (252, 1)
    with plan.warehouse.read() as connection:
        quarantined = connection.execute(
            "SELECT place, reason FROM quarantine ORDER BY reason"
        ).fetchall()
    assert quarantined == [
        ("BTCUSDT-6h-2025-01.csv row 4", "a number cannot be read"),
        ("BTC 6h 2025-01-01T00:00Z", "high is below low"),
        ("BTC 6h 2025-01-01T07:00Z", "not the start of a 6h bar"),
        ("BTC 6h 2025-01-01T12:00Z", "volume is negative"),
    ]


def test_files_made_again_from_kept_answers_are_the_same_rows(
    plan: Plan, files: Files, fake_time: Any, loopback: Any
) -> None:
    run_collectors(plan, ["dumps"])
    fake_time.sleep(86_400)
    files.put(
        "2025-01", [line(JANUARY, c4="93150.00000000"), *lines(JANUARY + SIX_HOURS, FEBRUARY)]
    )
    (second,) = run_collectors(plan, ["dumps"])
    assert second.state == "done", "also the question for a day that is not out yet"
    expected = stored(plan)
    plan.warehouse.path.unlink()
    files.asked()
    (again,) = replay_answers(plan, ["dumps"])
    assert (again.state, files.asked()) == ("done", [])
    assert stored(plan) == expected
    (twice,) = replay_answers(plan, ["dumps"])
    assert (twice.counts.new, twice.counts.corrected) == (0, 0)


def test_a_pair_that_failed_is_told_and_what_came_stays(
    plan: Plan, files: Files, reply: Any
) -> None:
    files.put_archive("2025-01", b"PK\x03\x04garbage-not-a-zip", checksum="0" * 64)
    (result,) = run_collectors(plan, ["dumps"])
    assert (result.state, result.counts.new) == ("failed", 124)
    assert len(stored(plan)) == 124


def test_holes_are_filled_from_files_where_these_are_named(plan: Plan, files: Files) -> None:
    run_collectors(plan, ["dumps"])
    expected = stored(plan, "* EXCLUDE (recorded_at, run_id)")
    with plan.warehouse.write() as connection:
        connection.execute("DELETE FROM bar WHERE day(open_time) IN (5, 6)")
    files.asked()
    (result,) = backfill(plan, ["dumps"])
    assert (result.state, result.counts.new) == ("done", 16)
    assert files.asked() == ["2025-01?", "2025-01", "2024-12?", "2024-12"], "the newest hole first"
    assert stored(plan, "* EXCLUDE (recorded_at, run_id)") == expected


def test_it_keeps_the_promises_of_every_collector(
    make: Callable[..., Dumps], files: Files, fake_time: Any, tmp_path: Path
) -> None:
    counts = check_collector(make, fake_time.now(), tmp_path)
    assert counts.new == 256
