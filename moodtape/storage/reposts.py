"""Finds texts that tell again what an earlier one told, as far as hours are dirty."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moodtape.clock import microseconds
from moodtape.records import Span
from moodtape.storage.db import run_script
from moodtape.storage.sketches import sketch_texts, sketch_version

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

PAGE_TEXTS = 20_000


def refresh_reposts(
    connection: Connection, stretch: Span, window: timedelta, similarity: float
) -> None:
    """Remake the reposts of the dirty hours in a stretch of time from base rows.

    Args:
        window: an earlier text is repeated within this time.
        similarity: of words, from which on two texts are one story; 1 for equal words only.
    """
    parameters = {
        "since": stretch.since,
        "until": stretch.until,
        "seen_from": stretch.since - window,
        "repost_window_us": microseconds(window),
        "repost_similarity": similarity,
    }
    run_script(connection, "reposts", parameters)


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
