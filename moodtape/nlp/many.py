"""Scores the texts of Parquet files without a warehouse: how tens of millions are scored.

1. parts    each file is cut into parts of so many rows
2. known    a part that is there was scored before: by this scorer, from these very rows
3. score    equal texts of a part are scored once; an empty or missing text has no score
4. write    a part is written beside its place and renamed: it is whole or not there

So a run that was killed goes on where it was, and a run over scored files does nothing. Parts
are scored here one after the other, or by the workers of a ray cluster (`on_ray.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.cluster import Executor
from moodtape.errors import UsageError
from moodtape.nlp.parts import Part, is_scored, plan_parts, read_part, write_part
from moodtape.nlp.registry import Device, load_scorer, scorer_id
from moodtape.nlp.score import Progress, score_page

if TYPE_CHECKING:
    import pyarrow as pa

    from moodtape.nlp.base import Scorer


@dataclass(frozen=True)
class FilesSummary:
    """What one run did: rows of all files, of those scored now, and the parts they are in."""

    scorer: str
    rows: int
    rows_scored: int
    parts: int
    parts_scored: int
    seconds: float


def score_files(
    files: Sequence[Path],
    out: Path,
    scorer: str = "bundled",
    column: str = "text",
    keep: Sequence[str] = (),
    executor: Executor = "local",
    threads: int = 2,
    progress: Progress | None = None,
    device: Device = "cpu",
) -> FilesSummary:
    """Score the texts of Parquet files into Parquet files in `out`, part by part.

    A part has the rows of its source in their order: `row` (its number in the file), the kept
    columns, `p_negative`, `p_neutral`, `p_positive` in whole millionths, and `kind` with its
    `probability` where the scorer knows kinds; null for a text that is empty or missing.

    Args:
        files: Parquet; on a cluster each worker must find them, and `out`, under these paths.
        out: is made; holds the scores of one scorer.
        scorer: its name in the config.
        column: of the texts.
        keep: further columns that go into the scores, such as an id.
        executor: `local`, or `ray`: a running cluster that RAY_ADDRESS names, else one made here.
        threads: cores of the scorer, of each worker's on ray.
        progress: called with rows done and rows to do, at the beginning too.
        device: where the scorer computes; on ray that is the CPU.

    Raises:
        UnreadableFile: a file is no Parquet or lacks a column.
        UsageError: two files have one name; `out` holds scores of something else; no such
            scorer, or none for this device; the `ray` extra is missing, or torch.
        DataMissing: a GPU is asked for, and there is none.
    """
    if executor == "ray" and device == "gpu":
        raise UsageError("--executor ray scores on CPUs alone. Leave out one of ray and gpu.")
    started = time.monotonic()
    loaded = load_scorer(scorer, threads, device)
    out.mkdir(parents=True, exist_ok=True)
    parts = plan_parts(files, out, scorer_id(loaded), column, tuple(keep))
    waiting = [part for part in parts if not is_scored(part)]
    done, total = 0, sum(part.rows.count for part in waiting)
    if progress is not None and total:
        progress(done, total)
    for count in _scored(waiting, scorer, loaded, executor, threads):
        done += count
        if progress is not None:
            progress(done, total)
    rows = sum(part.rows.count for part in parts)
    seconds = time.monotonic() - started
    return FilesSummary(scorer_id(loaded), rows, done, len(parts), len(waiting), seconds)


def _scored(
    parts: Sequence[Part], name: str, scorer: Scorer, executor: Executor, threads: int
) -> Iterator[int]:
    """Score the parts and yield the rows of each that is done."""
    if not parts:
        return
    if executor == "ray":
        from moodtape.nlp.on_ray import score_on_ray

        yield from score_on_ray(parts, name, threads)
        return
    yield from (score_part(scorer, part) for part in parts)


def score_part(scorer: Scorer, part: Part) -> int:
    """Score one part into its file; return its rows."""
    import pyarrow as pa

    rows = part.rows
    if scorer_id(scorer) != rows.scorer:
        raise UsageError(
            f"This worker's scorer is {scorer_id(scorer)}, not {rows.scorer}: install the same"
            " moodtape and models on every machine."
        )
    table = read_part(part)
    texts = table[rows.column].to_pylist()
    place = {text: i for i, text in enumerate(dict.fromkeys(filter(None, texts)))}
    where = pa.array([place.get(text) for text in texts], pa.int64())
    made = _typed(score_page(scorer, list(place))).take(where)
    columns = {"row": pa.array(range(rows.first, rows.first + rows.count), pa.int64())}
    columns |= {name: table[name] for name in rows.keep}
    columns |= {name: made[name] for name in made.column_names}
    write_part(part, pa.table(columns))
    return rows.count


def _typed(columns: dict[str, Any]) -> pa.Table:
    """Return scores with the types of the warehouse, which do not follow from no rows."""
    import pyarrow as pa

    return pa.table({
        name: pa.array(values, pa.string() if name == "kind" else pa.int32())
        for name, values in columns.items()
    })  # fmt: skip
