"""What the hourly and the nightly run did, step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

Rhythm = Literal["tick", "nightly"]
StepState = Literal["done", "partial", "skipped", "failed"]
OVER: tuple[StepState, ...] = ("done", "skipped")
"""After these, a rerun does not begin with the step."""


def begin_step(
    connection: Connection, rhythm: Rhythm, slot: datetime, step: str, run_id: str, now: datetime
) -> int:
    """Enter that a step begins; return the number of the attempt."""
    rows = connection.execute(
        "INSERT INTO step (rhythm, slot, step, attempt, state, started_at, run_id)"
        " SELECT $rhythm, $slot, $step, coalesce(max(attempt), 0) + 1, 'started', $now, $run_id"
        " FROM step WHERE rhythm = $rhythm AND slot = $slot AND step = $step RETURNING attempt",
        {"rhythm": rhythm, "slot": slot, "step": step, "now": now, "run_id": run_id},
    ).fetchall()
    return int(rows[0][0])


def finish_step(
    connection: Connection,
    rhythm: Rhythm,
    slot: datetime,
    step: str,
    attempt: int,
    state: StepState,
    counts: Mapping[str, Any],
    error: str | None,
    seconds: float,
    now: datetime,
) -> None:
    """Enter how a step ended."""
    connection.execute(
        "UPDATE step SET state = ?, finished_at = ?, seconds = ?, counts = ?, error = ?"
        " WHERE rhythm = ? AND slot = ? AND step = ? AND attempt = ?",
        [state, now, seconds, json.dumps(counts, default=str), error, rhythm, slot, step, attempt],
    )


def last_states(connection: Connection, rhythm: Rhythm, slot: datetime) -> dict[str, str]:
    """Return how each step's last attempt in a slot stands."""
    rows = connection.execute(
        "SELECT step, arg_max(state, attempt) FROM step WHERE rhythm = ? AND slot = ?"
        " GROUP BY step",
        [rhythm, slot],
    ).fetchall()
    return dict(rows)


def last_slot(
    connection: Connection, rhythm: Rhythm, step: str, before: datetime
) -> datetime | None:
    """Return the newest slot before an instant in which a step was done; None without one."""
    rows = connection.execute(
        "SELECT max(slot) FROM step WHERE rhythm = ? AND step = ? AND slot < ?"
        " AND list_contains(?, state)",
        [rhythm, step, before, list(OVER)],
    ).fetchall()
    found: datetime | None = rows[0][0]
    return found


def last_step(connection: Connection) -> datetime | None:
    """Return when a step of any rhythm last began; None before the first."""
    rows = connection.execute("SELECT max(started_at) FROM step").fetchall()
    found: datetime | None = rows[0][0]
    return found
