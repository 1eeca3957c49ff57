"""Mends a file whose last checkpoint was cut off in the middle of a block of its catalogue.

DuckDB keeps its catalogue in blocks of 256 KiB, each of 64 parts with one checksum in front. A
checkpoint fills parts that are free and writes the block again in its place; the parts that the
checkpoint before refers to stay as they are. Cut off within that write, by a kill or a power cut,
the block holds bytes of both, and the checksum of one: DuckDB refuses the file, though every part
that it would read is whole. So the checksum of the block as it stands is put in place of the other.

    1. block     DuckDB names it, and what its checksum should be; a log was left behind
    2. proof     on a copy: it is a block of the catalogue, and every row of every table can be read
    3. mend      eight bytes of the file itself, while nobody else has it open

Source: `MetadataManager::Flush` of DuckDB; the copy is what shows that it is so.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moodtape.storage.abandoned import remove_abandoned

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

FIRST_BLOCK, BLOCK_SIZE = 3 * 4096, 1 << 18
"""Where blocks begin, behind three headers; how large one is. (bytes)"""

MOST_BLOCKS = 8
"""One kill tears one block; so many may have been torn one after the other."""

_DAMAGED = re.compile(
    r"computed checksum (\d+) does not match stored checksum (\d+) in block at location (\d+)"
)
_COPY = ".mending-"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Torn:
    """A block that is not what its checksum says: where it begins, and both checksums."""

    location: int
    stored: int
    computed: int

    @property
    def number(self) -> int:
        """Return the block's number."""
        return (self.location - FIRST_BLOCK) // BLOCK_SIZE


def log_of(path: Path) -> Path:
    """Return the log of what was stored since the last checkpoint; a clean end leaves none."""
    return path.with_name(f"{path.name}.wal")


def was_cut_off(path: Path) -> bool:
    """Say whether the last session over a file was stopped before it ended."""
    log = log_of(path)
    return log.exists() and log.stat().st_size > 0


def mend(path: Path, said: str) -> bool:
    """Mend a file that DuckDB refused; say whether that was possible and is done.

    Args:
        said: by DuckDB when it refused the file.
    Raises:
        OSError: there is no room for the copy, or the file cannot be written.
    """
    first = _torn(said)
    if first is None or not was_cut_off(path):
        return False
    with _copy(path) as copy:
        blocks = _mended(copy, first)
    if not blocks or not _put_in_place(path, blocks):
        return False
    _LOG.warning(
        "%s: the last run was stopped while it wrote the catalogue. That is mended: every row of"
        " every table was read.", path,
    )  # fmt: skip
    return True


def look_through(connection: Connection) -> None:
    """Read where every column of every table is stored, and so the whole catalogue.

    Raises:
        duckdb.Error: a block of it is damaged.
    """
    for name in _tables(connection):
        connection.execute("SELECT count(*) FROM pragma_storage_info(?)", [name]).fetchone()


def _torn(said: str) -> Torn | None:
    found = _DAMAGED.search(said)
    if found is None:
        return None
    computed, stored, location = (int(number) for number in found.groups())
    whole = location >= FIRST_BLOCK and (location - FIRST_BLOCK) % BLOCK_SIZE == 0
    return Torn(location, stored, computed) if whole else None


@contextmanager
def _copy(path: Path) -> Iterator[Path]:
    """Make a copy of the file and its log, as private as they, for the length of the block."""
    remove_abandoned(path, _COPY)
    copy = path.with_name(f"{path.name}{_COPY}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        for place in (copy, log_of(copy)):
            place.touch(mode=0o600)  # before there is anything to read
        shutil.copy(path, copy)
        shutil.copy(log_of(path), log_of(copy))
        yield copy
    finally:
        copy.unlink(missing_ok=True)
        log_of(copy).unlink(missing_ok=True)


def _mended(copy: Path, torn: Torn) -> list[Torn]:
    """Mend a copy block by block; return the blocks, or none if rows stay out of reach."""
    import duckdb

    blocks: list[Torn] = []
    following: Torn | None = torn
    while following is not None and len(blocks) < MOST_BLOCKS:
        blocks.append(following)
        with copy.open("r+b") as file:
            _write(file.fileno(), following)
        try:
            catalogue = _read_whole(copy)
        except duckdb.Error as exc:
            following = _torn(str(exc))
            continue
        return blocks if all(block.number in catalogue for block in blocks) else []
    return []


def _read_whole(copy: Path) -> set[int]:
    """Read every row of every table; return the numbers of the blocks of the catalogue."""
    import duckdb

    with duckdb.connect(str(copy), read_only=True) as connection:
        found = connection.execute("SELECT block_id FROM pragma_metadata_info()").fetchall()
        look_through(connection)
        for name in _tables(connection):
            quoted = name.replace('"', '""')
            connection.execute(f'SELECT bit_xor(hash(t)) FROM "{quoted}" t').fetchone()  # noqa: S608
    return {number for (number,) in found}


def _tables(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
        " AND NOT temporary ORDER BY table_oid"
    ).fetchall()
    return [name for (name,) in rows]


def _put_in_place(path: Path, blocks: list[Torn]) -> bool:
    """Write the checksums into the file itself, unless it is another one by now or in use."""
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the lock that DuckDB takes
        except BlockingIOError:
            return False
        stored = [struct.unpack("<Q", os.pread(file.fileno(), 8, b.location))[0] for b in blocks]
        if stored != [block.stored for block in blocks]:
            return False
        for block in blocks:
            _write(file.fileno(), block)
        os.fsync(file.fileno())
    return True


def _write(descriptor: int, block: Torn) -> None:
    os.pwrite(descriptor, struct.pack("<Q", block.computed), block.location)
