"""`moodtape import`: a file's rows, checked in chunks, taken in by one short transaction.

1. read       files.py       chunks of constant memory
2. recognise  recognise.py   our columns among theirs, symbol, interval, provider
3. check      bars.py, metrics.py, documents.py: good rows and refused ones
4. stage      staging.py     Parquet files beside the warehouse
5. merge      write.py       all rows of a file, or none
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from moodtape.config import Config
from moodtape.errors import UnreadableFile
from moodtape.ingest.files import Chunk, Progress, read_chunks
from moodtape.ingest.recognise import (
    ImportOptions,
    Job,
    Merger,
    What,
    set_aside,
    stage_bars,
    stage_documents,
    stage_metrics,
)
from moodtape.records import ImportCounts
from moodtape.storage.db import Warehouse
from moodtape.storage.staging import Stage, staging
from moodtape.storage.write import Merge, begin_run, finish_run, run_counts, store_quarantine

__all__ = ["FileResult", "ImportOptions", "What", "import_file"]


@dataclass(frozen=True)
class FileResult:
    """What came of one file."""

    path: Path
    counts: ImportCounts
    notes: tuple[str, ...] = ()


def import_file(
    warehouse: Warehouse,
    stage_parent: Path,
    path: Path,
    options: ImportOptions,
    config: Config,
    run_id: str,
    now: datetime,
    progress: Progress | None = None,
) -> FileResult:
    """Bring one file into the warehouse: all its good rows or, on any failure, none.

    Raises:
        UnreadableFile: the file cannot be used; nothing was stored.
        UsageError: it cannot be told what the rows mean.
        WarehouseLocked: another process is writing.
    """
    with staging(stage_parent) as stage:
        merge_rows, notes = _stage_file(stage, path, options, config, now, progress)
        stage.close()
        merge = Merge(run_id, now)
        with warehouse.write() as connection:
            arguments = {"file": path.name, "options": _said(options)}
            before = run_counts(connection, run_id)
            if before is None:
                begin_run(connection, run_id, f"import {options.what}", arguments, now)
            counts = merge_rows(connection, merge)
            reasons = store_quarantine(connection, stage, merge)
            counts += ImportCounts(quarantined=sum(reasons.values()), reasons=reasons)
            in_all = counts + ImportCounts(**(before or {}))
            finish_run(connection, run_id, "done", in_all.as_dict(), now)
    return FileResult(path, counts, tuple(notes))


def _said(options: ImportOptions) -> dict[str, Any]:
    return {k: v for k, v in vars(options).items() if v not in (None, (), {}, False)}


def _stage_file(
    stage: Stage,
    path: Path,
    options: ImportOptions,
    config: Config,
    now: datetime,
    progress: Progress | None,
) -> tuple[Merger, list[str]]:
    chunks = read_chunks(path, progress)
    first = next(chunks, None)
    if first is None or (first.table.empty and not first.rejected):
        raise UnreadableFile(f"{path} has no rows. Fetch or export it again.")
    if first.table.empty:
        worst = first.rejected[0]
        raise UnreadableFile(
            f"{path}: none of its first {len(first.rejected)} rows can be read"
            f" ({worst.place}: {worst.reason}). Check its form and its name's ending."
        )
    set_aside(stage, path, first.rejected)
    every = _chain(first, chunks, stage, path)
    stager = {"bars": stage_bars, "metrics": stage_metrics, "documents": stage_documents}
    return stager[options.what](Job(stage, path, first, every, options, config, now))


def _chain(first: Chunk, rest: Iterable[Chunk], stage: Stage, path: Path) -> Iterable[Chunk]:
    """Yield every chunk with the columns of the first; JSON rows may lack some."""
    yield first
    for chunk in rest:
        set_aside(stage, path, chunk.rejected)
        if not chunk.table.empty:
            yield Chunk(chunk.table.reindex(columns=first.table.columns))
