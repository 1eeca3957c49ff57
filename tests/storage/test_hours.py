"""How texts become hours: by first revision and known_at, in whatever order they arrive."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.score import score_unscored
from moodtape.storage.db import Warehouse
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.hours import HourRules, refresh_hours
from moodtape.storage.write import undo_run

NOW = datetime(2025, 6, 30, tzinfo=UTC)
START = datetime(2025, 6, 1, tzinfo=UTC)
RULES = HourRules()
Row = dict[str, Any]
HOURS = (
    "SELECT symbol, hour(hour) AS h, n, n_stale, n_repost FROM sentiment_hourly AS s"
    " ORDER BY s.hour, symbol"
)


def at(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat()


def text(
    identity: str, published: float, title: str, collected: float | None = None, **also: Any
) -> Row:
    row = {"id": identity, "published_at": at(published), "title": title, "collection": "c"} | also
    return row if collected is None else row | {"collected_at": at(collected)}


class Line:
    """Imports, scores and refreshes, as the product does it, file after file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = Warehouse(folder / "w.duckdb")
        self.files = 0

    def add(self, rows: list[Row], rules: HourRules = RULES) -> None:
        self.files += 1
        path = self.folder / f"{self.files}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        now = NOW + timedelta(hours=self.files)
        name, options = f"run-{self.files}", ImportOptions("documents")
        import_file(self.warehouse, self.folder / "s", path, options, Config(), name, now)
        score_unscored(self.warehouse, LexiconScorer(), rules, name, now)

    def rows(self, sql: str = HOURS) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_an_hour_is_that_of_knowledge_not_of_publication(line: Line) -> None:
    line.add([text("a", 1.9, "Bitcoin soars", 2.1), text("b", 2.2, "Bitcoin crashes", 2.99)])
    assert line.rows() == [("BTC", 2, 2, 0, 0)]


def test_sums_are_those_of_the_scores(line: Line) -> None:
    line.add([text("a", 2, "Bitcoin soars to a record", 2), text("b", 2, "Bitcoin crashes", 2)])
    scores = line.rows("SELECT p_negative, p_neutral, p_positive FROM score")
    tones = [positive - negative for negative, _, positive in scores]
    ((*sums,),) = line.rows(
        "SELECT sum_negative, sum_positive, sum_tone, sum_tone_squared, n_negative, n_neutral,"
        " n_positive FROM sentiment_hourly"
    )
    assert sums[0] == sum(s[0] for s in scores)
    assert sums[1] == sum(s[2] for s in scores)
    assert sums[2] == sum(tones)
    assert sums[3] == sum(t * t for t in tones)
    assert sums[4:] == [1, 0, 1]
    ((tone, dispersion),) = line.rows("SELECT tone, dispersion FROM sentiment")
    assert tone == pytest.approx(sum(tones) / 2e6)
    assert dispersion == pytest.approx(abs(tones[0] - tones[1]) / 2e6)


def test_an_old_text_at_first_sight_is_stale(line: Line) -> None:
    rows = [
        text("six hours", 4, "Bitcoin soars again", 10),
        text("and a second", 4, "Bitcoin soars once more", 10 + 1 / 3600),
        text("a bare date", 0, "Bitcoin soars as dated", 29),
        text("and too old", 0, "Bitcoin soars as dated too", 31),
    ]
    line.add(rows)
    assert line.rows() == [("BTC", 10, 1, 1, 0), ("BTC", 5, 1, 0, 0), ("BTC", 7, 0, 1, 0)]


def test_reposts_follow_the_nearest_earlier_one_within_three_days(line: Line) -> None:
    words = "Bitcoin tops one hundred thousand"
    line.add(
        [
            text("a", 1, words, 1.0),
            text("b", 1, words + "!", 2.0),
            text("c", 70, words, 73.0),  # 71 hours after b
            text("d", 145, words, 145.5),  # 72.5 hours after c: a new group
            text("e", 3, words, 3.0, source="reddit"),  # another source is no repost
            text("f", 4, "Bitcoin up", 4.0),
            text("g", 5, "Bitcoin up", 5.0),  # too short to be a repost
        ]
    )
    rows = line.rows("SELECT source, n, n_repost FROM sentiment_hourly ORDER BY hour, source")
    assert rows == [
        *[("news", 1, 0), ("news", 0, 1), ("reddit", 1, 0), ("news", 1, 0), ("news", 1, 0)],
        *[("news", 0, 1), ("news", 1, 0)],
    ]


