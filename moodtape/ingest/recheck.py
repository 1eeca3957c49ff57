"""Looks posts up again at Reddit and X, and forgets those that are gone there.

    1. choose   posts of the last days, those checked longest ago first
    2. ask      a hundred at a time; only a plain answer counts
    3. forget   what is gone; take the author out where only the author is
    4. enter    what is still there, so that others come first next time

A failed or garbled answer deletes nothing, and neither does one in which too many are missing.
Reddit: https://www.reddit.com/dev/api#GET_api_info. X: GET /2/tweets, "Get Posts by IDs".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from moodtape.errors import ConfigError, CouldNotRead, Refused, SourceFailed
from moodtape.ingest.base import Tools
from moodtape.ingest.credentials import read_secret
from moodtape.ingest.forgetting import carry_out, of_identities
from moodtape.ingest.redact import redact_answers
from moodtape.ingest.reddit import CLIENT_ID, CLIENT_SECRET
from moodtape.ingest.reddit_api import Credentials, make_client, next_item
from moodtape.ingest.reddit_feed import is_gone
from moodtape.ingest.text import clean
from moodtape.ingest.twitter import TOKEN
from moodtape.ingest.twitter_budget import Purse, dollars, micro
from moodtape.ingest.twitter_client import make_client as make_x_client
from moodtape.storage.db import Warehouse
from moodtape.storage.rechecks import blank_authors, note_checked, posts_to_check
from moodtape.storage.traces import Traces
from moodtape.storage.write import Merge, begin_run, finish_run

CHUNK = 100
FEW = 5
"""So many posts may be gone at once; of more, at most half."""

Checked = Literal["reddit", "x"]


class TooManyMissing(CouldNotRead):
    """An answer lacks more posts than are ever deleted at once."""


@dataclass(frozen=True)
class Verdict:
    """What a source said of the posts it was asked about; of others it said nothing."""

    there: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    authorless: frozenset[str] = frozenset()

    def __or__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.there | other.there, self.gone | other.gone, self.authorless | other.authorless
        )


@dataclass(frozen=True)
class Recheck:
    """What came of a source: counts of posts; `detail`: why not all were asked, or the cost."""

    source: str
    state: Literal["done", "failed", "impossible", "dry run"]
    asked: int = 0
    gone: int = 0
    authorless: int = 0
    detail: str = ""


class Lookup(Protocol):
    """Asks a source about some posts at a time."""

    def ask(self, ids: Sequence[str]) -> Verdict:
        """Return what became of up to a hundred posts.

        Raises:
            SourceFailed: nobody can tell.
        """

    def cost(self, count: int) -> str:
        """Return what so many posts may cost, and what is left."""


class RedditLookup:
    """Reddit's API by praw. Its feeds show no deletions."""

    def __init__(self, tools: Tools) -> None:
        section = tools.config.reddit
        if section.access == "feed":
            raise ConfigError(
                "Reddit's feeds do not show what was deleted, so posts cannot be checked without"
                ' a key. Set reddit.access = "api" and the credentials of an app.'
            )
        found = [read_secret(tools, n, "The recheck") for n in (CLIENT_ID, CLIENT_SECRET)]
        self._reddit = make_client(section, tools.http, Credentials(*found))

    def ask(self, ids: Sequence[str]) -> Verdict:
        """See `Lookup`."""
        told = {str(item.get("name")): item for item in self._items(ids)}
        if not told.keys() <= set(ids):
            raise CouldNotRead("Reddit tells of posts that it was not asked about.")
        gone = set(ids) - told.keys()
        _require_few(gone, ids, "Reddit")
        gone |= {name for name, item in told.items() if _is_taken_down(item)}
        return Verdict(
            frozenset(told.keys() - gone),
            frozenset(gone),
            frozenset(n for n, i in told.items() if n not in gone and _author(i) == "[deleted]"),
        )

    def _items(self, ids: Sequence[str]) -> Iterator[Any]:
        listing = iter(self._reddit.info(fullnames=list(ids)))
        while (item := next_item(listing, "recheck")) is not None:
            if not {"name", "author"} <= item.keys() or not {"selftext", "body"} & item.keys():
                raise CouldNotRead("Reddit's answer lacks the text or the author of a post.")
            yield item

    def cost(self, count: int) -> str:
        """See `Lookup`."""
        return f"{-(-count // CHUNK)} calls"


def _author(item: Any) -> str:
    return str(getattr(item["author"], "name", None) or "[deleted]")


def _is_taken_down(item: Any) -> bool:
    body = str(item.get("selftext") or item.get("body") or "")
    return bool(item.get("removed_by_category")) or is_gone(str(item.get("title") or ""), body, "")


