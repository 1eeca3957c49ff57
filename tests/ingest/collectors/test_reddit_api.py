"""Subreddits by the API: praw itself, through the door, against a server on this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config, RedditSection
from moodtape.errors import ConfigError
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.reddit import CLIENT_ID, CLIENT_SECRET, collector
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.storage.db import Warehouse
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
LOGIN, POSTS, COMMENTS = "/api/v1/access_token", "/r/Bitcoin/new", "/r/Bitcoin/comments/"
CANARY = "canary-5e1d"
TOKEN = json.dumps(
    {"access_token": f"{CANARY}-token", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
).encode()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, loopback: Any, reply: Any) -> None:
    monkeypatch.setenv(CLIENT_ID, f"{CANARY}-id")
    monkeypatch.setenv(CLIENT_SECRET, f"{CANARY}-secret")
    loopback.answers[LOGIN] = reply(TOKEN)


def post(number: int, minutes_ago: float = 30, **more: Any) -> dict[str, Any]:
    """Return a post with the fields of a listing of 2026 that matter here."""
    at = (NOON - timedelta(minutes=minutes_ago)).timestamp()
    data = {
        "name": f"t3_{number}", "id": str(number), "subreddit": "Bitcoin", "author": "ann",
        "title": f"Bitcoin {number}", "selftext": "up", "created_utc": at, "edited": False,
        "removed_by_category": None, "score": 5, "num_comments": 2, "subreddit_id": "t5_x",
        "permalink": f"/r/Bitcoin/comments/{number}/slug/", "url": "https://example.org/",
    }  # fmt: skip
    return {"kind": "t3", "data": data | more}


def comment(number: int, body: str = "to the moon", **more: Any) -> dict[str, Any]:
    at = (NOON - timedelta(minutes=10)).timestamp()
    data = {
        "name": f"t1_{number}", "id": str(number), "subreddit": "Bitcoin", "author": "bob",
        "body": body, "created_utc": at, "edited": False, "score": 1, "link_id": "t3_1",
        "permalink": f"/r/Bitcoin/comments/1/slug/{number}/", "replies": "",
    }  # fmt: skip
    return {"kind": "t1", "data": data | more}


def listing(*children: dict[str, Any], after: str | None = None) -> bytes:
    data = {"children": list(children), "after": after, "before": None, "dist": len(children)}
    return json.dumps({"kind": "Listing", "data": data}).encode()


def section(loopback: Any, **more: Any) -> RedditSection:
    told = {"subreddits": ("Bitcoin",), "access": "api", "username": "somebody", **more}
    return RedditSection(base_url=loopback.url, **told)


@pytest.fixture
def poll(loopback: Any, make_http: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def ask(cursor: str | None = None, **more: Any) -> list[Batch]:
        config = Config(reddit=section(loopback, **more))
        tools = Tools(config, make_http(attempts=2), tmp_path)
        return list(collector(tools).collect(cursor, NOON))

    return ask


def states(batches: list[Batch]) -> list[tuple[str, str, int]]:
    return [(p.stream, p.state, p.items) for batch in batches for p in batch.polls]


def names(batches: list[Batch]) -> list[str]:
    return [row.document_id for batch in batches for row in batch.rows]  # type: ignore[union-attr]


def test_posts_and_comments_are_texts(loopback: Any, reply: Any, poll: Any) -> None:
    loopback.answers |= {POSTS: reply(listing(post(2), post(1, 40))),
                         COMMENTS: reply(listing(comment(7)))}  # fmt: skip
    batches = poll(comments=True)
    assert names(batches) == ["t3_1", "t3_2", "t1_7"], "oldest first"
    row, remark = batches[0].rows[1], batches[1].rows[0]
    assert (row.source, row.collection, row.title, row.body, row.outlet, row.author) == (
        "reddit", "subreddits", "Bitcoin 2", "up", "Bitcoin", "ann"
    )  # fmt: skip
    assert (row.published_at, row.fetched_at) == (NOON - timedelta(minutes=30), NOON)
    assert row.url == "https://www.reddit.com/r/Bitcoin/comments/2/slug/"
    assert (remark.title, remark.body) == ("", "to the moon")
    assert states(batches) == [("r/Bitcoin posts", "ok", 2), ("r/Bitcoin comments", "ok", 1)]


def test_how_reddit_is_asked(loopback: Any, reply: Any, poll: Any) -> None:
    loopback.answers[POSTS] = reply(listing(post(1)))
    poll()
    login, ask = loopback.asked
    assert (login.method, login.path) == ("POST", LOGIN)
    assert login.headers["authorization"].startswith("Basic ")
    assert b"grant_type=client_credentials" in login.body
    assert ask.headers["authorization"] == f"bearer {CANARY}-token"
    assert ask.headers["user-agent"].startswith("python:moodtape:v")
    assert "(by /u/somebody)" in ask.headers["user-agent"]
    assert ask.query["limit"] == "100"


def test_pages_are_followed_to_the_last_poll(loopback: Any, reply: Any, poll: Any) -> None:
    pages = {None: listing(post(6, 1), post(5, 2), after="t3_5"),
             "t3_5": listing(post(4, 50), post(3, 100), after="t3_3"),
             "t3_3": listing(post(2, 150), post(1, 200))}  # fmt: skip
    loopback.answers[POSTS] = lambda asked: reply(pages[asked.query.get("after")])
    assert names(poll()) == [f"t3_{n}" for n in range(1, 7)]
    newest = (NOON - timedelta(minutes=50)).timestamp()
    batches = poll(json.dumps({"r/Bitcoin posts": newest}), overlap_min=30)
    assert names(batches) == ["t3_3", "t3_4", "t3_5", "t3_6"]
    assert states(batches) == [("r/Bitcoin posts", "ok", 2)]
    assert len([a for a in loopback.asked if a.path == POSTS]) == 5, "the last page is not needed"
    assert json.loads(batches[-1].cursor) == {
        "r/Bitcoin posts": (NOON - timedelta(minutes=1)).timestamp()
    }


def test_the_first_poll_is_bounded_and_a_lost_stretch_is_told(
    loopback: Any, reply: Any, poll: Any
) -> None:
    loopback.answers[POSTS] = reply(listing(*(post(n, n) for n in range(1, 9))))
    first = poll(first_items=3)
    assert names(first) == ["t3_3", "t3_2", "t3_1"]
    long_ago = json.dumps({"r/Bitcoin posts": (NOON - timedelta(days=2)).timestamp()})
    (batch,) = poll(long_ago)
    assert states([batch]) == [("r/Bitcoin posts", "capped", 8)]
    assert "more has come than Reddit shows" in batch.polls[0].detail


def test_nothing_new(loopback: Any, reply: Any, poll: Any) -> None:
    loopback.answers[POSTS] = [reply(listing()), reply(listing(post(1)))]
    (batch,) = poll()
    assert (states([batch]), batch.cursor) == ([("r/Bitcoin posts", "empty", 0)], "{}")
    (batch,) = poll()
    assert states(poll(batch.cursor)) == [("r/Bitcoin posts", "empty", 0)]


@pytest.mark.parametrize(
    "gone",
    [
        post(1, selftext="[removed]"), post(1, selftext="[deleted]", author="[deleted]"),
        post(1, removed_by_category="moderator"), post(1, title="[deleted by user]"),
        post(1, selftext="", author="[deleted]"),
    ],
)  # fmt: skip
def test_what_was_taken_down_is_no_text(
    gone: dict[str, Any], loopback: Any, reply: Any, poll: Any
) -> None:
    loopback.answers |= {POSTS: reply(listing(gone, post(2))),
                         COMMENTS: reply(listing(comment(7, "[removed]")))}  # fmt: skip
    batches = poll(comments=True)
    assert names(batches) == ["t3_2"]
    assert [(r.place, r.payload) for batch in batches for r in batch.rejected] == [
        ("t3_1", ""), ("t1_7", "")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "state", "told"),
    [
        ({"status": 401, "body": b'{"message": "Unauthorized", "error": 401}'}, "refused", "401"),
        ({"status": 403, "body": b'{"reason": "private", "error": 403}'}, "refused", "403"),
        ({"status": 404}, "refused", "404"),
        ({"status": 500}, "refused", "500"),
        ({"hang_up": True}, "down", "gave no answer"),
        ({"body": listing(post(1))[:60]}, "unreadable", "none that praw can read (BadJSON)"),
        ({"body": b"<html>Are you a person?</html>"}, "unreadable", "BadJSON"),
        ({"body": b'{"kind": "Listing", "data": {}}'}, "unreadable", "none that praw can read"),
        ({"body": b'{"data": [1, 2]}'}, "unreadable", "none that praw can read"),
        ({"status": 302, "headers": {"location": "/subreddits/search?q=x"}}, "refused",
         "leads to another page"),
    ],
)  # fmt: skip
def test_a_subreddit_that_fails_stops_no_other(
    answer: dict[str, Any], state: str, told: str, loopback: Any, reply: Any, poll: Any
) -> None:
    loopback.answers |= {
        POSTS: reply(**answer), "/r/ethereum/new": reply(listing(post(1))),
        "/subreddits/search": reply(listing()),
    }  # fmt: skip
    batches = poll(subreddits=("Bitcoin", "ethereum"))
    assert states(batches) == [("r/Bitcoin posts", state, 0), ("r/ethereum posts", "ok", 1)]
    assert told in batches[0].polls[0].detail
    assert CANARY not in batches[0].polls[0].detail


@pytest.mark.parametrize("wait", ["9999", "Thu, 01 Oct 2026 15:00:00 GMT"])
def test_a_reddit_that_asks_to_wait_is_left_alone(
    wait: str, loopback: Any, reply: Any, poll: Any
) -> None:
    loopback.answers[POSTS] = reply(status=429, headers={"retry-after": wait})
    batches = poll(subreddits=("Bitcoin", "ethereum"))
    assert states(batches) == [("r/Bitcoin posts", "refused", 0), ("r/ethereum posts", "down", 0)]
    first, second = (batch.polls[0].detail for batch in batches)
    assert f"It asks to wait: {wait}" in first
    assert "is left alone until 2026-10-01 1" in second
    assert [asked.path for asked in loopback.asked][-1] == POSTS, "nothing was asked after it"


def test_limits_that_prawcore_stumbles_over_do_no_harm(
    loopback: Any, reply: Any, poll: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`x-ratelimit-used: 995.0` is a ValueError in prawcore, and 0 left is a sleep of minutes."""
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"slept for {seconds} s"))
    limits = {"x-ratelimit-used": "995.0", "x-ratelimit-remaining": "0",
              "x-ratelimit-reset": "599"}  # fmt: skip
    loopback.answers[POSTS] = reply(listing(post(1)), headers=limits)
    assert names(poll() + poll()) == ["t3_1", "t3_1"]


