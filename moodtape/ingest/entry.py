"""A run in the ledger: entered before its first row is stored, or at its end if it stores none."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moodtape.storage.db import Warehouse
from moodtape.storage.write import begin_run, finish_run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


class RunEntry:
    """Enters a run once, from whichever thread stores first."""

    def __init__(
        self, warehouse: Warehouse, run_id: str, arguments: Mapping[str, Any], now: datetime
    ) -> None:
        self._warehouse, self._run_id, self._arguments = warehouse, run_id, arguments
        self._now, self._is_entered, self._lock = now, False, threading.Lock()

    def enter(self) -> None:
        """Enter the run in a transaction of its own, unless it is entered."""
        with self._lock:
            if not self._is_entered:
                with self._warehouse.write() as connection:
                    self._begin(connection)
                self._is_entered = True

    def finish(
        self, connection: Connection, status: str, counts: Mapping[str, Any], now: datetime
    ) -> None:
        """Close the run with what it stored, in the caller's transaction, after every thread."""
        if not self._is_entered:
            self._begin(connection)
        finish_run(connection, self._run_id, status, counts, now)

    def _begin(self, connection: Connection) -> None:
        begin_run(connection, self._run_id, "ingest", self._arguments, self._now)
