"""Subreddits by their feeds: shape of Reddit's Atom and RSS, through the real parser and door."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from moodtape.config import Config, RedditSection
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.reddit import collector
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.storage.db import Warehouse
from moodtape.testing import check_collector

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
BITCOIN = "/r/Bitcoin/new/.rss"


def entry(
    name: str, title: str, text: str = "", hours_ago: float = 0.5, author: str = "/u/ann"
) -> str:
    """Return an Atom entry as Reddit writes it."""
    at = (NOON - timedelta(hours=hours_ago)).isoformat()
    written = f'<!-- SC_OFF --><div class="md"><p>{text}</p> </div><!-- SC_ON --> ' if text else ""
    about = (
        f'{written}&#32; submitted by &#32; <a href="https://www.reddit.com/user/ann"> /u/ann </a>'
        ' <br/> <span><a href="https://example.org/story">[link]</a></span> &#32;'
        ' <span><a href="https://www.reddit.com/r/Bitcoin/comments/x/">[comments]</a></span>'
    )
    return (
        f"<entry><author><name>{author}</name><uri>https://www.reddit.com/user/ann</uri></author>"
        '<category term="Bitcoin" label="r/Bitcoin"/>'
        f'<content type="html">{escape(about)}</content><id>{name}</id>'
        f'<link href="https://www.reddit.com/r/Bitcoin/comments/{name[3:]}/slug/" />'
        f"<updated>{at}</updated><published>{at}</published><title>{title}</title></entry>"
    )


def atom(*entries: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
    return f"{head}<title>new</title>{''.join(entries)}</feed>".encode()


def section(loopback: Any, **more: Any) -> RedditSection:
    return RedditSection(base_url=loopback.url, **{"subreddits": ("Bitcoin",), **more})


@pytest.fixture
def poll(loopback: Any, make_http: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def ask(cursor: str | None = None, **more: Any) -> list[Batch]:
        config = Config(reddit=section(loopback, **more))
        tools = Tools(config, make_http(attempts=1), tmp_path)
        return list(collector(tools).collect(cursor, NOON))

    return ask


def test_a_post_is_a_text_known_when_fetched(loopback: Any, reply: Any, poll: Any) -> None:
    loopback.answers[BITCOIN] = reply(
        atom(entry("t3_abc1", "Is this the top?", "I sold &amp; left"), entry("t3_abc0", "A link"))
    )
    (batch,) = poll()
    first, second = batch.rows
    assert (first.source, first.collection, first.document_id) == (
        "reddit", "subreddits", "t3_abc1"
    )  # fmt: skip
    assert (first.published_at, first.fetched_at) == (NOON - timedelta(minutes=30), NOON)
    assert (first.title, first.outlet, first.author) == ("Is this the top?", "Bitcoin", "ann")
    assert "I sold &amp; left" in first.body
    assert (second.document_id, second.body) == ("t3_abc0", ""), "links around it are no text"
    assert [(p.stream, p.state, p.items) for p in batch.polls] == [("r/Bitcoin posts", "ok", 2)]
    assert loopback.asked[0].query == {"limit": "100"}


def test_comments_on_request(loopback: Any, reply: Any, poll: Any) -> None:
    loopback.answers |= {
        BITCOIN: reply(atom(entry("t3_abc1", "Post"))),
        "/r/Bitcoin/comments/.rss": reply(atom(entry("t1_c1", "/u/ann on Post", "To the moon"))),
    }
    rows = [row for batch in poll(comments=True) for row in batch.rows]
    assert [(row.document_id, row.title) for row in rows] == [("t3_abc1", "Post"), ("t1_c1", "")]
    assert "To the moon" in rows[1].body


def test_what_was_taken_down_is_no_text(loopback: Any, reply: Any, poll: Any) -> None:
    loopback.answers[BITCOIN] = reply(
        atom(
            entry("t3_1", "Secret plan", "[removed]"),
            entry("t3_2", "[deleted by user]", "words"),
            entry("t3_3", "A link", author="/u/[deleted]"),
            entry("t3_4", "Still here", "words"),
        )
    )
    (batch,) = poll()
    assert [row.document_id for row in batch.rows] == ["t3_4"]
    assert {(r.place, r.payload) for r in batch.rejected} == {
        ("t3_1", ""), ("t3_2", ""), ("t3_3", "")
    }  # fmt: skip
    assert all("removed at Reddit" in r.reason for r in batch.rejected)


def test_the_older_rss_shape_has_the_same_names(loopback: Any, reply: Any, poll: Any) -> None:
    """RSS 2.0, as Reddit served it until 2016: the name is in the permalink."""
    link = "https://www.reddit.com/r/Bitcoin/comments/3skxqc/a_slug/"
    item = (
        f'<item><title>T</title><link>{link}</link><guid isPermaLink="true">{link}</guid>'
        "<pubDate>Thu, 01 Oct 2026 11:16:39 +0000</pubDate></item>"
        f"<item><title>C</title><link>{link}d1abc/?context=3</link>"
        "<pubDate>Thu, 01 Oct 2026 11:16:39 +0000</pubDate></item>"
    )
    loopback.answers[BITCOIN] = reply(
        f'<rss version="2.0"><channel>{item}</channel></rss>'.encode()
    )
    assert [row.document_id for row in poll()[0].rows] == ["t3_3skxqc", "t1_d1abc"]


def test_a_blocked_subreddit_stops_no_other(loopback: Any, reply: Any, poll: Any) -> None:
    loopback.answers |= {
        "/r/gone/new/.rss": reply(b"<html>blocked</html>", 403),
        "/r/page/new/.rss": reply(b"<!doctype html><html>Are you a person?</html>"),
        BITCOIN: reply(atom(entry("t3_1", "Up"))),
    }
    batches = poll(subreddits=("gone", "page", "Bitcoin"))
    assert [(p.stream, p.state) for batch in batches for p in batch.polls] == [
        ("r/gone posts", "refused"), ("r/page posts", "unreadable"), ("r/Bitcoin posts", "ok")
    ]  # fmt: skip


def test_an_edit_is_a_further_revision_and_a_repeat_is_none(
    loopback: Any, reply: Any, fake_time: Any, tmp_path: Path
) -> None:
    first, second = entry("t3_1", "Bitcoin", "up"), entry("t3_1", "Bitcoin", "up. Edit: down")
    loopback.answers[BITCOIN] = [reply(atom(first)), reply(atom(first)), reply(atom(second))]
    plan = Plan(Warehouse(tmp_path / "w.duckdb"), tmp_path / "staging", tmp_path,
                Config(reddit=section(loopback)), timing=fake_time.timing)  # fmt: skip
    counts = []
    for _ in range(3):
        (result,) = run_collectors(plan, ["reddit"])
        assert (result.state, result.error) == ("done", "")
        counts.append((result.counts.new, result.counts.corrected))
        fake_time.sleep(3600)
    assert counts == [(1, 0), (0, 0), (0, 1)]
    with plan.warehouse.read() as connection:
        found = connection.execute("SELECT form, body, epoch(known_at) FROM document ORDER BY 3")
        rows = found.fetchall()
        covered = connection.execute("SELECT source, collection, state FROM coverage").fetchall()
    assert [(form, body) for form, body, _ in rows] == [("post", "up"), ("post", "up. Edit: down")]
    assert rows[1][2] == (NOON + timedelta(hours=2)).timestamp(), "known when it was fetched"
    assert covered[0][:2] == ("reddit", "subreddits")


def test_it_passes_the_check(
    loopback: Any, reply: Any, make_http: Callable[..., Any], tmp_path: Path
) -> None:
    loopback.answers[BITCOIN] = reply(atom(entry("t3_2", "Up"), entry("t3_1", "Down")))
    config = Config(reddit=section(loopback))
    tools = Tools(config, make_http(attempts=1), tmp_path)
    assert check_collector(lambda: collector(tools), NOON, tmp_path, config).new == 2


@pytest.mark.parametrize("names", [("r/Bitcoin",), ("Bitcoin", "bitcoin"), ("../x",)])
def test_names_that_are_none_are_told(names: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="subreddit"):
        RedditSection(subreddits=names)
