"""Appends rows. Nothing stored is changed: a correction is a further row with its own known_at."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moodtape import __version__
from moodtape.errors import UsageError
from moodtape.records import ImportCounts
from moodtape.storage.db import run_script
from moodtape.storage.dirty import mark_changed
from moodtape.storage.staging import Stage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


def new_run_id(now: datetime) -> str:
    """Return a name for a run that sorts by time: `20250601T120000Z-1f0c`."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def begin_run(
    connection: Connection, run_id: str, command: str, arguments: Mapping[str, Any], now: datetime
) -> None:
    """Enter a run in the ledger; `finish_run` closes it in the same or a later session."""
    connection.execute(
        "INSERT INTO run VALUES (?, ?, ?, ?, ?, NULL, 'started', NULL)",
        [run_id, command, json.dumps(arguments, default=str), __version__, now],
    )


def run_counts(connection: Connection, run_id: str) -> dict[str, Any] | None:
    """Return what a run has stored so far, or None if it has not begun."""
    rows = connection.execute("SELECT counts FROM run WHERE run_id = ?", [run_id]).fetchall()
    return json.loads(rows[0][0] or "{}") if rows else None


def finish_run(
    connection: Connection, run_id: str, status: str, counts: Mapping[str, Any], now: datetime
) -> None:
    """Close a run with what it stored."""
    connection.execute(
        "UPDATE run SET finished_at = ?, status = ?, counts = ? WHERE run_id = ?",
        [now, status, json.dumps(counts, default=str), run_id],
    )


@dataclass(frozen=True)
class Merge:
    """Which run takes staged rows in, and when.

    again: rows that were taken in before are compared with what was stored then.
    """

    run_id: str
    now: datetime
    again: bool = False

    @property
    def as_of(self) -> datetime:
        """Return up to when stored versions count for the comparison."""
        return self.now if self.again else END_OF_TIME


def merge_bars(connection: Connection, stage: Stage, merge: Merge, calendar: str) -> ImportCounts:
    """Take staged bars in; return what was new, known and corrected."""
    instrument_class = "crypto" if calendar == "24/7" else "equity"
    run_script(
        connection,
        "merge_bar",
        {
            "path": stage.path("bar"),
            "now": merge.now,
            "as_of": merge.as_of,
            "run_id": merge.run_id,
            "class": instrument_class,
            "calendar": calendar,
        },
    )
    return _counts(connection, stage.rows["bar"])


def merge_metrics(
    connection: Connection, stage: Stage, merge: Merge, live: bool = False
) -> ImportCounts:
    """Take staged metric values in; return what was new, known and corrected."""
    parameters = {
        "path": stage.path("metric"),
        "now": merge.now,
        "as_of": merge.as_of,
        "run_id": merge.run_id,
        "live": live,
    }
    run_script(connection, "merge_metric", parameters)
    return _counts(connection, stage.rows["metric"])


def merge_documents(
    connection: Connection,
    stage: Stage,
    merge: Merge,
    text_version: str,
    alias_version: str,
    coverage_state: str | None,
    backfilled: bool = True,
) -> ImportCounts:
    """Take staged texts in with their mentions, engagement and coverage; mark dirty hours.

    coverage_state: what the rows' span counts as; None where polls say it.
    """
    parameters = {
        "now": merge.now,
        "as_of": merge.as_of,
        "run_id": merge.run_id,
        "backfilled": backfilled,
        "path": stage.path("document"),
        "mentions": stage.path("mention"),
        "engagement": stage.path("engagement"),
        "coverage_state": coverage_state,
        "text_version": text_version,
        "alias_version": alias_version,
    }
    run_script(connection, "merge_document", parameters)
    mark_changed(connection)
    welcome = connection.execute("SELECT count(*) FROM welcome").fetchall()[0][0]
    forgotten = ImportCounts(known=stage.rows["document"] - welcome)
    return _counts(connection, welcome) + forgotten


def _counts(connection: Connection, staged: int) -> ImportCounts:
    """Count from the temp tables that the merge scripts leave behind."""
    kept = connection.execute("SELECT count(*) FROM incoming").fetchall()[0][0]
    new, corrected = connection.execute(
        "SELECT count(*) FILTER (NOT is_correction), count(*) FILTER (is_correction) FROM versioned"
    ).fetchall()[0]
    return ImportCounts(
        new=new,
        known=kept - new - corrected,
        corrected=corrected,
        duplicate_in_file=staged - kept,
    )


def store_quarantine(connection: Connection, stage: Stage, merge: Merge) -> dict[str, int]:
    """Keep rows that could not be used; return how many there were for each reason."""
    connection.execute(
        """
        MERGE INTO quarantine AS stored
        USING (
            SELECT DISTINCT ? AS run_id, source, place, reason, payload,
                ?::TIMESTAMPTZ AS recorded_at
            FROM read_parquet(?) AS r
            WHERE NOT EXISTS (
                SELECT 1
                FROM quarantine AS f
                WHERE
                    f.place = 'forgotten'
                    AND f.payload
                    = forgotten_id(r.source, r.place || chr(31) || r.reason, r.payload)
            )
        ) AS q
        ON stored.source = q.source AND stored.place = q.place
            AND stored.reason = q.reason AND stored.payload = q.payload
        WHEN NOT MATCHED THEN INSERT
        """,
        [merge.run_id, merge.now, stage.path("quarantine")],
    )
    rows = connection.execute(
        "SELECT reason, count(*) FROM read_parquet(?) GROUP BY reason ORDER BY 2 DESC, 1",
        [stage.path("quarantine")],
    ).fetchall()
    return dict(rows)


_BY_RUN = ("bar", "metric", "mention", "engagement", "coverage", "quarantine")


def undo_run(connection: Connection, run_id: str, now: datetime) -> dict[str, int]:
    """Take back everything that one import stored; return rows removed by table.

    Scores stay, since a text's score does not depend on who brought the text.

    Raises:
        UsageError: there is no such import, or it was undone before.
    """
    found = connection.execute(
        "SELECT command, status FROM run WHERE run_id = ?", [run_id]
    ).fetchall()
    if not found or not found[0][0].startswith("import"):
        recent = connection.execute(
            "SELECT run_id FROM run WHERE command LIKE 'import%' AND status = 'done'"
            " ORDER BY started_at DESC LIMIT 3"
        ).fetchall()
        names = ", ".join(r[0] for r in recent) or "none"
        raise UsageError(f"{run_id!r} is not an import. The latest imports are: {names}.")
    if found[0][1] == "undone":
        raise UsageError(f"Import {run_id} was undone before.")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE versioned AS SELECT * FROM document WHERE run_id = ?",
        [run_id],
    )
    mark_changed(connection)
    removed = {}
    for table in ("document", *_BY_RUN):
        rows = connection.execute(_DELETE_BY_RUN[table], [run_id]).fetchall()
        removed[table] = rows[0][0]
    connection.execute(
        "DELETE FROM scored_text WHERE content_hash NOT IN (SELECT content_hash FROM document)"
    )
    connection.execute("DELETE FROM instrument WHERE symbol NOT IN (SELECT symbol FROM bar)")
    finish_run(connection, run_id, "undone", removed, now)
    return {table: count for table, count in removed.items() if count}


_DELETE_BY_RUN = {t: f"DELETE FROM {t} WHERE run_id = ?" for t in ("document", *_BY_RUN)}  # noqa: S608
