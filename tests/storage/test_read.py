"""Point-in-time reads, worked out by hand: a read as of t shows what was known by t."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.errors import DataMissing, UsageError
from moodtape.records import Span
from moodtape.storage import read
from moodtape.storage.db import Warehouse
from moodtape.storage.read import Series

DAY = datetime(2025, 6, 1, tzinfo=UTC)
BTC = Series("BTC", "binance", "USDT", "1h")


def hour(number: float) -> datetime:
    return DAY + timedelta(hours=number)


@pytest.fixture
def connection(tmp_warehouse: Warehouse) -> Iterator[Any]:
    with tmp_warehouse.write() as connection:
        yield connection


def add_bar(connection: Any, opens: float, close: float, known: float, **also: str) -> None:
    place = {"symbol": "BTC", "venue": "binance", "quote": "USDT"} | also
    row = [*place.values(), "1h", hour(opens), hour(known), hour(opens + 1)]
    values = [*row, *[close] * 4, 1.0, None, None, None, DAY, "r"]
    connection.execute(f"INSERT INTO bar VALUES ({', '.join('?' * len(values))})", values)


def add_metric(
    connection: Any, day: int, value: float, known: float, symbol: str = "BTC", name: str = "TxCnt"
) -> None:
    values = ["p", symbol, name, hour(24 * day - 24), hour(24 * day), hour(known), value]
    values += [False, "single", DAY, "r"]
    connection.execute(f"INSERT INTO metric VALUES ({', '.join('?' * len(values))})", values)


def add_hour(
    connection: Any, number: int, tone: int, kind: str = "unknown", symbol: str = "BTC",
    source: str = "news", scorer: str = "s@1", promotion: bool = False,
) -> None:  # fmt: skip
    values = [
        symbol,
        source,
        "c",
        scorer,
        kind,
        hour(number),
        1,
        2,
        3,
        0,
        1,
        0,
        0,
        0,
        tone,
        tone**2,
        promotion,
    ]
    connection.execute(
        f"INSERT INTO sentiment_hourly VALUES ({', '.join('?' * len(values))})", values
    )


def test_a_correction_is_seen_only_from_when_it_came(connection: Any) -> None:
    add_bar(connection, 0, 100, known=1)
    add_bar(connection, 1, 101, known=2)
    add_bar(connection, 0, 200, known=5.5)

    def seen(as_of: float) -> list[tuple[float, int]]:
        table = read.bar_versions(connection, BTC, hour(as_of))
        return list(zip(table["close"], table["version"], strict=True))

    assert seen(0.99) == []
    assert seen(1) == [(100, 1)]
    assert seen(5.49) == [(100, 1), (101, 1)]
    assert seen(5.5) == [(100, 1), (200, 2), (101, 1)]
    table = read.bar_versions(connection, BTC, hour(9))
    assert str(table["open_time"].dtype) == "datetime64[us, UTC]"
    assert table["known_at"].tolist() == [hour(1), hour(5.5), hour(2)]
    assert read.bar_span(connection, BTC) == Span(hour(0), hour(2))


def test_the_only_venue_is_taken_and_of_several_one_must_be_chosen(connection: Any) -> None:
    add_bar(connection, 0, 100, known=1)
    choose = read.choose_series
    assert choose(connection, "BTC", "1h", None, None) == BTC
    add_bar(connection, 0, 100, known=1, venue="kraken", quote="USD")
    with pytest.raises(UsageError) as caught:
        choose(connection, "BTC", "1h", None, None)
    assert str(caught.value) == (
        "BTC has bars of several venues or quotes: binance in USDT (1 bars); kraken in USD"
        ' (1 bars). Choose in moodtape.toml: [market] venue = { BTC = "binance" },'
        ' quote = { BTC = "USDT" }'
    )
    kraken = Series("BTC", "kraken", "USD", "1h")
    assert choose(connection, "BTC", "1h", "kraken", None) == kraken
    assert choose(connection, "BTC", "1h", None, "USD") == kraken
    assert read.bar_versions(connection, kraken, hour(9))["close"].tolist() == [100]


def test_bars_that_are_not_there_name_what_is(connection: Any) -> None:
    add_bar(connection, 0, 100, known=1)
    with pytest.raises(DataMissing) as caught:
        read.choose_series(connection, "BTX", "1h", None, None)
    assert str(caught.value) == (
        "No 1h bars for BTX. Did you mean BTC? Stored: BTC."
        " Run: moodtape import bars FILE --symbol BTX"
    )
    with pytest.raises(DataMissing, match="No 1d bars for BTC"):
        read.choose_series(connection, "BTC", "1d", None, None)


def test_a_metric_is_known_on_its_stamp_and_old_news_displaces_nothing(connection: Any) -> None:
    add_metric(connection, 1, 10, known=24 + 6)
    add_metric(connection, 2, 20, known=48 + 6)
    add_metric(connection, 1, 11, known=60)  # day 1 restated after day 2 was known
    add_metric(connection, 2, 21, known=70)  # day 2 restated
    add_metric(connection, 1, 5, known=30, symbol="ETH")
    add_metric(connection, 1, 40, known=25, symbol="MARKET", name="fear_greed")
    add_metric(connection, 1, 7, known=25, name="FeeTotNtv")
    add_metric(connection, 1, 8, known=25, symbol="MARKET", name="FeeTotNtv")

    def seen(as_of: float, *names: str) -> list[tuple[str, float]]:
        table = read.metric_versions(connection, "BTC", names, hour(as_of))
        return list(zip(table["metric"], table["value"], strict=True))

    assert seen(29.99, "TxCnt") == []
    assert seen(30, "TxCnt") == [("TxCnt", 10)]
    assert seen(65, "TxCnt") == [("TxCnt", 10), ("TxCnt", 20)]
    assert seen(70, "TxCnt") == [("TxCnt", 10), ("TxCnt", 20), ("TxCnt", 21)]
    assert seen(70, "fear_greed", "HashRate") == [("fear_greed", 40)], "the market's reach BTC"
    assert seen(70, "FeeTotNtv")[-1] == ("FeeTotNtv", 7), "its own value is the last word"


def test_an_hour_is_read_when_it_is_over_and_its_kinds_are_one(connection: Any) -> None:
    add_hour(connection, 3, 100, kind="event")
    add_hour(connection, 3, 50, kind="recap")
    add_hour(connection, 4, -7)
    add_hour(connection, 3, 9, symbol="ETH")
    add_hour(connection, 3, 9, source="reddit")
    add_hour(connection, 3, 9, scorer="other@1")

    def seen(
        as_of: float, symbols: tuple[str, ...] = ("BTC",), kinds: tuple[str, ...] = ()
    ) -> list[tuple[Any, ...]]:
        table = read.hourly_sums(connection, symbols, "s@1", ["news"], hour(as_of), kinds)
        columns = ["symbol", "n", "n_stale", "n_repost", "sum_tone", "sum_tone_squared"]
        return [tuple(row) for row in table[columns].itertuples(index=False)]

    assert seen(3.99) == []
    assert seen(4) == [("BTC", 2, 4, 6, 150, 12_500)]
    assert seen(5) == [("BTC", 2, 4, 6, 150, 12_500), ("BTC", 1, 2, 3, -7, 49)]
    assert [row[0] for row in seen(4, ("BTC", "ETH"))] == ["BTC", "ETH"]
    assert seen(5, kinds=("event",)) == [("BTC", 1, 2, 3, 100, 10_000)], "events alone"
    assert seen(5, kinds=("event", "unknown"))[1][4] == -7
    assert seen(5, kinds=("promotion",)) == []
    add_hour(connection, 3, 40, promotion=True)
    assert seen(4)[0] == ("BTC", 3, 6, 9, 190, 14_100)
    kept = read.hourly_sums(connection, ["BTC"], "s@1", ["news"], hour(4), promotion=False)
    assert kept["n"].tolist() == [2], "without promotion"
    hours = read.seen_hours(connection, "s@1", ["news", "reddit"], hour(4))
    assert list(zip(hours["source"], hours["hour"], strict=True)) == [
        ("news", hour(3)),
        ("reddit", hour(3)),
    ]


def test_unscored_texts_of_the_span_are_counted_with_the_command(connection: Any) -> None:
    for number in (1, 2, 30):
        values = ["news", "c", f"d{number}", hour(number), hour(number), False, True, True, None]
        values += ["article", None, None, f"t{number}", None, None, f"hash{number}", None, DAY, "r"]
        values += [None] * 5
        connection.execute(f"INSERT INTO document VALUES ({', '.join('?' * len(values))})", values)
    score = "INSERT INTO score VALUES (?, 's@1', 0, 0, 0, ?, 'r')"
    connection.execute(score, ["hash1", DAY])
    with pytest.raises(DataMissing) as caught:
        read.require_scored(connection, "s@1", ["news"], Span(hour(0), hour(24)))
    assert str(caught.value) == (
        "1 texts known between 2025-06-01 02:00Z and 2025-06-01 02:00Z are not scored by s."
        " Run: moodtape score"
    )
    read.require_scored(connection, "s@1", ["reddit"], Span(hour(0), hour(24)))
    connection.execute(score, ["hash2", DAY])
    read.require_scored(connection, "s@1", ["news"], Span(hour(0), hour(24)))