def test_a_login_that_fails_is_tried_once(loopback: Any, reply: Any, poll: Any) -> None:
    for answer, told in (
        (reply(b'{"message": "Unauthorized", "error": 401}', 401), "answered 401: Unauthorized"),
        (reply(b'{"error": "invalid_grant"}'), "are its credentials right?"),
        (reply(b"<html>"), "none that praw can read"),
    ):
        loopback.asked.clear()
        loopback.answers[LOGIN] = answer
        batches = poll(subreddits=("Bitcoin", "ethereum", "dogecoin"))
        assert names(batches) == []
        assert all(told in batch.polls[0].detail for batch in batches), batches[0].polls[0].detail
        if answer.status == 401:
            assert [a.path for a in loopback.asked] == [LOGIN]


def test_items_without_a_name_or_time_are_set_aside(loopback: Any, reply: Any, poll: Any) -> None:
    odd = [post(1, created_utc=None), post(2, created_utc="soon"), post(3, created_utc=1e300),
           post(4, name=""), post(5, -600), post(6)]  # fmt: skip
    loopback.answers[POSTS] = reply(listing(*odd))
    (batch,) = poll()
    assert names([batch]) == ["t3_6", "t3_5"]
    assert {r.reason for r in batch.rejected} == {"no name or no time"}
    assert batch.rows[1].published_at == NOON, "never after it came"  # type: ignore[union-attr]


