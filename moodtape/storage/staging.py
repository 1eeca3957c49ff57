"""Parquet files that hold a command's rows until one short transaction takes them in.

Reading, cleaning and checking a large file takes minutes; the warehouse is locked
only for the merge. The files vanish with the command, whether it ends well or not; what
a killed command left behind goes when the next one begins.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

INSTANT, TEXT, NUMBER, COUNT, FLAG = "instant", "text", "number", "count", "flag"
WORDS, KEYS = "64-bit words", "32-bit keys"
_HALF = re.compile("[\ud800-\udfff]")
_DOCUMENT_KEY = {"source": TEXT, "collection": TEXT, "document_id": TEXT}

STAGED: dict[str, dict[str, str]] = {
    "bar": {
        "line": COUNT,
        **dict.fromkeys(("symbol", "venue", "quote", "interval"), TEXT),
        **dict.fromkeys(("open_time", "close_time"), INSTANT),
        **dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume"), NUMBER),
        "trades": COUNT,
        "taker_buy_volume": NUMBER,
    },
    "metric": {
        "line": COUNT,
        **dict.fromkeys(("provider", "symbol", "metric"), TEXT),
        **dict.fromkeys(("period_start", "period_end", "known_at"), INSTANT),
        "value": NUMBER,
        "stamped": FLAG,
    },
    "document": {
        "line": COUNT,
        **_DOCUMENT_KEY,
        **dict.fromkeys(("known_at", "published_at"), INSTANT),
        **dict.fromkeys(("date_only", "assumed"), FLAG),
        **dict.fromkeys(("outlet", "form", "author_hash", "url", "title", "body"), TEXT),
        **dict.fromkeys(("categories", "content_hash", "text", "repeat_key"), TEXT),
        "sketch_version": TEXT,
        "sketch": WORDS,
        "bands": KEYS,
    },
    "mention": {"line": COUNT, "symbol": TEXT, "how": TEXT},
    "engagement": {
        **_DOCUMENT_KEY,
        **dict.fromkeys(("likes", "comments", "reposts"), COUNT),
        "removed": FLAG,
    },
    "quarantine": dict.fromkeys(("source", "place", "reason", "payload"), TEXT),
}


def staged_schema(name: str) -> pa.Schema:
    """Return the Arrow schema of a staged table."""
    import pyarrow as pa

    types = {
        INSTANT: pa.timestamp("us", tz="UTC"),
        TEXT: pa.string(),
        NUMBER: pa.float64(),
        COUNT: pa.int64(),
        FLAG: pa.bool_(),
        WORDS: pa.list_(pa.uint64()),
        KEYS: pa.list_(pa.uint32()),
    }
    return pa.schema([(column, types[kind]) for column, kind in STAGED[name].items()])


def storable(value: Any) -> Any:
    """Return a value as UTF-8 can hold it: half a character becomes the mark of a lost one.

    >>> storable("up \ud800") == "up \ufffd", storable(5)
    (True, 5)
    """
    if not isinstance(value, str):
        return value
    return _HALF.sub("\ufffd", value)


class Stage:
    """A folder with one growing Parquet file per table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, int] = dict.fromkeys(STAGED, 0)
        self._writers: dict[str, Any] = {}

    def append(self, name: str, rows: pd.DataFrame | list[dict[str, Any]]) -> None:
        """Add rows to a staged table; columns that it does not have are left out."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not len(rows):
            return
        schema = staged_schema(name)
        if isinstance(rows, list):
            try:
                table = pa.Table.from_pylist(rows, schema=schema)
            except UnicodeEncodeError:
                whole = [{name: storable(value) for name, value in row.items()} for row in rows]
                table = pa.Table.from_pylist(whole, schema=schema)
        else:
            table = pa.Table.from_pandas(
                rows[schema.names], schema=schema, preserve_index=False, safe=False
            )
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(self.path(name), schema)
        self._writers[name].write_table(table)
        self.rows[name] += len(rows)

    def path(self, name: str) -> str:
        """Return where a staged table lies."""
        return str(self.folder / f"{name}.parquet")

    def close(self) -> None:
        """Finish every file; tables without rows get an empty one, so that SQL finds it."""
        import pyarrow.parquet as pq

        for name in STAGED:
            writer = self._writers.pop(name, None)
            if writer is not None:
                writer.close()
            elif not Path(self.path(name)).exists():
                pq.write_table(staged_schema(name).empty_table(), self.path(name))


@contextmanager
def staging(parent: Path) -> Iterator[Stage]:
    """Give a stage in a folder of its own under `parent`, and remove it afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"stage-{os.getpid()}-", dir=parent))
    stage = Stage(folder)
    try:
        yield stage
    finally:
        try:
            stage.close()
        finally:
            shutil.rmtree(folder)


def _sweep(parent: Path) -> None:
    """Remove the stages of processes that no longer run."""
    for folder in parent.glob("stage-*-*"):
        holder = folder.name.split("-")[1]
        if holder.isdigit() and not _is_running(int(holder)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
