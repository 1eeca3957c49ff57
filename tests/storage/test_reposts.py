"""A text joins the nearest earlier one: forward only, whatever the order in which texts arrive."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.storage import hours
from moodtape.storage.db import Warehouse
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.forget import Request, find_texts, forget_texts
from moodtape.storage.hours import HourRules, is_stale, refresh_hours
from moodtape.storage.sketches import sketch_version
from moodtape.storage.story_words import story_words
from moodtape.storage.write import Merge, undo_run

NOW = datetime(2025, 8, 30, tzinfo=UTC)
START = datetime(2025, 6, 1, tzinfo=UTC)
RULES = HourRules()
Row = dict[str, Any]

WIRE = "Harbour Bank to offer bitcoin custody to its wealthy clients this year"
LEDGER = "Harbour Bank to Offer BTC Custody to Wealthy Clients This Year - Daily Ledger"
BREAKING = "BREAKING: Harbour Bank will offer bitcoin custody to its wealthy clients"
COURT = "Court orders exchange founder to repay 109,000 customers in full"


def at(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat()


def text(identity: str, hours: float, title: str, **also: Any) -> Row:
    stamps = {"published_at": at(hours), "collected_at": at(hours)}
    return {"id": identity, "title": title, "collection": "c", **stamps} | also


class Line:
    """Imports and refreshes; every text counts as scored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = Warehouse(folder / "w.duckdb")
        self.files = 0

    def take_in(self, rows: list[Row]) -> None:
        self.files += 1
        path = self.folder / f"{self.files}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        now, name = NOW + timedelta(hours=self.files), f"run-{self.files}"
        options = ImportOptions("documents")
        import_file(self.warehouse, self.folder / "s", path, options, Config(), name, now)

    def add(self, rows: list[Row], rules: HourRules = RULES) -> int:
        self.take_in(rows)
        return self.refresh(rules)

    def refresh(self, rules: HourRules = RULES) -> int:
        with self.warehouse.write() as connection:
            connection.execute(
                "INSERT INTO score SELECT content_hash, 'x', 2, 3, 5, now(), 'x' FROM scored_text"
                " ANTI JOIN score USING (content_hash)"
            )
            return refresh_hours(connection, rules)

    def remade(self) -> None:
        with self.warehouse.write() as connection:
            mark_all_hours(connection)
        self.refresh()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()

    def joined(self) -> dict[str, str]:
        """Return whom each repost repeats."""
        return dict(self.rows("SELECT document_id, of_document_id FROM repost ORDER BY ALL"))

    def state(self) -> tuple[list[Any], list[Any]]:
        return (
            self.rows("FROM sentiment_hourly ORDER BY ALL"),
            self.rows("FROM repost ORDER BY ALL"),
        )


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_one_story_in_other_words_counts_once_and_is_counted(line: Line) -> None:
    line.add(
        [text("a", 1, WIRE), text("b", 2, LEDGER), text("c", 2.5, BREAKING), text("d", 3, COURT)]
    )
    assert list(line.joined()) == ["b", "c"]
    hours = line.rows("SELECT hour(hour), n, n_repost FROM sentiment_hourly ORDER BY hour, symbol")
    assert hours == [(1, 1, 0), (2, 0, 2), (3, 1, 0)]


def test_the_nearest_is_the_most_similar_then_the_latest(line: Line) -> None:
    line.add(
        [
            text("ledger", 1, LEDGER),
            text("breaking", 2, BREAKING),
            text("again", 3, BREAKING.lower()),
            text("ledger again", 4, LEDGER + "!"),
            text("third", 5, BREAKING.upper()),
        ]
    )
    joined = line.joined()
    assert joined["ledger again"] == "ledger", "the same words, though others are later"
    assert joined["third"] == "again", "of two with the same words the later one"
    assert joined["breaking"] == "ledger"
    assert dict(line.rows("SELECT document_id, similarity FROM repost"))["third"] == 1


def test_similarity_is_the_share_of_equal_bits(line: Line) -> None:
    line.add([text("a", 1, WIRE), text("b", 2, LEDGER)])
    (one,), (other,) = line.rows("SELECT sketch FROM document ORDER BY known_at")
    different = sum((x ^ y).bit_count() for x, y in zip(one, other, strict=True))
    assert line.rows("SELECT similarity FROM repost") == [(1 - 2 * different / 256,)]


def test_a_chain_stays_one_group_past_the_window_and_groups_never_merge(line: Line) -> None:
    line.add([text(str(i), 50 * i, WIRE if i % 2 else LEDGER) for i in range(5)])
    assert line.joined() == {str(i): str(i - 1) for i in range(1, 5)}
    line.add([text("apart", 300, WIRE), text("joins one", 310, LEDGER)])
    assert line.joined()["joins one"] == "apart"
    assert "apart" not in line.joined(), "72 hours without it: another group"