def plan_of(loopback: Any, fake_time: Any, tmp_path: Path, **more: Any) -> Plan:
    config = Config(reddit=section(loopback, **more), http={"attempts": 1})  # type: ignore[arg-type]
    return Plan(Warehouse(tmp_path / "w.duckdb"), tmp_path / "staging", tmp_path, config,
                timing=fake_time.timing, answers=tmp_path / "answers")  # fmt: skip


def test_an_edit_is_a_further_revision_and_replay_asks_nobody(
    loopback: Any, reply: Any, fake_time: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = post(1, selftext="up. Edit: down", edited=NOON.timestamp())
    loopback.answers[POSTS] = [reply(listing(post(1))), reply(listing(post(2, -30), edited)),
                               reply(listing(post(2, -30), edited))]  # fmt: skip
    plan, counts = plan_of(loopback, fake_time, tmp_path), []
    for _ in range(3):
        (result,) = run_collectors(plan, ["reddit"])
        assert (result.state, result.error) == ("done", "")
        counts.append((result.counts.new, result.counts.corrected))
        fake_time.sleep(3600)
    assert counts == [(1, 0), (1, 1), (0, 0)]
    sql = "SELECT document_id, form, body, known_at::VARCHAR FROM document ORDER BY ALL"
    with plan.warehouse.read() as connection:
        rows = connection.execute(sql).fetchall()
    assert [row[:3] for row in rows] == [
        ("t3_1", "post", "up"), ("t3_1", "post", "up. Edit: down"), ("t3_2", "post", "up")
    ]  # fmt: skip
    monkeypatch.delenv(CLIENT_ID)
    asked = len(loopback.asked)
    (tmp_path / "w.duckdb").unlink()
    (result,) = replay_answers(plan, ["reddit"])
    assert (result.state, result.error, len(loopback.asked)) == ("done", "", asked)
    with plan.warehouse.read() as connection:
        assert connection.execute(sql).fetchall() == rows


def test_it_passes_the_check(
    loopback: Any, reply: Any, make_http: Callable[..., Any], tmp_path: Path
) -> None:
    loopback.answers |= {POSTS: reply(listing(post(2), post(1))),
                         COMMENTS: reply(listing(comment(7)))}  # fmt: skip
    config = Config(reddit=section(loopback, comments=True))
    tools = Tools(config, make_http(attempts=1), tmp_path)
    assert check_collector(lambda: collector(tools), NOON, tmp_path, config).new == 3


def test_without_credentials_nothing_is_asked(
    poll: Any, loopback: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Any
) -> None:
    monkeypatch.delenv(CLIENT_SECRET)
    with pytest.raises(ConfigError, match=f'reddit.access = "api" needs {CLIENT_SECRET}, in the'):
        poll()
    assert loopback.asked == []
    (tmp_path / ".env").write_text(f"{CLIENT_SECRET}={CANARY}-secret\n")
    (tmp_path / ".env").chmod(0o600)
    loopback.answers[POSTS] = reply(listing(post(1)))
    assert names(poll()) == ["t3_1"]


def test_the_credentials_are_told_to_nobody(
    loopback: Any, reply: Any, fake_time: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not to logs at debug, exceptions, the warehouse, or kept answers."""
    caplog.set_level(logging.DEBUG)
    plan = plan_of(loopback, fake_time, tmp_path)
    answers = [reply(listing(post(1))), reply(status=401), reply(hang_up=True), reply(b"{")]
    told = []
    for login in (TOKEN, b'{"error": "canary-5e1d-id is wrong"}', TOKEN[:30]):
        loopback.answers |= {LOGIN: reply(login), POSTS: list(answers)}
        for _ in answers:
            (result,) = run_collectors(plan, ["reddit"])
            told.append(repr(result))
            fake_time.sleep(60)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert kept
    for place in (*told, caplog.text, kept.decode("latin-1")):
        assert CANARY not in place
    tapes = list((tmp_path / "answers").rglob("*.jsonl"))
    assert len(tapes) == 12
