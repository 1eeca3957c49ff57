"""One collector's turn: its batches are stored one by one, and what came of it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

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
from moodtape.storage.collected import cover_polls, store_batch
from moodtape.storage.db import Warehouse
from moodtape.storage.staging import staging
from moodtape.storage.write import Merge


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
    """One collector's turn."""

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
    ) -> None:
        self.plan, self.name, self.collector, self.door = plan, name, collector, door
        self.run_id, self.told = run_id, told
        self.again, self.moves_cursor = again, moves_cursor
        self.rows, self.counts = 0, ImportCounts()
        self.polls: dict[str, Poll] = {}

    def run(self, cursor: str | None, now: datetime) -> SourceResult:
        """Collect to the end, or until something stops it; what was stored until then stays."""
        try:
            batches = self.collector.collect(cursor, now)
            try:
                for batch in batches:
                    self._take(batch)
            finally:
                # A generator that is not read to its end would go on asking ahead.
                getattr(batches, "close", lambda: None)()
            self._cover()
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
            merge = Merge(self.run_id, self.door.now(), self.again)
            self.counts += keep_batch(self.plan, self.name, batch, merge, self.moves_cursor)
        self.rows += len(batch.rows)
        self.told(self.rows)

    def _cover(self) -> None:
        covers = getattr(self.collector, "covers", None)
        if covers is None or self.plan.dry_run:
            return
        source, collection = covers
        gap = timedelta(minutes=self.plan.config.news.max_poll_gap_min)
        with self.plan.warehouse.write() as connection:
            merge = Merge(self.run_id, self.door.now(), self.again)
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
