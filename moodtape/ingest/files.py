"""Reads CSV, JSONL and Parquet files, plain or compressed, in chunks of constant memory.

Lines that cannot be split into columns come back as rejected rows; a file that
cannot be used at all raises `UnreadableFile`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from moodtape.errors import UnreadableFile

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 20_000
MAX_LINE_BYTES = 32 * 2**20
PAYLOAD_CHARS = 4_096
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"

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
        raise UnreadableFile(f"{path} does not exist or is not a file.")
    size = path.stat().st_size
    if size == 0:
        raise UnreadableFile(f"{path} is empty (0 bytes). Fetch or export it again.")
    with path.open("rb") as handle:
        magic = handle.read(4)
    tick = progress or (lambda done, total: None)
    if magic == _PARQUET or path.suffix == ".parquet":
        yield from _parquet_chunks(path, size, tick)
        return
    names = [s.lower() for s in path.suffixes]
    is_json = any(s in names for s in (".jsonl", ".ndjson", ".json"))
    split = _jsonl_rows if is_json else _csv_rows
    with path.open("rb") as raw:
        yield from _gather(split(_decompress(raw, magic, path), path), raw, size, tick, path)


def _decompress(raw: IO[bytes], magic: bytes, path: Path) -> IO[bytes]:
    if magic[:2] == _GZIP:
        return gzip.GzipFile(fileobj=raw)
    if magic == _ZSTD:
        import zstandard

        # The window of public archives is up to 2 GiB; this is the reader's cap, not its use.
        reader = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(raw)
        return io.BufferedReader(reader)
    return raw


_Row = tuple[int, dict[str, Any] | Rejected]


def _gather(
    rows: Iterator[_Row], raw: IO[bytes], size: int, tick: Progress, path: Path
) -> Iterator[Chunk]:
    """Group single rows into chunks, reporting progress by compressed bytes."""
    import zlib

    import pandas as pd
    import zstandard

    good: list[dict[str, Any]] = []
    lines: list[int] = []
    bad: list[Rejected] = []
    try:
        for line, row in rows:
            if isinstance(row, Rejected):
                bad.append(row)
            else:
                good.append(row)
                lines.append(line)
            if len(good) + len(bad) >= CHUNK_ROWS:
                yield Chunk(pd.DataFrame(good, index=lines, dtype=object), tuple(bad))
                tick(raw.tell(), size)
                good, lines, bad = [], [], []
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as exc:
        raise UnreadableFile(f"{path} is cut short or damaged: {exc}. Fetch it again.") from exc
    yield Chunk(pd.DataFrame(good, index=lines, dtype=object), tuple(bad))
    tick(size, size)


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield numbered lines; None for one longer than the cap, whose rest is skipped."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                continue
            yield number, None
        else:
            yield number, line


def _csv_rows(stream: IO[bytes], path: Path) -> Iterator[_Row]:
    csv.field_size_limit(MAX_LINE_BYTES)
    numbered = _lines(stream)
    place = 0
    overlong: list[int] = []

    def text() -> Iterator[str]:
        nonlocal place
        for number, line in numbered:
            place = number
            if line is None:
                overlong.append(number)
            else:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")

    lines = text()
    first = next(lines, "")
    if not first.strip():
        raise UnreadableFile(f"{path} has no header line.")
    delimiter = max(",;\t|", key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    if len(set(header)) < len(header):
        raise UnreadableFile(f"{path} names a column twice in its header: {first.strip()[:200]}")
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        started = place + 1
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as exc:
            yield started, Rejected(f"line {started}", f"not CSV: {exc}", "")
            continue
        if len(values) == len(header):
            row = dict(zip(header, values, strict=True))
            yield started, _checked(row, started)
        elif values:
            reason = f"has {len(values)} columns, the header {len(header)}"
            yield started, Rejected(f"line {started}", reason, _payload(values))
    for number in overlong:
        yield number, Rejected(f"line {number}", f"longer than {MAX_LINE_BYTES >> 20} MiB", "")


def _jsonl_rows(stream: IO[bytes], path: Path) -> Iterator[_Row]:
    for number, line in _lines(stream):
        place = f"line {number}"
        if line is None:
            reason = f"longer than {MAX_LINE_BYTES >> 20} MiB"
            yield number, Rejected(place, reason, "")
            continue
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            shown = line[:PAYLOAD_CHARS].decode("utf-8", "replace")
            yield number, Rejected(place, "invalid UTF-8", shown)
        except (ValueError, RecursionError):
            shown = line[:PAYLOAD_CHARS].decode("utf-8", "replace")
            yield number, Rejected(place, "not JSON", shown)
        else:
            if isinstance(row, dict):
                yield number, row
            else:
                yield number, Rejected(place, "not a JSON object", _payload(row))


def _parquet_chunks(path: Path, size: int, tick: Progress) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                table = batch.to_pandas()
                table.index = range(place, place + len(table))
                place += len(table)
                yield Chunk(table)
                tick(int(size * place / max(file.metadata.num_rows, 1)), size)
    except (pa.ArrowException, OSError) as exc:
        first_line = str(exc).splitlines()[0]
        raise UnreadableFile(
            f"{path} is not a whole Parquet file ({first_line}). Fetch it again."
        ) from exc
    tick(size, size)


def _checked(row: dict[str, Any], line: int) -> dict[str, Any] | Rejected:
    """Refuse a row whose bytes were not UTF-8."""
    for value in row.values():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return Rejected(f"line {line}", "invalid UTF-8", _payload(row))
    return row


def _payload(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, default=str)[:PAYLOAD_CHARS]
