"""Bars: what is refused and why, what is stored and when it was known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.errors import UnreadableFile, UsageError

HEADER = "ts,open,high,low,close,volume\n"
GOOD = "2025-06-01T00:00:00Z,100,110,90,105,7\n"


def line(hour: int, rest: str) -> str:
    return f"2025-06-01T{hour:02d}:00:00Z,{rest}\n"


def test_good_rows_are_stored_and_bad_ones_kept_with_their_reason(bring: Any) -> None:
    bad = {
        2: ("nan,110,90,105,7", "open is missing"),
        3: ("100,inf,90,105,7", "high is not finite"),
        4: ("100,110,-90,105,7", "low is not above zero"),
        5: ("100,110,90,0,7", "close is not above zero"),
        6: ("100,90,110,105,7", "high is below low"),
        7: ("120,110,90,105,7", "open is outside low to high"),
        8: ("100,110,90,80,7", "close is outside low to high"),
        9: ("100,110,90,105,-7", "volume is negative"),
        10: ("100,110,90,1o5,7", "close is not a number"),
        11: ("100,110,90,,7", "close is missing"),
    }
    text = HEADER + GOOD + "".join(line(h, row) for h, (row, _) in bad.items())
    text += line(12, "100,110,90,105,")
    text += "2025-06-01 13:00:00,100,110,90,105,7\n"
    text += "noon,100,110,90,105,7\n"
    text += ",100,110,90,105,7\n"
    text += "2025-06-01T13:00:01Z,100,110,90,105,7\n"
    text += "2099-01-01T00:00:00Z,100,110,90,105,7\n"
    text += "2025-06-01T14:00:00Z,100,110\n"
    result = bring("bars", "btc_usd_1h.csv", text)
    reasons = {reason: 1 for _, reason in bad.values()}
    reasons |= {
        "time without a zone": 1,
        "unreadable time": 1,
        "missing time": 1,
        "not the start of a 1h bar": 1,
        "bar is not over yet": 1,
        "has 3 columns, the header 6": 1,
    }
    assert dict(result.counts.reasons) == reasons
    assert (result.counts.new, result.counts.quarantined) == (2, 16)
    assert bring.rows("SELECT hour(open_time), volume FROM bar ORDER BY 1") == [
        (0, 7.0),
        (12, None),
    ]
    kept = dict(bring.rows("SELECT place, reason FROM quarantine"))
    assert kept["line 3"] == "open is missing"
    assert kept["line 19"] == "has 3 columns, the header 6"
    (payload,) = bring.rows("SELECT payload FROM quarantine WHERE reason = 'high is below low'")[0]
    assert '"high": "90"' in payload


def test_a_bar_is_known_at_its_close_and_a_running_one_not_stored(bring: Any) -> None:
    now = datetime(2025, 6, 1, 2, 30, tzinfo=UTC)
    text = HEADER + "".join(line(h, "100,110,90,105,7") for h in (0, 1, 2))
    result = bring("bars", "btc_usd_1h.csv", text, now=now)
    assert (result.counts.new, dict(result.counts.reasons)) == (2, {"bar is not over yet": 1})
    assert bring.texts("SELECT open_time, close_time, known_at FROM bar ORDER BY 1") == [
        ("2025-06-01 00:00:00+00:00", *["2025-06-01 01:00:00+00:00"] * 2),
        ("2025-06-01 01:00:00+00:00", *["2025-06-01 02:00:00+00:00"] * 2),
    ]
    later = bring("bars", "btc_usd_1h.csv", now=now + timedelta(hours=1))
    assert (later.counts.new, later.counts.known) == (1, 2), "the bar has closed since"


def test_a_corrected_bar_is_a_further_row_known_when_it_came(bring: Any, now: datetime) -> None:
    first, second = line(0, "100,110,90,105,7"), line(1, "105,115,95,110,8")
    bring("bars", "btc_usd_1h.csv", HEADER + first + second)
    came = now + timedelta(days=1)
    changed = HEADER + first.replace("105,7", "106,7") + second
    result = bring("bars", "btc_usd_1h.csv", changed, now=came)
    assert (result.counts.new, result.counts.known, result.counts.corrected) == (0, 1, 1)
    assert bring.texts("SELECT close, known_at FROM bar WHERE hour(open_time) = 0 ORDER BY 2") == [
        ("105.0", "2025-06-01 01:00:00+00:00"),
        ("106.0", "2025-07-01 00:00:00+00:00"),
    ]
    again = bring("bars", "btc_usd_1h.csv", now=came + timedelta(days=1))
    assert (again.counts.known, again.counts.corrected) == (2, 0)


def test_a_correction_counts_even_if_the_clock_went_back(bring: Any, now: datetime) -> None:
    bring("bars", "btc_usd_1h.csv", HEADER + GOOD)
    bring("bars", "btc_usd_1h.csv", HEADER + GOOD.replace("105,7", "106,7"))
    back = now - timedelta(days=1)
    bring("bars", "btc_usd_1h.csv", HEADER + GOOD.replace("105,7", "107,7"), now=back)
    newest = "SELECT close FROM bar ORDER BY known_at DESC LIMIT 1"
    assert bring.rows(newest) == [(107.0,)]


def test_an_absent_column_says_nothing_against_a_stored_one(bring: Any) -> None:
    bring("bars", "btc_usd_1h.csv", HEADER + GOOD)
    bare = "ts,open,high,low,close\n2025-06-01T00:00:00Z,100,110,90,105\n"
    assert bring("bars", "btc_usd_1h.csv", bare).counts.known == 1
    moved = "ts,open,high,low,close\n2025-06-01T00:00:00Z,100,110,90,104\n"
    assert bring("bars", "btc_usd_1h.csv", moved).counts.corrected == 1
    assert bring.rows("SELECT close, volume FROM bar ORDER BY known_at") == [(105, 7), (104, 7)]
    fuller = "ts,open,high,low,close,trades\n2025-06-01T00:00:00Z,100,110,90,104,31\n"
    assert bring("bars", "btc_usd_1h.csv", fuller).counts.corrected == 1
    assert bring.rows("SELECT volume, trades FROM bar ORDER BY known_at DESC LIMIT 1") == [(7, 31)]


def test_of_duplicate_hours_the_fullest_then_the_most_precise_then_the_last_wins(
    bring: Any,
) -> None:
    text = HEADER
    text += line(0, "100,110,90,105,") + line(0, "100,110,90,106,7") + line(0, "100,110,90,107,")
    text += line(1, "100,110,90,105,7.25") + line(1, "100,110,90,105,7.3")
    text += line(2, "100,110,90,105,7") + line(2, "100,110,90,106,7")
    result = bring("bars", "btc_usd_1h.csv", text)
    assert (result.counts.new, result.counts.duplicate_in_file) == (3, 4)
    assert bring.rows("SELECT close, volume FROM bar ORDER BY open_time") == [
        *[(106.0, 7.0), (105.0, 7.25), (106.0, 7.0)]
    ]


def test_newest_first_with_seconds_and_milliseconds_mixed(bring: Any) -> None:
    text = (
        "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount\n"
        "1748739600000,2025-06-01 01:00:00,BTC/USDT,100,110,90,105,7.5,750,12\n"
        "1748736000.0,2025-06-01 12-AM,BTC/USDT,100,110,90,104,7,700,NULL\n"
        "1748736000000,2025-06-01 00:00:00,BTC/USDT,100,110,90,104,7.123,700,9\n"
    )
    result = bring("bars", "binance_btcusdt_1h.csv", text)
    assert (result.counts.new, result.counts.duplicate_in_file) == (2, 1)
    assert result.notes == (
        "symbols of the file/USDT 1h bars, venue binance",
        "columns not read: date",
    )
    stored = "SELECT symbol, quote, venue, volume, quote_volume, trades FROM bar ORDER BY open_time"
    assert bring.rows(stored) == [
        ("BTC", "USDT", "binance", 7.123, 700.0, 9),
        ("BTC", "USDT", "binance", 7.5, 750.0, 12),
    ]


def test_one_file_holds_many_symbols_venues_and_quotes(bring: Any) -> None:
    text = (
        "open_time,ticker,exchange,quote,open,high,low,close\n"
        "2025-06-01T00:00Z,BTC,Kraken,usd,1,2,1,2\n"
        "2025-06-01T00:00Z,eth,Kraken,usd,1,2,1,2\n"
        "2025-06-01T00:00Z,SOL/EUR,,,1,2,1,2\n"
        "2025-06-01T00:00Z,,Kraken,usd,1,2,1,2\n"
        "2025-06-01T00:00Z,not a symbol,Kraken,usd,1,2,1,2\n"
    )
    result = bring("bars", "many.csv", text, interval="1h", venue="okx", quote="USDT")
    assert dict(result.counts.reasons) == {
        "symbol is missing": 1,
        "symbol is not an asset's name": 1,
    }
    assert bring.rows("SELECT symbol, venue, quote FROM bar ORDER BY 1") == [
        ("BTC", "kraken", "USD"),
        ("ETH", "kraken", "USD"),
        ("SOL", "okx", "USDT"),
    ]
    assert bring.rows("SELECT symbol, class, calendar FROM instrument ORDER BY 1") == [
        *[(s, "crypto", "24/7") for s in ("BTC", "ETH", "SOL")]
    ]


def test_daily_stock_bars_close_with_their_session(bring: Any) -> None:
    text = "date,open,high,low,close\n2024-11-27,1,2,1,2\n2024-11-28,1,2,1,2\n2024-11-29,1,2,1,2\n"
    result = bring("bars", "spy.csv", text, symbol="SPY", interval="1d", calendar="XNYS")
    assert dict(result.counts.reasons) == {"not the start of a 1d bar": 1}, "Thanksgiving"
    assert bring.texts("SELECT known_at FROM bar ORDER BY 1") == [
        ("2024-11-27 21:00:00+00:00",),
        ("2024-11-29 18:00:00+00:00",),
    ], "the day after Thanksgiving ends early"
    assert bring.rows("SELECT class, calendar FROM instrument") == [("equity", "XNYS")]


def test_absurd_amounts_are_refused_not_fatal(bring: Any) -> None:
    text = "ts,open,high,low,close,trades\n" + "".join(
        line(h, f"100,110,90,105,{trades}") for h, trades in enumerate(("inf", "-1", "1e300", "5"))
    )
    result = bring("bars", "btc_usd_1h.csv", text)
    assert dict(result.counts.reasons) == {"trades is not finite": 1, "trades is negative": 1}
    assert bring.rows("SELECT trades FROM bar ORDER BY open_time") == [(None,), (5,)]


def test_the_length_of_a_bar_is_told_by_the_commonest_step(bring: Any) -> None:
    text = "ts,open,high,low,close\n" + "".join(
        f"2025-06-01T{h:02d}:00Z,1,2,1,2\n" for h in (0, 4, 8, 16, 20)
    )
    bring("bars", "btc.csv", text)
    assert bring.rows('SELECT DISTINCT "interval" FROM bar') == [("4h",)]


def test_a_file_that_does_not_say_enough_is_refused_with_the_flag_that_helps(bring: Any) -> None:
    one = "ts,open,high,low,close\n2025-06-01T00:00Z,1,2,1,2\n"
    with pytest.raises(UsageError, match=r"a\.csv does not say which asset .* --symbol BTC"):
        bring("bars", "a.csv", one)
    with pytest.raises(UsageError, match=r"length of a bar cannot be told\. Say it: --interval 1h"):
        bring("bars", "btc.csv", one)
    with pytest.raises(UsageError, match="'b t c' cannot name an asset"):
        bring("bars", "a.csv", one, symbol="b t c")
    with pytest.raises(UsageError, match="'1hour' is not a length of time"):
        bring("bars", "btc.csv", one, interval="1hour")
    with pytest.raises(UsageError, match=r"'24-7' is not a calendar\. Did you mean 24/7\?"):
        bring("bars", "btc.csv", one, interval="1h", calendar="24-7")
    with pytest.raises(UnreadableFile, match=r"no column for low\. .*--map low=COLUMN"):
        bring("bars", "btc.csv", "ts,open,high,close\n1,1,1,1\n")
    with pytest.raises(UnreadableFile, match="has no rows"):
        bring("bars", "btc.csv", HEADER)
    with pytest.raises(UnreadableFile, match=r"none of its first 2 rows .*line 2: has 1 columns"):
        bring("bars", "btc.csv", HEADER + "1\n2\n")
    assert not bring.warehouse.path.exists(), "a refused file leaves nothing behind"


def test_a_symbol_nobody_knows_is_taken_and_said(bring: Any) -> None:
    result = bring("bars", "x.csv", HEADER + GOOD, symbol="ZZZ", interval="1h")
    assert result.counts.new == 1
    assert "ZZZ is in no alias table: only texts that declare it will reach it" in result.notes


def test_a_map_settles_what_names_do_not(bring: Any) -> None:
    text = "when,o,h,l,last,bid\n2025-06-01T00:00Z,1,2,1,2,1\n"
    mapping = {"open_time": "when", "close": "last"}
    bring("bars", "btc.csv", text, interval="1h", mapping=mapping)
    assert bring.rows("SELECT close FROM bar") == [(2.0,)]
