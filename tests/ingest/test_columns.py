"""Columns are found by the user's map and usual names; what is missing is said plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moodtape.errors import UnreadableFile, UsageError
from moodtape.ingest.columns import (
    BAR_NAMES,
    DOCUMENT_NAMES,
    find_columns,
    is_symbol,
    read_file_name,
    read_names,
    read_numbers,
    split_pair,
    volume_columns,
)

PATH = Path("bars.csv")
KNOWN = ("BTC", "ETH", "SOL")


def test_usual_names_are_found_in_any_case() -> None:
    found = find_columns(["Date", "Open", "HIGH", "low", "Close", "V"], BAR_NAMES, [], {}, PATH)
    assert found == {
        "open_time": "Date",
        "open": "Open",
        "high": "HIGH",
        "low": "low",
        "close": "Close",
        "volume": "V",
    }


def test_an_epoch_is_preferred_to_a_written_date() -> None:
    assert find_columns(["date", "unix"], BAR_NAMES, [], {}, PATH) == {"open_time": "unix"}


def test_the_map_wins_and_a_column_serves_once() -> None:
    found = find_columns(["text", "title"], DOCUMENT_NAMES, [], {"title": "TEXT"}, PATH)
    assert found == {"title": "text"}


def test_a_missing_column_is_named_with_the_way_out() -> None:
    with pytest.raises(UnreadableFile) as caught:
        find_columns(["ts", "open", "high", "low", "last"], BAR_NAMES, ["close"], {}, PATH)
    assert str(caught.value) == (
        "bars.csv has no column for close. It has: ts, open, high, low, last."
        " Say which one it is: --map close=COLUMN"
    )


def test_a_map_to_nowhere_is_refused_on_both_sides() -> None:
    with pytest.raises(UsageError, match=r"--map clse=\.\.\. .* Did you mean close\?"):
        find_columns(["c"], BAR_NAMES, [], {"clse": "c"}, PATH)
    with pytest.raises(UnreadableFile, match=r"no column 'last' \(asked for by --map close=last\)"):
        find_columns(["c"], BAR_NAMES, [], {"close": "last"}, PATH)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("btc_usdt_1h.parquet", ("BTC", "USDT", "1h", None)),
        ("btc_usd_1h_bitstamp.parquet", ("BTC", "USD", "1h", "bitstamp")),
        ("Binance_BTCUSDT_1h.csv.gz", ("BTC", "USDT", "1h", "binance")),
        ("eth_daily.parquet", ("ETH", None, None, None)),
        ("headlines.csv", (None, None, None, None)),
        ("sol-usd 15min.csv", ("SOL", "USD", "15min", None)),
    ],
)
def test_a_file_name_says_what_it_can(name: str, expected: tuple[str | None, ...]) -> None:
    hints = read_file_name(Path(name), KNOWN)
    assert (hints.symbol, hints.quote, hints.interval, hints.venue) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BTC/USDT", ("BTC", "USDT")),
        ("eth-usd", ("ETH", "USD")),
        ("BTCUSDT", ("BTC", "USDT")),
        ("NEWUSDT", ("NEWUSDT", None)),
        ("AAPL", ("AAPL", None)),
        (" btc ", ("BTC", None)),
        ("BRK-B", ("BRK-B", None)),
    ],
)
def test_pairs_are_split_where_they_are_pairs(text: str, expected: tuple[str, str | None]) -> None:
    assert split_pair(text, KNOWN) == expected


def test_what_can_name_an_asset() -> None:
    assert all(map(is_symbol, ["BTC", "1INCH", "BRK.B", "A" * 20]))
    assert not any(map(is_symbol, ["", "btc", "BTC USD", "A" * 21, "$BTC", "<B>", "B\n"]))


def test_volumes_named_by_currency() -> None:
    assert volume_columns(["Volume ETH", "Volume BTC"]) == {
        "volume": "Volume ETH",
        "quote_volume": "Volume BTC",
    }
    assert volume_columns(["volume_base", "volume_quote"]) == {}
    assert volume_columns(["Volume BTC"]) == {}


def test_numbers_tell_empty_from_wrong() -> None:
    column = pd.Series(["1.5", " 2 ", "", None, "NULL", "abc", "1,5", "1e3"], dtype=object)
    values, wrong = read_numbers(column)
    np.testing.assert_array_equal(values, [1.5, 2, *[np.nan] * 5, 1000])
    assert wrong.tolist() == [False, False, False, False, False, True, True, False]


def test_names_fall_back_where_a_cell_is_empty() -> None:
    column = pd.Series([" btc", None, float("nan"), "null", ""], dtype=object)
    assert read_names(column, "ETH", str.upper).tolist() == ["BTC", "ETH", "ETH", "ETH", "ETH"]