def test_the_window_is_closed_and_a_setting(line: Line) -> None:
    late = 1 + 72 + 1 / 3_600_000
    line.add([text("a", 1, WIRE), text("b", late, LEDGER)])
    assert line.joined() == {}
    line.add([text("c", 73, BREAKING)])
    assert line.joined() == {"c": "a", "b": "c"}
    line.refresh(HourRules(repost_window=timedelta(hours=1)))
    assert line.joined() == {"b": "c"}


def test_equal_words_only(line: Line) -> None:
    line.add([text("a", 1, WIRE), text("b", 2, LEDGER), text("c", 3, WIRE.upper())])
    assert line.joined() == {"b": "a", "c": "a"}
    line.refresh(HourRules(repost_similarity=1.0))
    assert line.joined() == {"c": "a"}


def test_another_source_is_no_repost_and_another_collection_is(line: Line) -> None:
    line.add(
        [
            text("a", 1, WIRE),
            text("post", 2, LEDGER, source="reddit"),
            text("b", 3, BREAKING, collection="other"),
        ]
    )
    assert line.rows("SELECT document_id, of_document_id, of_collection FROM repost") == [
        ("b", "a", "c")
    ]


def test_remarks_stay_out(line: Line) -> None:
    line.add([text("a", 1, "Bitcoin soars again"), text("b", 2, "Bitcoin soars again")])
    assert line.joined() == {}
    line.add([text("c", 3, "this is it for us"), text("d", 4, "this is it, for us"),
              text("e", 5, "this is it for them")])  # fmt: skip
    assert line.joined() == {"d": "c"}, "few words are repeated by equal ones alone"


def test_two_at_one_instant_stand_in_the_order_of_their_names(line: Line) -> None:
    line.add([text("x", 1, WIRE, collection="d"), text("y", 1, LEDGER, collection="c")])
    assert line.joined() == {"x": "y"}


def test_a_late_import_of_an_older_text_moves_the_count(line: Line) -> None:
    line.add([text("b", 2, LEDGER), text("later", 70, BREAKING), text("far", 500, COURT)])
    assert line.joined() == {"later": "b"}
    assert line.add([text("a", 1, WIRE)]) == 3, "its own hour, and those that tell it again"
    assert line.joined()["b"] == "a"
    hours = line.rows("SELECT n, n_repost FROM sentiment_hourly ORDER BY hour, symbol")
    assert hours == [(1, 0), (0, 1), (0, 1), (1, 0)]


def test_a_day_touches_a_day(line: Line) -> None:
    line.add(
        [text(f"{day}", 24 * day, f"{WIRE} {'in more words ' * (day % 3)}") for day in range(60)]
    )
    assert line.add([text("new", 24 * 60, WIRE)]) == 1
    assert line.add([text("in between", 24 * 57 + 1, WIRE)]) == 4, "nothing before it"


def test_a_changed_text_is_no_repost_of_itself(line: Line) -> None:
    line.add([text("a", 1, WIRE)])
    assert line.add([text("a", 3, LEDGER)]) == 2
    assert line.joined() == {}
    line.add([text("b", 4, LEDGER)])
    assert line.rows("SELECT of_told_at FROM repost") == [(START + timedelta(hours=1),)]


def test_undo_frees_what_was_told_again(line: Line) -> None:
    line.add([text("b", 2, LEDGER)])
    before = line.state()
    line.add([text("a", 1, WIRE), text("c", 3, BREAKING)])
    assert line.joined().keys() == {"b", "c"}
    with line.warehouse.write() as connection:
        undo_run(connection, "run-2", NOW)
    line.refresh()
    assert line.state() == before


def test_a_forgotten_text_goes_on_being_repeated(line: Line) -> None:
    line.add([text("a", 1, WIRE), text("b", 2, LEDGER)])
    hours = line.rows("FROM sentiment_hourly ORDER BY ALL")
    request = Request(ids=("a", "b"))
    with line.warehouse.write() as connection:
        forget_texts(connection, request, find_texts(connection, request), Merge("forget", NOW))
    ids = line.rows("SELECT document_id, of_document_id FROM repost")
    assert all(one.startswith("forgotten:") for row in ids for one in row)
    line.remade()
    assert line.rows("SELECT document_id, of_document_id FROM repost") == ids
    assert line.rows("FROM sentiment_hourly ORDER BY ALL") == hours
    line.add([text("c", 3, BREAKING)])
    assert line.joined()["c"].startswith("forgotten:")


def test_rows_from_before_are_sketched_with_the_first_refresh(line: Line) -> None:
    gone = text("c", 2, "Gone soon, these are words")
    line.add([text("a", 1, WIRE), text("b", 2, LEDGER), gone])
    before = line.state()
    with line.warehouse.write() as connection:
        connection.execute("UPDATE document SET sketch_version = NULL, sketch = NULL, bands = NULL")
        connection.execute("UPDATE meta SET value = '{}' WHERE name = 'hour_rules'")
        connection.execute("UPDATE scored_text SET text = '' WHERE text LIKE 'Gone%'")
    with line.warehouse.read() as connection:
        assert is_stale(connection, RULES)
    assert line.refresh() == 2
    assert line.state() == before
    assert line.rows("SELECT count(*), count(sketch_version) FROM document") == [(3, 2)]
    assert line.rows("SELECT max(sketch_version) FROM document") == [(sketch_version(),)]
    with line.warehouse.read() as connection:
        assert not is_stale(connection, RULES)


