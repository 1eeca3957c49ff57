"""A forgotten text is in no column any more, its hours are the same, and it does not come back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.ingest.text import author_hash
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.score import score_unscored
from moodtape.records import Span
from moodtape.storage.db import Warehouse
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.forget import Found, Request, find_texts, forget_texts, link_trace
from moodtape.storage.hours import HourRules, refresh_hours
from moodtape.storage.read import require_scored
from moodtape.storage.scores import unscored_count
from moodtape.storage.traces import Traces
from moodtape.storage.write import Merge

NOW = datetime(2025, 6, 30, tzinfo=UTC)
START = datetime(2025, 6, 1, tzinfo=UTC)
EVER = Span(START, NOW)
URL = "https://canary.example/a-canary-story?id=7"
CANARY = "Bitcoin canary sings and soars to a record"
SHARED = "Bitcoin holders wait for the next canary meeting"
AUTHOR = "Canary Wren"
HOURS = "SELECT * FROM sentiment_hourly ORDER BY ALL"


def at(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat()


def news(identity: str, hours: float, title: str, **also: Any) -> dict[str, Any]:
    stamps = {"published_at": at(hours), "collected_at": at(hours + 0.1)}
    return {"id": identity, "title": title, "collection": "c", **stamps} | also


ROWS = [
    news(f"one:{URL}", 2, CANARY, url=URL, author=AUTHOR, body="The canary's body", likes=3),
    news(f"one:{URL}", 5, CANARY + " again", url=URL, author=AUTHOR),
    news("a-repost", 6, CANARY + "!"),
    news("by-wren", 7, SHARED, author=AUTHOR, categories="canary"),
    news("by-another", 8, SHARED, author="Robin", url="https://robin.example/1"),
    news("t1", 9, "Canary tweets: bitcoin crashes", source="x", author=AUTHOR, outlet="canary"),
    news(f"too-early-{URL}", 3, CANARY, author=AUTHOR) | {"published_at": "1970-01-01"},
]


class Line:
    """Imports and scores, as the product does it; every import is a run of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = Warehouse(folder / "w.duckdb")
        self.runs = 0

    def add(self, rows: list[dict[str, Any]], **options: Any) -> Any:
        self.runs += 1
        path = self.folder / "texts.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        now, name = NOW + timedelta(hours=self.runs), f"run-{self.runs}"
        given = ImportOptions("documents", **options)
        result = import_file(self.warehouse, self.folder / "s", path, given, Config(), name, now)
        score_unscored(self.warehouse, LexiconScorer(), HourRules(), name, now)
        return result.counts

    def forget(self, request: Request) -> Found:
        with self.warehouse.write() as connection:
            found = find_texts(connection, request)
            forget_texts(connection, request, found, Merge("forget-run", NOW))
        return found

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()

    def rebuilt(self) -> list[tuple[Any, ...]]:
        """Return the hours after all of them were made anew."""
        with self.warehouse.write() as connection:
            mark_all_hours(connection)
            refresh_hours(connection, HourRules())
        return self.rows(HOURS)

    def where(self, *words: str) -> list[str]:
        """Return every column of every table that holds one of some words."""
        with self.warehouse.read() as connection:
            columns = connection.execute(
                "SELECT table_name, column_name FROM duckdb_columns()"
                " WHERE NOT internal AND data_type IN ('VARCHAR', 'JSON')"
            ).fetchall()
            assert len(columns) > 60, "every table is looked at"
            return sorted(
                {
                    f"{table}.{column}"
                    for table, column in columns
                    for word in words
                    if connection.execute(
                        f'SELECT count(*) FROM "{table}" WHERE contains(lower("{column}"), ?)',
                        [word.lower()],
                    ).fetchall()[0][0]
                }
            )


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line(tmp_path)
    assert made.add(ROWS).quarantined == 1
    return made


def by_url(url: str = URL) -> Request:
    return Request(urls=(url,), traces=Traces(links=frozenset({link_trace(url)})))


def by_author(name: str = AUTHOR) -> Request:
    hashes = tuple((s, author_hash(s, name)) for s in ("news", "x"))
    return Request(authors=hashes, traces=Traces(authors=frozenset({name})))  # type: ignore[arg-type]


EVERYTHING = Request(
    ids=("a-repost", "by-another"),
    urls=(URL,),
    authors=by_author().authors,
    traces=Traces(links=frozenset({link_trace(URL)}), authors=frozenset({AUTHOR})),
)


def test_no_column_of_any_table_holds_a_forgotten_text(line: Line) -> None:
    hashes = [author_hash(s, AUTHOR) for s in ("news", "x")]
    words = ("canary s", "canary-story", "canary meeting", "canary's", "wren", *hashes)
    before = {"document.title", "document.body", "document.url", "document.author_hash",
              "document.document_id", "scored_text.text", "mention.document_id",
              "engagement.document_id", "quarantine.payload"}  # fmt: skip
    assert before <= set(line.where(*words)), "else the test looks at nothing"
    found = line.forget(EVERYTHING)
    assert (found.texts, found.revisions, len(found.quarantined)) == (5, 6, 1)
    assert line.where("canary", *words) == []
    assert line.rows("SELECT count(*), min(reason) FROM tombstone") == [
        (5, "asked by id, url, author")
    ]


@pytest.mark.parametrize("request_of", [by_url, by_author, lambda: EVERYTHING])
def test_hours_stay_as_they_were_also_made_anew(line: Line, request_of: Any) -> None:
    before = line.rows(HOURS)
    assert {row[5].hour: row[6:9] for row in before}[6] == (0, 0, 1), "the repost is one"
    line.forget(request_of())
    assert line.rows(HOURS) == before
    assert line.rebuilt() == before


