"""The ledger of calls that cost money: entered at their highest price, settled when answered."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


def spent_micro_usd(connection: Connection, provider: str, since: datetime) -> int:
    """Return what was spent at a provider from an instant on, in millionths of a US dollar."""
    row = connection.execute(
        "SELECT coalesce(sum(micro_usd), 0)::BIGINT FROM spend"
        " WHERE provider = ? AND asked_at >= ?::TIMESTAMPTZ",
        [provider, since],
    ).fetchone()
    return int(row[0]) if row else 0


def enter_call(
    connection: Connection, provider: str, what: str, units: int, micro_usd: int, now: datetime
) -> str:
    """Enter a call at the highest price that it can have, and return its name."""
    call_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"
    connection.execute(
        "INSERT INTO spend VALUES (?, ?, ?::TIMESTAMPTZ, ?, ?, ?, NULL)",
        [call_id, provider, now, what, units, micro_usd],
    )
    return call_id


def settle_call(
    connection: Connection, call_id: str, units: int, micro_usd: int, now: datetime
) -> None:
    """Enter what a call came to."""
    connection.execute(
        "UPDATE spend SET units = ?, micro_usd = ?, settled_at = ?::TIMESTAMPTZ WHERE call_id = ?",
        [units, micro_usd, now, call_id],
    )
