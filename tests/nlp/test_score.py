from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.nlp import score
from moodtape.nlp.base import KINDS, Scorer
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.onnx_scorer import OnnxScorer
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.nlp.score import ScoreSummary, score_unscored
from moodtape.records import SCALE, Span
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.storage.scores import Which

NOW = datetime(2025, 5, 2, tzinfo=UTC)
TEN, ELEVEN, TWELVE = (datetime(2025, 5, 1, hour, tzinfo=UTC) for hour in (10, 11, 12))
FIRST = [  # published, title
    ("10:01", "Bitcoin soars to a new all-time high"),
    ("10:20", "Exchange hacked, bitcoin plunges"),
    ("10:40", "Bitcoin conference opens in Vegas"),
    ("11:02", "Ethereum soars as inflows surge"),
    ("11:03", "Bitcoin soars to a new all-time high"),  # the same words again
    ("11:30", "Bitcoin miners fear a crash"),
    ("11:40", "Markets are flat"),
    ("12:10", "Bitcoin rallies as the ETF is approved"),
]
LATER = [("12:20", "Bitcoin outage feared"), ("13:05", "Ethereum upgrade delayed")]
DIFFERENT = 7  # texts in FIRST, the repeated one counted once
TABLES = {
    "score": "SELECT * FROM score ORDER BY ALL",
    "kind": "SELECT * FROM kind ORDER BY ALL",
    "sentiment_hourly": "SELECT * FROM sentiment_hourly ORDER BY ALL",
    "dirty_hour": "SELECT * FROM dirty_hour ORDER BY ALL",
    "scorer": "SELECT * EXCLUDE trained_until FROM scorer ORDER BY ALL",
}


def add_texts(warehouse: Warehouse, rows: list[tuple[str, str]], name: str = "feed") -> None:
    """Import rows as a CSV of headlines that were collected a minute after publication."""
    folder = warehouse.path.parent
    path = folder / f"{name}.csv"
    lines = ["published_at,collected_at,title"]
    for clock, title in rows:
        published = datetime.fromisoformat(f"2025-05-01T{clock}:00+00:00")
        collected = published + timedelta(minutes=1)
        lines.append(f'{published.isoformat()},{collected.isoformat()},"{title}"')
    path.write_text("\n".join(lines) + "\n", "utf-8")
    options = ImportOptions("documents", source="news", collection="feed")
    result = import_file(warehouse, folder / "staging", path, options, Config(), name, NOW)
    assert result.counts.new == len(rows), result


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    warehouse = Warehouse(tmp_path_factory.mktemp("imported") / "moodtape.duckdb")
    add_texts(warehouse, FIRST)
    return warehouse.path


@pytest.fixture
def make(imported: Path, tmp_path: Path) -> Callable[[str], Warehouse]:
    """Return a function that makes a warehouse of unscored headlines under a name."""

    def make_one(name: str) -> Warehouse:
        warehouse = Warehouse(tmp_path / name / "moodtape.duckdb")
        warehouse.path.parent.mkdir()
        shutil.copy(imported, warehouse.path)
        return warehouse

    return make_one


def ask(warehouse: Warehouse, question: str) -> list[tuple[Any, ...]]:
    with warehouse.read() as connection:
        return connection.execute(question).fetchall()


