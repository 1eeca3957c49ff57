"""X by recent or full-archive search, or by its counts; asked by tweepy, paid by use.

    1. enter    a call in the ledger, at its highest price; or stop      `twitter_budget.py`
    2. ask      newest posts first, page by page, back to the last poll
    3. settle   what came is what is paid

A dry run asks nothing and says what the run could cost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import SecretStr

from moodtape.clock import parse_instant
from moodtape.config import XSection
from moodtape.errors import BudgetUsedUp, ConfigError, SourceFailed
from moodtape.ingest.base import Batch, Door, Tools, failed_poll
from moodtape.ingest.credentials import read_secret
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.text import clean
from moodtape.ingest.twitter_budget import Purse, dollars, micro
from moodtape.ingest.twitter_client import instant_of, items_of, make_client, read_answer
from moodtape.records import Document, Metric, Poll, PollState

TOKEN = "MOODTAPE_X_BEARER_TOKEN"  # noqa: S105  the name of a variable, not what is in it
RECENT = timedelta(days=7) - timedelta(minutes=5)
HOUR = timedelta(hours=1)
FIELDS = ["author_id", "created_at", "edit_history_tweet_ids", "note_tweet"]


@dataclass
class Search:
    """What a query brought so far. `stopped`: why it did not come to its end."""

    posts: list[tuple[Mapping[str, Any], datetime]] = field(default_factory=list)
    stopped: SourceFailed | None = None
    is_capped: bool = False


def collector(tools: Tools) -> XSearch:
    """Return the collector of the queries that the config names.

    Raises:
        ConfigError: there is no token, or no warehouse to enter in what is spent.
    """
    section = tools.config.x
    token = read_secret(tools, TOKEN, "X")
    if tools.ledger is None:
        raise ConfigError("X is paid by use, so it needs a warehouse to enter its calls in.")
    purse = Purse(
        tools.ledger, tools.http, section.daily_budget_usd, section.monthly_budget_usd
    )  # fmt: skip
    return XSearch(section, tools, purse, token)


class XSearch:
    """Collects posts, or their number by the hour."""

    name = "x"

    def __init__(self, section: XSection, tools: Tools, purse: Purse, token: SecretStr) -> None:
        self.section, self.tools, self.purse = section, tools, purse
        self.http: Door = tools.http
        self._client = make_client(section.base_url, tools.http, token)
        self._page = section.page if section.full_archive else min(section.page, 100)
        if section.mode == "posts":
            self.covers = ("x", section.collection)

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield a batch for each query; stop where the budget does.

        The cursor is JSON: by symbol, when its newest post was written, or its last hour ended.
        """
        places: dict[str, str] = json.loads(cursor or "{}")
        if self.tools.dry_run:
            yield Batch((), json.dumps(places), tuple(self._estimates(now)))
            return
        ask = self._posts if self.section.mode == "posts" else self._counts
        for symbol, query in self.section.queries.items():
            batch, stopped = ask(symbol, query, places, now)
            yield batch
            if isinstance(stopped, BudgetUsedUp):
                raise stopped

    def _estimates(self, now: datetime) -> Iterator[Poll]:
        """Yield what each query could cost, and what is left."""
        left = self.purse.left(now)
        for symbol in self.section.queries:
            calls, cost = 1, micro(self.section.counts_usd)
            if self.section.mode == "posts":
                calls = -(-self.section.max_posts // self._page)
                cost = calls * self._page * micro(self.section.post_usd)
            told = f"at most {calls} calls and {dollars(cost)}; {left}"
            yield Poll(symbol, "empty", now, 0, told)

    def _posts(
        self, symbol: str, query: str, places: dict[str, str], now: datetime
    ) -> tuple[Batch, SourceFailed | None]:
        """Return a query's new posts, oldest first; moves its place, unless it failed half-way."""
        before = parse_instant(places[symbol]) if symbol in places else None
        start = self._start(before, now)
        search = self._search(symbol, query, start)
        rows: list[Document] = []
        rejected: list[Rejected] = []
        for post, fetched_at in reversed(search.posts):
            row = self._row(post, fetched_at)
            (rows if isinstance(row, Document) else rejected).append(row)  # type: ignore[arg-type]
        new = sum(before is None or row.published_at > before for row in rows)
        state: PollState = "ok" if new else "empty"
        poll = Poll(symbol, state, self.http.now(), new)
        if isinstance(search.stopped, BudgetUsedUp) or search.is_capped:
            told = str(search.stopped or f"more than x.max_posts = {self.section.max_posts} came")
            poll = Poll(symbol, "capped", self.http.now(), new, told)
        elif search.stopped is not None:
            poll = failed_poll(symbol, search.stopped, self.http.now())
        if rows and poll.state in ("ok", "empty", "capped"):
            newest = max(row.published_at for row in rows)
            places[symbol] = max(newest, before or newest).isoformat()
        return Batch(rows, json.dumps(places), (poll,), tuple(rejected)), search.stopped

    def _start(self, before: datetime | None, now: datetime) -> datetime:
        """Return from when on posts are asked for; recent search reaches back a week."""
        start = now - timedelta(hours=self.section.first_hours)
        if before is not None:
            start = before - timedelta(minutes=self.section.overlap_min)
        if self.tools.since is not None:
            start = self.tools.since
        return start if self.section.full_archive else max(start, now - RECENT)

    def _search(self, symbol: str, query: str, start: datetime) -> Search:
        """Ask page by page. What came before a failure is paid for, so it is kept."""
        search, page = Search(), None
        client, full = self._client, self.section.full_archive
        ask = client.search_all_tweets if full else client.search_recent_tweets
        try:
            while True:
                with self.purse.pay(f"posts {symbol}", self._page, self.section.post_usd) as call:
                    question = partial(
                        ask, query, start_time=start, end_time=self.tools.until,
                        max_results=self._page, next_token=page, tweet_fields=FIELDS,
                    )  # fmt: skip
                    told = read_answer(question, symbol)
                    posts = items_of(told, symbol)
                    call.units = len(posts)
                at = self.http.now()
                search.posts += [(post, at) for post in posts]
                page = told["meta"].get("next_token")
                if not page:
                    return search
                if len(search.posts) + self._page > self.section.max_posts:
                    search.is_capped = True
                    return search
        except SourceFailed as failure:
            search.stopped = failure
            return search

    def _row(self, post: Mapping[str, Any], fetched_at: datetime) -> Document | Rejected:
        """Return a post; an edit has a new number, so the first of its history is its name."""
        number, history = str(post.get("id") or ""), post.get("edit_history_tweet_ids")
        name = str(history[0]) if isinstance(history, list) and history else number
        long = post.get("note_tweet")
        text = str((long.get("text") if isinstance(long, dict) else "") or post.get("text") or "")
        written_at = instant_of(post.get("created_at"))
        if not number.isdigit() or not name.isdigit() or written_at is None:
            return Rejected(clean(number, 40) or "a post", "no number or no time", "")
        return Document(
            "x", self.section.collection, name, min(written_at, fetched_at), fetched_at, "", text,
            "X", f"https://x.com/i/status/{number}", str(post.get("author_id") or ""),
        )  # fmt: skip

    def _counts(
        self, symbol: str, query: str, places: dict[str, str], now: datetime
    ) -> tuple[Batch, SourceFailed | None]:
        """Return how many posts each hour had that is over; the last hours are read again."""
        before = parse_instant(places[symbol]) if symbol in places else None
        start = now - RECENT if before is None else max(before - 3 * HOUR, now - RECENT)
        try:
            with self.purse.pay(f"counts {symbol}", 1, self.section.counts_usd):
                told = read_answer(
                    lambda: self._client.get_recent_tweets_count(
                        query, granularity="hour", start_time=start
                    ),
                    symbol,
                )
        except SourceFailed as failure:
            poll = failed_poll(symbol, failure, self.http.now())
            if isinstance(failure, BudgetUsedUp):
                poll = Poll(symbol, "capped", self.http.now(), 0, str(failure))
            return Batch((), json.dumps(places), (poll,)), failure
        at, rows = self.http.now(), []
        for entry in items_of(told, symbol):
            begin, end = instant_of(entry.get("start")), instant_of(entry.get("end"))
            count = entry.get("tweet_count")
            is_whole = begin is not None and end is not None and end - begin == HOUR and end <= at
            if is_whole and isinstance(count, int) and not isinstance(count, bool):
                assert begin is not None
                rows.append(Metric("x", symbol, "x_posts", begin, begin + HOUR, count, at))
        new = sum(before is None or row.period_end > before for row in rows)
        if rows:
            places[symbol] = max(row.period_end for row in rows).isoformat()
        poll = Poll(symbol, "ok" if new else "empty", at, new)
        return Batch(rows, json.dumps(places), (poll,)), None
