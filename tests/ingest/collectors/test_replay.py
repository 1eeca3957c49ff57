"""What was answered is kept as it came, and rows made from it again are the same rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.errors import CouldNotRead, DataMissing, Refused
from moodtape.ingest.raw import ReplayingDoor, question, read_tape
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
ALL = ("news", "bars", "onchain", "indices")


@pytest.fixture
def plan(providers: Any, fake_time: Any) -> Plan:
    """Return a project with two hours of polls: news, a late text, a correction, a refusal."""
    settings = load_settings(providers.folder, environ={})
    made = Plan(
        Warehouse(settings.warehouse), settings.staging, providers.folder, settings.config,
        timing=fake_time.timing, answers=settings.answers,
    )  # fmt: skip
    providers.publish("one", "a1", "Bitcoin rallies to a new high")
    providers.publish("two", "b1", "Ether falls hard after the hack")
    run_collectors(made, ALL)
    fake_time.sleep(3600)
    providers.publish("one", "a1", "Bitcoin rallies no more")
    providers.closes[NOON - timedelta(hours=1)] = 95.0
    run_collectors(made, ALL)
    fake_time.sleep(3600)
    providers.publish("one", "a2", "Bitcoin miners cheer", hours_ago=1.5)
    providers.loopback.answers["/two"] = replace(providers.feed("two"), status=403)
    run_collectors(made, ["news"])
    return made


def content(warehouse: Warehouse) -> dict[str, list[Any]]:
    """Return every row with all its columns, without the ledger of runs."""
    with warehouse.read() as connection:
        names = [
            row[0] for row in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()
        ]
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
            for name in names
            if name not in ("run", "migration")
        }


def tapes(plan: Plan) -> list[Path]:
    return sorted((plan.answers or Path()).rglob("*.jsonl"))


def test_rows_made_again_are_the_same_to_the_last_column(plan: Plan, loopback: Any) -> None:
    expected = content(plan.warehouse)
    assert [len(expected[t]) for t in ("bar", "document", "metric", "coverage")] == [26, 4, 4, 2]
    plan.warehouse.path.unlink()
    asked = len(loopback.asked)
    results = {r.source: r for r in replay_answers(plan, ALL)}
    assert content(plan.warehouse) == expected
    assert len(loopback.asked) == asked, "nobody was asked"
    assert (results["bars"].counts.new, results["bars"].counts.corrected) == (25, 1)
    assert (results["news"].state, results["indices"].state) == ("partial", "done")


def test_in_a_full_warehouse_nothing_changes(plan: Plan) -> None:
    before = content(plan.warehouse)
    results = replay_answers(plan, ALL)
    assert content(plan.warehouse) == before
    assert sum(r.counts.new + r.counts.corrected for r in results) == 0


def test_a_place_that_is_known_stays(plan: Plan, providers: Any, fake_time: Any) -> None:
    unrecorded = replace(plan, answers=None)
    fake_time.sleep(5 * 3600)
    run_collectors(unrecorded, ["bars"])
    before = content(plan.warehouse)
    replay_answers(plan, ["bars"])
    assert content(plan.warehouse) == before


def test_a_tape_that_a_crash_cut_short_is_read_to_its_last_whole_line(plan: Plan) -> None:
    (path,) = [p for p in tapes(plan)[:4] if p.name == "bars.jsonl"]
    lines = path.read_text().splitlines()
    assert len(lines) == 1 + 3, "a head and three pages of ten, ten and four bars"
    path.write_text("\n".join(lines[:3]) + "\n" + lines[3][:50])
    plan.warehouse.path.unlink()
    for later in tapes(plan)[4:]:
        later.unlink()
    (result,) = replay_answers(plan, ["bars"])
    assert (result.state, result.counts.new) == ("failed", 0 + 20)
    assert "The kept answers do not go on from here" in result.polls[-1].detail
    path.write_text(lines[0][:20])
    assert read_tape(path) is None


def test_another_question_is_not_answered(plan: Plan) -> None:
    config = plan.config
    other = config.model_copy(update={"bars": config.bars.model_copy(update={"page": 7})})
    plan.warehouse.path.unlink()
    (result,) = replay_answers(replace(plan, config=other), ["bars"])
    assert (result.state, result.rows) == ("failed", 0)
    assert "the settings were others" in result.polls[0].detail


def test_a_changed_body_is_found_out(plan: Plan) -> None:
    path = next(p for p in tapes(plan) if p.name == "indices.jsonl")
    tape = read_tape(path)
    assert tape is not None
    forged = {**next(iter(tape.exchanges)), "sha256": "0" * 64}
    door = ReplayingDoor(replace(tape, exchanges=[forged]))
    with pytest.raises(CouldNotRead, match="is not what came then"):
        door.get("https://elsewhere.example/fng/", {"limit": 0})


def test_a_failure_fails_again(plan: Plan) -> None:
    tape = read_tape(next(p for p in reversed(tapes(plan)) if p.name == "news.jsonl"))
    assert tape is not None
    door = ReplayingDoor(tape)
    door.get("http://x/one")
    with pytest.raises(Refused, match="answered 403"):
        door.get("http://x/two")
    assert door.now() == NOON + timedelta(hours=2)


def test_questions_are_kept_without_what_they_say(plan: Plan) -> None:
    told = "".join(path.read_text() for path in tapes(plan))
    assert "BTCUSDT" not in told.replace("BTCUSDT 1h", ""), "the cursor alone names the pair"
    assert question("http://a/x", {"key": "1"}) != question("http://a/x", {"key": "2"})
    assert question("http://a/x", {"b": 1, "a": 2}) == question("https://b/x", {"a": "2", "b": "1"})
    head = json.loads(tapes(plan)[0].read_text().splitlines()[0])
    assert set(head) == {"version", "run_id", "collector", "cursor", "now", "since", "until"}


def test_old_answers_are_forgotten(plan: Plan, fake_time: Any) -> None:
    assert len(list((plan.answers or Path()).iterdir())) == 3
    fake_time.sleep(30 * 86_400 - 3600 + 60)
    run_collectors(plan, ["indices"])
    assert len(list((plan.answers or Path()).iterdir())) == 2, "the first two hours are too old"
    (plan.answers or Path()).joinpath("mine").mkdir()
    fake_time.sleep(40 * 86_400)
    run_collectors(plan, ["indices"])
    assert len(list((plan.answers or Path()).iterdir())) == 2, "what is no run's folder stays"


def test_none_are_kept_where_none_are_wanted(plan: Plan) -> None:
    keep_none = plan.config.ingest.model_copy(update={"keep_answers_d": 0})
    config = plan.config.model_copy(update={"ingest": keep_none})
    run_collectors(replace(plan, config=config), ["indices"])
    assert tapes(plan) == []
    with pytest.raises(
        DataMissing, match=r"No answers of indices are kept .* Run: moodtape ingest"
    ):
        replay_answers(plan, ["indices"])
