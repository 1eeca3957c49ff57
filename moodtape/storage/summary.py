"""Short answers about what the warehouse holds, without loading arrays or tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moodtape.clock import microseconds
from moodtape.records import Span
from moodtape.storage.db import query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

    from moodtape.storage.read import Series


def _rows(connection: Connection, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def text_summary(
    connection: Connection, sources: Sequence[str], scorer: str, span: Span
) -> list[dict[str, Any]]:
    """Return, per source and collection, the texts known in a span and how well they are dated.

    Keys: source, collection, texts, first, last, backfilled_share, assumed_share, promotion_share,
        scored, state.
    """
    return _rows(
        connection,
        query("text_summary"),
        {"sources": list(sources), "scorer": scorer, "since": span.since, "until": span.until},
    )


def kind_counts(connection: Connection, scorer: str, span: Span) -> dict[str, int]:
    """Return how many texts of each kind became known in a span."""
    rows = connection.execute(
        """
        SELECT kind, count(*)
        FROM document JOIN kind USING (content_hash)
        WHERE classifier = ? AND known_at >= ? AND known_at < ?
        GROUP BY kind ORDER BY 2 DESC, 1
        """,
        [scorer, span.since, span.until],
    ).fetchall()
    return dict(rows)


def text_span(connection: Connection, sources: Sequence[str]) -> Span | None:
    """Return from the first to the last text known, or None without texts."""
    rows = connection.execute(
        "SELECT min(known_at), max(known_at) FROM document WHERE list_contains(?, source)",
        [list(sources)],
    ).fetchall()
    return Span(*rows[0]) if rows[0][0] is not None else None


def metric_span(connection: Connection, symbols: Sequence[str]) -> Span | None:
    """Return from the first to the last metric value known, or None without any."""
    rows = connection.execute(
        "SELECT min(known_at), max(known_at) FROM metric WHERE list_contains(?, symbol)",
        [[*symbols, "MARKET"]],
    ).fetchall()
    return Span(*rows[0]) if rows[0][0] is not None else None


def last_close(connection: Connection, series: Series, as_of: datetime) -> datetime | None:
    """Return when the newest bar known by then closed; None without one."""
    rows = connection.execute(
        "SELECT max(close_time) FROM bar WHERE symbol = ? AND venue = ? AND quote = ?"
        ' AND "interval" = ? AND known_at <= ?',
        [series.symbol, series.venue, series.quote, series.interval, as_of],
    ).fetchall()
    found: datetime | None = rows[0][0]
    return found


def gaps(connection: Connection, max_poll_gap: timedelta) -> list[dict[str, Any]]:
    """Return stretches for which something should be stored and is not, newest of a kind first.

    Keys: kind (bars, metrics, polls), origin, series, symbol, since, until, missing, why.
    """
    return _rows(connection, query("gaps"), {"max_gap_us": microseconds(max_poll_gap)})


def status(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return what is stored, how far it reaches, what is unscored and what ran last."""
    return {
        name: _rows(connection, query(f"status_{name}"))
        for name in (
            *("bars", "metrics", "texts", "polls", "spend", "scorers", "quarantine", "runs"),
            "steps",
        )
    }


def troubled_hosts(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """Return hosts that are left alone, on trial, or failing.

    Keys: host, state (resting, on trial, failing), failures, until, last_status, why.
    """
    return _rows(connection, query("status_hosts"), {"now": now})