def test_only_the_first_revision_is_news(line: Line) -> None:
    line.add([text("a", 1, "Bitcoin soars", 1)])
    line.add([text("a", 1, "Bitcoin crashes", 5)])
    assert line.rows() == [("BTC", 1, 1, 0, 0)]
    line.add([text("a", 0.5, "Ethereum soars", 0.5)])
    assert line.rows() == [("ETH", 0, 1, 0, 0)], "an earlier revision came to light"


def test_a_text_that_loses_its_place_frees_its_reposts(line: Line) -> None:
    words = "Bitcoin tops one hundred thousand"
    line.add([text("a", 2, words, 2), text("b", 3, words, 3)])
    assert [row[2:] for row in line.rows()] == [(1, 0, 0), (0, 0, 1)]
    line.add([text("a", 1, "Bitcoin is about to do something big", 1)])
    assert [row[1:] for row in line.rows()] == [(1, 1, 0, 0), (3, 1, 0, 0)], (
        "what a says first is no longer what b repeats"
    )


def test_engagement_and_removal_leave_hours_alone(line: Line, tmp_path: Path) -> None:
    plain = [text(str(i), i, f"Bitcoin soars {i}", i) for i in range(3)]
    line.add(plain)
    other = Line(tmp_path / "other")
    other.folder.mkdir()
    other.add([row | {"likes": 10**6, "comments": 5, "removed": True} for row in plain])
    every = "FROM sentiment_hourly ORDER BY ALL"
    assert other.rows(every) == line.rows(every)
    assert other.rows("SELECT count(*) FROM engagement WHERE removed") == [(3,)]


def test_other_rules_remake_every_hour(line: Line) -> None:
    line.add([text("a", 1, "Bitcoin soars", 4)])
    assert line.rows() == [("BTC", 4, 1, 0, 0)]
    with line.warehouse.write() as connection:
        assert refresh_hours(connection, RULES) == 0
        assert refresh_hours(connection, HourRules(max_age=timedelta(hours=2))) == 1
    assert line.rows() == [("BTC", 4, 0, 1, 0)]


def test_undo_takes_its_texts_out_of_their_hours(line: Line) -> None:
    words = "Bitcoin tops one hundred thousand"
    line.add([text("b", 3, words, 3)])
    before = line.rows("FROM sentiment_hourly ORDER BY ALL")
    line.add([text("a", 1, words, 1), text("c", 3, "Bitcoin falls", 3.5)])
    assert line.rows() == [("BTC", 1, 1, 0, 0), ("BTC", 3, 1, 0, 1)]
    with line.warehouse.write() as connection:
        undo_run(connection, "run-2", NOW)
        refresh_hours(connection, RULES)
    assert line.rows("FROM sentiment_hourly ORDER BY ALL") == before


WORDS = (
    "Bitcoin tops one hundred thousand today",
    "Exchange hacked, bitcoin plunges in panic",
    "Ethereum soars on ETF approval hopes",
    "Bitcoin soars",
    "Rates stay where they are for now",
)
moments = st.integers(0, 200).map(lambda quarter: quarter / 4)
bodies = st.sampled_from(WORDS)


@st.composite
def documents(draw: st.DrawFn) -> list[Row]:
    """Texts of which some repeat, some are revised, some carry no stamp."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 8))):
        identity, source = str(number), draw(st.sampled_from(["news", "reddit"]))
        published = draw(moments)
        if draw(st.booleans()):
            rows.append(text(identity, published, draw(bodies), source=source))
            continue
        for stamp in draw(st.sets(moments, min_size=1, max_size=3)):
            rows.append(text(identity, published, draw(bodies), stamp, source=source))
    return rows


def hours_of(files: list[list[Row]]) -> list[tuple[Any, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder))
        for rows in files:
            line.add(rows)
        stored = line.rows("FROM sentiment_hourly ORDER BY ALL")
        with line.warehouse.write() as connection:
            mark_all_hours(connection)
            refresh_hours(connection, RULES)
        assert line.rows("FROM sentiment_hourly ORDER BY ALL") == stored, "an hour was left stale"
        return stored


def check_order(rows: list[Row], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)), max_size=3)))
    edges = [0, *cuts, len(rows)]
    files = [shuffled[a:b] for a, b in pairwise(edges) if a < b]
    assert hours_of(files) == hours_of([rows])


@settings(max_examples=4, deadline=None)
@given(documents(), st.data())
def test_the_order_of_arrival_does_not_matter(rows: list[Row], data: st.DataObject) -> None:
    check_order(rows, data)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(documents(), st.data())
def test_the_order_of_arrival_does_not_matter_at_length(
    rows: list[Row], data: st.DataObject
) -> None:
    check_order(rows, data)
