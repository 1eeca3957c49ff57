"""Hold-outs that were opened: which time, when, and by which run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from moodtape.records import Span

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


@dataclass(frozen=True)
class Opening:
    """A hold-out that was opened before."""

    span: Span
    opened_at: datetime
    run: str


def record_opening(
    connection: Connection,
    symbols: Sequence[str],
    interval: str,
    span: Span,
    config_hash: str,
    run_id: str,
    now: datetime,
) -> None:
    """Enter that a study opens its hold-out; the first entry of a run stays."""
    for symbol in symbols:
        connection.execute(
            "INSERT OR IGNORE INTO holdout VALUES (?, ?, ?, ?, ?, ?, ?)",
            [symbol, interval, span.since, span.until, config_hash, now, run_id],
        )


def earlier_opening(
    connection: Connection, symbols: Sequence[str], interval: str, span: Span, run_id: str
) -> Opening | None:
    """Return the first opening by another run of a hold-out that shares time with a span.

    Args:
        span: of decision times; run_id: of the study that asks.
    """
    rows = connection.execute(
        """
        SELECT held_from, held_until, opened_at, run_id
        FROM holdout
        WHERE
            list_contains($symbols, symbol) AND "interval" = $interval
            AND held_from < $until::TIMESTAMPTZ AND held_until > $since::TIMESTAMPTZ
            AND run_id <> $run_id
            AND opened_at < coalesce(
                (SELECT min(opened_at) FROM holdout WHERE run_id = $run_id),
                'infinity'::TIMESTAMPTZ
            )
        ORDER BY opened_at, run_id LIMIT 1
        """,
        {
            "symbols": list(symbols),
            "interval": interval,
            "since": span.since,
            "until": span.until,
            "run_id": run_id,
        },
    ).fetchall()
    return Opening(Span(*rows[0][:2]), *rows[0][2:]) if rows else None
