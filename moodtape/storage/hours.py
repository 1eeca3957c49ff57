"""Keeps the hourly sums in step with the texts and scores below them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from moodtape.clock import microseconds
from moodtape.records import Span
from moodtape.storage.db import run_script
from moodtape.storage.dirty import mark_all_hours, store_rules, stored_rules
from moodtape.storage.promotion_marks import mark_texts, promotion_version, repeat_rule
from moodtape.storage.reposts import refresh_reposts, sketch_missing
from moodtape.storage.sketches import sketch_version

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_PROMOTION = "promotion"

STRETCH_DAYS = 30
"""Days of texts looked at at once, so that memory does not grow with the archive."""


@dataclass(frozen=True)
class HourRules:
    """What makes a text count in its hour.

    max_age: a text older than this when first known is stale.
    repost_window: what was told within this time before is told again.
    repost_similarity: of words, from which on a text tells the same; 1 for equal words only.
    classifier: whose kinds of text are used; empty for none.
    """

    max_age: timedelta = timedelta(hours=6)
    repost_window: timedelta = timedelta(hours=72)
    repost_similarity: float = 0.55
    classifier: str = ""


def is_stale(connection: Connection, rules: HourRules) -> bool:
    """Say whether hours wait to be made again, or were made by other rules."""
    waiting = connection.execute("SELECT count(*) FROM dirty_hour").fetchall()[0][0]
    stored = stored_rules(connection)
    return bool(waiting) or (stored is not None and stored != _stated(rules))


def _stated(rules: HourRules) -> str:
    every = asdict(rules) | {"sketches": sketch_version(), _PROMOTION: promotion_version()}
    return json.dumps(every, default=microseconds, sort_keys=True)


def refresh_hours(connection: Connection, rules: HourRules) -> int:
    """Remake every dirty hour from base rows; all of them if the rules changed. Return how many.

    What is read are the texts of the dirty hours and of the repost window before them.
    """
    stated = _stated(rules)
    stored = stored_rules(connection)
    if stored != stated:
        sketch_missing(connection)
        known = json.loads(stored or "{}").get(_PROMOTION)
        mark_texts(connection, again=known != promotion_version())
        mark_all_hours(connection)
        store_rules(connection, stated)
    count: int = connection.execute("SELECT count(*) FROM dirty_hour").fetchall()[0][0]
    if count:
        mark_texts(connection)
        _remake_dirty(connection, rules)
    return count


def _remake_dirty(connection: Connection, rules: HourRules) -> None:
    about = {"window": rules.repost_window, "stretch_days": STRETCH_DAYS}
    run_script(connection, "later_revisions", about)
    rows = connection.execute("SELECT since, until FROM stretch ORDER BY 1").fetchall()
    stretches = [Span(since, until) for since, until in rows]
    for stretch in stretches:
        refresh_reposts(connection, stretch, rules.repost_window, rules.repost_similarity)
    parameters = {
        "since": stretches[0].since,
        "until": stretches[-1].until,
        "max_age_us": microseconds(rules.max_age),
        "classifier": rules.classifier,
        **repeat_rule(),
    }
    run_script(connection, "hourly_sentiment", parameters)