def test_stretches_cut_nothing_apart(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    stories = (WIRE, LEDGER, COURT, "Court orders exchange founder to repay 109K customers")
    line.add([text(str(i), 9.5 * i, stories[i * 7 % 4]) for i in range(60)])
    whole = line.state()
    assert len(whole[1]) > 40
    monkeypatch.setattr(hours, "STRETCH_DAYS", 1)
    line.remade()
    assert line.state() == whole


def by_hand(rows: list[Row]) -> dict[str, str]:
    """Return whom each text repeats, by comparing it with every earlier one."""
    firsts: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["collected_at"]):
        firsts.setdefault(row["id"], row)
    ordered = sorted(firsts.values(), key=lambda row: datetime.fromisoformat(row["collected_at"]))
    joined = {}
    for i, row in enumerate(ordered):
        best = 0.55
        for earlier in ordered[:i]:
            gap = datetime.fromisoformat(row["collected_at"]) - datetime.fromisoformat(
                earlier["collected_at"]
            )
            nearness = alike(earlier["title"], row["title"])
            if gap <= timedelta(hours=72) and nearness >= best:
                best, joined[row["id"]] = nearness, earlier["id"]
    return joined


def alike(one: str, other: str) -> float:
    from moodtape.storage.sketches import sketch_texts

    if story_words(one)[1] != story_words(other)[1]:
        return 0
    first, second = (np.array(s["sketch"], dtype=np.uint64) for s in sketch_texts([one, other]))
    return float(1 - np.bitwise_count(first ^ second).sum() / 128)


def test_the_same_by_hand(line: Line) -> None:
    rng = np.random.default_rng(4)
    stems = (WIRE, COURT, "Miners in Lake County sell 500 BTC to pay for a cold winter")
    extra = ("", " - Daily Ledger", ": sources", " as markets wait", " after a long night of talks")
    hours = np.sort(rng.choice(400, 70, replace=False))
    rows = [
        text(f"t{i:02}", float(h), stems[rng.integers(3)] + extra[rng.integers(5)])
        for i, h in enumerate(hours)
    ]
    line.add(rows)
    assert line.joined() == by_hand(rows)
    assert 40 < len(line.joined()) < 70


TOLD = (WIRE, LEDGER, BREAKING, COURT, COURT + " - Daily Ledger", "Bitcoin soars",
        "Harbour Bank to offer bitcoin custody to its wealthy clients by 2027")  # fmt: skip
moments = st.integers(0, 400).map(lambda quarter: quarter / 4)
told = st.builds(
    lambda identity, hours, title, source, collection: text(
        identity, hours, title, source=source, collection=collection
    ),
    st.sampled_from("abcdefgh"), moments, st.sampled_from(TOLD),
    st.sampled_from(["news", "news", "reddit"]), st.sampled_from("cd"),
)  # fmt: skip


def state_of(files: list[list[Row]]) -> tuple[list[Any], list[Any]]:
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder))
        for rows in files:
            line.add(rows)
        stored = line.state()
        line.remade()
        assert line.state() == stored, "an hour was left stale"
        return stored


def check_batches(rows: list[Row], data: st.DataObject) -> None:
    rows = list(
        {(r["source"], r["collection"], r["id"], r["collected_at"]): r for r in rows}.values()
    )
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)), max_size=3)))
    files = [shuffled[a:b] for a, b in pairwise([0, *cuts, len(rows)]) if a < b]
    assert state_of(files) == state_of([rows])


@settings(max_examples=4, deadline=None)
@given(st.lists(told, min_size=2, max_size=12), st.data())
def test_any_order_of_batches_gives_the_same_groups(rows: list[Row], data: st.DataObject) -> None:
    check_batches(rows, data)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(told, min_size=2, max_size=12), st.data())
def test_any_order_of_batches_at_length(rows: list[Row], data: st.DataObject) -> None:
    check_batches(rows, data)


@settings(max_examples=5, deadline=None)
@given(st.lists(told, min_size=3, max_size=12), moments)
def test_what_is_known_later_changes_nothing_before(rows: list[Row], cut: float) -> None:
    """A group never grows backwards: at any instant it is what the texts known by then make it."""
    by_then = [row for row in rows if row["collected_at"] <= at(cut)]
    if not by_then:
        return
    known = f"WHERE told_at <= '{at(cut)}' ORDER BY ALL"
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        all_of_it, part = Line(Path(one)), Line(Path(two))
        all_of_it.add(rows)
        part.add(by_then)
        assert all_of_it.rows(f"FROM repost {known}") == part.rows(f"FROM repost {known}")
