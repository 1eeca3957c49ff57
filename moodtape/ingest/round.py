"""One collector's turn: its batches are stored one by one, and what came of it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from moodtape.config import Config
from moodtape.errors import MoodtapeError, WarehouseLocked
from moodtape.ingest.base import Batch, Collector, Door
from moodtape.ingest.batches import stage_batch
from moodtape.ingest.polite import Timing
from moodtape.ingest.result import SourceResult, State
from moodtape.ingest.symbols import load_aliases
from moodtape.ingest.text import TEXT_VERSION
from moodtape.plugins import COLLECTORS, find, owner
from moodtape.records import ImportCounts, Poll
from moodtape.storage.collected import cover_polls, store_batch, store_polls
from moodtape.storage.db import Warehouse
from moodtape.storage.staging import staging
from moodtape.storage.write import Merge

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


@dataclass(frozen=True)
class Plan:
    """Where rows go and what is asked for; see `moodtape.pipeline.ingest`.

    answers: folder in which answers are kept as they came; None keeps none.
    """

    warehouse: Warehouse
    stage_parent: Path
    folder: Path
    config: Config
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False
    timing: Timing | None = None
    answers: Path | None = None


class Round:
    """One collector's turn.

    A batch that says no more than that nothing came is held back, so that a round of sources
    that have not changed writes once, at its end: see `close` and `store_rest`.

    enter: called before rows are stored, to enter the run in the ledger.
    """

    def __init__(
        self,
        plan: Plan,
        name: str,
        collector: Collector,
        door: Door,
        run_id: str,
        told: Callable[[int], None] = lambda rows: None,
        again: bool = False,
        moves_cursor: bool = True,
        enter: Callable[[], None] = lambda: None,
    ) -> None:
        self.plan, self.name, self.collector, self.door = plan, name, collector, door
        self.run_id, self.told = run_id, told
        self.again, self.moves_cursor, self.enter = again, moves_cursor, enter
        self.cursor: str | None = None
        self.held: tuple[Poll, ...] = ()
        self.covered: tuple[str, str] | None = None
        self.rows, self.counts = 0, ImportCounts()
        self.polls: dict[str, Poll] = {}

    def run(self, cursor: str | None, now: datetime) -> SourceResult:
        """Collect to the end, or until something stops it; what was stored until then stays.

        Polls that were held back and what the round covers are left for `close`.
        """
        self.cursor = cursor
        try:
            batches = self.collector.collect(cursor, now)
            try:
                for batch in batches:
                    self._take(batch)
            finally:
                # A generator that is not read to its end would go on asking ahead.
                getattr(batches, "close", lambda: None)()
            if not self.plan.dry_run:
                self.covered = getattr(self.collector, "covers", None)
        except WarehouseLocked:
            raise
        except MoodtapeError as exc:
            return self._result("failed", str(exc), exc)
        except Exception as exc:  # noqa: BLE001  a mistake in one collector stops no other
            whose = owner(find(COLLECTORS, self.name))
            return self._result(
                "failed", f"{whose} made a mistake: {type(exc).__name__}: {exc}", exc
            )
        return self._result("done", "", None)

    def _take(self, batch: Batch) -> None:
        """Store a batch whole, or count it in a dry run."""
        for poll in batch.polls:
            self.polls[poll.stream] = poll
        if not self.plan.dry_run:
            self._keep(batch)
        self.rows += len(batch.rows)
        self.told(self.rows)

    def _keep(self, batch: Batch) -> None:
        polls = (*self.held, *batch.polls)
        if not len(batch.rows) and not batch.rejected and batch.cursor == self.cursor:
            self.held = polls
            return
        self.enter()
        merge = Merge(self.run_id, self.door.now(), self.again)
        whole = replace(batch, polls=polls)
        self.counts += keep_batch(self.plan, self.name, whole, merge, self.moves_cursor)
        self.cursor, self.held = batch.cursor, ()

    @property
    def has_rest(self) -> bool:
        """Say whether something is left to be stored after the last batch."""
        return bool(self.held) or self.covered is not None

    def close(self) -> None:
        """Store what is left in a transaction of its own."""
        if self.has_rest:
            self.enter()
            with self.plan.warehouse.write() as connection:
                self.store_rest(connection)

    def store_rest(self, connection: Connection) -> None:
        """Store the polls that were held back and what a whole round covers."""
        merge = Merge(self.run_id, self.door.now(), self.again)
        store_polls(connection, self.name, self.held, merge)
        if self.covered is not None:
            source, collection = self.covered
            gap = timedelta(minutes=self.plan.config.news.max_poll_gap_min)
            cover_polls(connection, self.name, source, collection, gap, merge)

    def _result(self, state: State, error: str, cause: Exception | None) -> SourceResult:
        polls = tuple(self.polls.values())
        result = SourceResult(self.name, state, self.rows, self.counts, polls, error, cause)
        if state == "done" and result.failed_polls:
            whole = len(result.failed_polls) == len(polls)
            return replace(result, state="failed" if whole else "partial")
        return result


def keep_batch(
    plan: Plan, name: str, batch: Batch, merge: Merge, moves_cursor: bool = True
) -> ImportCounts:
    """Check a batch's rows and store them with polls and cursor in one transaction."""
    with staging(plan.stage_parent) as stage:
        stage_batch(stage, name, batch, plan.config, merge.now)
        stage.close()
        cursor = batch.cursor if moves_cursor else None
        versions = (TEXT_VERSION, load_aliases().version)
        with plan.warehouse.write() as connection:
            return store_batch(
                connection, stage, name, cursor, batch.polls, merge,
                plan.config.market.calendar, versions,
            )  # fmt: skip
