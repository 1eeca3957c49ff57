"""Subreddits by Reddit's API, for those who have an app's credentials; asked by praw.

A listing is read from its newest item back to some time before the last poll's newest: what
was edited since then comes again, and is a further revision. Reddit shows no more than about
1000 items of a listing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import SecretStr

from moodtape import __version__
from moodtape.config import RedditSection
from moodtape.errors import CouldNotAsk, CouldNotRead, Refused, SourceFailed
from moodtape.ingest.base import Batch, Door, failed_poll
from moodtape.ingest.clients import DoorAdapter, client_session
from moodtape.ingest.reddit_feed import GONE, Stream, is_gone, streams_of
from moodtape.ingest.rejects import Rejected
from moodtape.records import Document, Poll, PollState

REDDIT, ITS_API = "https://www.reddit.com", "https://oauth.reddit.com"
MOST_ITEMS = 1000


class Credentials(NamedTuple):
    """Of an app that Reddit has let in."""

    client_id: SecretStr
    client_secret: SecretStr


class Found(NamedTuple):
    """An item of a listing, and when it came."""

    item: Mapping[str, Any]
    fetched_at: datetime


class SubredditApi:
    """Collects new posts and comments; a subreddit that refuses keeps no other from it."""

    name = "reddit"

    def __init__(self, section: RedditSection, http: Door, credentials: Credentials) -> None:
        self.section, self.http = section, http
        self.covers = ("reddit", section.collection)
        self._reddit = make_client(section, http, credentials)

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each subreddit's posts, and one for its comments if wanted.

        The cursor is JSON: by stream, when its newest item was written, in seconds.
        """
        newest: dict[str, float] = json.loads(cursor or "{}")
        for stream in streams_of(self.section):
            try:
                found = list(self._items(stream, newest.get(stream.name)))
            except SourceFailed as failure:
                poll = failed_poll(stream.name, failure, self.http.now())
                yield Batch((), json.dumps(newest), (poll,))
                continue
            yield self._batch(stream, found, newest)

    def _batch(self, stream: Stream, found: list[Found], newest: dict[str, float]) -> Batch:
        """Return what a listing showed, oldest first; moves the stream's place in `newest`."""
        since = newest.get(stream.name)
        rows: list[Document] = []
        rejected: list[Rejected] = []
        times = [_written_at(item, at) for item, at in found]
        for (item, fetched_at), written_at in reversed(list(zip(found, times, strict=True))):
            row = self._row(stream, item, written_at, fetched_at)
            (rows if isinstance(row, Document) else rejected).append(row)  # type: ignore[arg-type]
        seconds = [at.timestamp() for at in times if at is not None]
        new = sum(since is None or second > since for second in seconds)
        state: PollState = "ok" if new else "empty"
        detail = ""
        if since is not None and new and not any(second <= since for second in seconds):
            state, detail = "capped", "more has come than Reddit shows: some items are missing"
        if seconds:
            newest[stream.name] = max([*seconds, since or 0.0])
        poll = Poll(stream.name, state, self.http.now(), new, detail)
        return Batch(rows, json.dumps(newest), (poll,), tuple(rejected))

    def _row(
        self, stream: Stream, item: Mapping[str, Any], written_at: datetime | None, at: datetime
    ) -> Document | Rejected:
        name, author = str(item.get("name") or ""), _author(item)
        title = str(item.get("title") or "")
        body = str(item.get("selftext") or item.get("body") or "")
        if not name or written_at is None:
            return Rejected(name or stream.name, "no name or no time", "")
        if item.get("removed_by_category") or is_gone(title, body, author):
            return Rejected(name, GONE, "")
        link = str(item.get("permalink") or "")
        return Document(
            "reddit", self.section.collection, name, written_at, at, title, body,
            stream.subreddit, f"{REDDIT}{link}" if link.startswith("/") else "", author,
        )  # fmt: skip

    def _items(self, stream: Stream, since: float | None) -> Iterator[Found]:
        """Yield a listing's items, newest first, until some time before the last poll's newest.

        Raises:
            CouldNotAsk, Refused, CouldNotRead: it did not come, or praw cannot read it.
        """
        subreddit = self._reddit.subreddit(stream.subreddit)
        ask = subreddit.comments if stream.listing == "comments" else subreddit.new
        limit = self.section.first_items if since is None else MOST_ITEMS
        page = min(limit, 100)
        listing = iter(ask(limit=limit, params={"limit": page}))
        overlap = timedelta(minutes=self.section.overlap_min).total_seconds()
        while True:
            item = next_item(listing, stream.name)
            if item is None:
                return
            at = self.http.now()
            yield Found(item, at)
            written_at = _written_at(item, at)
            if since is not None and written_at and written_at.timestamp() < since - overlap:
                return


def next_item(listing: Iterator[Any], name: str) -> Mapping[str, Any] | None:
    """Return the next item's own fields, or None at the end.

    praw would ask Reddit once more for a field that an item lacks, so it is never asked.
    """
    from praw.exceptions import PRAWException
    from prawcore.exceptions import OAuthException, PrawcoreException, RequestException

    try:
        item = next(listing, None)
        return None if item is None else dict(vars(item))
    except RequestException as exc:
        if isinstance(exc.original_exception, SourceFailed):
            raise exc.original_exception from None  # the wrapping holds the credentials
        kind = type(exc.original_exception).__name__
        raise CouldNotAsk(f"{name}: no answer ({kind}).") from None
    except OAuthException:
        raise Refused("Reddit does not let this app in: are its credentials right?") from None
    except (PrawcoreException, PRAWException, ValueError, TypeError, LookupError,
            AttributeError, RecursionError) as exc:  # fmt: skip
        raise CouldNotRead(
            f"{name}: the answer is none that praw can read ({type(exc).__name__})."
        ) from exc


def make_client(section: RedditSection, http: Door, credentials: Credentials) -> Any:
    """Return a praw client whose requests go through the door. It asks nothing yet."""
    import praw

    for noisy in ("praw", "prawcore"):
        logging.getLogger(noisy).setLevel(logging.INFO)  # at debug they tell what is sent
    base = section.base_url.rstrip("/")
    by = f" (by /u/{section.username})" if section.username else ""
    session = client_session(DoorAdapter(http, ("authorization", "content-type", "user-agent")))
    return praw.Reddit(
        client_id=credentials.client_id.get_secret_value(),
        client_secret=credentials.client_secret.get_secret_value(),
        user_agent=f"python:moodtape:v{__version__}{by}",
        reddit_url=base,
        oauth_url=ITS_API if base == REDDIT else base,
        check_for_updates=False,
        requestor_kwargs={"session": session},
    )


def _author(item: Mapping[str, Any]) -> str:
    """Return an author's name; an item without one was deleted by them."""
    return str(getattr(item.get("author"), "name", None) or "[deleted]")


def _written_at(item: Mapping[str, Any], fetched_at: datetime) -> datetime | None:
    """Return when an item was written, never after it came; None where nobody can tell."""
    try:
        return min(datetime.fromtimestamp(float(item["created_utc"]), UTC), fetched_at)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