class XLookup:
    """X's lookup by tweepy, paid from the same budget as the search."""

    def __init__(self, tools: Tools) -> None:
        section = tools.config.x
        if tools.ledger is None:
            raise ConfigError("X is paid by use, so it needs a warehouse to enter its calls in.")
        self.http, self.price = tools.http, section.post_usd
        token = read_secret(tools, TOKEN, "The recheck of X")
        self.purse = Purse(
            tools.ledger, tools.http, section.daily_budget_usd, section.monthly_budget_usd
        )
        self._client = make_x_client(section.base_url, tools.http, token)

    def ask(self, ids: Sequence[str]) -> Verdict:
        """See `Lookup`."""
        from tweepy.errors import TweepyException

        with self.purse.pay("recheck", len(ids), self.price) as call:
            try:
                told = self._client.get_tweets(list(ids), tweet_fields=["author_id"])
            except (TweepyException, ValueError, TypeError) as exc:
                raise CouldNotRead(
                    f"X: the answer is none that tweepy can read ({type(exc).__name__})."
                ) from exc
            there, gone = _x_verdict(told, set(ids))
            call.units = len(there)
        _require_few(gone, ids, "X")
        return Verdict(frozenset(there), frozenset(gone))

    def cost(self, count: int) -> str:
        """See `Lookup`."""
        return f"at most {dollars(count * micro(self.price))}; {self.purse.left(self.http.now())}"


def _x_verdict(told: Any, asked: set[str]) -> tuple[set[str], set[str]]:
    """Return which posts are there and which X says it does not show any more."""
    if not isinstance(told, dict):
        raise CouldNotRead("X: the answer is no object.")
    posts, errors = told.get("data", []), told.get("errors", [])
    for part in (posts, errors):
        if not isinstance(part, list) or not all(isinstance(one, dict) for one in part):
            raise CouldNotRead("X: the answer's parts are no lists of items.")
    there = {str(post.get("id")) for post in posts}
    gone = {
        str(error.get("resource_id") or error.get("value"))
        for error in errors
        if error.get("resource_type") == "tweet"
        and str(error.get("type")).endswith(("/resource-not-found", "/not-authorized-for-resource"))
    }
    if not there and not gone:
        said = errors[0].get("detail") or errors[0].get("message") if errors else "nothing"
        raise Refused(f"X, recheck: {clean(str(said), 200)}")
    if not there | gone <= asked or there & gone:
        raise CouldNotRead("X tells of posts that it was not asked about.")
    return there, gone


def _require_few(missing: set[str], asked: Sequence[str], whose: str) -> None:
    """Refuse an answer in which so many posts are missing that the answer is at fault."""
    if len(missing) > max(FEW, len(asked) // 2):
        raise TooManyMissing(
            f"{whose}: {len(missing)} of {len(asked)} posts are missing in one answer. That is no"
            " deletion until it is looked at; nothing was forgotten."
        )


def recheck(
    tools: Tools, source: Checked, warehouse: Warehouse, answers: Path, run_id: str
) -> Recheck:
    """Look a source's posts up again, forget what is gone, and return what came of it.

    A failure ends the asking; what was told before it counts.

    Raises:
        DataMissing: there is no warehouse.
        WarehouseLocked: another process is writing.
    """
    section = getattr(tools.config, source)
    since = tools.http.now() - timedelta(days=section.recheck_days)
    with warehouse.read() as connection:
        ids = posts_to_check(connection, source, since, section.recheck_items)
    try:
        lookup: Lookup = RedditLookup(tools) if source == "reddit" else XLookup(tools)
    except ConfigError as exc:
        return Recheck(source, "impossible", detail=str(exc))
    if tools.dry_run:
        return Recheck(source, "dry run", len(ids), detail=lookup.cost(len(ids)))
    verdict, failure = _ask_all(lookup, ids)
    _settle(source, verdict, warehouse, answers, Merge(run_id, tools.http.now()))
    asked = len(verdict.there | verdict.gone)
    return Recheck(
        source, "failed" if failure else "done", asked, len(verdict.gone),
        len(verdict.authorless), str(failure or ""),
    )  # fmt: skip


def _ask_all(lookup: Lookup, ids: Sequence[str]) -> tuple[Verdict, SourceFailed | None]:
    """Return what was told, and the first failure; a doubtful answer does not end the asking."""
    verdict, doubt = Verdict(), None
    for start in range(0, len(ids), CHUNK):
        try:
            verdict |= lookup.ask(ids[start : start + CHUNK])
        except TooManyMissing as failure:
            doubt = doubt or failure
        except SourceFailed as failure:
            return verdict, doubt or failure
    return verdict, doubt


def _settle(
    source: Checked, verdict: Verdict, warehouse: Warehouse, answers: Path, merge: Merge
) -> None:
    """Forget what is gone, take authors out, and enter what is still there."""
    if verdict.gone:
        request = of_identities(source, verdict.gone)
        carry_out(warehouse, answers, request, f"{merge.run_id}-{source}", merge.now)
    if verdict.authorless:
        redact_answers(answers, Traces(identities=verdict.authorless))
    with warehouse.write() as connection:
        begin_run(connection, f"{merge.run_id}-{source}-seen", "recheck", {"source": source},
                  merge.now)  # fmt: skip
        blanked = blank_authors(connection, source, verdict.authorless)
        note_checked(connection, source, verdict.there, merge)
        counts = {"there": len(verdict.there), "gone": len(verdict.gone), "authors": blanked}
        finish_run(connection, f"{merge.run_id}-{source}-seen", "done", counts, merge.now)


def sources_of(names: Sequence[str]) -> tuple[Checked, ...]:
    """Return which sources are looked up: the named ones, or both."""
    both: tuple[Checked, ...] = ("reddit", "x")
    return tuple(name for name in both if not names or name in names)
