"""X: tweepy itself, through the door, against a server on this machine; and what it costs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.cli import main
from moodtape.config import Config, XSection
from moodtape.errors import ConfigError
from moodtape.ingest.base import Tools
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.result import SourceResult
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.ingest.twitter import TOKEN, collector
from moodtape.ingest.twitter_budget import Purse
from moodtape.storage.db import Warehouse
from moodtape.storage.summary import status
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
RECENT, ALL, COUNTS = (
    "/2/tweets/search/recent", "/2/tweets/search/all", "/2/tweets/counts/recent"
)  # fmt: skip
CANARY = "canary-9b27"


def post(
    number: int, minutes_ago: float = 5, text: str = "Bitcoin up", **more: Any
) -> dict[str, Any]:
    at = f"{NOON - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%S.000Z}"
    return {"id": str(number), "text": text, "created_at": at, "author_id": "77",
            "edit_history_tweet_ids": [str(number)]} | more  # fmt: skip


def page(*posts: dict[str, Any], more: str = "", **also: Any) -> bytes:
    meta = {"result_count": len(posts)} | ({"next_token": more} if more else {})
    return json.dumps(({"data": posts} if posts else {}) | {"meta": meta} | also).encode()


class Desk:
    """A project that collects X, and its ledger."""

    def __init__(self, loopback: Any, fake_time: Any, folder: Path) -> None:
        self.loopback, self.fake_time, self.folder = loopback, fake_time, folder
        self.warehouse = Warehouse(folder / "w.duckdb")
        self.settings: dict[str, Any] = {"daily_budget_usd": 10, "monthly_budget_usd": 100}

    def plan(self, **more: Any) -> Plan:
        x = XSection(base_url=self.loopback.url, **self.settings)
        config = Config(x=x, http={"attempts": 2})  # type: ignore[arg-type]
        return Plan(self.warehouse, self.folder / "staging", self.folder, config,
                    timing=self.fake_time.timing, answers=self.folder / "answers",
                    **more)  # fmt: skip

    def run(self, **more: Any) -> SourceResult:
        (result,) = run_collectors(self.plan(**more), ["x"])
        return result

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()

    def spent(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT what, units, micro_usd, settled_at IS NOT NULL FROM spend ORDER BY asked_at"
        )


@pytest.fixture
def desk(loopback: Any, fake_time: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv(TOKEN, f"{CANARY}-token")
    return Desk(loopback, fake_time, tmp_path)


TEXTS = (
    "SELECT document_id, form, body, url, left(published_at::VARCHAR, 19) FROM document"
    " ORDER BY ALL"
)


def test_posts_are_texts_and_are_paid_one_by_one(desk: Desk, reply: Any) -> None:
    long = {"note_tweet": {"text": "the whole of a long post about BTC"}}
    desk.loopback.answers[RECENT] = reply(page(post(12, text="the whole of", **long), post(11, 9)))
    result = desk.run()
    assert (result.state, result.error, result.counts.new) == ("done", "", 2)
    assert desk.rows(TEXTS) == [
        ("11", "tweet", "Bitcoin up", "https://x.com/i/status/11", "2026-10-01 11:51:00"),
        ("12", "tweet", "the whole of a long post about BTC", "https://x.com/i/status/12",
         "2026-10-01 11:55:00"),
    ]  # fmt: skip
    assert desk.rows(f"SELECT DISTINCT known_at = '{NOON}' FROM document") == [(True,)]
    assert desk.spent() == [("posts BTC", 2, 10_000, True)]
    (asked,) = desk.loopback.asked
    assert asked.headers["authorization"] == f"Bearer {CANARY}-token"
    assert asked.query["start_time"] == "2026-10-01T11:00:00Z"
    assert (asked.query["max_results"], asked.query["query"]) == (
        "100", "(bitcoin OR $BTC) lang:en -is:retweet"
    )  # fmt: skip
    assert "expansions" not in asked.query, "each user would cost more than a post"


def test_pages_are_followed_and_the_next_run_goes_on(desk: Desk, reply: Any) -> None:
    pages = {
        None: page(post(13), more="b"),
        "b": page(post(12, 6), more="c"),
        "c": page(post(11, 7)),
    }
    desk.loopback.answers[RECENT] = lambda asked: reply(pages[asked.query.get("next_token")])
    assert desk.run().counts.new == 3
    pages[None] = page(post(13))
    desk.fake_time.sleep(600)
    result = desk.run()
    assert (result.counts.new, result.counts.known, result.polls[0].state) == (0, 1, "empty")
    assert desk.loopback.asked[-1].query["start_time"] == "2026-10-01T11:53:00Z", "overlap"


def test_an_edit_is_a_further_revision_of_one_text(desk: Desk, reply: Any) -> None:
    edited = post(15, 2, text="Bitcoin down", edit_history_tweet_ids=["11", "15"])
    desk.loopback.answers[RECENT] = [reply(page(post(11))), reply(page(edited))]
    desk.run()
    desk.fake_time.sleep(60)
    assert desk.run().counts.corrected == 1
    assert [row[:3] for row in desk.rows(TEXTS)] == [
        ("11", "tweet", "Bitcoin down"), ("11", "tweet", "Bitcoin up")
    ]  # fmt: skip


def test_without_a_budget_nothing_is_asked(desk: Desk) -> None:
    desk.settings = {}
    result = desk.run()
    assert (result.state, desk.loopback.asked, desk.spent()) == ("failed", [], [])
    assert result.error == (
        "X: the next call may cost $0.50, and $0.00 is left: spent today $0.00 of $0.00"
        " (x.daily_budget_usd), this month $0.00 of $0.00 (x.monthly_budget_usd)."
    )


@pytest.mark.parametrize("which", ["daily_budget_usd", "monthly_budget_usd"])
def test_the_budget_holds_over_runs_and_ends_at_midnight(
    which: str, desk: Desk, reply: Any
) -> None:
    """100 posts cost $0.50; of $1.20, two pages are paid, and a third one could cost too much."""
    desk.settings[which] = 1.2
    full = [post(100 + n, 5) for n in range(100)]
    desk.loopback.answers[RECENT] = reply(page(*full))
    states = [desk.run().state for _ in range(4)]
    assert states == ["done", "done", "failed", "failed"]
    assert len(desk.loopback.asked) == 2
    assert sum(row[2] for row in desk.spent()) == 1_000_000
    desk.fake_time.sleep(13 * 3600)
    desk.loopback.answers[RECENT] = reply(page())
    assert desk.run().state == ("done" if which == "daily_budget_usd" else "failed")
    desk.fake_time.sleep(31 * 86_400)
    assert desk.run().state == "done"


def test_a_call_that_is_killed_stays_at_its_highest_price(desk: Desk, make_http: Any) -> None:
    purse = Purse(desk.warehouse, make_http(), 10, 100)
    with pytest.raises(KeyboardInterrupt), purse.pay("posts BTC", 100, 0.005):
        raise KeyboardInterrupt
    assert desk.spent() == [("posts BTC", 100, 500_000, False)]
    assert purse.left(NOON).micro_usd == 9_500_000


def test_status_tells_what_was_paid(desk: Desk, reply: Any) -> None:
    broken = reply(hang_up=True)
    desk.loopback.answers[RECENT] = [reply(page(post(1))), broken, broken, reply(page())]
    for days in (1, 1, 40):
        desk.run()
        desk.fake_time.sleep(days * 86_400)
    desk.run()
    with desk.warehouse.read() as connection:
        rows = [tuple(row.values()) for row in status(connection)["spend"]]
    assert rows == [("x", "2026-10", 0.505, 3, 1), ("x", "2026-11", 0.0, 1, 0)]


def test_what_came_before_the_budget_ended_is_kept(desk: Desk, reply: Any) -> None:
    desk.settings |= {"daily_budget_usd": 0.6, "queries": {"BTC": "bitcoin", "ETH": "ether"}}
    desk.loopback.answers[RECENT] = reply(page(*(post(n + 1) for n in range(90)), more="b"))
    result = desk.run()
    assert (result.state, result.counts.new) == ("failed", 90)
    assert [(p.stream, p.state, p.items) for p in result.polls] == [("BTC", "capped", 90)]
    assert "the next call may cost $0.50, and $0.15 is left" in result.error
    assert len(desk.loopback.asked) == 1


def test_a_run_reads_at_most_so_many_posts(desk: Desk, reply: Any) -> None:
    desk.settings |= {"max_posts": 25, "page": 10}
    desk.loopback.answers[RECENT] = reply(page(*(post(n + 1) for n in range(10)), more="b"))
    result = desk.run()
    assert len(desk.loopback.asked) == 2
    assert [(p.state, p.items) for p in result.polls] == [("capped", 20)]
    assert "more than x.max_posts = 25 came" in result.polls[0].detail


@pytest.mark.parametrize(
    ("answer", "state", "told", "paid"),
    [
        ({"status": 401, "body": b'{"title": "Unauthorized", "detail": "Unauthorized"}'},
         "refused", "answered 401: Unauthorized", (0, 0, True)),
        ({"status": 403}, "refused", "403", (0, 0, True)),
        ({"status": 429, "body": b'{"title": "Too Many Requests", "status": 429}'}, "refused",
         "answered 429", (0, 0, True)),
        ({"status": 503, "body": b"<html>"}, "refused", "503", (0, 0, True)),
        ({"body": b'{"errors": [{"title": "Invalid", "detail": "no such operator"}]}'}, "refused",
         "no such operator", (0, 0, True)),
        ({"hang_up": True}, "down", "gave no answer", (100, 500_000, False)),
        ({"body": b'{"data": [{"id": "1", "te'}, "unreadable", "none that tweepy can read",
         (100, 500_000, False)),
        ({"body": b"[1]"}, "unreadable", "neither posts nor a reason", (100, 500_000, False)),
        ({"body": b'{"data": [1], "meta": {}}'}, "unreadable", "no list", (100, 500_000, False)),
    ],
)  # fmt: skip
def test_what_a_failure_is_and_costs(
    answer: dict[str, Any], state: str, told: str, paid: tuple[Any, ...], desk: Desk, reply: Any
) -> None:
    """Refused: nothing. Without a readable answer it may have been paid, so the price stands."""
    desk.loopback.answers[RECENT] = reply(**answer)
    result = desk.run()
    assert (result.state, result.polls[0].state) == ("failed", state)
    assert told in result.polls[0].detail
    assert [row[1:] for row in desk.spent()] == [paid]


def test_a_limit_without_an_end_is_not_asked_again_and_again(desk: Desk, reply: Any) -> None:
    """Told to wait, tweepy asks 200 times in a row where no `x-rate-limit-reset` comes."""
    desk.loopback.answers[RECENT] = reply(b"{}", 429)
    assert desk.run().polls[0].state == "refused"
    assert len(desk.loopback.asked) == 2, "http.attempts"


def test_a_page_that_fails_keeps_those_before_and_is_asked_again(desk: Desk, reply: Any) -> None:
    pages = {None: reply(page(post(13), more="b")), "b": reply(b"{", 200)}
    desk.loopback.answers[RECENT] = lambda asked: pages[asked.query.get("next_token")]
    result = desk.run()
    assert (result.counts.new, result.polls[0].state) == (1, "unreadable")
    pages["b"] = reply(page(post(12, 40)))
    result = desk.run()
    assert desk.loopback.asked[-2].query["start_time"] == "2026-10-01T11:00:00Z"
    assert (result.counts.new, result.counts.known, result.state) == (1, 1, "done")


def test_a_dry_run_says_what_it_could_cost_and_asks_nothing(desk: Desk, reply: Any) -> None:
    desk.settings |= {"queries": {"BTC": "bitcoin", "ETH": "ether"}, "max_posts": 250}
    result = desk.run(dry_run=True)
    assert (result.state, desk.loopback.asked) == ("done", [])
    assert [p.detail for p in result.polls] == [
        "at most 3 calls and $1.50; spent today $0.00 of $10.00 (x.daily_budget_usd), this month"
        " $0.00 of $100.00 (x.monthly_budget_usd)"
    ] * 2
    assert not desk.warehouse.path.exists()
    desk.settings["mode"] = "counts"
    assert "at most 1 calls and $0.005" in desk.run(dry_run=True).polls[0].detail


def test_counts_are_metrics_of_whole_hours(desk: Desk, reply: Any) -> None:
    desk.settings["mode"] = "counts"
    hours = [
        {"start": f"2026-10-01T{h:02d}:00:00.000Z", "end": f"2026-10-01T{h + 1:02d}:00:00.000Z",
         "tweet_count": 100 + h} for h in (9, 10, 11, 12)
    ]  # fmt: skip
    part = {"start": "2026-10-01T08:21:34.000Z", "end": "2026-10-01T09:00:00.000Z",
            "tweet_count": 5}  # fmt: skip
    body = json.dumps({"data": [part, *hours], "meta": {"total_tweet_count": 1}}).encode()
    desk.loopback.answers[COUNTS] = reply(body)
    assert desk.run().state == "done"
    assert desk.rows(
        "SELECT provider, symbol, metric, hour(period_start AT TIME ZONE 'UTC'), value,"
        f" known_at = '{NOON}' FROM metric ORDER BY 4"
    ) == [("x", "BTC", "x_posts", h, 100.0 + h, True) for h in (9, 10, 11)]
    assert desk.spent() == [("counts BTC", 1, 5_000, True)]
    desk.fake_time.sleep(60)
    result = desk.run()
    assert (result.counts.new, result.counts.corrected, result.polls[0].state) == (0, 0, "empty")
    assert desk.loopback.asked[-1].query["start_time"] == "2026-10-01T09:00:00Z"
    assert desk.loopback.asked[-1].query["granularity"] == "hour"


def test_the_full_archive(desk: Desk, reply: Any) -> None:
    desk.settings |= {"full_archive": True, "page": 500}
    desk.loopback.answers[ALL] = reply(page(post(1, 60 * 24 * 365)))
    result = desk.run(
        since=datetime(2025, 9, 1, tzinfo=UTC), until=datetime(2025, 11, 1, tzinfo=UTC)
    )
    assert (result.state, result.counts.new) == ("done", 1)
    query = desk.loopback.asked[0].query
    assert (query["start_time"], query["end_time"], query["max_results"]) == (
        "2025-09-01T00:00:00Z", "2025-11-01T00:00:00Z", "500"
    )  # fmt: skip


def test_replay_asks_nobody_pays_nothing_and_needs_no_token(
    desk: Desk, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {
        None: page(post(13), more="b"),
        "b": page(post(12, 6), post(0, text="", created_at="")),
    }
    desk.loopback.answers[RECENT] = lambda asked: reply(pages[asked.query.get("next_token")])
    assert desk.run().counts.quarantined == 1
    before, asked = desk.rows(TEXTS), len(desk.loopback.asked)
    desk.warehouse.path.unlink()
    monkeypatch.delenv(TOKEN)
    (result,) = replay_answers(desk.plan(), ["x"])
    assert (result.state, result.error) == ("done", "")
    assert (desk.rows(TEXTS), len(desk.loopback.asked), desk.spent()) == (before, asked, [])


def test_it_passes_the_check(desk: Desk, reply: Any, make_http: Any) -> None:
    desk.loopback.answers[RECENT] = reply(page(post(12), post(11)))
    config = desk.plan().config
    tools = Tools(config, make_http(attempts=1), desk.folder, ledger=desk.warehouse)
    assert check_collector(lambda: collector(tools), NOON, desk.folder, config).new == 2


def test_without_token_or_ledger_nothing_is_asked(
    desk: Desk, make_http: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = Tools(desk.plan().config, make_http(), desk.folder)
    with pytest.raises(ConfigError, match="needs a warehouse"):
        collector(tools)
    monkeypatch.delenv(TOKEN)
    with pytest.raises(ConfigError, match=f"X needs {TOKEN}, in the environment or in"):
        collector(tools)


def test_the_token_is_told_to_nobody(
    desk: Desk, reply: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    for answer in (reply(page(post(1))), reply(status=401), reply(hang_up=True), reply(b"{")):
        desk.loopback.answers[RECENT] = answer
        told.append(repr(desk.run()))
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert desk.loopback.asked[0].headers["authorization"].endswith(f"{CANARY}-token")
    for place in (*told, caplog.text, kept.decode("latin-1")):
        assert CANARY not in place


def test_a_budget_that_is_used_up_ends_the_command_with_five(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def moodtape(*flags: str) -> tuple[int, str]:
        command = ["moodtape", "ingest", "x", "--project", str(desk.folder),
                   f"--base-url=x={desk.loopback.url}", *flags]  # fmt: skip
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().out

    code, out = moodtape("--dry-run")
    assert (code, "x BTC: at most 5 calls and $2.50; spent today $0.00 of $0.00" in out) == (
        0,
        True,
    )
    code, out = moodtape()
    assert (code, "x: X: the next call may cost $0.50, and $0.00 is left" in out) == (5, True)
    assert desk.loopback.asked == []


def test_a_call_that_is_not_made_costs_nothing(desk: Desk, reply: Any) -> None:
    """X asks to be left alone for an hour: the next run neither asks nor pays."""
    desk.loopback.answers[RECENT] = reply(status=429, headers={"Retry-After": "3600"})
    desk.run()
    result = desk.run()
    assert [(p.state, "is left alone until" in p.detail) for p in result.polls] == [("down", True)]
    assert len(desk.loopback.asked) == 1
    assert desk.spent() == [("posts BTC", 0, 0, True)] * 2
