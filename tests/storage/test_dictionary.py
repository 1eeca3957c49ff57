"""The data dictionary is complete and current."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from moodtape.storage.dictionary import Table, describe_schema, dictionary, render
from moodtape.storage.migrate import migrate

PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    with duckdb.connect(":memory:") as connection:
        migrate(connection)
        return describe_schema(connection)


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == dictionary(), (
        "docs/data-dictionary.md is not that of the schema; run:"
        " python -m moodtape.storage.dictionary > docs/data-dictionary.md"
    )


def test_every_table_and_column_has_a_comment(tables: list[Table]) -> None:
    bare = [t.name for t in tables if not t.meaning]
    bare += [f"{t.name}.{c.name}" for t in tables for c in t.columns if not c.meaning]
    assert bare == []


def test_every_table_has_a_key(tables: list[Table]) -> None:
    assert [t.name for t in tables if not t.is_view and not any(c.key for c in t.columns)] == []


def test_rows_say_when_they_came_and_from_where(tables: list[Table]) -> None:
    for table in tables:
        columns = {c.name: c for c in table.columns}
        if "known_at" in columns:
            assert {"recorded_at", "run_id"} <= set(columns), table.name
        for column in table.columns:
            is_time = column.name.endswith(("_at", "_time")) or column.name == "hour"
            if is_time:
                assert column.type == "TIMESTAMPTZ", f"{table.name}.{column.name}"


def test_a_bar_in_a_comment_does_not_break_the_table() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b DOUBLE)")
        connection.execute("COMMENT ON COLUMN t.a IS 'this | that'")
        page = render(describe_schema(connection))
    assert page.endswith(
        "## t\n\n\n\n| column | type | meaning |\n|---|---|---|\n"
        "| **a** | INTEGER | this \\| that |\n| b | DOUBLE, may be null |  |\n"
    )
