"""What collectors bring: rows, polls and cursor in one transaction, so that none runs ahead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from moodtape.clock import microseconds
from moodtape.records import ImportCounts, Poll
from moodtape.storage.db import run_script
from moodtape.storage.staging import Stage
from moodtape.storage.write import (
    Merge,
    merge_bars,
    merge_documents,
    merge_metrics,
    store_quarantine,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


def read_cursor(connection: Connection, collector: str) -> str | None:
    """Return how far a collector has read, as it wrote it; None before its first batch."""
    rows = connection.execute(
        "SELECT position FROM cursor WHERE collector = ?", [collector]
    ).fetchall()
    return str(rows[0][0]) if rows else None


def store_batch(
    connection: Connection,
    stage: Stage,
    collector: str,
    cursor: str | None,
    polls: Sequence[Poll],
    merge: Merge,
    calendar: str,
    versions: tuple[str, str],
) -> ImportCounts:
    """Take a staged batch in with its polls and move the cursor; the caller's transaction.

    A batch that is stored a second time changes nothing.

    Args:
        cursor: None leaves it where it is.
        calendar: of the bars.
        versions: of the scored text and of the alias table.
    """
    counts = ImportCounts()
    if stage.rows["bar"]:
        counts += merge_bars(connection, stage, merge, calendar)
    if stage.rows["metric"]:
        counts += merge_metrics(connection, stage, merge, live=True)
    if stage.rows["document"]:
        counts += merge_documents(connection, stage, merge, *versions, None, backfilled=False)
    if stage.rows["quarantine"]:
        reasons = store_quarantine(connection, stage, merge)
        counts += ImportCounts(quarantined=sum(reasons.values()), reasons=reasons)
    store_polls(connection, collector, polls, merge)
    if cursor is not None:
        _move_cursor(connection, collector, cursor, merge)
    return counts


def store_polls(
    connection: Connection, collector: str, polls: Sequence[Poll], merge: Merge
) -> None:
    """Enter how questions to a source ended."""
    for poll in polls:
        connection.execute(
            """
            MERGE INTO poll AS stored
            USING (
                SELECT ? AS collector, ? AS stream, ?::TIMESTAMPTZ AS polled_at, ? AS state,
                    ?::BIGINT AS items, ? AS detail, ? AS run_id
            ) AS p
            ON
                stored.collector = p.collector AND stored.stream = p.stream
                AND stored.polled_at = p.polled_at
            WHEN NOT MATCHED THEN INSERT
            """,
            [
                *(collector, poll.stream, poll.polled_at, poll.state, poll.items),
                *(poll.detail[:1000], merge.run_id),
            ],
        )


def _move_cursor(connection: Connection, collector: str, cursor: str, merge: Merge) -> None:
    connection.execute(
        """
        MERGE INTO cursor AS stored
        USING (
            SELECT ? AS collector, ? AS position, ?::TIMESTAMPTZ AS recorded_at, ? AS run_id
        ) AS c
        ON stored.collector = c.collector
        WHEN MATCHED AND stored.position <> c.position THEN UPDATE SET
            position = c.position, recorded_at = c.recorded_at, run_id = c.run_id
        WHEN NOT MATCHED THEN INSERT
        """,
        [collector, cursor, merge.now, merge.run_id],
    )


def cover_polls(
    connection: Connection,
    collector: str,
    source: str,
    collection: str,
    max_gap: timedelta,
    merge: Merge,
) -> None:
    """Enter the stretch of time that a round of polls covers, after the last batch."""
    parameters = {
        "collector": collector,
        "source": source,
        "collection": collection,
        "max_gap_us": microseconds(max_gap),
        "run_id": merge.run_id,
        "now": merge.now,
    }
    run_script(connection, "poll_coverage", parameters)
