"""News feeds: each is asked whether it has changed, and what is new becomes documents.

    1. ask       `If-None-Match`, `If-Modified-Since`: what did not change costs no body;
                 feeds of different hosts at the same time
    2. read      `feed.py`
    3. compare   with the items of the last poll: new ones and changed ones become rows
    4. judge     a poll that failed, was cut, or shares nothing with the last covers nothing

The cursor is JSON: of each feed its validators and the items that it showed last.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from moodtape.config import NewsSection
from moodtape.errors import ConfigError, SourceFailed, did_you_mean
from moodtape.ingest.base import Batch, Door, Question, Tools, ask_all, failed_poll
from moodtape.ingest.documents import MAX_ID_CHARS
from moodtape.ingest.feed import Feed, Item, read_feed
from moodtape.ingest.http import Answer
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.text import canonical_url
from moodtape.records import Document, Poll, PollState

ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, */*;q=0.5"


@dataclass(frozen=True)
class FeedSource:
    """A table of `feeds.toml`."""

    name: str
    url: str
    about: str
    symbol: str = ""


@dataclass(frozen=True)
class State:
    """What is remembered of a feed between polls.

    address: hash of where it was asked; the address itself may hold a key.
    etag, modified: what it said about the version that was read.
    seen: hash of an item's text by hash of its identity, of the items it showed last.
    """

    address: str = ""
    etag: str = ""
    modified: str = ""
    seen: Mapping[str, str] | None = None


def collector(tools: Tools) -> NewsFeeds:
    """Return the collector of the feeds that the config names."""
    news = tools.config.news
    return NewsFeeds(choose_feeds(news, tools.folder), news, tools.http)


def choose_feeds(news: NewsSection, folder: Path) -> list[FeedSource]:
    """Return the feeds to read, at the stand-in's address where there is one.

    Raises:
        ConfigError: the list cannot be read, or has no feed of that name.
    """
    shipped = resources.files("moodtape.ingest") / "data" / "feeds.toml"
    path = folder / news.feeds if news.feeds else shipped
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        feeds = {name: FeedSource(name, **row) for name, row in table.items()}
    except OSError as exc:
        raise ConfigError(f"news.feeds: {path} cannot be read: {exc.strerror}.") from exc
    except (ValueError, TypeError, RecursionError) as exc:
        raise ConfigError(
            f"news.feeds: {path} is no list of feeds ({exc}). A feed is a table with url and about."
        ) from exc
    for name in news.only:
        if name not in feeds:
            raise ConfigError(f"news.only: there is no feed {name!r}.{did_you_mean(name, feeds)}")
    chosen = [feed for name, feed in feeds.items() if not news.only or name in news.only]
    return [replace(feed, url=_stand_in(news.base_url, feed.url)) for feed in chosen]


def _stand_in(base_url: str, url: str) -> str:
    """Return where a feed is asked: itself, or a mirror that keeps each host in a folder."""
    if not base_url:
        return url
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{base_url.rstrip('/')}/{parts.netloc}{parts.path}{query}"


class NewsFeeds:
    """Collects documents from feeds; one that fails does not keep the others from it."""

    name = "news"

    def __init__(self, feeds: Sequence[FeedSource], news: NewsSection, http: Door) -> None:
        self.feeds, self.news, self.http = feeds, news, http
        self.covers = ("news", news.collection)

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each feed with something new, and one for the polls that are left."""
        states = {name: State(**state) for name, state in json.loads(cursor or "{}").items()}
        polls: list[Poll] = []
        before = {feed.name: _state_at(feed, states.get(feed.name, State())) for feed in self.feeds}
        questions = [_question(feed, before[feed.name]) for feed in self.feeds]
        for feed, came in zip(self.feeds, ask_all(self.http, questions), strict=True):
            state = before[feed.name]
            rows, rejected, poll, states[feed.name] = self._poll(feed, state, came)
            polls.append(poll)
            if rows or rejected:
                yield Batch(rows, _position(states), tuple(polls), tuple(rejected))
                polls = []
        if polls:
            yield Batch((), _position(states), tuple(polls))

    def _poll(
        self, feed: FeedSource, state: State, came: Answer | SourceFailed
    ) -> tuple[list[Document], list[Rejected], Poll, State]:
        """Return what is new in a feed, how the poll ended and what to remember."""
        try:
            if isinstance(came, SourceFailed):
                raise came
            if came.status == 304:
                return [], [], Poll(feed.name, "empty", came.fetched_at), state
            found = read_feed(came.body, came.headers.get("content-type", ""), came.place)
        except SourceFailed as failure:
            return [], [], failed_poll(feed.name, failure, self.http.now()), state
        return self._compare(feed, state, came, found)

    def _compare(
        self, feed: FeedSource, state: State, answer: Answer, found: Feed
    ) -> tuple[list[Document], list[Rejected], Poll, State]:
        """Return the items that are new or changed since the last poll, and what that means."""
        rows, rejected, seen = [], [], {}
        for identity, item in _identified(feed, found.items):
            key, text = _short(identity), _short(f"{item.title}\0{item.body}")
            if key in seen:
                continue
            seen[key] = text
            if (state.seen or {}).get(key) == text:
                continue
            document = self._document(feed, identity, item, answer, state.seen is None)
            if isinstance(document, Document):
                rows.append(document)
            else:
                rejected.append(document)
        kind, detail = _judge(state, found, seen)
        poll = Poll(feed.name, kind, answer.fetched_at, len(rows) + len(rejected), detail)
        if found.cut:
            return rows, rejected, poll, replace(state, seen={**(state.seen or {}), **seen})
        headers = answer.headers
        return rows, rejected, poll, State(
            state.address, headers.get("etag", ""), headers.get("last-modified", ""), seen
        )  # fmt: skip

    def _document(
        self, feed: FeedSource, identity: str, item: Item, answer: Answer, is_first_poll: bool
    ) -> Document | Rejected:
        """Return an item as a document.

        Without a usable time it was published between two polls, unless there was no
        poll before: then its age cannot be told, and it is set aside.
        """
        published = item.published_by(answer.fetched_at)
        if published is None:
            if is_first_poll:
                said = {"title": item.title[:500], "link": item.link[:500],
                        "published": item.published[:100]}  # fmt: skip
                return Rejected(
                    identity, "no usable publication time at the feed's first poll",
                    json.dumps(said),
                )  # fmt: skip
            published = answer.fetched_at
        return Document(
            "news", self.news.collection, identity, published, answer.fetched_at, item.title,
            item.body, feed.name, item.link, item.author, item.categories, feed.symbol,
        )  # fmt: skip


