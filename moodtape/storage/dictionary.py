"""The data dictionary: every table and column of the warehouse, told by the schema's own comments.

`python -m moodtape.storage.dictionary > docs/data-dictionary.md` writes it anew.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

HEADER = """# Data dictionary

The warehouse is one DuckDB file, `moodtape.duckdb`, and any DuckDB client may read it while
no command is writing. This page is made from the comments of the schema itself:

    python -m moodtape.storage.dictionary > docs/data-dictionary.md

All instants are UTC. Rows are never changed: a correction is a further row with a later
`known_at`, and a study reads only rows whose `known_at` is not after its decision.
**Bold** columns are the key of their table.
"""


@dataclass(frozen=True)
class Column:
    """One column as the schema describes it."""

    name: str
    type: str
    required: bool
    key: bool
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table or view as the schema describes it."""

    name: str
    is_view: bool
    meaning: str
    columns: tuple[Column, ...]


def describe_schema(connection: Connection) -> list[Table]:
    """Return every table, then every view, by name, with its columns in order."""
    rows = connection.execute(
        """
        SELECT table_name, false, comment FROM duckdb_tables() WHERE NOT internal AND NOT temporary
        UNION ALL
        SELECT view_name, true, comment FROM duckdb_views() WHERE NOT internal AND NOT temporary
        ORDER BY 2, 1
        """
    ).fetchall()
    keys = dict(
        connection.execute(
            "SELECT table_name, constraint_column_names FROM duckdb_constraints()"
            " WHERE constraint_type = 'PRIMARY KEY'"
        ).fetchall()
    )
    return [
        Table(name, is_view, comment or "", _columns(connection, name, keys.get(name, [])))
        for name, is_view, comment in rows
    ]


def _columns(connection: Connection, table: str, key: list[str]) -> tuple[Column, ...]:
    rows = connection.execute(
        "SELECT column_name, data_type, NOT is_nullable, comment FROM duckdb_columns()"
        " WHERE table_name = ? AND NOT internal ORDER BY column_index",
        [table],
    ).fetchall()
    return tuple(
        Column(name, _short(kind), required, name in key, comment or "")
        for name, kind, required, comment in rows
    )


def _short(kind: str) -> str:
    return {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}.get(kind, kind)


def render(tables: list[Table]) -> str:
    """Return the page as Markdown."""
    parts = [HEADER]
    for table in tables:
        parts.append(f"\n## {table.name}{' (view)' if table.is_view else ''}\n\n{table.meaning}\n")
        parts.append("\n| column | type | meaning |\n|---|---|---|\n")
        parts += [_line(column, table.is_view) for column in table.columns]
    return "".join(parts)


def _line(column: Column, in_view: bool) -> str:
    name = f"**{column.name}**" if column.key else column.name
    may_be_empty = "" if column.required or in_view else ", may be null"
    return (
        f"| {name} | {column.type}{may_be_empty} | {column.meaning.replace('|', chr(92) + '|')} |\n"
    )


def dictionary() -> str:
    """Return the page for the schema as this version of Moodtape makes it."""
    import duckdb

    from moodtape.storage.migrate import migrate

    with duckdb.connect(":memory:") as connection:
        migrate(connection)
        return render(describe_schema(connection))


if __name__ == "__main__":
    sys.stdout.write(dictionary())
