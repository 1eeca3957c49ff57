"""The engine is started once; between two blocks it holds no file, and no failure outlives one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from moodtape.storage import engine
from moodtape.storage.db import Warehouse

WRITE = """
import sys, duckdb
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('from', 'another process')")
"""


@pytest.fixture(autouse=True)
def _new_engine() -> None:
    engine.let_go()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of engines that are started from now on."""
    connect: Callable[..., Any] = duckdb.connect
    found: list[Any] = []

    def count(*arguments: Any) -> Any:
        found.append(arguments)
        return connect(*arguments)

    monkeypatch.setattr(duckdb, "connect", count)
    return found


@pytest.fixture
def warehouse(tmp_warehouse: Warehouse) -> Warehouse:
    with tmp_warehouse.write():
        pass
    return tmp_warehouse


def write_elsewhere(warehouse: Warehouse) -> int:
    return subprocess.run([sys.executable, "-c", WRITE, str(warehouse.path)], timeout=60).returncode


def test_an_engine_serves_one_file_until_another_is_wanted(
    warehouse: Warehouse, started: list[Any]
) -> None:
    engine.let_go()
    for _ in range(3):
        with warehouse.write(), pytest.raises(RuntimeError, match="is open already"):
            warehouse.read().__enter__()
        with warehouse.read() as connection:
            connection.execute("CREATE TEMP TABLE of_one_block AS SELECT 1")
    assert len(started) == 1
    with replace(warehouse, path=warehouse.path.with_name("other.duckdb")).write():
        pass
    for _ in range(2):
        with replace(warehouse, memory_limit="1GB").read() as connection:
            limit = connection.execute("SELECT current_setting('memory_limit')").fetchall()
            assert limit == [("953.6 MiB",)]
    assert len(started) == 4, "one while the file was made, one for it, one with other means"


def test_between_blocks_the_file_is_free_and_what_others_wrote_is_seen(
    warehouse: Warehouse, started: list[Any]
) -> None:
    with warehouse.read() as connection:
        relation = connection.sql("FROM meta")  # outlives its block
    assert write_elsewhere(warehouse) == 0
    with warehouse.read() as connection:
        assert connection.execute("FROM meta").fetchall() == [("from", "another process")]
    assert relation is not None
    assert started == [], "the engine was kept"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, duckdb.Error])
def test_a_block_that_fails_ends_the_engine_and_frees_the_file(
    warehouse: Warehouse, started: list[Any], failure: type[BaseException]
) -> None:
    with pytest.raises(failure) as caught, warehouse.read() as connection:  # noqa: PT012
        connection.execute("BEGIN")
        raise failure
    assert caught.tb is not None, "the frames of the block are still there"
    assert write_elsewhere(warehouse) == 0
    with warehouse.write() as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchall() == [(1,)]
    assert len(started) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_has_an_engine_of_its_own_and_ends_like_any_process(warehouse: Warehouse) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom moodtape.storage.db import Warehouse\n"
        "warehouse = Warehouse(Path(sys.argv[1]))\n"
        "with warehouse.read() as connection: pass\n"
        "child = os.fork()\n"
        "with warehouse.write() as connection:\n"
        "    connection.execute('INSERT INTO meta VALUES (?, 1)', [str(child == 0)])\n"
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(warehouse.path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    with warehouse.read() as connection:
        assert connection.execute("SELECT name FROM meta ORDER BY 1").fetchall() == [
            ("False",), ("True",),
        ]  # fmt: skip


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_every_session_is_in_utc_on_any_host(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for _ in range(2):
            with warehouse.read() as connection:
                shown = connection.execute("SELECT current_setting('TimeZone')").fetchall()
                assert shown == [("UTC",)]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert os.environ.get("TZ") != zone
