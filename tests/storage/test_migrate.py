"""Migrations run once, in order, each whole or not at all; strangers are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import pytest

from moodtape.errors import MoodtapeError
from moodtape.storage import migrate as module
from moodtape.storage.db import Warehouse
from moodtape.storage.migrate import applied, is_current, migrate, migrations

GOLDEN = Path(__file__).parent / "test_migrate" / "schema.sql"


@pytest.fixture
def connection() -> Any:
    with duckdb.connect(":memory:") as connection:
        yield connection


def names(connection: Any) -> set[str]:
    return {r[0] for r in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def add(monkeypatch: pytest.MonkeyPatch, *more: tuple[str, str]) -> None:
    every = [*migrations(), *more]
    monkeypatch.setattr(module, "migrations", lambda: every)


def test_twice_is_once(connection: Any) -> None:
    assert not is_current(connection)
    assert migrate(connection) == len(migrations())
    assert is_current(connection)
    before = connection.execute("SELECT * FROM migration ORDER BY name").fetchall()
    assert migrate(connection) == 0
    assert connection.execute("SELECT * FROM migration ORDER BY name").fetchall() == before


def test_files_are_numbered_without_gaps() -> None:
    assert [int(name[:4]) for name, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_new_migration_is_applied_to_an_old_file(
    tmp_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tmp_warehouse.write() as connection:
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
    add(monkeypatch, ("9999_more.sql", "ALTER TABLE meta ADD COLUMN more INTEGER DEFAULT 7;"))
    with tmp_warehouse.read() as connection:
        assert connection.execute("FROM meta").fetchall() == [("a", "b", 7)]


def test_a_newer_schema_is_refused_for_reading_and_writing(
    tmp_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        add(patch, ("9999_future.sql", "CREATE TABLE future (a INTEGER);"))
        with tmp_warehouse.write():
            pass
    for session in (tmp_warehouse.read, tmp_warehouse.write):
        with (
            pytest.raises(MoodtapeError, match=r"newer schema \(9999_future\.sql\)\. Upgrade"),
            session(),
        ):
            pass


def test_an_edited_migration_is_refused(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(connection)
    (name, sql), *rest = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [(name, sql + "-- edited"), *rest])
    for check in (migrate, is_current):
        with pytest.raises(MoodtapeError, match=f"Migration {name} differs from the one applied"):
            check(connection)


def test_a_crash_inside_a_migration_leaves_the_file_whole(
    tmp_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tmp_warehouse.write() as connection:
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
    broken = "CREATE TABLE half (a INTEGER); DROP TABLE meta; SELECT no_such_function();"
    with monkeypatch.context() as patch:
        add(patch, ("9998_good.sql", "CREATE TABLE good (a INTEGER);"), ("9999_bad.sql", broken))
        with pytest.raises(duckdb.CatalogException), tmp_warehouse.write():
            pass
    with duckdb.connect(str(tmp_warehouse.path)) as connection:
        assert connection.execute("FROM meta").fetchall() == [("a", "b")]
        assert "good" in names(connection), "what came before stays applied"
        assert "half" not in names(connection)
        assert "9999_bad.sql" not in applied(connection)
    mended = broken.replace("no_such_function()", "1").replace("DROP TABLE meta; ", "")
    with monkeypatch.context() as patch:
        add(patch, ("9998_good.sql", "CREATE TABLE good (a INTEGER);"), ("9999_bad.sql", mended))
        with tmp_warehouse.write() as connection:
            assert "half" in names(connection)


def lines_of(statement: str) -> str:
    """Return a statement with a line for each column, the key on one line."""
    columns, key, rest = statement.partition("PRIMARY KEY(")
    return columns.replace(", ", ",\n    ") + key + rest


def test_the_schema_is_the_golden_one(connection: Any) -> None:
    """To refresh after a new migration: REFRESH_GOLDEN=1 pytest tests/storage."""
    migrate(connection)
    rows = connection.execute(
        "SELECT sql FROM (SELECT table_name AS name, sql FROM duckdb_tables() UNION ALL"
        " SELECT view_name, sql FROM duckdb_views() WHERE NOT internal) ORDER BY name"
    ).fetchall()
    schema = "\n".join(lines_of(row[0]) for row in rows) + "\n"
    if os.environ.get("REFRESH_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(schema, encoding="utf-8")
    assert schema == GOLDEN.read_text(encoding="utf-8")
