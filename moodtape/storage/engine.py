"""DuckDB's engine, started once and kept; a file is attached to it for the length of a block.

Starting an engine, with all its functions and threads, takes several times as long as opening a
file. What is kept between two blocks holds no file: others may open it when a block has ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


@dataclass(frozen=True)
class Means:
    """What an engine is started with: one for each file, since it spills beside the file."""

    path: Path
    threads: int
    memory_limit: str


_ATTACH = {True: "ATTACH ? AS moodtape (READ_ONLY)", False: "ATTACH ? AS moodtape"}
_kept: tuple[Means, Connection] | None = None
_attached: set[Path] = set()


@contextmanager
def attached(means: Means, read_only: bool) -> Iterator[Connection]:
    """Open a session over a file; the file is let go when the block ends.

    The caller sees to it that one thread at a time does so.

    Raises:
        duckdb.Error: the file cannot be opened, or another process holds it.
        RuntimeError: this thread has it open; closing it twice would free its lock too early.
    """
    if means.path in _attached:
        raise RuntimeError(f"{means.path} is open already: use the session that there is.")
    engine = _take(means)
    try:
        _attached.add(means.path)
        engine.execute(_ATTACH[read_only], [str(means.path)])
        session = engine.cursor()
        try:
            session.execute("USE moodtape")
            yield session
        finally:
            session.close()
        engine.execute("DETACH moodtape")
    except BaseException:
        engine.close()  # with all that it holds, whatever state it is in
        raise
    finally:
        _attached.discard(means.path)
    _keep(means, engine)


def configure(connection: Connection, threads: int, memory_limit: str) -> None:
    """Put an engine and its sessions in UTC and within its means; it downloads no extension."""
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET threads = ?", [threads])
    connection.execute("SET memory_limit = ?", [memory_limit])


def _take(means: Means) -> Connection:
    """Return the engine that was kept, if it is of these means, or a new one."""
    import duckdb

    global _kept
    kept, _kept = _kept, None
    if kept is not None:
        if kept[0] == means:
            return kept[1]
        kept[1].close()
    engine = duckdb.connect(":memory:")
    configure(engine, means.threads, means.memory_limit)
    engine.execute("SET temp_directory = ?", [f"{means.path}.tmp"])
    return engine


def _keep(means: Means, engine: Connection) -> None:
    global _kept
    _kept = (means, engine)


def let_go() -> None:
    """End the engine that is kept; the next block starts another one."""
    global _kept
    kept, _kept = _kept, None
    if kept is not None:
        kept[1].close()


os.register_at_fork(before=let_go)  # its threads would be missing in the child, which would crash
