"""Finds texts that tell again what an earlier one told, as far as hours are dirty."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moodtape.storage.db import run_script
from moodtape.storage.sketches import sketch_texts, sketch_version

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

PAGE_TEXTS = 20_000
STRETCH_DAYS = 30
"""Days of texts compared at once, so that memory does not grow with the archive."""


def refresh_reposts(connection: Connection, window: timedelta, similarity: float) -> None:
    """Remake the reposts of every dirty hour from base rows.

    Args:
        window: an earlier text is repeated within this time.
        similarity: of words, from which on two texts are one story; 1 for equal words only.
    """
    for since, until in list(_stretches(connection)):
        parameters = {
            "since": since,
            "until": until,
            "seen_from": since - window,
            "repost_window_us": window // timedelta(microseconds=1),
            "repost_similarity": similarity,
        }
        run_script(connection, "reposts", parameters)


def _stretches(connection: Connection) -> Iterator[tuple[datetime, datetime]]:
    """Yield spans of time that hold all dirty hours, none longer than STRETCH_DAYS."""
    rows = connection.execute(
        """
        SELECT min(hour), max(hour) + INTERVAL 1 HOUR
        FROM dirty_hour
        GROUP BY epoch(hour)::BIGINT // (86400 * ?)
        ORDER BY 1
        """,
        [STRETCH_DAYS],
    ).fetchall()
    yield from rows


def sketch_missing(connection: Connection) -> int:
    """Sketch the texts that have no sketch of the present version; return how many.

    Texts that were forgotten keep what they have: those of an older version, or none, are
    compared by equal words alone.
    """
    import pyarrow as pa

    done = 0
    types = {"sketch": pa.list_(pa.uint64()), "bands": pa.list_(pa.uint32())}
    while True:
        rows = connection.execute(
            """
            SELECT DISTINCT content_hash, text
            FROM document
            JOIN scored_text USING (content_hash)
            WHERE repeat_key IS NOT NULL AND text <> '' AND sketch_version IS DISTINCT FROM ?
            LIMIT ?
            """,
            [sketch_version(), PAGE_TEXTS],
        ).fetchall()
        if not rows:
            return done
        made = sketch_texts([text for _, text in rows])
        columns = {name: pa.array([m[name] for m in made], type) for name, type in types.items()}
        page = pa.table({"content_hash": [key for key, _ in rows], **columns})
        connection.register("page", page)
        connection.execute(
            """
            UPDATE document
            SET sketch_version = ?, sketch = page.sketch, bands = page.bands
            FROM page
            WHERE document.content_hash = page.content_hash
            """,
            [sketch_version()],
        )
        connection.unregister("page")
        done += len(rows)
