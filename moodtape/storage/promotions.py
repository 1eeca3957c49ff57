"""Which model was let follow which, and why; decided once, never rewritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

Word = Literal["promoted", "kept"]


def record_promotion(
    connection: Connection,
    challenger: str,
    champion: str,
    word: Word,
    why: str,
    figures: Mapping[str, Any],
    model_run: str | None,
    run_id: str,
    now: datetime,
) -> None:
    """Enter a decision."""
    connection.execute(
        "INSERT INTO promotion BY NAME SELECT ? AS challenger, ? AS champion, ? AS word, ? AS why,"
        " ?::JSON AS figures, ? AS model_run, ?::TIMESTAMPTZ AS decided_at, ? AS run_id",
        [challenger, champion, word, why, json.dumps(figures), model_run, now, run_id],
    )


def last_promotion(connection: Connection) -> dict[str, Any] | None:
    """Return the newest decision, or None before the first."""
    cursor = connection.execute(
        "SELECT challenger, champion, word, why, model_run, decided_at FROM promotion"
        " ORDER BY decided_at DESC, challenger DESC LIMIT 1"
    )
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    return dict(zip(names, rows[0], strict=True)) if rows else None
