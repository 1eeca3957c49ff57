"""Metrics: wide and long tables, when each value was known, restatements as further rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.errors import UnreadableFile, UsageError

STORED = "SELECT metric, period_start, known_at, value, stamped FROM metric ORDER BY 1, 2, 3"


def test_a_wide_table_by_day_and_its_three_kinds_of_stamp(bring: Any) -> None:
    # Stamps: in time; ten days and a second late (a back-fill); none; before the day was over.
    text = (
        "date,AdrActCnt,completed_at\n"
        "2025-05-01,10,2025-05-02T04:42:00Z\n"
        "2025-05-02,11,2025-05-13T00:00:01Z\n"
        "2025-05-03,12,\n"
        "2025-05-04,13,2025-05-04T23:00:00Z\n"
        "2025-05-05,14,2025-05-16T00:00:00Z\n"
    )
    result = bring("metrics", "btc_daily.csv", text)
    assert result.notes == ("provider coinmetrics, time is the start of the period", "symbol BTC")
    assert [row[2:] for row in bring.texts(STORED)] == [
        ("2025-05-02 04:42:00+00:00", "10.0", "True"),
        ("2025-05-03 06:00:00+00:00", "11.0", "False"),
        ("2025-05-04 06:00:00+00:00", "12.0", "False"),
        ("2025-05-05 06:00:00+00:00", "13.0", "False"),
        ("2025-05-16 00:00:00+00:00", "14.0", "True"),
    ]


def test_older_rows_of_coin_metrics_came_twelve_hours_late(bring: Any) -> None:
    text = "date,TxCnt\n2021-02-23,1\n2021-02-24,2\n2021-02-25,3\n"
    bring("metrics", "eth_daily.csv", text)
    assert [row[2] for row in bring.texts(STORED)] == [
        "2021-02-24 12:00:00+00:00",
        "2021-02-25 12:00:00+00:00",
        "2021-02-26 06:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        (
            "fear_greed_daily.csv",
            "date,fear_greed\n2025-05-01,40\n2025-05-02,45\n",
            ["2025-05-01 00:00:00+00:00", "2025-05-02 00:00:00+00:00"],
        ),
        (
            "btc_funding_8h.csv",
            "ts,funding_rate\n2025-05-01T00:00Z,1e-4\n2025-05-01T08:00Z,2e-4\n",
            ["2025-05-01 00:00:00+00:00", "2025-05-01 08:00:00+00:00"],
        ),
        (
            "btc_funding_daily.csv",
            "date,funding_mean\n2025-05-01,1e-4\n2025-05-02,2e-4\n",
            ["2025-05-02 00:00:00+00:00", "2025-05-03 00:00:00+00:00"],
        ),
        (
            "btc_blocks.csv",
            "ts,n_blocks\n2025-05-01T00:00Z,6\n2025-05-01T01:00Z,7\n",
            ["2025-05-01 02:00:00+00:00", "2025-05-01 03:00:00+00:00"],
        ),
    ],
)
def test_each_provider_has_its_own_lag(bring: Any, name: str, text: str, known: list[str]) -> None:
    bring("metrics", name, text)
    assert [row[2] for row in bring.texts(STORED)] == known


def test_the_user_says_provider_lag_and_label(bring: Any) -> None:
    text = "date,TxCnt\n2025-05-01,1\n2025-05-02,2\n"
    options = {"symbol": "BTC", "provider": "mine", "lag": "2d", "label": "end"}
    bring("metrics", "x.csv", text, **options)
    assert bring.texts(
        "SELECT provider, period_start, period_end, known_at FROM metric ORDER BY 2"
    ) == [
        ("mine", *(f"2025-0{d} 00:00:00+00:00" for d in ("4-30", "5-01", "5-03"))),
        ("mine", *(f"2025-0{d} 00:00:00+00:00" for d in ("5-01", "5-02", "5-04"))),
    ]
    with pytest.raises(UsageError, match="'soon' is not a length of time"):
        bring("metrics", "x.csv", **{**options, "lag": "soon"})


def test_a_restated_value_is_a_second_row_known_when_it_came(bring: Any, now: datetime) -> None:
    text = "date,FlowInExNtv\n2025-05-01,100\n2025-05-02,200\n"
    bring("metrics", "btc.csv", text)
    came = now + timedelta(days=30)
    result = bring("metrics", "btc.csv", text.replace("100", "113"), now=came)
    assert (result.counts.known, result.counts.corrected) == (1, 1)
    assert bring.texts(STORED.replace("metric, period_start, known_at, value", "known_at, value"))[
        :2
    ] == [
        ("2025-05-02 06:00:00+00:00", "100.0", "False"),
        ("2025-05-03 06:00:00+00:00", *["200.0", "False"]),
    ]
    newest = "SELECT known_at, value FROM metric ORDER BY known_at DESC LIMIT 1"
    assert bring.texts(newest) == [("2025-07-30 00:00:00+00:00", "113.0")]
    again = bring("metrics", "btc.csv", now=came + timedelta(days=1))
    assert (again.counts.known, again.counts.corrected) == (2, 0)


def test_a_stamped_restatement_keeps_its_own_stamp(bring: Any) -> None:
    text = "date,AdrActCnt,completed_at\n2025-05-01,10,2025-05-02T04:00Z\n2025-05-02,11,\n"
    bring("metrics", "btc.csv", text)
    restated = text.replace("10,2025-05-02T04", "12,2025-05-02T09")
    assert bring("metrics", "btc.csv", restated).counts.corrected == 1
    first_day = "SELECT known_at, value, stamped FROM metric WHERE day(period_start) = 1 ORDER BY 1"
    assert bring.texts(first_day) == [
        ("2025-05-02 04:00:00+00:00", "10.0", "True"),
        ("2025-05-02 09:00:00+00:00", "12.0", "True"),
    ]
    both = bring("metrics", "btc.csv", text)
    assert (both.counts.known, both.counts.corrected) == (2, 0), "the old file says nothing new"


def test_a_long_table_of_many_symbols(bring: Any) -> None:
    text = (
        "date,asset,metric,value\n"
        "2025-05-01,btc,TxCnt,1\n2025-05-01,eth,TxCnt,2\n2025-05-02,btc,TxCnt,3\n"
        "2025-05-02,btc,HashRate,4\n2025-05-02,btc,,5\n2025-05-02,,TxCnt,6\n"
        "2025-05-02,btc,FeeTotNtv,many\n2025-05-02,btc,FeeTotUSD,inf\n2025-05-02,eth,TxCnt,\n"
    )
    result = bring("metrics", "long.csv", text)
    assert dict(result.counts.reasons) == {
        "metric has no name": 1,
        "symbol is missing": 1,
        "value is not a number": 1,
        "value is not finite": 1,
    }
    assert "1 empty cells left out" in result.notes
    assert bring.rows("SELECT symbol, metric, value FROM metric ORDER BY value") == [
        *[("BTC", "TxCnt", 1), ("ETH", "TxCnt", 2), ("BTC", "TxCnt", 3), ("BTC", "HashRate", 4)]
    ]


def test_a_long_table_tells_its_provider_by_the_names_in_it(bring: Any) -> None:
    text = "date,asset,metric,value\n2021-01-01,btc,AdrActCnt,1\n2021-01-02,btc,AdrActCnt,2\n"
    result = bring("metrics", "long.csv", text, symbol="ETH")
    assert result.notes == (
        "provider coinmetrics, time is the start of the period",
        "column asset names the symbols; ETH only where it is empty",
    )
    assert bring.texts("SELECT min(known_at) FROM metric") == [("2021-01-02 12:00:00+00:00",)]


def test_a_bad_row_of_a_wide_table_counts_once_and_a_bad_cell_alone(bring: Any) -> None:
    text = (
        "date,a,b\n2025-05-01,1,2\n2025-05-02,x,4\nsoon,5,6\n2099-01-01,7,8\n2025-05-03,,10\n"
        "2025-05-04 10:00,1,1\n"
    )
    result = bring("metrics", "btc.csv", text)
    assert dict(result.counts.reasons) == {
        "value is not a number": 1,
        "unreadable time": 1,
        "value lies in the future": 1,
        "time without a zone": 1,
    }
    assert bring.rows("SELECT metric, value FROM metric ORDER BY 2") == [
        *[("a", 1), ("b", 2), ("b", 4), ("b", 10)]
    ]
    places = bring.rows("SELECT place FROM quarantine WHERE reason = 'value is not a number'")
    assert places == [("line 3, a",)]


def test_an_unreadable_stamp_is_refused_not_guessed(bring: Any) -> None:
    text = "date,TxCnt,completed_at\n2025-05-01,1,late\n2025-05-02,2,2025-05-03T05:00Z\n"
    result = bring("metrics", "btc.csv", text)
    assert (result.counts.new, dict(result.counts.reasons)) == (1, {"unreadable time": 1})


def test_values_without_a_symbol_are_the_markets_and_said_so(bring: Any) -> None:
    result = bring("metrics", "vix.csv", "date,vix\n2025-05-01,20\n2025-05-02,21\n")
    assert "no symbol was named: these values reach every symbol" in result.notes
    assert bring.rows("SELECT DISTINCT symbol, provider FROM metric") == [("MARKET", "macro")]


def test_a_venue_in_the_name_keeps_series_apart(bring: Any) -> None:
    text = "ts,funding_rate\n2025-05-01T00:00Z,1e-4\n2025-05-01T08:00Z,2e-4\n"
    for venue in ("binance", "gate"):
        bring("metrics", f"btc_funding_8h_{venue}.csv", text)
    assert bring.rows("SELECT provider, count(*) FROM metric GROUP BY 1 ORDER BY 1") == [
        ("funding_binance", 2),
        ("funding_gate", 2),
    ]


def test_a_table_without_numbers_or_with_a_wrong_only_is_refused(bring: Any) -> None:
    with pytest.raises(UnreadableFile, match="no column of numbers beside its time column"):
        bring("metrics", "btc.csv", "date,who\n2025-05-01,me\n2025-05-02,you\n")
    with pytest.raises(UnreadableFile, match=r"no column TxCount \(--only\)"):
        bring("metrics", "btc.csv", "date,TxCnt\n2025-05-01,1\n", only=("TxCount",))
    with pytest.raises(UnreadableFile, match="has no column for time"):
        bring("metrics", "btc.csv", "when,TxCnt\n2025-05-01,1\n")
    assert not bring.warehouse.path.exists()


def test_the_metrics_of_a_running_day_wait_for_its_end(bring: Any) -> None:
    noon = datetime(2025, 5, 2, 12, tzinfo=UTC)
    text = "date,fear_greed\n2025-05-01,40\n2025-05-02,45\n2025-05-03,50\n"
    result = bring("metrics", "fg.csv", text, now=noon)
    assert (result.counts.new, dict(result.counts.reasons)) == (2, {"value lies in the future": 1})
