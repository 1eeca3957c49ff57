"""A checkpoint that was cut off in the middle of a block of the catalogue is mended, all of it."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import duckdb
import pytest

from moodtape.errors import MoodtapeError
from moodtape.storage.db import Warehouse
from moodtape.storage.torn import BLOCK_SIZE, FIRST_BLOCK, log_of, mend, was_cut_off

PAGE = 4096
HEADERS = slice(PAGE, FIRST_BLOCK)


class Cut:
    """A file before and after a checkpoint, and the log that was there between."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "moodtape.duckdb"
        with Warehouse(self.path).write() as connection:
            fill(connection, 0)
        for number in (1, 2):
            with Warehouse(self.path).write() as connection:
                fill(connection, number)
        self.before = self.path.read_bytes()
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("PRAGMA disable_checkpoint_on_shutdown")
            fill(connection, 3)
            connection.execute("CREATE TABLE new AS FROM meta")
        self.log = log_of(self.path).read_bytes()
        with duckdb.connect(str(self.path), read_only=True) as connection:
            self.rows = rows_of(connection)
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("CHECKPOINT")
            self.catalogue = [
                number
                for (number,) in connection.execute(
                    "SELECT block_id FROM pragma_metadata_info()"
                ).fetchall()
            ]
        self.after = self.path.read_bytes()

    def cut_off(self, block: int, pages: int) -> None:
        """Put the file in the state of a checkpoint killed after some pages of a block.

        The blocks before it are written, those after it are not; nor are the headers.
        """
        start = FIRST_BLOCK + block * BLOCK_SIZE
        torn = bytearray(self.after)
        torn[HEADERS] = self.before[HEADERS]
        for number in self.catalogue[self.catalogue.index(block) :]:
            begin = FIRST_BLOCK + number * BLOCK_SIZE
            old = self.before[begin : begin + BLOCK_SIZE]
            torn[begin : begin + len(old)] = old
        torn[start : start + pages * PAGE] = self.after[start : start + pages * PAGE]
        self.path.write_bytes(torn)
        log_of(self.path).write_bytes(self.log)


def fill(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    connection.execute(
        "INSERT INTO meta SELECT 'key ' || i, repeat('x', i % 90) FROM range(?, ?) r(i)",
        [5000 * number, 5000 * (number + 1)],
    )
    connection.execute(f"CREATE TABLE many_{number} AS SELECT * FROM range(100) r(i)")


def rows_of(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    return {name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for (name,) in names}


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    return Cut(tmp_path_factory.mktemp("cut"))


@pytest.mark.parametrize("pages", [1, 2, 5, 17, 40])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_block_of_two_checkpoints_is_mended_and_every_row_is_there(
    cut: Cut, pages: int, read_only: bool
) -> None:
    refused = 0
    for block in cut.catalogue:
        cut.cut_off(block, pages)
        try:
            with duckdb.connect(str(cut.path), read_only=True) as connection:
                rows_of(connection)
        except duckdb.Error:
            refused += 1
        warehouse = Warehouse(cut.path)
        with warehouse.read() if read_only else warehouse.write() as connection:
            assert rows_of(connection) == cut.rows
        with warehouse.read() as connection:
            assert rows_of(connection) == cut.rows
    assert refused, "nothing was torn"
    assert not list(cut.path.parent.glob("*.mending-*"))


def test_a_copy_that_a_kill_left_behind_is_removed(cut: Cut) -> None:
    left = cut.path.with_name(f"{cut.path.name}.mending-1-abcd")
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    cut.cut_off(cut.catalogue[0], 3)
    with Warehouse(cut.path).read():
        pass
    assert not left.exists()


def test_it_is_told(cut: Cut, caplog: pytest.LogCaptureFixture) -> None:
    cut.cut_off(cut.catalogue[0], 3)
    with Warehouse(cut.path).read():
        pass
    assert "every row of every table was read" in caplog.text


def test_a_damaged_block_of_rows_is_not_passed_as_whole(cut: Cut) -> None:
    """Not even beside a log: only blocks of the catalogue are ever half written in place."""
    cut.path.write_bytes(cut.before)
    log_of(cut.path).write_bytes(cut.log)
    with duckdb.connect(str(cut.path), read_only=True) as connection:
        ((number,),) = connection.execute(
            "SELECT max(block_id) FROM pragma_storage_info('meta') WHERE persistent"
        ).fetchall()
    assert number not in cut.catalogue
    place = FIRST_BLOCK + number * BLOCK_SIZE + 1000
    damaged = bytearray(cut.before)
    damaged[place] ^= 1
    cut.path.write_bytes(damaged)
    with pytest.raises(duckdb.Error) as told, duckdb.connect(str(cut.path)) as connection:
        rows_of(connection)
    assert f"location {FIRST_BLOCK + number * BLOCK_SIZE}" in str(told.value)
    cut.path.write_bytes(damaged)
    log_of(cut.path).write_bytes(cut.log)
    assert not mend(cut.path, str(told.value))
    assert cut.path.read_bytes() == damaged


def test_without_a_log_nothing_was_cut_off_so_nothing_is_mended(cut: Cut) -> None:
    cut.cut_off(cut.catalogue[0], 3)
    log_of(cut.path).unlink()
    damaged = cut.path.read_bytes()
    assert not was_cut_off(cut.path)
    with pytest.raises(MoodtapeError, match="backup restore"), Warehouse(cut.path).read():
        pass
    assert cut.path.read_bytes() == damaged


def test_a_file_that_another_process_mended_first_is_left_alone(cut: Cut, tmp_path: Path) -> None:
    cut.cut_off(cut.catalogue[0], 3)
    with pytest.raises(duckdb.Error) as told, duckdb.connect(str(cut.path)) as connection:
        rows_of(connection)
    shutil.copy(cut.path, tmp_path / "torn")
    with cut.path.open("r+b") as file:
        file.seek(FIRST_BLOCK + cut.catalogue[0] * BLOCK_SIZE)
        file.write(struct.pack("<Q", 7))
    changed = cut.path.read_bytes()
    assert not mend(cut.path, str(told.value))
    assert cut.path.read_bytes() == changed