def everything(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return {name: ask(warehouse, question) for name, question in TABLES.items()}


def run(
    warehouse: Warehouse,
    scorer: Scorer | None = None,
    rules: HourRules | None = None,
    run_id: str = "run",
    now: datetime = NOW,
    **more: Any,
) -> ScoreSummary:
    return score_unscored(
        warehouse, scorer or LexiconScorer(), rules or HourRules(), run_id, now, **more
    )


def test_every_text_is_scored_once(make: Callable[[str], Warehouse]) -> None:
    warehouse, scorer = make("a"), LexiconScorer()
    summary = run(warehouse)
    assert (summary.scorer, summary.scored) == (scorer_id(scorer), DIFFERENT)
    stored = ask(
        warehouse,
        "SELECT text, scorer, p_negative, p_neutral, p_positive, s.run_id"
        " FROM score AS s JOIN scored_text USING (content_hash)",
    )
    assert sorted(row[0] for row in stored) == sorted({title for _, title in FIRST})
    for text, name, negative, neutral, positive, run_id in stored:
        assert (name, run_id) == (scorer_id(scorer), "run")
        assert negative + neutral + positive == SCALE
        expected = scorer.score([text])[0].astype(float) * SCALE
        np.testing.assert_allclose([negative, neutral, positive], expected, atol=1)
    assert ask(warehouse, "SELECT name, revision FROM scorer") == [("lexicon", scorer.revision)]
    until = ask(warehouse, "SELECT trained_until = TIMESTAMPTZ '2026-11-24 00:00:00Z' FROM scorer")
    assert until == [(True,)]
    assert ask(warehouse, "SELECT count(*) FROM kind") == [(0,)], "a word list knows no kinds"


def test_hours_hold_the_sums_of_their_texts(make: Callable[[str], Warehouse]) -> None:
    warehouse = make("a")
    assert run(warehouse).hours == 3
    scored = ask(
        warehouse,
        "SELECT text, p_positive - p_negative FROM score JOIN scored_text USING (content_hash)",
    )
    tones = dict(scored)

    def tone(*titles: str) -> int:
        return sum(tones[title] for title in titles)

    hours = ask(
        warehouse,
        "SELECT symbol, epoch(hour)::BIGINT, n, n_repost, n_negative, n_positive, sum_tone"
        " FROM sentiment_hourly ORDER BY symbol, hour",
    )
    titles = [title for _, title in FIRST]
    assert hours == [
        ("BTC", TEN.timestamp(), 3, 0, 1, 1, tone(*titles[0:3])),
        ("BTC", ELEVEN.timestamp(), 1, 1, 1, 0, tone(titles[5])),
        ("BTC", TWELVE.timestamp(), 1, 0, 0, 1, tone(titles[7])),
        ("ETH", ELEVEN.timestamp(), 1, 0, 0, 1, tone(titles[3])),
        ("MARKET", ELEVEN.timestamp(), 1, 0, 0, 0, tone(titles[6])),
    ]


def test_running_twice_changes_nothing(make: Callable[[str], Warehouse]) -> None:
    warehouse = make("a")
    run(warehouse)
    before = everything(warehouse)
    again = run(warehouse, run_id="second", now=NOW + timedelta(hours=1))
    assert (again.scored, again.hours) == (0, 0)
    assert everything(warehouse) == before


@pytest.mark.parametrize("pages", [1, 2, 4], ids="killed after page {}".format)
def test_interrupted_and_rerun_is_as_in_one_go(
    make: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    whole, broken = make("whole"), make("broken")
    run(whole)
    monkeypatch.setattr(score, "PAGE_TEXTS", 2)

    def stop(done: int, total: int) -> None:
        if done >= min(2 * pages, total):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(broken, progress=stop)
    kept = min(2 * pages, DIFFERENT)
    assert ask(broken, "SELECT count(*) FROM score") == [(kept,)], "a stored page was lost"
    assert ask(broken, "SELECT count(*) FROM sentiment_hourly") == [(0,)]
    assert run(broken).scored == DIFFERENT - kept, "a stored page was scored again"
    assert everything(broken) == everything(whole)


def test_a_scorer_may_ask_for_other_pages(make: Callable[[str], Warehouse]) -> None:
    class InThrees(LexiconScorer):
        page_texts = 3

    said: list[int] = []
    run(make("a"), InThrees(), progress=lambda done, total: said.append(done))
    assert said == [0, 3, 6, DIFFERENT]


def test_progress_counts_pages(
    make: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "PAGE_TEXTS", 3)
    said: list[tuple[int, int]] = []
    run(make("a"), progress=lambda done, total: said.append((done, total)))
    assert said == [(0, 7), (3, 7), (6, 7), (7, 7)]


def test_a_new_text_costs_one_score_and_remakes_its_hours(
    make: Callable[[str], Warehouse],
) -> None:
    warehouse, fresh = make("a"), make("b")
    run(warehouse)
    old = ask(warehouse, "SELECT * FROM score ORDER BY ALL")
    add_texts(warehouse, LATER, "later")
    summary = run(warehouse)
    assert (summary.scored, summary.hours) == (2, 2)
    assert set(old) <= set(ask(warehouse, "SELECT * FROM score"))
    add_texts(fresh, LATER, "later")
    run(fresh)
    assert everything(warehouse) == everything(fresh)


def test_span_scores_only_what_was_known_in_it(make: Callable[[str], Warehouse]) -> None:
    warehouse = make("a")
    assert run(warehouse, which=Which(Span(ELEVEN, TWELVE))).scored == 4
    assert run(warehouse).scored == DIFFERENT - 4


def test_only_the_texts_of_the_sources_asked_for_are_scored(
    make: Callable[[str], Warehouse],
) -> None:
    warehouse = make("a")
    assert run(warehouse, which=Which(sources=("reddit", "x"))).scored == 0
    assert run(warehouse, which=Which(sources=("news",))).scored == DIFFERENT


def test_the_bundled_scorer_stores_kinds_beside_its_scores(
    make: Callable[[str], Warehouse],
) -> None:
    warehouse = make("a")
    scorer = load_scorer("bundled")
    assert isinstance(scorer, OnnxScorer)
    name = scorer_id(scorer)
    run(warehouse)
    assert run(warehouse, scorer, HourRules(classifier=name)).scored == DIFFERENT
    counts = ask(warehouse, "SELECT scorer, count(*) FROM score GROUP BY 1 ORDER BY 1")
    assert counts == [(name, DIFFERENT), (scorer_id(LexiconScorer()), DIFFERENT)]
    kinds = ask(
        warehouse,
        "SELECT text, kind, probability, classifier"
        " FROM kind JOIN scored_text USING (content_hash)",
    )
    assert len(kinds) == DIFFERENT
    for text, kind, probability, classifier in kinds:
        expected = scorer.classify_kinds([text])[0]
        assert classifier == name
        assert kind == KINDS[int(expected.argmax())]
        assert probability == round(float(expected.max()) * SCALE)
    # The kinds serve both scorers: every hourly row carries one, and none is unknown.
    by_kind = ask(
        warehouse,
        f"SELECT scorer, sum(n + n_repost) FROM sentiment_hourly WHERE kind IN {KINDS}"
        " GROUP BY 1 ORDER BY 1",
    )
    assert by_kind == [(name, len(FIRST)), (scorer_id(LexiconScorer()), len(FIRST))]
    assert ask(warehouse, "SELECT count(*) FROM sentiment_hourly WHERE kind = 'unknown'") == [(0,)]
    before = everything(warehouse)
    assert run(warehouse, scorer, HourRules(classifier=name)).scored == 0
    assert everything(warehouse) == before


def test_millionths_add_up_and_none_is_below_zero() -> None:
    rows = np.array(
        [[0.5000005, 0.0, 0.4999995], [0.2, 0.6, 0.2], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]
    )
    tight = np.array([[0.50000052, 0.0, 0.49999952]])  # 500,000.52 and 499,999.52: both go up
    for table in (rows, tight):
        columns = score._tone_columns(table)
        stored = np.stack([columns[f"p_{name}"] for name in ("negative", "neutral", "positive")])
        assert (stored.sum(axis=0) == SCALE).all()
        assert (stored >= 0).all()
        np.testing.assert_allclose(stored.T / SCALE, table, atol=1.5e-6)
