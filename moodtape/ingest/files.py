"""Reads CSV, JSONL and Parquet files, plain or compressed, in chunks of constant memory.

Lines that cannot be split into columns come back as rejected rows; a file that
cannot be used at all raises `UnreadableFile`.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from moodtape.errors import UnreadableFile
from moodtape.ingest.compressed import PARQUET, open_text
from moodtape.ingest.delimited import (
    MAX_LINE_BYTES,
    PAYLOAD_CHARS,
    Line,
    csv_rows,
    numbered_lines,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHUNK_ROWS = 20_000
CHUNK_BYTES = 64 * 2**20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rejected:
    """One row that cannot be used: where it stood, why, and what it said."""

    place: str
    reason: str
    payload: str


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file.

    table: columns as in the file, index = line or row number. Values are text
        (CSV), JSON values (JSONL) or typed (Parquet).
    rejected: lines that could not be split into columns.
    """

    table: pd.DataFrame
    rejected: tuple[Rejected, ...] = ()


def read_chunks(path: Path, progress: Progress | None = None) -> Iterator[Chunk]:
    """Yield the rows of a file in order.

    Args:
        path: `.csv`, `.tsv`, `.jsonl`, `.ndjson` or `.parquet`; text also as gzip or zstd.
        progress: called with bytes read so far and in all.
    Raises:
        UnreadableFile: absent, empty, cut short, or of no known form.
    """
    if not path.is_file():
        raise UnreadableFile(f"{path} does not exist or is not a file. Check the name.")
    size = path.stat().st_size
    if size == 0:
        raise UnreadableFile(f"{path} is empty (0 bytes). Fetch or export it again.")
    tick = progress or (lambda done, total: None)
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic == PARQUET or path.suffix == ".parquet":
            yield from _parquet_chunks(path, size, tick)
            return
        yield from _gather(_rows(open_text(raw, magic, path), path), raw, size, tick, path)


def _rows(stream: IO[bytes], path: Path) -> Iterator[Line]:
    """Yield rows of the form that the file's name tells, or else its first byte."""
    names = [s.lower() for s in path.suffixes]
    is_json = any(s in names for s in (".jsonl", ".ndjson", ".json"))
    if not is_json and not any(s in names for s in (".csv", ".tsv")):
        is_json = isinstance(stream, io.BufferedReader) and stream.peek(1)[:1] == b"{"
    yield from (_jsonl_rows if is_json else csv_rows)(stream, path)


def _gather(
    rows: Iterator[Line], raw: IO[bytes], size: int, tick: Progress, path: Path
) -> Iterator[Chunk]:
    """Group single rows into chunks, reporting progress by compressed bytes."""
    import zlib

    import zstandard

    good: list[dict[str, Any]] = []
    lines: list[int] = []
    bad: list[Rejected] = []
    held = 0
    try:
        for line, row, said in rows:
            if isinstance(row, str):
                bad.append(Rejected(f"line {line}", row, said))
                held += len(said)
            else:
                good.append(row)
                lines.append(line)
                held += sum(len(v) for v in row.values() if isinstance(v, str))
            if len(good) + len(bad) >= CHUNK_ROWS or held >= CHUNK_BYTES:
                yield _chunk(good, lines, bad)
                tick(raw.tell(), size)
                good, lines, bad, held = [], [], [], 0
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as exc:
        raise UnreadableFile(f"{path} is cut short or damaged: {exc}. Fetch it again.") from exc
    yield _chunk(good, lines, bad)
    tick(size, size)


def _chunk(good: list[dict[str, Any]], lines: list[int], bad: list[Rejected]) -> Chunk:
    import pandas as pd

    return Chunk(pd.DataFrame(good, index=lines, dtype=object), tuple(bad))


def _jsonl_rows(stream: IO[bytes], path: Path) -> Iterator[Line]:
    for number, line in numbered_lines(stream):
        if line is None:
            yield number, f"longer than {MAX_LINE_BYTES >> 20} MiB", ""
            continue
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
        if not text.strip():
            continue
        try:
            text.encode("utf-8")
            row = json.loads(text)
        except UnicodeEncodeError:
            yield number, "invalid UTF-8", _shown(line)
        except (ValueError, RecursionError):
            yield number, "not JSON", _shown(line)
        else:
            if not isinstance(row, dict):
                yield number, "not a JSON object", _shown(line)
            else:
                yield number, _without_halves(row) if "\\ud" in text.lower() else row, ""


def _without_halves(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without half characters, which cut texts leave behind as `\\ud83d`."""
    return {
        key.encode("utf-8", "ignore").decode(): (
            value.encode("utf-8", "ignore").decode() if isinstance(value, str) else value
        )
        for key, value in row.items()
    }


def _shown(line: bytes) -> str:
    return line[:PAYLOAD_CHARS].decode("utf-8", "replace").rstrip()


def _parquet_chunks(path: Path, size: int, tick: Progress) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_batch_rows(file)):
                lines = range(place, place + batch.num_rows)
                place += batch.num_rows
                yield _typed_chunk(batch, lines)
                tick(size * (place - 1) // max(file.metadata.num_rows, 1), size)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
        first_line = str(exc).splitlines()[0]
        raise UnreadableFile(
            f"{path} is not a whole Parquet file ({first_line}). Fetch it again."
        ) from exc
    tick(size, size)


def _batch_rows(file: Any) -> int:
    """Return how many rows of the file's fattest group make a chunk."""
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    fattest = max((g.total_byte_size // max(g.num_rows, 1) for g in groups), default=1)
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(fattest, 1)))


def _typed_chunk(batch: pa.RecordBatch, lines: range) -> Chunk:
    """Return a batch as a table; whole numbers beside nulls stay whole."""
    import pyarrow as pa

    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return _repaired_chunk(batch, lines)
    table = batch.to_pandas(integer_object_nulls=True)
    table.index = lines
    return Chunk(table)


def _repaired_chunk(batch: pa.RecordBatch, lines: range) -> Chunk:
    """Set aside the rows whose texts are not UTF-8, which Parquet does not check."""
    import pyarrow as pa

    wrong: set[int] = set()
    columns = []
    for column in batch.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts = column.cast(pa.large_binary()).to_pylist()
            wrong |= {i for i, t in enumerate(texts) if t is not None and not _is_utf8(t)}
            column = pa.array([t and t.decode("utf-8", "replace") for t in texts], pa.string())
        columns.append(column)
    table = pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pandas(
        integer_object_nulls=True
    )
    table.index = lines
    rejected = tuple(
        Rejected(
            f"line {lines[i]}",
            "invalid UTF-8",
            json.dumps(table.iloc[i].to_dict(), default=str)[:PAYLOAD_CHARS],
        )
        for i in sorted(wrong)
    )
    return Chunk(table.drop(index=[lines[i] for i in wrong]), rejected)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
