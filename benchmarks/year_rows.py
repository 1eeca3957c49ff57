"""What two years must not differ in, for `bench_year.py`, and what they may and why.

- Tables of tries (`TRIES`): a run that was killed, or asked in vain, is one more.
- Who stored a row, and in which of two tries (`WHO`).
- When a row came (`CAME`): where its source was down, with the next run that it answered, to the
  second. `forecast.late` follows from that.
- What a night knew (`OF_ITS_NIGHT`): where a source was down it was less. The nights themselves,
  and how many texts the hours count in all, are the same.

Every other cell of every row is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench_kill_nights import ADDRESS
from year_world import BARS, FEED, Outages

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

Row = dict[str, str]
Tables = dict[str, list[Row]]

TRIES = ("run", "step", "poll", "meta", "migration", "host_limit")
WHO = ("run_id", "settled_at")
OF_ITS_NIGHT = ("drift", "coverage", "sentiment_hourly")
CAME = {
    "bar": (BARS, ("recorded_at",)),
    "forecast": (BARS, ("made_at",)),
    "document": (FEED, ("known_at", "recorded_at")),
    "mention": (FEED, ("known_at", "recorded_at")),
    "score": (FEED, ("scored_at",)),
    "scored_text": (FEED, ("recorded_at",)),
}
LATE_AFTER = timedelta(minutes=15)
SHOWN = 2


def rows_of(connection: Connection) -> Tables:
    """Return the rows of every table but those of tries, without who stored them, as text."""
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY 1"
    ).fetchall()
    found = {}
    for (name,) in tables:
        if name not in TRIES:
            cursor = connection.execute(f"SELECT * FROM {name} ORDER BY ALL")
            columns = [column[0] for column in cursor.description or ()]
            found[name] = [
                {c: _text(cell) for c, cell in zip(columns, row, strict=True) if c not in WHO}
                for row in cursor.fetchall()
            ]
    return found


def _text(cell: Any) -> str:
    """Return a cell as text, without the address of a world's own server."""
    return cell.isoformat() if isinstance(cell, datetime) else ADDRESS.sub("", repr(cell))


def differences(calm: Tables, faulty: Tables, down: Outages) -> Iterator[str]:
    """Yield in what the year with faults differs from the one without, as it must not."""
    if calm.keys() != faulty.keys():
        yield "there are other tables"
    for name in sorted(calm.keys() - set(OF_ITS_NIGHT)):
        wanted = Counter(_key(_as_it_came(name, row, down)) for row in calm[name])
        found = Counter(map(_key, faulty[name]))
        lost, more = list((wanted - found).elements()), list((found - wanted).elements())
        if lost or more:
            yield f"{name}: lost {len(lost)} {lost[:SHOWN]}, more {len(more)} {more[:SHOWN]}"
    if _column(calm, "drift", "night") != _column(faulty, "drift", "night"):
        yield "drift: other nights"
    if _texts(calm) != _texts(faulty):
        yield f"hours count {_texts(faulty)} texts, not {_texts(calm)}"


def _key(row: Row) -> tuple[tuple[str, str], ...]:
    return tuple(row.items())


def _as_it_came(table: str, row: Row, down: Outages) -> Row:
    """Return a row of the year without faults as outages must have left it."""
    path, columns = CAME.get(table, ("", ()))
    came = {column: _reached(row[column], path, down) for column in columns}
    if table == "forecast":
        decided, made = (datetime.fromisoformat(t) for t in (row["decision_time"], came["made_at"]))
        came["late"] = repr(made > decided + LATE_AFTER)
    return row | came


def _reached(at: str, path: str, down: Outages) -> str:
    """Return the first run from an instant on that a source answered."""
    now = datetime.fromisoformat(at)
    if now not in down:
        return at
    return min(
        then for then, paths in down.items() if then >= now and path not in paths
    ).isoformat()


def _column(tables: Tables, table: str, column: str) -> list[str]:
    return [row[column] for row in tables[table]]


def _texts(tables: Tables) -> int:
    return sum(int(row["n"]) + int(row["n_stale"]) for row in tables["sentiment_hourly"])
