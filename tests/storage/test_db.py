"""Sessions: in UTC, one transaction each, one writer at a time, a plain word when locked."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from moodtape.errors import DataMissing, DiskFull, MoodtapeError, WarehouseLocked
from moodtape.storage.db import Warehouse, query, run_script

WRITE = """
import sys
from pathlib import Path
from moodtape.errors import MoodtapeError
from moodtape.storage.db import Warehouse
try:
    with Warehouse(Path(sys.argv[1]), lock_wait_s=0.3).write() as connection:
        connection.execute("INSERT INTO meta VALUES ('from', 'the other process')")
except MoodtapeError as error:
    print(error)
    sys.exit(error.exit_code)
"""
READ = WRITE.replace(".write()", ".read()").replace(
    "INSERT INTO meta VALUES ('from', 'the other process')", "SELECT count(*) FROM meta"
)


def other_process(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60
    )


def test_the_first_write_makes_the_file_and_its_folder(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "deep" / "er" / "w.duckdb")
    with warehouse.write() as connection:
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
    with warehouse.read() as connection:
        assert connection.execute("FROM meta").fetchall() == [("a", "b")]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_killed_while_it_makes_the_file_leaves_none_or_a_whole_one(
    tmp_path: Path,
) -> None:
    """The kill falls at every 8 ms of the making, and a little beyond."""
    took = timed_making(tmp_path / "timed" / "moodtape.duckdb")
    dice, killed = [step * 0.008 for step in range(int(took / 0.008) + 2)], 0
    for number, after_s in enumerate(dice):
        path = tmp_path / str(number) / "moodtape.duckdb"
        child = os.fork()
        if child == 0:
            try:
                timed_making(path)
            finally:
                os._exit(0)
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        with Warehouse(path).write() as connection:
            assert connection.execute("SELECT count(*) FROM document").fetchall() == [(0,)]
    assert killed, "no process was caught at it"


def timed_making(path: Path) -> float:
    started = time.monotonic()
    with Warehouse(path).write():
        pass
    return time.monotonic() - started


def test_what_a_killed_process_began_is_removed_by_a_later_one(tmp_path: Path) -> None:
    path = tmp_path / "moodtape.duckdb"
    old, young = path.with_name(f"{path.name}.new-1-a"), path.with_name(f"{path.name}.new-2-b")
    for begun in (old, young):
        begun.write_bytes(b"half a header")
    long_ago = time.time() - 2 * 3600
    os.utime(old, (long_ago, long_ago))
    with Warehouse(path).write():
        pass
    assert sorted(found.name for found in tmp_path.iterdir()) == [path.name, young.name], (
        "a young one may belong to a process that lives"
    )


def test_of_two_processes_that_make_it_at_once_both_end_well(tmp_path: Path) -> None:
    path = tmp_path / "moodtape.duckdb"
    writers = [
        multiprocessing.get_context("spawn").Process(target=timed_making, args=(path,))
        for _ in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_file_system_without_links_gets_a_warehouse_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    timed_making(tmp_path / "moodtape.duckdb")
    assert [found.name for found in tmp_path.iterdir()] == ["moodtape.duckdb"]


def test_reading_what_is_not_there_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with (
        pytest.raises(DataMissing, match=r"no warehouse at .*w\.duckdb\. Run: moodtape import"),
        Warehouse(tmp_path / "w.duckdb").read(),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_is_taken_back(
    tmp_warehouse: Warehouse, failure: type[BaseException]
) -> None:
    with tmp_warehouse.write():
        pass
    with pytest.raises(failure), tmp_warehouse.write() as connection:  # noqa: PT012
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
        raise failure
    with tmp_warehouse.read() as connection:
        assert connection.execute("FROM meta").fetchall() == []


def test_a_writer_in_another_process_gets_pid_and_exit_code(tmp_warehouse: Warehouse) -> None:
    with tmp_warehouse.write() as connection:
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
        for script in (WRITE, READ):
            refused = other_process(script, tmp_warehouse.path)
            assert refused.returncode == 6, refused.stderr
            assert refused.stdout == (
                f"{tmp_warehouse.path} is being used by process {os.getpid()}. Wait for it to end,"
                f" or stop it with: kill {os.getpid()}, and run the command again.\n"
            )
    assert other_process(WRITE, tmp_warehouse.path).returncode == 0
    with tmp_warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchall() == [(2,)]


def test_readers_stand_beside_each_other_and_hold_off_a_writer(tmp_warehouse: Warehouse) -> None:
    with tmp_warehouse.write():
        pass
    with tmp_warehouse.read():
        assert other_process(READ, tmp_warehouse.path).returncode == 0
        refused = other_process(WRITE, tmp_warehouse.path)
        assert (refused.returncode, str(os.getpid()) in refused.stdout) == (6, True)


def test_threads_take_turns(tmp_warehouse: Warehouse) -> None:
    """DuckDB would refuse to read a file that another thread has open for writing."""
    holds = threading.Event()

    def write() -> None:
        with tmp_warehouse.write() as connection:
            holds.set()
            time.sleep(0.05)  # the reader is at the door by now
            connection.execute("INSERT INTO meta VALUES ('a', 'b')")

    writer = threading.Thread(target=write)
    writer.start()
    assert holds.wait(20)
    with tmp_warehouse.read() as connection:
        found = connection.execute("FROM meta").fetchall()
    writer.join()
    assert found == [("a", "b")]


def _hold(path: Path, held: Any, let_go: Any) -> None:
    with Warehouse(path).write():
        held.set()
        let_go.wait(30)


def test_a_writer_waits_for_another_to_end(tmp_warehouse: Warehouse) -> None:
    spawn = multiprocessing.get_context("spawn")
    held, let_go = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=_hold, args=(tmp_warehouse.path, held, let_go))
    holder.start()
    assert held.wait(30)
    with pytest.raises(WarehouseLocked), replace(tmp_warehouse, lock_wait_s=0).write():
        pass
    let_go.set()
    with replace(tmp_warehouse, lock_wait_s=30).write() as connection:
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
    holder.join()


def test_a_file_that_is_no_warehouse_is_said_to_be_none_at_once(tmp_path: Path) -> None:
    path = tmp_path / "block-of-locks.duckdb"
    path.write_bytes(b"not a database, and the word lock is no reason to wait" * 100)
    with (
        pytest.raises(MoodtapeError, match=f"{re.escape(str(path))} cannot be opened") as caught,
        Warehouse(path, lock_wait_s=60).write(),
    ):
        pass
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)


def test_sessions_are_in_utc_whatever_the_machine_says(
    tmp_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tokyo = datetime(2025, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    with tmp_warehouse.write() as connection:
        connection.execute("INSERT INTO cursor VALUES ('a', 'b', ?, 'r')", [tokyo])
    with tmp_warehouse.read() as connection:
        ((stored, text, hour),) = connection.execute(
            "SELECT recorded_at, recorded_at::VARCHAR, date_trunc('day', recorded_at) FROM cursor"
        ).fetchall()
    assert stored == datetime(2025, 1, 1, tzinfo=UTC) == hour
    assert text == "2025-01-01 00:00:00+00"


def test_a_session_keeps_to_its_means(tmp_warehouse: Warehouse) -> None:
    small = replace(tmp_warehouse, threads=1, memory_limit="100MiB")
    with small.write() as connection:
        settings = connection.execute(
            "SELECT current_setting('threads'), current_setting('memory_limit'),"
            " current_setting('autoinstall_known_extensions')"
        ).fetchall()
    assert settings == [(1, "100.0 MiB", False)]


def test_every_query_file_is_parsed_and_its_values_are_bound(tmp_warehouse: Warehouse) -> None:
    folder = Path(__file__).parents[2] / "moodtape" / "storage" / "sql" / "queries"
    with tmp_warehouse.write() as connection:
        for path in folder.glob("*.sql"):
            text = query(path.stem)
            assert text.startswith("-- "), f"{path.name} does not say what it does"
            assert connection.extract_statements(text), path.name


def test_a_script_gives_each_statement_only_what_it_names(tmp_warehouse: Warehouse) -> None:
    with tmp_warehouse.write() as connection:
        connection.execute("CREATE TEMP TABLE versioned AS SELECT * FROM document")
        run_script(connection, "mark_dirty", {"unused": 1})


def test_a_full_disk_is_told_plainly(tmp_warehouse: Warehouse) -> None:
    with tmp_warehouse.write() as connection:
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")
    for raised in (
        OSError(errno.ENOSPC, "No space left on device", "moodtape.duckdb"),
        duckdb.IOException('Could not write file "moodtape.duckdb.wal": No space left on device'),
    ):
        with pytest.raises(DiskFull, match=r"no room left on the disk of .* make room"):
            write_until(tmp_warehouse, raised)
    with pytest.raises(OSError, match="denied"):
        write_until(tmp_warehouse, OSError(errno.EACCES, "denied"))
    with tmp_warehouse.read() as connection:
        assert connection.execute("FROM meta").fetchall() == [("a", "b")]


def write_until(warehouse: Warehouse, failure: Exception) -> None:
    with warehouse.write() as connection:
        connection.execute("INSERT INTO meta VALUES ('c', 'd')")
        raise failure
