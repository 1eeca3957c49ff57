"""The recheck of Reddit and X: praw and tweepy themselves against a server on this machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config, RedditSection, XSection
from moodtape.ingest.base import Tools
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.ingest.recheck import CHUNK, Recheck, recheck
from moodtape.ingest.reddit import CLIENT_ID, CLIENT_SECRET
from moodtape.ingest.twitter import TOKEN
from moodtape.storage.db import Warehouse

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
LOGIN, INFO, TWEETS = "/api/v1/access_token", "/api/info/", "/2/tweets"
TOKEN_BODY = json.dumps(
    {"access_token": "t", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
).encode()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, loopback: Any, reply: Any) -> None:
    for name in (CLIENT_ID, CLIENT_SECRET, TOKEN):
        monkeypatch.setenv(name, "canary-key")
    loopback.answers[LOGIN] = reply(TOKEN_BODY)


def name_of(source: str, number: int) -> str:
    return f"t3_{number}" if source == "reddit" else str(9000 + number)


class Desk:
    """A warehouse with posts, and one night's recheck of them."""

    def __init__(self, loopback: Any, make_http: Any, folder: Path) -> None:
        self.loopback, self.make_http, self.folder = loopback, make_http, folder
        self.warehouse, self.nights = Warehouse(folder / "w.duckdb"), 0
        self.reddit: dict[str, Any] = {"access": "api"}
        self.x: dict[str, Any] = {"daily_budget_usd": 10, "monthly_budget_usd": 100}

    def fill(self, source: str, count: int, days_ago: float = 1) -> None:
        path = self.folder / "texts.jsonl"
        rows = [
            {"id": name_of(source, n), "source": source, "title": f"Bitcoin post number {n}",
             "author": f"ann{n}", "collection": "c", "collected_at": stamp(days_ago, n + 1),
             "published_at": stamp(days_ago, n)}
            for n in range(count)
        ]  # fmt: skip
        path.write_text("\n".join(map(json.dumps, rows)))
        import_file(self.warehouse, self.folder / "s", path, ImportOptions("documents"), Config(),
                    f"fill-{source}-{days_ago}", NOON)  # fmt: skip

    def check(self, source: Any, dry_run: bool = False) -> Recheck:
        self.nights += 1
        config = Config(
            reddit=RedditSection(base_url=self.loopback.url, **self.reddit),
            x=XSection(base_url=self.loopback.url, **self.x),
        )
        tools = Tools(config, self.make_http(attempts=1), self.folder, ledger=self.warehouse,
                      dry_run=dry_run)  # fmt: skip
        return recheck(tools, source, self.warehouse, self.folder / "a", f"night-{self.nights}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()

    @property
    def titles(self) -> int:
        return int(self.rows("SELECT count(title) FROM document")[0][0])

    @property
    def asked(self) -> list[list[str]]:
        return [
            a.query[key].split(",")
            for a in self.loopback.asked
            for key in ("id", "ids")
            if key in a.query
        ]


def stamp(days_ago: float, minutes: int) -> str:
    return (NOON - timedelta(days=days_ago) + timedelta(minutes=minutes)).isoformat()


@pytest.fixture
def desk(loopback: Any, make_http: Any, tmp_path: Path) -> Desk:
    return Desk(loopback, make_http, tmp_path)


def post(name: str, **more: Any) -> dict[str, Any]:
    data = {"name": name, "id": name[3:], "title": "Bitcoin", "selftext": "up", "author": "ann",
            "subreddit": "Bitcoin", "created_utc": 1, "removed_by_category": None}  # fmt: skip
    return {"kind": "t3", "data": data | more}


def listing(*children: dict[str, Any]) -> bytes:
    data = {"children": list(children), "after": None, "before": None}
    return json.dumps({"kind": "Listing", "data": data}).encode()


def test_what_reddit_does_not_show_is_forgotten(loopback: Any, reply: Any, desk: Desk) -> None:
    desk.fill("reddit", 6)
    shown = [
        post("t3_0"), post("t3_1", selftext="[removed]"), post("t3_2", author="[deleted]"),
        post("t3_3", removed_by_category="moderator"),
        post("t3_4", selftext="[deleted]", author="[deleted]"),
    ]  # fmt: skip
    loopback.answers[INFO] = reply(listing(*shown))
    done = desk.check("reddit")
    assert (done.state, done.asked, done.gone, done.authorless) == ("done", 6, 4, 1)
    left = "SELECT document_id, author_hash IS NULL FROM document WHERE title <> '' ORDER BY 1"
    assert desk.rows(left) == [("t3_0", False), ("t3_2", True)]
    assert desk.rows("SELECT count(*) FROM tombstone") == [(4,)]
    assert desk.rows("SELECT document_id FROM recheck ORDER BY 1") == [("t3_0",), ("t3_2",)]
    desk.check("reddit")
    assert desk.asked[-1] == ["t3_0", "t3_2"], "nobody asks for what is forgotten"
    desk.fill("reddit", 7)
    assert desk.titles == 3, "a later import brings one new post and none back"


def test_x_tells_what_is_gone_and_only_that_counts(loopback: Any, reply: Any, desk: Desk) -> None:
    desk.fill("x", 5)
    kinds = ("resource-not-found", "not-authorized-for-resource", "client-forbidden")
    errors = [
        {"resource_id": name_of("x", n), "resource_type": "tweet", "title": "x", "detail": "x",
         "type": f"https://api.twitter.com/2/problems/{kind}"}
        for n, kind in enumerate(kinds)
    ]  # fmt: skip
    there = [{"id": name_of("x", 3), "text": "Bitcoin"}]
    loopback.answers[TWEETS] = reply(json.dumps({"data": there, "errors": errors}).encode())
    done = desk.check("x")
    assert (done.state, done.asked, done.gone) == ("done", 3, 2)
    assert desk.titles == 3, "what X says nothing of, or another thing of, stays"
    assert desk.rows("SELECT units, micro_usd FROM spend") == [(1, 5000)]


@pytest.mark.parametrize("source", ["reddit", "x"])
@pytest.mark.parametrize(
    "answer",
    [(b"no", 403), (b"<html>down", 503), (b"slow", 429), (b'{"data": [{"id": "90', 200),
     (b"[]", 200), (b"", 200), (b"{}", 200),
     (b'{"kind": "Listing", "data": {"children": []}}', 200)],
)  # fmt: skip
def test_no_failure_is_a_deletion(
    loopback: Any, reply: Any, desk: Desk, source: Any, answer: tuple[bytes, int]
) -> None:
    desk.fill(source, 20)
    for path in (INFO, TWEETS):
        loopback.answers[path] = reply(*answer)
    done = desk.check(source)
    assert (done.state, done.asked, done.gone) == ("failed", 0, 0)
    assert done.detail
    assert "canary-key" not in done.detail
    assert desk.titles == 20
    assert desk.rows("SELECT count(*) FROM recheck") == [(0,)]


def test_no_network_is_no_deletion(loopback: Any, reply: Any, desk: Desk) -> None:
    desk.fill("reddit", 20)
    loopback.answers[INFO] = reply(hang_up=True)
    assert (desk.check("reddit").state, desk.titles) == ("failed", 20)


def test_a_doubtful_answer_does_not_keep_the_others(loopback: Any, reply: Any, desk: Desk) -> None:
    desk.fill("reddit", CHUNK + 3)
    first = listing(*(post(f"t3_{n}") for n in range(49)))
    loopback.answers[INFO] = [reply(first), reply(listing())]
    done = desk.check("reddit")
    assert (done.state, done.gone) == ("failed", 3)
    assert "51 of 100 posts are missing" in done.detail
    assert desk.titles == CHUNK


def test_posts_that_nobody_asked_for_spoil_an_answer(loopback: Any, reply: Any, desk: Desk) -> None:
    desk.fill("reddit", 2)
    loopback.answers[INFO] = reply(listing(post("t3_0"), post("t3_zzz")))
    assert (desk.check("reddit").state, desk.titles) == ("failed", 2)


def test_a_night_has_bounds_and_the_oldest_check_comes_first(
    loopback: Any, reply: Any, desk: Desk
) -> None:
    desk.fill("reddit", 4)
    desk.reddit |= {"recheck_items": 3, "recheck_days": 2}
    loopback.answers[INFO] = lambda asked: reply(
        listing(*(post(name) for name in asked.query["id"].split(",")))
    )
    desk.check("reddit")
    desk.check("reddit")
    assert desk.asked == [["t3_0", "t3_1", "t3_2"], ["t3_3", "t3_0", "t3_1"]]
    desk.reddit["recheck_days"] = 1
    assert desk.check("reddit").asked == 3, "these were written within the day"
    desk.fill("x", 3, days_ago=40)
    assert desk.check("x").asked == 0, "too old"


def test_feeds_cannot_be_checked(loopback: Any, desk: Desk) -> None:
    desk.fill("reddit", 1)
    desk.reddit["access"] = "feed"
    done = desk.check("reddit")
    assert (done.state, loopback.asked) == ("impossible", [])
    assert "feeds do not show what was deleted" in done.detail


def test_x_keeps_to_the_budget_and_says_the_cost_before(loopback: Any, desk: Desk) -> None:
    desk.fill("x", 20)
    dry = desk.check("x", dry_run=True)
    assert dry.state == "dry run"
    assert dry.detail.startswith("at most $0.10; spent today $0.00 of $10.00")
    desk.x["daily_budget_usd"] = 0.05
    done = desk.check("x")
    assert (done.state, done.asked, desk.titles) == ("failed", 0, 20)
    assert "$0.05 is left" in done.detail
    assert loopback.asked == []
