"""The only door to DuckDB: UTC sessions, one short writer at a time, a plain word when locked.

Threads of one process take turns, since DuckDB opens a file in one way at a time.
"""

from __future__ import annotations

import errno
import os
import random
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from moodtape.errors import DataMissing, DiskFull, MoodtapeError, WarehouseLocked
from moodtape.storage.abandoned import remove_abandoned
from moodtape.storage.engine import Means, attached, configure
from moodtape.storage.torn import look_through, mend, was_cut_off

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_HOLDER = re.compile(r"PID (\d+)")
_NO_ROOM = os.strerror(errno.ENOSPC)
_REPLAYING = re.compile(r"replaying WAL", re.IGNORECASE)
_HELD = re.compile(r"could not set lock|conflicting lock", re.IGNORECASE)

_FRESH = ".new-"

_TURN = threading.RLock()


@dataclass(frozen=True)
class Warehouse:
    """Where the DuckDB file is and how to open it; a value, so that it can be passed on.

    path: the file; it is made by the first write.
    threads, memory_limit: of the DuckDB session.
    lock_wait_s: how long a writer waits for another process.
    """

    path: Path
    threads: int = 2
    memory_limit: str = "2GB"
    lock_wait_s: float = 30.0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open for writing, migrate, and run the block as one transaction.

        Raises:
            WarehouseLocked: another process held the file for all of `lock_wait_s`.
            DiskFull: there is no room; nothing of the block was stored.
        """
        from moodtape.storage.migrate import migrate

        with _TURN, room_at(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                found_warehouse(self)
            with self._opened(read_only=False) as connection:
                migrate(connection)
                connection.execute("BEGIN")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    _roll_back(connection)
                    raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open for reading, beside other readers.

        Raises:
            DataMissing: there is no warehouse yet.
            WarehouseLocked: a writer held the file for all of `lock_wait_s`.
        """
        from moodtape.storage.migrate import is_current

        if not self.path.exists():
            raise DataMissing(
                f"There is no warehouse at {self.path}. Run: moodtape import bars FILE,"
                " or: moodtape demo"
            )
        with _TURN:
            with self._opened(read_only=True) as connection:
                if is_current(connection):
                    yield connection
                    return
            with self.write():
                pass
            with self._opened(read_only=True) as connection:
                yield connection

    @contextmanager
    def _opened(self, read_only: bool) -> Iterator[Connection]:
        """Open the file for the length of the block, with bounded retries while it is held.

        One that a killed process left with a torn block is mended.
        """
        import duckdb

        means = Means(self.path, self.threads, self.memory_limit)
        deadline = time.monotonic() + self.lock_wait_s
        pause_s, cut_off = 0.05, was_cut_off(self.path)
        with ExitStack() as held:
            while True:
                try:
                    if cut_off:
                        with attached(means, read_only=True) as connection:
                            look_through(connection)
                    connection = held.enter_context(attached(means, read_only))
                    break
                except duckdb.Error as exc:
                    with room_at(self.path.parent):
                        if mend(self.path, str(exc)):
                            continue
                    if not _HELD.search(str(exc)):
                        raise MoodtapeError(_unopened_message(self.path, str(exc))) from exc
                    if time.monotonic() >= deadline:
                        raise WarehouseLocked(_locked_message(self.path, str(exc))) from exc
                    time.sleep(min(pause_s * random.uniform(0.5, 1.5), 2.0))  # noqa: S311
                    pause_s *= 2
            yield connection


@contextmanager
def room_at(folder: Path) -> Iterator[None]:
    """Tell plainly when the block cannot write since the disk is full.

    Raises:
        DiskFull: it could not; the message says where.
    """
    try:
        yield
    except Exception as exc:
        full = isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)
        if not full and _NO_ROOM not in str(exc):
            raise
        raise DiskFull(
            f"There is no room left on the disk of {folder}. Nothing is half-stored: make room,"
            " and run the command again."
        ) from exc


def found_warehouse(warehouse: Warehouse) -> None:
    """Make a new warehouse beside its place and give it its name when it is whole.

    DuckDB writes a new file's header in steps: a process killed between them would
    leave a file that nobody can open. Of two processes that start at once one wins.
    """
    from moodtape.storage.migrate import migrate

    path = warehouse.path
    remove_abandoned(path, _FRESH)
    fresh = path.with_name(f"{path.name}{_FRESH}{os.getpid()}-{secrets.token_hex(4)}")
    with replace(warehouse, path=fresh)._opened(read_only=False) as connection:
        migrate(connection)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass  # another process was quicker, and its warehouse is as good
    except OSError:  # a file system without links
        if not path.exists():
            fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)


def open_in_memory(like: Warehouse, spill: Path) -> Connection:
    """Return a session over no file, with the present schema; what does not fit goes to `spill`."""
    import duckdb

    from moodtape.storage.migrate import migrate

    connection = duckdb.connect(":memory:")
    configure(connection, like.threads, like.memory_limit)
    connection.execute("SET temp_directory = ?", [str(spill)])
    migrate(connection)
    return connection


def query(name: str) -> str:
    """Return the text of `sql/queries/NAME.sql`."""
    folder = resources.files("moodtape.storage") / "sql" / "queries"
    return (folder / f"{name}.sql").read_text(encoding="utf-8")


def _unopened_message(path: Path, said: str) -> str:
    """Return why a file cannot be opened, and what to do; a damaged log has two ways out."""
    log, why = path.with_name(f"{path.name}.wal"), said.splitlines()[0].rstrip(".")
    if _REPLAYING.search(said):
        return (
            f"{log}, what the last run stored before it was stopped, is damaged: {why}. Run:"
            " moodtape backup restore. Or move the file away to go on without it; sources are"
            " asked again for what it held."
        )
    return f"{path} cannot be opened: {why}. Run: moodtape backup restore"


def _roll_back(connection: Connection) -> None:
    import duckdb

    try:
        connection.execute("ROLLBACK")
    except duckdb.TransactionException:
        return  # nothing had begun, or DuckDB had already rolled back


def _locked_message(path: Path, reason: str) -> str:
    holder = _HOLDER.search(reason)
    who = f"process {holder[1]}" if holder else "another process"
    return (
        f"{path} is being used by {who}. Wait for it to end, or stop it"
        f"{f' with: kill {holder[1]}' if holder else ''}, and run the command again."
    )


def run_script(connection: Connection, name: str, parameters: Mapping[str, object]) -> None:
    """Run every statement of `sql/queries/NAME.sql`, giving each the parameters it names."""
    for statement in connection.extract_statements(query(name)):
        wanted = {key: parameters[key] for key in statement.named_parameters}
        connection.execute(statement, wanted or None)
