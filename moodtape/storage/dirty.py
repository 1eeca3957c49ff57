"""Marks the hours whose sums must be made again: those of changed texts, or all.

What a text tells again depends on the texts of the repost window before it. So a text that comes
or goes touches its own hour and, within that window after it, those of texts with its words.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from moodtape.storage.db import run_script

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_RULES = "hour_rules"


def stored_rules(connection: Connection) -> str | None:
    """Return the rules by which the stored hours were made, as JSON; None before the first."""
    rows = connection.execute("SELECT value FROM meta WHERE name = ?", [_RULES]).fetchall()
    return rows[0][0] if rows else None


def store_rules(connection: Connection, stated: str) -> None:
    """Keep the rules by which all hours are made from now on."""
    connection.execute("DELETE FROM meta WHERE name = ?", [_RULES])
    connection.execute("INSERT INTO meta VALUES (?, ?)", [_RULES, stated])


def mark_changed(connection: Connection) -> None:
    """Mark the hours that the texts in the temp table versioned change, whether they come or go."""
    run_script(connection, "mark_dirty", {})
    since, until = connection.execute(
        "SELECT min(known_at), max(known_at) FROM touched"
        " SEMI JOIN moved USING (source, collection, document_id)"
    ).fetchall()[0]
    window = _repost_window(connection)
    if since is not None and window is not None:
        told = {"told_from": since, "told_until": until + window, "repost_window": window}
        run_script(connection, "mark_told", told)


def _repost_window(connection: Connection) -> timedelta | None:
    """Return how far back reposts look; None where the next refresh makes every hour anyway."""
    found = json.loads(stored_rules(connection) or "{}").get("repost_window")
    return timedelta(microseconds=found) if isinstance(found, int) else None


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
