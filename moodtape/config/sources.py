"""Which sources are asked, where, and how politely."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from moodtape.config.section import Section


class IngestSection(Section):
    """Which sources `moodtape ingest` asks."""

    sources: tuple[str, ...] = Field(
        ("news", "bars", "onchain", "indices"), description="collectors, also those of plug-ins"
    )
    keep_answers_d: float = Field(
        30, ge=0, description="days that answers are kept for `ingest --replay`; 0 keeps none"
    )
    plugin: dict[str, dict[str, str]] = Field(
        {}, description="settings of plug-in collectors: [ingest.plugin.NAME]"
    )


class HttpSection(Section):
    """How every source is asked."""

    contact: str = Field(
        "", description="mail or page by which a provider can reach you; part of the User-Agent"
    )
    connect_timeout_s: float = Field(10, gt=0, description="seconds to reach a host")
    read_timeout_s: float = Field(30, gt=0, description="seconds of silence in an answer")
    deadline_s: float = Field(180, gt=0, description="seconds for a request with its retries")
    attempts: int = Field(4, ge=1, le=20, description="tries in all where a retry makes sense")
    backoff_s: float = Field(1, ge=0, description="longest first wait; it doubles each time")
    backoff_limit_s: float = Field(60, ge=0, description="longest wait of our own choice")
    retry_after_limit_s: float = Field(
        120, ge=0, description="a provider that asks for a longer wait is left for this run"
    )
    spacing_s: float = Field(1, ge=0, description="seconds between requests to one host")
    body_limit_mib: float = Field(10, gt=0, description="MiB of an answer, unpacked")
    max_redirects: int = Field(5, ge=0, description="redirects that are followed")
    breaker_failures: int = Field(
        5, ge=1, description="failed requests in a row after which a host is left alone for a while"
    )
    breaker_rest_min: float = Field(
        30, ge=0, description="minutes a failing host is left alone; it doubles up to a day"
    )
    hosts_at_once: int = Field(
        8, ge=1, le=64, description="hosts asked at the same time, each one question at a time"
    )


class NewsSection(Section):
    """News feeds."""

    base_url: str = Field(
        "", description="stand-in for all feeds, asked as BASE_URL/HOST/PATH; empty: each itself"
    )
    feeds: str = Field(
        "", description="your own feeds.toml in the project's folder; empty: the shipped ones"
    )
    only: tuple[str, ...] = Field((), description="names of feeds to read; empty: all")
    collection: str = Field("feeds", description="name of the feed set in the warehouse")
    max_poll_gap_min: float = Field(
        90, gt=0, description="minutes between polls beyond which the hours between are unknown"
    )


class RedditSection(Section):
    """Posts and comments of subreddits: without a key by their feeds, or with one by the API."""

    base_url: str = Field(
        "https://www.reddit.com", description="where it is asked; a stand-in serves the API too"
    )
    access: Literal["feed", "api"] = Field(
        "feed", description="`feed` needs no key; `api` needs the credentials of an app"
    )
    subreddits: tuple[str, ...] = Field(
        ("CryptoCurrency", "Bitcoin", "ethereum"), description="names without `r/`"
    )
    comments: bool = Field(False, description="also comments, not only posts")
    collection: str = Field("subreddits", description="name of the set in the warehouse")
    username: str = Field(
        "", description="your name at Reddit, which its rules ask for in the User-Agent"
    )
    overlap_min: float = Field(
        60, ge=0, description="minutes read again at every poll of the API, for edits"
    )
    first_items: int = Field(100, ge=1, le=1000, description="items of the API's first poll")
    recheck_days: int = Field(
        30, ge=1, description="posts this old are looked up again by `forget --recheck`"
    )
    recheck_items: int = Field(1000, ge=1, description="most posts looked up in one recheck")

    @field_validator("subreddits")
    @classmethod
    def _subreddits_are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_]{2,24}", name):
                raise ValueError(f"{name!r} is no subreddit; write Bitcoin for r/Bitcoin")
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("a subreddit is named twice")
        return names


class XSection(Section):
    """Posts of X, or how many there are: paid by use, and never beyond the budget."""

    base_url: str = Field("https://api.x.com", description="where it is asked")
    mode: Literal["posts", "counts"] = Field(
        "posts", description="`counts` brings posts per hour as the metric `x_posts`, for less"
    )
    queries: dict[str, str] = Field(
        {"BTC": "(bitcoin OR $BTC) lang:en -is:retweet"},
        description="what is searched for, by symbol",
    )
    full_archive: bool = Field(
        False, description="search all posts, not those of a week, where the account may"
    )
    collection: str = Field("search", description="name of the set in the warehouse")
    daily_budget_usd: float = Field(0, ge=0, description="most spent in a day, UTC; 0: nothing")
    monthly_budget_usd: float = Field(0, ge=0, description="most spent in a month, UTC")
    post_usd: float = Field(0.005, ge=0, description="price of a post that is read")
    counts_usd: float = Field(0.005, ge=0, description="price of a call for counts")
    page: int = Field(100, ge=10, le=500, description="posts of one call; over 100: full archive")
    max_posts: int = Field(500, ge=10, description="most posts of a query in one run")
    first_hours: float = Field(1, gt=0, le=160, description="hours fetched by the first poll")
    overlap_min: float = Field(2, ge=0, description="minutes read again at every poll")
    recheck_days: int = Field(
        30, ge=1, description="posts this old are looked up again by `forget --recheck`"
    )
    recheck_items: int = Field(
        500, ge=1, description="most posts looked up in one recheck, each at `post_usd`"
    )

    @field_validator("queries")
    @classmethod
    def _queries_fit(cls, queries: dict[str, str]) -> dict[str, str]:
        for symbol, query in queries.items():
            if not query.strip() or len(query) > 512:
                raise ValueError(f"the query of {symbol} has 1 to 512 characters")
        return queries
