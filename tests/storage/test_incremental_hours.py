"""Whatever comes, in whatever order: hours kept up are those made at once in a fresh warehouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.score import score_unscored
from moodtape.records import Span
from moodtape.storage.db import Warehouse, open_in_memory
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.forget import Request, find_texts, forget_texts
from moodtape.storage.hours import HourRules, refresh_hours
from moodtape.storage.perturb import TABLES
from moodtape.storage.scores import Which
from moodtape.storage.write import Merge, undo_run

NOW = datetime(2025, 8, 30, tzinfo=UTC)
START = datetime(2025, 6, 1, tzinfo=UTC)
DAYS = 12
RULES = HourRules(classifier="loud@1")
MADE = ("sentiment_hourly", "repost")
FLAGS = "SELECT source, collection, document_id, known_at, promotion FROM document ORDER BY ALL"
STORIES = (
    "Harbour Bank to offer bitcoin custody to its wealthy clients this year",
    "Harbour Bank to Offer BTC Custody to Wealthy Clients This Year - Daily Ledger",
    "BREAKING: Harbour Bank will offer bitcoin custody to its wealthy clients",
    "Court orders exchange founder to repay 109,000 customers in full",
    "Court orders exchange founder to repay 109K customers in full, sources say",
    "Ethereum soars on hopes for an approval",
    "Best crypto to buy now as bitcoin tops 110,000",
    "Bitcoin up",
)


class Loud:
    """A second scorer, which also says what kind a text is."""

    name, revision, trained_until = "loud", "1", None

    def score(self, texts: list[str]) -> np.ndarray:
        return self.score_and_classify(texts)[0]

    def score_and_classify(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        loud = np.array([sum(map(str.isupper, t)) / max(len(t), 1) for t in texts], "float32")
        kinds = np.zeros((len(texts), 5), "float32")
        kinds[np.arange(len(texts)), [len(t) % 5 for t in texts]] = 1
        return np.column_stack([0 * loud, 1 - loud, loud]), kinds


@dataclass
class Line:
    """Does at random what users and timers do, and refreshes the hours each time."""

    folder: Path
    rng: np.random.Generator
    imports: list[str] = field(default_factory=list)
    given: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.folder / "w.duckdb")

    def step(self, what: str) -> None:
        """Do one thing: import, revise, undo, forget, or score some texts."""
        self.steps += 1
        now, name = NOW + timedelta(hours=self.steps), f"run-{self.steps}"
        if what == "import":
            self.take_in([self.text() for _ in range(self.rng.integers(1, 9))], name, now)
        elif what == "revise" and self.given:
            self.take_in([self.revised() for _ in range(3)], name, now)
        elif what == "undo" and self.imports:
            run = self.imports.pop(self.rng.integers(len(self.imports)))
            with self.warehouse.write() as connection:
                undo_run(connection, run, now)
        elif what == "forget" and self.given:
            request = Request(ids=(self.any_given()["id"],))
            with self.warehouse.write() as connection:
                found = find_texts(connection, request)
                forget_texts(connection, request, found, Merge(name, now))
        elif what == "score" and self.imports:
            scorer = LexiconScorer() if self.rng.uniform() < 0.5 else Loud()
            first, last = np.sort(self.rng.uniform(0, 24 * DAYS, 2))
            some = Which(Span(instant(first), instant(last)), ("news", "reddit"))
            score_unscored(self.warehouse, scorer, RULES, name, now, some)
        if self.rng.uniform() < 0.7:
            with self.warehouse.write() as connection:
                refresh_hours(connection, RULES)

    def take_in(self, rows: list[dict[str, Any]], name: str, now: datetime) -> None:
        path = self.folder / f"{name}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        options = ImportOptions("documents")
        import_file(self.warehouse, self.folder / "s", path, options, Config(), name, now)
        self.imports.append(name)
        self.given += rows

    def text(self) -> dict[str, Any]:
        """Return a text known some hours after its publication, at times from an archive."""
        hours = float(self.rng.integers(0, 24 * DAYS * 4)) / 4
        row = {
            "id": f"t{self.rng.integers(60)}",
            "title": str(self.rng.choice(STORIES)),
            "collection": str(self.rng.choice(["c", "d"])),
            "source": str(self.rng.choice(["news", "reddit"])),
            "author": str(self.rng.choice(["ann", "bob", "eve"])),
            "published_at": instant(hours).isoformat(),
            "likes": int(self.rng.integers(100)),
        }
        if self.rng.uniform() < 0.7:
            row["collected_at"] = instant(hours + float(self.rng.integers(0, 40)) / 4).isoformat()
        return row

    def any_given(self) -> dict[str, Any]:
        return self.given[self.rng.integers(len(self.given))]

    def revised(self) -> dict[str, Any]:
        """Return a text again, with other words, known earlier or later than before."""
        hours = float(self.rng.integers(0, 24 * DAYS * 4)) / 4
        other = {"title": str(self.rng.choice(STORIES)), "collected_at": instant(hours).isoformat()}
        return self.any_given() | other


def instant(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def made(connection: Any) -> dict[str, list[Any]]:
    """Return all that follows from base rows: sums, reposts, flags."""
    found = {name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in MADE}
    return found | {"flags": connection.execute(FLAGS).fetchall()}


def made_at_once(warehouse: Warehouse, folder: Path) -> dict[str, list[Any]]:
    """Return what a fresh warehouse makes of the same base rows."""
    with warehouse.read() as connection:
        base = {name: connection.table(name).to_arrow_table() for name in TABLES}
    fresh = open_in_memory(warehouse, folder)
    try:
        base["document"] = base["document"].drop_columns(["promotion"])
        for name, rows in base.items():
            fresh.register("rows", rows)
            fresh.execute(f"INSERT INTO {name} BY NAME FROM rows")
            fresh.unregister("rows")
        mark_all_hours(fresh)
        refresh_hours(fresh, RULES)
        return made(fresh)
    finally:
        fresh.close()


WAYS = ["import", "import", "revise", "score", "score", "undo", "forget"]


def check(folder: Path, seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    line = Line(folder, rng)
    line.step("import")
    for what in rng.choice(WAYS, steps):
        line.step(str(what))
    with line.warehouse.write() as connection:
        refresh_hours(connection, RULES)
        kept_up = made(connection)
    assert kept_up == made_at_once(line.warehouse, folder)


@pytest.mark.parametrize("seed", range(3))
def test_hours_kept_up_are_those_made_at_once(tmp_path: Path, seed: int) -> None:
    check(tmp_path, seed, 14)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 115))
def test_hours_kept_up_at_length(tmp_path: Path, seed: int) -> None:
    check(tmp_path, seed, 30)


@pytest.fixture
def touched(tmp_path: Path) -> Iterator[Any]:
    """Give a function that imports texts and tells which hours were made again."""
    line = Line(tmp_path, np.random.default_rng(1))

    def add(rows: list[dict[str, Any]]) -> list[datetime]:
        line.steps += 1
        line.take_in(rows, f"add-{line.steps}", NOW + timedelta(hours=line.steps))
        with line.warehouse.write() as connection:
            dirty = connection.execute("SELECT hour FROM dirty_hour ORDER BY 1").fetchall()
            refresh_hours(connection, RULES)
            return [hour for (hour,) in dirty]

    return add


def story(identity: str, hours: float, title: str = STORIES[0]) -> dict[str, Any]:
    stamps = {
        "published_at": instant(hours).isoformat(),
        "collected_at": instant(hours).isoformat(),
    }
    return {"id": identity, "title": title, "collection": "c", "source": "news"} | stamps


def test_a_late_text_touches_its_own_hour_and_the_window_after_it(touched: Any) -> None:
    touched([story(str(day), 24 * day) for day in range(60)])
    assert touched([story("late", 24 * 20 + 1)]) == [
        instant(hours) for hours in (481, 24 * 21, 24 * 22, 24 * 23)
    ], "not the forty days after that"
    assert touched([story("other", 24 * 20 + 1, STORIES[3])]) == [instant(481)]
    assert touched([story("new", 24 * 60)]) == [instant(24 * 60)]
