"""Where the rows of a changed input go: past the checks, into staged files, into a warehouse.

1. checked  rows of every input pass the checks of their reader
2. staged   those of every twentieth answer of a collector; of every file to import
3. stored   those of every 250th input, by the functions that `ingest` and `import` store with
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fuzz_inputs import NOON

from moodtape.config import Config
from moodtape.errors import MoodtapeError
from moodtape.ingest.base import Batch
from moodtape.ingest.batches import stage_batch
from moodtape.ingest.importer import _stage_file, import_file
from moodtape.ingest.recognise import ImportOptions
from moodtape.ingest.round import Plan, keep_batch
from moodtape.storage.db import Warehouse
from moodtape.storage.staging import Stage, staging
from moodtape.storage.write import Merge

STAGED_EVERY = 20
STORED_EVERY = 250


def warehouse(folder: Path) -> Warehouse:
    """Return the one in which all readers' rows end."""
    return Warehouse(folder / "fuzz.duckdb")


class Batches:
    """Takes what a collector brought as far as the number of its input says."""

    def __init__(self, folder: Path, name: str, config: Config) -> None:
        self.name = name
        self.plan = Plan(warehouse(folder), folder, folder, config)

    def take(self, batches: Iterable[Batch], number: int) -> None:
        """Stage or store every batch."""
        if number % STORED_EVERY == 0:
            for batch in batches:
                keep_batch(self.plan, self.name, batch, Merge(f"{self.name} {number}", NOON))
        elif number % STAGED_EVERY == 0:
            for batch in batches:
                with staging(self.plan.stage_parent) as stage:
                    stage_batch(stage, self.name, batch, self.plan.config, NOON)
                    stage.close()


class Imports:
    """Imports changed files of one kind; those of some numbers share their staged files.

    Opening and closing six Parquet files is dearer than to read a small file.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self.folder, self.options, self.config = folder, ImportOptions(what), Config()
        self.stage, self.left = Stage(folder / f"staged {what}"), 0
        self.stage.folder.mkdir(exist_ok=True)

    def read(self, path: Path, number: int) -> None:
        """Read a file, and stage or store its rows."""
        if number % STORED_EVERY == 0:
            import_file(
                warehouse(self.folder), self.folder, path, self.options, self.config,
                f"{path.name} {number}", NOON,
            )  # fmt: skip
            return
        if self.left == 0:
            self.stage.close()
            self.stage, self.left = Stage(self.stage.folder), STAGED_EVERY
        self.left -= 1
        try:
            _stage_file(self.stage, path, self.options, self.config, NOON, None)
        except MoodtapeError:
            raise
        except BaseException:
            self.left = 0
            raise
