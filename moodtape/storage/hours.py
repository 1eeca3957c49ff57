"""Keeps the hourly sums in step with the texts and scores below them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from moodtape.storage.db import run_script
from moodtape.storage.reposts import refresh_reposts, sketch_missing
from moodtape.storage.sketches import sketch_version
from moodtape.storage.write import microseconds

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_RULES = "hour_rules"


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
    stored = connection.execute("SELECT value FROM meta WHERE name = ?", [_RULES]).fetchall()
    return bool(waiting) or (bool(stored) and stored[0][0] != _stated(rules))


def _stated(rules: HourRules) -> str:
    return json.dumps(asdict(rules) | {"sketches": sketch_version()}, default=str, sort_keys=True)


def refresh_hours(connection: Connection, rules: HourRules) -> int:
    """Remake every dirty hour from base rows; all of them if the rules changed. Return how many."""
    stated = _stated(rules)
    stored = connection.execute("SELECT value FROM meta WHERE name = ?", [_RULES]).fetchall()
    if not stored or stored[0][0] != stated:
        sketch_missing(connection)
        mark_all_hours(connection)
        connection.execute("DELETE FROM meta WHERE name = ?", [_RULES])
        connection.execute("INSERT INTO meta VALUES (?, ?)", [_RULES, stated])
    count: int = connection.execute("SELECT count(*) FROM dirty_hour").fetchall()[0][0]
    if count:
        refresh_reposts(connection, rules.repost_window, rules.repost_similarity)
        run_script(
            connection,
            "hourly_sentiment",
            {
                "max_age_us": microseconds(rules.max_age),
                "classifier": rules.classifier,
            },
        )
    return count


def mark_all_hours(connection: Connection) -> None:
    """Mark every hour that has texts or sums as dirty."""
    connection.execute(
        """
        MERGE INTO dirty_hour AS stored
        USING (
            SELECT source, collection, date_trunc('hour', known_at) AS hour FROM document
            UNION
            SELECT source, collection, hour FROM sentiment_hourly
        ) AS d
        ON stored.source = d.source AND stored.collection = d.collection AND stored.hour = d.hour
        WHEN NOT MATCHED THEN INSERT
        """
    )
