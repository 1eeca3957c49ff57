"""Which posts are to be looked up again at their source, and when that was done."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from moodtape.records import Source
from moodtape.storage.write import Merge

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

NAMES: dict[Source, str] = {"reddit": "t[13]_[a-z0-9]{1,16}", "x": "[0-9]{1,20}"}
"""What an identity looks like that the source itself gave; imported texts may have others."""


def posts_to_check(
    connection: Connection, source: Source, since: datetime, limit: int
) -> list[str]:
    """Return identities of posts, those never checked and those checked longest ago first.

    since: posts written before it are not looked up any more.
    """
    rows = connection.execute(
        """
        SELECT d.document_id
        FROM document AS d
        LEFT JOIN recheck AS r USING (source, document_id)
        WHERE
            d.source = ? AND d.published_at >= ?
            AND regexp_full_match(d.document_id, ?)
        GROUP BY d.document_id
        ORDER BY max(r.checked_at) NULLS FIRST, min(d.published_at), d.document_id
        LIMIT ?
        """,
        [source, since, NAMES[source], limit],
    ).fetchall()
    return [row[0] for row in rows]


def note_checked(connection: Connection, source: Source, ids: Iterable[str], merge: Merge) -> None:
    """Enter that posts are still there."""
    connection.execute(
        """
        MERGE INTO recheck AS stored
        USING (
            SELECT ? AS source, unnest(?::VARCHAR[]) AS document_id,
                ?::TIMESTAMPTZ AS checked_at, ? AS run_id
        ) AS c
        ON stored.source = c.source AND stored.document_id = c.document_id
        WHEN MATCHED THEN UPDATE SET checked_at = c.checked_at, run_id = c.run_id
        WHEN NOT MATCHED THEN INSERT
        """,
        [source, sorted(ids), merge.now, merge.run_id],
    )


def blank_authors(connection: Connection, source: Source, ids: Iterable[str]) -> int:
    """Take the author out of posts that stay; return how many revisions had one."""
    rows = connection.execute(
        "UPDATE document SET author_hash = NULL"
        " WHERE source = ? AND list_contains(?, document_id) AND author_hash IS NOT NULL",
        [source, sorted(ids)],
    ).fetchall()
    return int(rows[0][0])
