"""What the monitors said each night, decided once and never rewritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from moodtape.storage.db import query

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from duckdb import DuckDBPyConnection as Connection

DriftWord = Literal["calm", "alarm", "silent", "unknown"]


@dataclass(frozen=True)
class Drift:
    """A night's answer; see the table `drift`."""

    night: datetime
    model_run: str
    word: DriftWord
    what: str
    score: float | None = None
    of_losses: bool = False
    figures: Mapping[str, float] | None = None


def record_drift(connection: Connection, drift: Drift, run_id: str, now: datetime) -> None:
    """Enter a night's answer; one that was entered before stays as it was."""
    connection.execute(
        "INSERT INTO drift BY NAME SELECT ? AS night, ? AS model_run, ? AS word, ? AS what,"
        " ?::DOUBLE AS score, ? AS of_losses, ?::JSON AS figures, ?::TIMESTAMPTZ AS decided_at,"
        " ? AS run_id ON CONFLICT DO NOTHING",
        [drift.night, drift.model_run, drift.word, drift.what, drift.score, drift.of_losses,
         json.dumps(dict(drift.figures or {})), now, run_id],
    )  # fmt: skip


def decided_nights(connection: Connection, nights: Sequence[datetime]) -> set[datetime]:
    """Return those of some nights that have an answer."""
    rows = connection.execute(
        "SELECT night FROM drift WHERE list_contains(?, night)", [list(nights)]
    ).fetchall()
    return {night for (night,) in rows}


def last_drift(connection: Connection, by: datetime) -> dict[str, Any] | None:
    """Return the newest answer of the nights by then; None before the first."""
    return _newest(connection, by, alarms=False)


def last_alarm(
    connection: Connection, by: datetime, of_losses: bool = False
) -> dict[str, Any] | None:
    """Return the newest alarm of the nights by then, of all or those of losses alone."""
    return _newest(connection, by, alarms=True, of_losses=of_losses)


def is_silent(connection: Connection, night: datetime, days: int) -> bool:
    """Say whether an alarm was raised less than so many days before a night."""
    alarm = last_alarm(connection, night - timedelta(microseconds=1))
    return alarm is not None and bool(night - alarm["night"] < timedelta(days=days))


def _newest(
    connection: Connection, by: datetime, alarms: bool, of_losses: bool = False
) -> dict[str, Any] | None:
    cursor = connection.execute(
        "SELECT night, model_run, word, what, score, of_losses, decided_at FROM drift"
        " WHERE night <= ? AND (word = 'alarm' OR NOT ?) AND (of_losses OR NOT ?)"
        " ORDER BY night DESC LIMIT 1",
        [by, alarms, of_losses],
    )
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    return dict(zip(names, rows[0], strict=True)) if rows else None


def score_steps(
    connection: Connection, sources: Sequence[str], scorer: str, since: datetime, as_of: datetime
) -> pd.DataFrame:
    """Return how many texts were scored how, by source and day: see `drift_scores.sql`."""
    return connection.execute(
        query("drift_scores"),
        {"sources": list(sources), "scorer": scorer, "since": since, "as_of": as_of},
    ).df()
