"""Which hosts are left alone, and until when: what a run learns of them outlives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


@dataclass(frozen=True)
class HostLimit:
    """How a host stands; the table `host_limit` says what each part means."""

    host: str
    failures: int = 0
    rests: int = 0
    open_until: datetime | None = None
    free_at: datetime | None = None
    last_status: int | None = None
    why: str = ""


def read_host_limits(connection: Connection) -> dict[str, HostLimit]:
    """Return every host that was ever in trouble, by name."""
    rows = connection.execute(
        "SELECT host, failures, rests, open_until, free_at, last_status, why FROM host_limit"
    ).fetchall()
    return {row[0]: HostLimit(*row) for row in rows}


def store_host_limits(
    connection: Connection, limits: Iterable[HostLimit], run_id: str, now: datetime
) -> None:
    """Enter how some hosts stand, in place of what was known of them."""
    for limit in limits:
        connection.execute(
            """
            MERGE INTO host_limit AS stored
            USING (
                SELECT ? AS host, ?::INTEGER AS failures, ?::INTEGER AS rests,
                    ?::TIMESTAMPTZ AS open_until, ?::TIMESTAMPTZ AS free_at,
                    ?::INTEGER AS last_status, ? AS why, ?::TIMESTAMPTZ AS recorded_at,
                    ? AS run_id
            ) AS h
            ON stored.host = h.host
            WHEN MATCHED THEN UPDATE SET
                failures = h.failures, rests = h.rests, open_until = h.open_until,
                free_at = h.free_at, last_status = h.last_status, why = h.why,
                recorded_at = h.recorded_at, run_id = h.run_id
            WHEN NOT MATCHED THEN INSERT
            """,
            [*astuple(limit), now, run_id],
        )
