"""Many worlds, one after the other or side by side; what was done stays done.

Every world's rows are appended to a CSV file at once, so that a run that was cut off goes on
where it stopped. A world that fails is a world in which nobody could tell, and is counted.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from moodtape.calibrate.rates import FAILED
from moodtape.calibrate.study import DRAWN, Cell, Way, answer_world
from moodtape.calibrate.worlds import EFFECTS
from moodtape.config import Config
from moodtape.errors import MoodtapeError, UnreadableFile
from moodtape.forecaster.forecasters import FORECASTERS

COLUMNS = (
    *("block", "kind", "gain", "hours", "world", "seed"),
    *("claim", "target", "horizon_bars", "forecaster"),
    *("n", "truth", "expected", "margin", "word", "effect", "low", "high"),
    *("p_null", "p_shift", "p_echo", "p_adjusted"),
    *("planted", "planted_found", "control_seen", "reasons", "cpu_s"),
)
NETWORK_WORLDS = 20
"""A process that fits networks ends after so many worlds: whatever is thrown away or cleared,
TensorFlow keeps 40 to 130 MB of each."""
Progress = Callable[[int, int, str], None]
Row = dict[str, Any]


def plan(
    block: str, kinds: Sequence[str], gains: Sequence[float], hours: int, worlds: int
) -> list[Cell]:
    """Return the worlds of a run, turn by turn, so that a run cut short is an even one.

    A kind without an effect has one size, zero.
    """
    sizes = {kind: tuple(gains) if kind.split()[-1] in EFFECTS else (0.0,) for kind in kinds}
    return [
        Cell(block, kind, gain, hours, number)
        for number in range(worlds)
        for kind in kinds
        for gain in sizes[kind]
    ]


def run_worlds(
    cells: Sequence[Cell], config: Config, path: Path, jobs: int = 1,
    progress: Progress | None = None, way: Way = DRAWN,
) -> None:  # fmt: skip
    """Answer every world that the file does not hold yet and append what was said.

    Worlds of a network are answered by processes of their own, however few.

    Args:
        path: CSV file; made if it is not there.
        jobs: processes side by side.
    """
    kept = read_rows(path) if path.exists() else []
    done = {cell_key(row) for row in kept}
    todo = [cell for cell in cells if cell.key not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(path, kept)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        for number, rows in enumerate(_answered(todo, config, jobs, way)):
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
            if progress is not None:
                progress(len(cells) - len(todo) + number + 1, len(cells), "worlds")


def _write_whole(path: Path, rows: Sequence[Row]) -> None:
    """Write the file anew with whole worlds alone: a kill may have cut the last one short."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    scratch.replace(path)


def _answered(cells: Sequence[Cell], config: Config, jobs: int, way: Way) -> Iterator[list[Row]]:
    fits_networks = FORECASTERS[config.verdict.forecaster].stochastic
    if jobs == 1 and not fits_networks:
        yield from (answer_cell(cell, config, way) for cell in cells)
        return
    size = jobs * NETWORK_WORLDS if fits_networks else max(1, len(cells))
    for first in range(0, len(cells), size):
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            part = cells[first : first + size]
            waiting = [pool.submit(answer_cell, cell, config, way) for cell in part]
            for finished in as_completed(waiting):
                yield finished.result()


def answer_cell(cell: Cell, config: Config, way: Way = DRAWN) -> list[Row]:
    """Return the rows of one world; one row that says so where the study failed."""
    common = {"block": cell.block, "kind": cell.kind, "gain": f"{cell.gain:g}"}
    common |= {"hours": str(cell.hours), "world": str(cell.world)}
    try:
        rows = answer_world(config, cell, way)
    except MoodtapeError as exc:
        return [{**common, "word": FAILED, "reasons": str(exc)}]
    return [{**row, **common} for row in rows]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of the whole worlds of a file; one that was cut off is left out.

    A world has as many rows as most have, or one that says it failed.

    Raises:
        UnreadableFile: the file has other columns.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UnreadableFile(f"{path} is no file of worlds: its columns are others.")
        rows = [row for row in reader if row["word"] == FAILED or row["cpu_s"]]
    counts = Counter(cell_key(row) for row in rows)
    usual = Counter(counts.values()).most_common(1)[0][0] if counts else 0
    return [r for r in rows if r["word"] == FAILED or counts[cell_key(r)] == usual]


def cell_key(row: Row) -> tuple[str, ...]:
    """Return what world a row is of."""
    return tuple(row[name] for name in ("block", "kind", "gain", "hours", "world"))
