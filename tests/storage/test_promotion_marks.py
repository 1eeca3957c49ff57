"""A text that looks like promotion is flagged with its reasons, by what was known with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.records import Span
from moodtape.storage import promotion_marks
from moodtape.storage.counted import counted_texts
from moodtape.storage.db import Warehouse, query
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.forget import Request, find_texts, forget_texts
from moodtape.storage.hours import HourRules, refresh_hours
from moodtape.storage.read import hourly_sums
from moodtape.storage.summary import status, text_summary
from moodtape.storage.write import Merge

NOW = datetime(2025, 8, 30, tzinfo=UTC)
START = datetime(2025, 6, 1, tzinfo=UTC)
RULES = HourRules()
Row = dict[str, Any]
COPY = "Our coin will be the one everybody talks about in the next bull run"
FLAGS = "SELECT document_id, promotion FROM document WHERE promotion IS NOT NULL ORDER BY 1"


def at(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat()


def post(identity: str, hours: float, title: str = COPY, **also: Any) -> Row:
    stamps = {"published_at": at(hours), "collected_at": at(hours)}
    return {"id": identity, "title": title, "collection": "c", "source": "reddit", **stamps} | also


class Line:
    """Imports and refreshes; every text counts as scored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.warehouse = Warehouse(folder / "w.duckdb")
        self.files = 0

    def add(self, rows: list[Row]) -> dict[str, str]:
        """Take texts in, and return the flagged ones with their reasons."""
        self.files += 1
        path = self.folder / f"{self.files}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        now, name = NOW + timedelta(hours=self.files), f"run-{self.files}"
        options = ImportOptions("documents")
        import_file(self.warehouse, self.folder / "s", path, options, Config(), name, now)
        self.refresh()
        return dict(self.rows(FLAGS))

    def refresh(self, every: bool = False) -> None:
        with self.warehouse.write() as connection:
            connection.execute(
                "INSERT INTO score SELECT content_hash, 'x', 2, 3, 5, now(), 'x' FROM scored_text"
                " ANTI JOIN score USING (content_hash)"
            )
            if every:
                mark_all_hours(connection)
            refresh_hours(connection, RULES)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


PLAIN = {
    "Bitcoin slips below 106,000 dollars as traders take profits",
    "Exchange starts to list the token after its audit",
    "Is this the best time to buy bitcoin?",
    "Binance ends its giveaway of tokens to early users, court papers show",
    "Telegram founder speaks about the TON network",
    "I am not a robot, and I sold everything yesterday",
    "Fund returned 25% in a year, filing shows",
    "Who would you follow on X for news about #bitcoin and #ethereum?",
}
GIVEN_AWAY = {
    "Best crypto to buy now as bitcoin tops 110,000": "advice",
    "Top 5 Altcoins to Buy before the summer": "advice",
    "Final days of the PRE-SALE: this token could be next": "presale",
    "Double your BTC with us today": "riches",
    "This gem has 100x potential, says analyst": "riches",
    "3500% of your deposit after 2 hours, join": "riches",
    "Get free bitcoin here https://free.example": "giveaway",
    "Use my referral code QTI and we both win": "referral",
    "Sign at https://shop.example/?ref=abc1234 now": "referral",
    "Calls every day https://t.me/calls": "invite",
    "DM me on WhatsApp about trading": "invite",
    "[Sponsored] A wallet for everyone": "advert",
    "*I am a bot, and this action was performed automatically.*": "bot",
    "Look #a1 #b2 #c3 #d4 #e5 #f6 #g7 #h8 #i9": "tags",
}


def test_words_and_links_give_it_away(line: Line) -> None:
    titles = [*GIVEN_AWAY, *PLAIN]
    flagged = line.add([post(f"{i:02}", i, title) for i, title in enumerate(titles)])
    told = {titles[int(identity)]: reasons for identity, reasons in flagged.items()}
    assert told == GIVEN_AWAY


def test_a_news_text_is_judged_by_its_title_and_its_own_link(line: Line) -> None:
    body = "This presale is sponsored, use my referral code, and join t.me/x"
    rows = [
        post("plain", 1, "Miners sell", source="news", body=body, url="https://a.example/n/1"),
        post("paid", 2, "Miners buy", source="news", url="https://a.example/Press-Release/2"),
        post("post", 3, "Miners rest", body=body),
    ]
    assert line.add(rows) == {"paid": "advert", "post": "presale|referral|invite"}


def test_the_fourth_telling_of_a_post_is_a_bots(line: Line) -> None:
    rows = [post("a", 1), post("b", 2), post("c", 3), post("d", 4, COPY.upper() + "!")]
    assert line.add(rows) == {"d": "repeats"}
    assert line.rows("SELECT document_id, times FROM repost ORDER BY 1") == [
        *[("b", 1), ("c", 2), ("d", 3)]
    ]


def test_wires_repeat_each_other_and_old_copies_are_forgotten(line: Line) -> None:
    wires = [post(f"n{i}", i, source="news") for i in range(4)]
    rare = [post(f"p{i}", 50 * i) for i in range(4)]
    assert line.add(wires + rare) == {}


