"""Names that would like to be statements stay names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moodtape.storage.db import Warehouse

Run = Callable[..., Any]
HOSTILE = ("x'; DROP TABLE document; --", "' OR '1'='1", 'a" OR ""="', "%", "_" * 9)


def count(project: Path, table: str) -> int:
    with Warehouse(project / "moodtape.duckdb").read() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]


def test_no_statement_is_made_of_a_name(loaded: Path, files: Path, run: Run) -> None:
    where = ("--project", loaded)
    before = {table: count(loaded, table) for table in ("document", "bar", "metric", "tombstone")}
    for name in HOSTILE:
        for arguments in (
            ("forget", name),
            ("import", "bars", files / "bars.csv", "--symbol", name, "--venue", name),
            ("ablate", "--symbol", name, "-q"),
            ("import", "bars", "--undo", name),
        ):
            assert run(*arguments, *where).code in (0, 2, 3), (arguments, "an unexpected failure")
    after = {table: count(loaded, table) for table in before}
    assert after["document"] == before["document"]
    assert after["metric"] == before["metric"]
    assert after["bar"] >= before["bar"]
    with Warehouse(loaded / "moodtape.duckdb").read() as connection:
        found = connection.execute(
            "SELECT count(*) FROM document WHERE title IS NULL AND source = 'news'"
        ).fetchall()
    assert found == [(0,)], "nobody's words were taken"
