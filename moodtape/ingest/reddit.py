"""Reddit: the feeds of subreddits, which need no key."""

from __future__ import annotations

from moodtape.ingest.base import Tools
from moodtape.ingest.reddit_feed import SubredditFeeds


def collector(tools: Tools) -> SubredditFeeds:
    """Return the collector of the subreddits that the config names."""
    return SubredditFeeds(tools.config.reddit, tools.http)
