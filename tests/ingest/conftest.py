"""Brings small files into a warehouse of its own, and looks at what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config
from moodtape.ingest.importer import FileResult, ImportOptions, What, import_file
from moodtape.storage.db import Warehouse


@dataclass
class Bring:
    """A folder, a warehouse and a clock. Each call imports one file under a run of its own."""

    folder: Path
    warehouse: Warehouse
    now: datetime
    config: Config = field(default_factory=Config)
    runs: int = 0

    def __call__(
        self, what: What, name: str, content: str | bytes | None = None, **options: Any
    ) -> FileResult:
        path = self.folder / name
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.runs += 1
        now = options.pop("now", self.now)
        return import_file(
            self.warehouse,
            self.folder / "staging",
            path,
            ImportOptions(what, **options),
            options.pop("config", self.config),
            f"run-{self.runs}",
            now,
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query; instants as ISO text in UTC, so that they read well."""
        with self.warehouse.read() as connection:
            return connection.execute(sql).fetchall()

    def texts(self, sql: str) -> list[tuple[str | None, ...]]:
        """Return the rows of a query with every value as DuckDB prints it."""
        return [tuple(None if v is None else str(v) for v in row) for row in self.rows(sql)]


@pytest.fixture
def bring(tmp_path: Path, tmp_warehouse: Warehouse, now: datetime) -> Bring:
    return Bring(tmp_path, tmp_warehouse, now)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def _write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _write
