"""Applies `sql/migrations/*.sql` once each, in order; a shipped migration is never edited."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING

from moodtape.errors import MoodtapeError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_LEDGER = """
CREATE TABLE IF NOT EXISTS migration (
    name VARCHAR PRIMARY KEY, checksum VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE migration IS 'Schema changes that this file has been through.';
COMMENT ON COLUMN migration.name IS 'File name of the change.';
COMMENT ON COLUMN migration.checksum IS 'SHA-256 of its text.';
COMMENT ON COLUMN migration.applied_at IS 'When it was applied.';
"""


def migrations() -> list[tuple[str, str]]:
    """Return `(name, sql)` of every shipped migration, in order."""
    folder = resources.files("moodtape.storage") / "sql" / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(f.name, f.read_text(encoding="utf-8")) for f in files]


def applied(connection: Connection) -> dict[str, str]:
    """Return checksum by name of the migrations this warehouse has."""
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'migration'"
    ).fetchall()
    if not found[0][0]:
        return {}
    return dict(connection.execute("SELECT name, checksum FROM migration").fetchall())


def is_current(connection: Connection) -> bool:
    """Say whether every shipped migration has been applied.

    Raises:
        MoodtapeError: the file was made by a newer Moodtape, or a change differs
            from the one that was applied.
    """
    return not _missing(applied(connection))


def _missing(done: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return `(name, sql, checksum)` of the migrations still to be applied."""
    shipped = [(name, sql, hashlib.sha256(sql.encode()).hexdigest()) for name, sql in migrations()]
    unknown = sorted(set(done) - {name for name, _, _ in shipped})
    if unknown:
        raise MoodtapeError(
            f"This warehouse has a newer schema ({unknown[-1]}). Upgrade Moodtape to open it."
        )
    for name, _, checksum in shipped:
        if done.get(name, checksum) != checksum:
            raise MoodtapeError(
                f"Migration {name} differs from the one applied to this warehouse."
                " Reinstall Moodtape, or import the data again into a new project."
            )
    return [row for row in shipped if row[0] not in done]


def migrate(connection: Connection) -> int:
    """Apply what is missing, each change in a transaction of its own; return how many.

    Raises:
        MoodtapeError: the file was made by a newer Moodtape, or a change differs
            from the one that was applied.
    """
    missing = _missing(applied(connection))
    for name, sql, checksum in missing:
        connection.execute("BEGIN")
        try:
            connection.execute(_LEDGER)
            connection.execute(sql)
            connection.execute("INSERT INTO migration VALUES (?, ?, now())", [name, checksum])
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return len(missing)