def test_a_flag_never_changes_once_later_texts_arrive(line: Line) -> None:
    """The planted leak: copies of a text, by its author, that come after it."""
    first = [post(name, i / 4, author="eve") for i, name in enumerate("abc")]
    assert line.add(first) == {}
    assert line.add([post(f"later {i}", 3 + i, author="eve") for i in range(5)]).keys() == {
        *(f"later {i}" for i in range(5))
    }
    assert {"a", "b", "c"}.isdisjoint(dict(line.rows(FLAGS)))
    line.refresh(every=True)
    assert {"a", "b", "c"}.isdisjoint(dict(line.rows(FLAGS)))


def test_the_order_of_arrival_does_not_matter(line: Line, tmp_path: Path) -> None:
    rows = [post(f"{i}", 20 * i) for i in range(9)]
    at_once = line.add(rows)
    assert at_once.keys() == {f"{i}" for i in range(3, 9)}
    other = Line(tmp_path / "other")
    for row in (rows[7], *rows[3:5], rows[0], rows[8], *rows[1:3], *rows[5:7]):
        found = other.add([row])
    assert found == at_once


def test_a_flag_is_that_of_the_first_revision(line: Line) -> None:
    assert line.add([post("a", 5, "Presale of a coin is live")]) == {"a": "presale"}
    assert line.add([post("a", 7, "Nothing to see here")]) == {"a": "presale"}
    assert line.add([post("a", 1, "An earlier wording of it all")]) == {}


def test_sums_are_kept_apart_and_a_study_may_leave_them_out(line: Line) -> None:
    title = "Bitcoin presale is live, says a post"
    line.add([post("a", 1.1, "Bitcoin soars today"), post("b", 1.2, title)])
    rows = line.rows("SELECT promotion, n FROM sentiment_hourly ORDER BY promotion")
    assert rows == [(False, 1), (True, 1)]
    assert line.rows("SELECT n, n_promotion FROM sentiment") == [(2, 1)]
    with line.warehouse.read() as connection:
        both, one = (
            hourly_sums(connection, ["BTC"], "x", ["reddit"], NOW, promotion=keep)
            for keep in (True, False)
        )
        assert (both["n"].tolist(), one["n"].tolist()) == ([2], [1])
        told = [
            counted_texts(
                connection, [START + timedelta(hours=1)], ["BTC"], "x", ["reddit"], NOW, RULES,
                promotion=keep,
            )["title"].tolist()
            for keep in (True, False)
        ]  # fmt: skip
        assert [len(titles) for titles in told] == [2, 1], "what a forecast is traced back to"
        (row,) = text_summary(connection, ["reddit"], "x", Span(START, NOW))
        assert row["promotion_share"] == 0.5
        assert status(connection)["texts"][0]["promotion"] == 1


def test_a_forgotten_text_keeps_its_flag_and_nothing_of_its_author(line: Line) -> None:
    rows = [post(f"{i}", i, author="eve") for i in range(4)]
    line.add([*rows, post("sale", 9, "Presale is live", author="eve", url="https://t.me/eve")])
    hours = line.rows("FROM sentiment_hourly ORDER BY ALL")
    request = Request(ids=("1", "3", "sale"))
    with line.warehouse.write() as connection:
        forget_texts(connection, request, find_texts(connection, request), Merge("forget", NOW))
    line.refresh(every=True)
    assert line.rows("FROM sentiment_hourly ORDER BY ALL") == hours
    flags = line.rows(
        "SELECT promotion_marks, promotion FROM document"
        " WHERE document_id LIKE 'forgotten:%' ORDER BY known_at"
    )
    assert flags == [("", None), ("", "repeats"), ("presale|invite", "presale|invite")]


@pytest.fixture
def other_rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the rules know another word."""
    text = (
        promotion_marks._file().decode().replace("'''\\bprivate sale\\b'''", "'''\\bbull run\\b'''")
    )
    assert "bull run" in text
    monkeypatch.setattr(promotion_marks, "_file", lambda: text.encode())
    caches = (promotion_marks.promotion_rules, promotion_marks.promotion_version)
    for cached in caches:
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in caches:
        cached.cache_clear()


def test_other_rules_look_at_every_text_again(line: Line, request: pytest.FixtureRequest) -> None:
    assert line.add([post("a", 1), post("b", 2, "A private sale is on")]) == {"b": "presale"}
    request.getfixturevalue("other_rules")
    line.refresh()
    assert dict(line.rows(FLAGS)) == {"a": "presale"}


def test_the_file_and_the_query_know_the_same_rules() -> None:
    (statement,) = duckdb.extract_statements(query("promotion_marks"))
    patterns = promotion_marks._patterns()
    assert set(statement.named_parameters) == set(patterns)
    reasons = {*promotion_marks.promotion_rules()} - {promotion_marks.REPEATS}
    assert all(f"'{reason}'" in query("promotion_marks") for reason in reasons)