def _state_at(feed: FeedSource, state: State) -> State:
    """Return what is remembered of a feed; what it said at another address is not repeated."""
    if state.address == _short(feed.url):
        return state
    return replace(state, address=_short(feed.url), etag="", modified="")


def _question(feed: FeedSource, state: State) -> Question:
    asked = {"If-None-Match": state.etag, "If-Modified-Since": state.modified}
    headers = {"Accept": ACCEPT, **{name: value for name, value in asked.items() if value}}
    return Question(feed.url, headers=headers)


def _judge(state: State, found: Feed, seen: Mapping[str, Any]) -> tuple[PollState, str]:
    """Return how complete a poll is, and why it is not."""
    if found.cut:
        return "unreadable", f"the feed broke off after {len(found.items)} whole items"
    if state.seen and seen and not state.seen.keys() & seen.keys():
        return "capped", "no item of the last poll is left: some may have come and gone between"
    return ("ok" if dict(state.seen or {}) != seen else "empty"), ""


def _identified(feed: FeedSource, items: Sequence[Item]) -> Iterator[tuple[str, Item]]:
    """Yield items with their identity: feed and guid, else link, else title.

    Where a feed gives one guid to several texts, the older ones are told apart by their link.
    """
    owners: dict[str, str] = {}
    for item in items:
        link = canonical_url(item.link) or ""
        basis = item.guid or link or item.title
        if owners.setdefault(basis, link) != link:
            basis = f"{basis}#{_short(link)}"
        identity = f"{feed.name}:{basis}"
        if len(identity) > MAX_ID_CHARS:
            identity = f"{feed.name}:{hashlib.sha256(basis.encode()).hexdigest()[:24]}"
        yield identity, item


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _position(states: Mapping[str, State]) -> str:
    return json.dumps({name: vars(state) for name, state in states.items()})