def test_the_first_of_two_at_one_instant_stays_the_first(line: Line) -> None:
    """Which of two equal texts is the repost must not turn on an identity that is blanked."""
    twins = [
        news("twin-a", 20, "Bitcoin soars as one twin says", outlet="coin desk"),
        news("twin-b", 20, "BITCOIN SOARS, as one twin says", symbol="ETH"),
    ]
    line.add(twins)
    before = line.rows(HOURS)
    for identity in ("twin-a", "twin-b"):
        line.forget(Request(ids=(identity,)))
        assert line.rebuilt() == before, identity


def test_a_string_that_another_text_shares_stays(line: Line) -> None:
    assert line.forget(by_author()).strings == 3, "the shared one is not among them"
    assert line.rows(f"SELECT count(*) FROM scored_text WHERE text = '{SHARED}'") == [(1,)]
    line.forget(Request(ids=("by-another",)))
    assert line.rows(f"SELECT count(*) FROM scored_text WHERE text = '{SHARED}'") == [(0,)]


def test_a_blank_string_comes_back_with_a_text_of_another(line: Line) -> None:
    line.forget(EVERYTHING)
    line.add([news("new", 40, SHARED)])
    assert line.rows(f"SELECT count(*) FROM scored_text WHERE text = '{SHARED}'") == [(1,)]


@pytest.mark.parametrize("request_of", [by_url, by_author, lambda: EVERYTHING])
def test_a_second_import_brings_nothing_back(line: Line, request_of: Any) -> None:
    line.forget(request_of())
    before = {t: line.rows(f"FROM {t} ORDER BY ALL") for t in ("document", "mention", "engagement",
              "scored_text", "sentiment_hourly", "quarantine")}  # fmt: skip
    counts = line.add(ROWS)
    assert (counts.new, counts.corrected, counts.known) == (0, 0, 6)
    for table, rows in before.items():
        assert line.rows(f"FROM {table} ORDER BY ALL") == rows, table


def test_a_link_or_an_author_stays_refused_under_another_name(line: Line) -> None:
    line.forget(by_url())
    line.forget(by_author())
    other = [
        news("other-id", 30, "Bitcoin canary by another way", url=URL, collection="d", likes=1),
        news("other", 31, "Bitcoin canary by another hand", author=AUTHOR, collection="d"),
        news("fine", 32, "Bitcoin rises", author="Robin", collection="d"),
    ]
    counts = line.add(other)
    assert (counts.new, counts.known) == (1, 2)
    assert "engagement.document_id" not in line.where("other-id")


def test_texts_by_identity_alone_refuse_no_link(line: Line) -> None:
    """Feeds exist that give all their items one link."""
    line.forget(Request(ids=(f"one:{URL}",)))
    assert line.add([news("next", 30, "Bitcoin rises", url=URL)]).new == 1


def test_a_forgotten_text_does_not_count_as_unscored(line: Line) -> None:
    line.add([news("late", 50, "Bitcoin canary that nobody scored")])
    with line.warehouse.write() as connection:
        connection.execute("DELETE FROM score")
        found = find_texts(connection, EVERYTHING)
        forget_texts(connection, EVERYTHING, found, Merge("forget-run", NOW))
        assert unscored_count(connection, LexiconScorer.name) == 1
        late = Request(ids=("late",))
        forget_texts(connection, late, find_texts(connection, late), Merge("again", NOW))
        assert unscored_count(connection, LexiconScorer.name) == 0
        require_scored(connection, LexiconScorer.name, ("news", "x"), EVER)


def test_one_source_alone(line: Line) -> None:
    request = Request(authors=by_author().authors, sources=("x",))
    assert line.forget(request).texts == 1
    assert line.rows("SELECT source, outlet FROM document WHERE title IS NULL") == [("x", None)]


def test_a_second_time_finds_nothing_and_knows_it(line: Line) -> None:
    assert not line.forget(EVERYTHING).known_before
    before = line.rows("FROM document ORDER BY ALL"), line.rows("FROM tombstone ORDER BY ALL")
    found = line.forget(EVERYTHING)
    assert (found.texts, found.quarantined, found.known_before) == (0, (), True)
    assert (line.rows("FROM document ORDER BY ALL"), line.rows("FROM tombstone ORDER BY ALL")) == (
        before
    )
    with line.warehouse.read() as connection:
        assert not find_texts(connection, Request(ids=("never-seen",))).known_before


def test_looking_changes_nothing(line: Line) -> None:
    with line.warehouse.read() as connection:
        assert find_texts(connection, by_url()).texts == 1
    assert "document.title" in line.where("canary sings")


@pytest.mark.parametrize(
    ("payload", "is_there"),
    [
        (f"<link>{URL}</link>", True),
        ("<link>HTTPS://www.canary.example/a-canary-story</link>", True),
        (json.dumps({"u": URL}).replace("/", "\\/"), True),
        ("https://canary.example/a-canary-story-2", False),
        ("<author>canary  wren</author>", True),
        ('{"author": "Canary Wren"}', True),
        ("the Canary Wren is a bird", False),
        ("BITCOIN canary sings &amp;amp; soars", True),
        (json.dumps({"t": "Bitcoin canary sings & söars"}), False),
        ("ab", False),
    ],
)
def test_traces_are_found_in_whatever_dress(payload: str, is_there: bool) -> None:
    traces = Traces(
        links=frozenset({link_trace(URL)}), authors=frozenset({AUTHOR}),
        texts=frozenset({"Bitcoin canary sings & soars", "ab"}),
    )  # fmt: skip
    assert traces.are_in(payload) == is_there
    assert not Traces().are_in(payload)
