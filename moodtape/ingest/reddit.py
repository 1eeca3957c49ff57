"""Reddit: by the feeds of subreddits, which need no key, or by its API, which does."""

from __future__ import annotations

from moodtape.ingest.base import Collector, Tools
from moodtape.ingest.credentials import read_secret
from moodtape.ingest.reddit_api import Credentials, SubredditApi
from moodtape.ingest.reddit_feed import SubredditFeeds

CLIENT_ID, CLIENT_SECRET = "MOODTAPE_REDDIT_CLIENT_ID", "MOODTAPE_REDDIT_CLIENT_SECRET"


def collector(tools: Tools) -> Collector:
    """Return the collector of the subreddits that the config names.

    Raises:
        ConfigError: the API is wanted, and there are no credentials.
    """
    section = tools.config.reddit
    if section.access == "feed":
        return SubredditFeeds(section, tools.http)
    purpose = 'reddit.access = "api"'
    credentials = Credentials(*(read_secret(tools, n, purpose) for n in (CLIENT_ID, CLIENT_SECRET)))
    return SubredditApi(section, tools.http, credentials)
