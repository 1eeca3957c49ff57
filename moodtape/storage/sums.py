"""Counts and checksums of tables, by which two warehouses are known to hold the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

Sums = dict[str, dict[str, str | int]]


def table_names(connection: Connection) -> list[str]:
    """Return every table of the warehouse, by name."""
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def table_sums(connection: Connection, leave_out: tuple[str, ...] = ()) -> Sums:
    """Return rows and checksum by table; neither depends on the order of rows.

    The hash is DuckDB's own: checksums made by another version of it may differ.
    """
    found: Sums = {}
    for name in table_names(connection):
        if name in leave_out:
            continue
        rows, total = connection.execute(
            f'SELECT count(*), coalesce(sum(hash(t)), 0) FROM "{name}" AS t'  # noqa: S608
        ).fetchall()[0]
        found[name] = {"rows": rows, "checksum": f"{total:x}"}
    return found


def differing(left: Sums, right: Sums) -> list[str]:
    """Return the tables that do not hold the same rows."""
    return [name for name in sorted({*left, *right}) if left.get(name) != right.get(name)]
