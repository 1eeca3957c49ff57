"""Parts of Parquet files of texts: which there are, which are scored, how they are read and kept.

A part's file says whose rows it holds: the scorer, the hash of the source, and which columns. It
is written beside its place and renamed, so it is whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.errors import UnreadableFile, UsageError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

PART_ROWS = 20_000
"""Rows of one part: what a killed worker loses at most, a few minutes of two cores."""

_FACTS = b"moodtape"
_MADE = ("row", "p_negative", "p_neutral", "p_positive", "kind", "probability")


@dataclass(frozen=True)
class Rows:
    """Which texts a part holds, and who scores them; kept in the part's file."""

    scorer: str
    source_sha256: str
    first: int
    count: int
    column: str
    keep: tuple[str, ...]

    def stated(self) -> bytes:
        """Return it as it is kept."""
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True)
class Part:
    """Some rows of a Parquet file, and the file that gets their scores."""

    source: Path
    target: Path
    rows: Rows


def plan_parts(
    files: Sequence[Path], out: Path, scorer: str, column: str, keep: tuple[str, ...]
) -> list[Part]:
    """Return the parts of all files, in their order."""
    stems = [path.stem for path in files]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise UsageError(
            f"Two files are called {twice[0]}, and so would be their scores. Rename one, or score"
            " them into folders of their own."
        )
    if taken := sorted(set(keep) & set(_MADE)):
        raise UsageError(f"The column {taken[0]!r} cannot be kept: the scores have one, too.")
    parts = []
    for path in files:
        count = _check_columns(path, column, keep)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        for first in range(0, count, PART_ROWS):
            rows = Rows(scorer, digest, first, min(PART_ROWS, count - first), column, keep)
            parts.append(Part(path, out / f"{path.stem}-{first:010d}.parquet", rows))
    return parts


def _check_columns(path: Path, column: str, keep: tuple[str, ...]) -> int:
    """Return how many rows a file has; raise if it is no Parquet or lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, count = file.schema_arrow, int(file.metadata.num_rows)
    except (OSError, pa.ArrowException) as exc:
        raise UnreadableFile(f"{path} cannot be read as Parquet: {exc}") from exc
    for name in (column, *keep):
        if name not in schema.names:
            raise UnreadableFile(
                f"{path} has no column {name!r}; its columns: {', '.join(schema.names)}."
                f"{did_you_mean(name, schema.names)}"
            )
    kind = schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise UnreadableFile(f"{path}: the column {column!r} holds {kind}, expected text.")
    return count


def is_scored(part: Part) -> bool:
    """Say whether a part is there; raise if what is there is something else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not part.target.exists():
        return False
    try:
        stated = (pq.read_schema(part.target).metadata or {}).get(_FACTS)
    except (OSError, pa.ArrowException) as exc:
        raise UnreadableFile(f"{part.target} cannot be read ({exc}). Delete it.") from exc
    if stated != part.rows.stated():
        raise UsageError(
            f"{part.target} holds other scores than those of {part.source} by {part.rows.scorer}:"
            " another scorer's, of another version of the file, or with other columns. Choose"
            " another folder with --out, or delete it."
        )
    return True


def read_part(part: Part) -> pa.Table:
    """Return the rows of a part; no other row group than theirs is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first, end = part.rows.first, part.rows.first + part.rows.count
    pieces: list[Any] = []
    with pq.ParquetFile(part.source) as file:
        names = list(dict.fromkeys((part.rows.column, *part.rows.keep)))
        schema = pa.schema([file.schema_arrow.field(name) for name in names])
        start = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if start < end and start + size > first:
                at = start
                for batch in file.iter_batches(row_groups=[group], columns=names):
                    low, high = max(first - at, 0), min(end - at, len(batch))
                    if low < high:
                        pieces.append(batch.slice(low, high - low))
                    at += len(batch)
            start += size
    return pa.Table.from_batches(pieces, pieces[0].schema if pieces else schema)


def write_part(part: Part, table: pa.Table) -> None:
    """Write a part's file beside its place, down to the disk, and rename it."""
    import pyarrow.parquet as pq

    target, table = part.target, table.replace_schema_metadata({_FACTS: part.rows.stated()})
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".scoring-", delete=False) as file:
        try:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
