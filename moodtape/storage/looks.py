"""Looks of one config at a record that grows: how many there were, and what the last one said.

The same config over a longer span is a new look, and allowed when the tested time has grown
by a quarter. Between looks the last word stands, with its date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moodtape.storage.ledger import EVALUATED, claim_of, trial_id

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

GROWTH = 1.25
"""How many times as long the tested time must be for another word."""

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True)
class LastWord:
    """The word that stands until the tested time is long enough for another.

    said_at: when; run: which said it; tested: the time that it rests on.
    """

    verdict: str
    said_at: datetime
    run: str
    tested: timedelta

    @property
    def needed(self) -> timedelta:
        """Return how long the tested time must be for the next look."""
        return GROWTH * self.tested


def spans_looked_at(connection: Connection, trial: Mapping[str, Any]) -> int:
    """Return over how many other spans the same config asked this before, by any forecaster.

    Spans count that share time with this trial's, or with one that does, and so on: a record
    that grows is one record, though its first tested time is training time by now.
    """
    return len(_linked(_stretch(trial), {row[:2] for row in _earlier(connection, trial)}))


def last_word(connection: Connection, trial: Mapping[str, Any]) -> LastWord | None:
    """Return the word that stands for a trial; None where it may have one of its own.

    A trial that has its word keeps it. One that ends later than the newest word on the same
    record needs a quarter more of tested time than that.
    """
    own = connection.execute(
        "SELECT 1 FROM trial WHERE trial_id = ? AND verdict <> ?", [trial_id(trial), EVALUATED]
    ).fetchall()
    if own:
        return None
    rows = [r for r in _earlier(connection, trial) if r[2] == trial["forecaster"]]
    rows = [r for r in rows if r[3] != EVALUATED and r[1] < trial["test_until"]]
    linked = _linked(_stretch(trial), {row[:2] for row in rows})
    said = [row for row in rows if row[:2] in linked]
    if not said:
        return None
    since, until, _, verdict, said_at, run = max(said, key=lambda row: (row[1], row[4]))
    found = LastWord(verdict, said_at, run, until - since)
    return found if trial["test_until"] - trial["test_from"] < found.needed else None


def _earlier(connection: Connection, trial: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return spans, forecasters, words, times and runs of this config's other, earlier trials."""
    return connection.execute(
        """
        SELECT test_from, test_until, forecaster, verdict, recorded_at, run_id
        FROM trial
        WHERE
            config_hash = $config_hash AND symbol = $symbol AND target = $target
            AND horizon_bars = $horizon_bars AND claim = $claim
            AND (test_from, test_until) <> ($test_from::TIMESTAMPTZ, $test_until::TIMESTAMPTZ)
            AND recorded_at < coalesce(
                (SELECT min(recorded_at) FROM trial WHERE trial_id = $trial_id),
                'infinity'::TIMESTAMPTZ
            )
        ORDER BY ALL
        """,
        {k: v for k, v in trial.items() if k not in ("forecaster", "verdict")}
        | {"trial_id": trial_id(trial), "claim": claim_of(trial)},
    ).fetchall()


def _stretch(trial: Mapping[str, Any]) -> Stretch:
    return trial["test_from"], trial["test_until"]


def _linked(start: Stretch, spans: Iterable[Any]) -> set[Any]:
    """Return the spans that share time with the first, or with one that does, and so on."""
    left, found, due = set(spans), set(), [start]
    while due:
        since, until = due.pop()
        near = {span for span in left if span[0] < until and span[1] > since}
        left -= near
        found |= near
        due += near
    return found
