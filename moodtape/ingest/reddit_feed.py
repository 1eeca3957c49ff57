"""Subreddits without a key: their public feeds, read like any other feed.

A feed shows a subreddit's latest 100 posts. What Reddit has removed, or its author deleted,
becomes no row.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from moodtape.config import NewsSection, RedditSection
from moodtape.ingest.base import Door
from moodtape.ingest.feed import Item
from moodtape.ingest.http import Answer
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.rss import FeedSource, NewsFeeds
from moodtape.ingest.text import clean, is_deleted
from moodtape.records import Document

PAGE = 100
GONE = "removed at Reddit, or deleted by its author"
_WRITTEN = re.compile(r"<!-- SC_OFF -->(.*?)<!-- SC_ON -->", re.DOTALL)
_FULLNAME = re.compile(r"t[13]_[a-z0-9]{1,16}")
_LINK = re.compile(r"/comments/([a-z0-9]{1,16})(?:/[^/?#]*)?(?:/([a-z0-9]{1,16}))?/?(?:[?#]|$)")


class Stream(NamedTuple):
    """What is asked of Reddit: the posts or the comments of one subreddit."""

    subreddit: str
    listing: str

    @property
    def name(self) -> str:
        """Return what it is called in polls."""
        return f"r/{self.subreddit} {self.listing}"


def streams_of(section: RedditSection) -> list[Stream]:
    """Return what the config asks of Reddit."""
    listings = ("posts", "comments") if section.comments else ("posts",)
    return [Stream(name, listing) for name in section.subreddits for listing in listings]


class SubredditFeeds(NewsFeeds):
    """Collects what subreddits' feeds show."""

    name = "reddit"

    def __init__(self, section: RedditSection, http: Door) -> None:
        base = section.base_url.rstrip("/")
        paths = {"posts": "new", "comments": "comments"}
        self.streams = {stream.name: stream for stream in streams_of(section)}
        feeds = [
            FeedSource(
                name, f"{base}/r/{subreddit}/{paths[listing]}/.rss?limit={PAGE}", "a subreddit"
            )
            for name, (subreddit, listing) in self.streams.items()
        ]
        super().__init__(feeds, NewsSection(collection=section.collection), http)
        self.covers = ("reddit", section.collection)

    def _document(
        self, feed: FeedSource, identity: str, item: Item, answer: Answer, is_first_poll: bool
    ) -> Document | Rejected:
        """Return an item as a post or a comment, under the name that Reddit gave it."""
        made = super()._document(feed, identity, item, answer, is_first_poll)
        if isinstance(made, Rejected):
            return made
        stream, name = self.streams[feed.name], fullname(item) or identity
        body = written(item.body)
        author = item.author.strip().removeprefix("/u/")
        if is_gone(item.title, body, author):
            return Rejected(name, GONE, "")
        title = "" if stream.listing == "comments" else item.title
        return replace(
            made, source="reddit", document_id=name, title=title, body=body,
            outlet=stream.subreddit, author=author, categories="",
        )  # fmt: skip


def is_gone(title: str, body: str, author: str) -> bool:
    """Say whether a text was taken down: its duty to be forgotten goes before its words."""
    return any(is_deleted(part) for part in (title, clean(body, 50), author))


def written(content: str) -> str:
    """Return what the author wrote, without the table of links that Reddit sets around it.

    >>> written('<!-- SC_OFF --><p>Up</p><!-- SC_ON --> submitted by <a>/u/x</a> [link]')
    '<p>Up</p>'
    >>> written('submitted by <a>/u/x</a> [link]')
    ''
    """
    return "".join(_WRITTEN.findall(content)).strip()


def fullname(item: Item) -> str:
    """Return Reddit's name of a post (`t3_...`) or comment (`t1_...`); empty if it has none."""
    if _FULLNAME.fullmatch(item.guid):
        return item.guid
    found = _LINK.search(item.guid) or _LINK.search(item.link)
    if found is None:
        return ""
    return f"t1_{found[2]}" if found[2] else f"t3_{found[1]}"
