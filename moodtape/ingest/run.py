"""`moodtape ingest`: cursor in, batches stored, cursor out; one source that fails stops no other.

1. load      every collector first, so that a wrong setting is told before anything is asked
2. collect   batch by batch; each is stored with its polls and cursor, or not at all
3. cover     a round of polls that came to its end says which hours had no text
4. tell      what came of each source, and why something did not
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from moodtape.config import Config
from moodtape.errors import MoodtapeError, PlugInBroken, UsageError, WarehouseLocked
from moodtape.ingest.base import Batch, Collector, Tools
from moodtape.ingest.batches import stage_batch
from moodtape.ingest.http import Http, Timing
from moodtape.ingest.result import SourceResult, State
from moodtape.ingest.rss import choose_feeds
from moodtape.ingest.symbols import load_aliases
from moodtape.ingest.text import TEXT_VERSION
from moodtape.plugins import COLLECTORS, find, load, owner
from moodtape.records import ImportCounts, Poll
from moodtape.storage.collected import cover_polls, read_cursor, store_batch
from moodtape.storage.db import Warehouse
from moodtape.storage.staging import staging
from moodtape.storage.write import Merge, begin_run, finish_run, new_run_id

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Plan:
    """Where rows go and what is asked for; see `moodtape.pipeline.ingest`."""

    warehouse: Warehouse
    stage_parent: Path
    folder: Path
    config: Config
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False
    timing: Timing | None = None


def run_collectors(
    plan: Plan, names: Sequence[str], progress: Progress | None = None
) -> list[SourceResult]:
    """Run each collector by itself and return what came of it, in the order of the names."""
    tell = progress or (lambda done, total, what: None)
    names = list(dict.fromkeys(names))
    http = open_door(plan.config, plan.folder, plan.timing)
    made = [make_collector(name, plan, http) for name in names]
    run_id = new_run_id(http.timing.now())
    cursors = _begin(plan, names, run_id, http.timing.now())
    results = []
    for done, (name, collector) in enumerate(zip(names, made, strict=True)):
        tell(done, len(names), name)
        if isinstance(collector, PlugInBroken):
            results.append(SourceResult(name, "failed", error=str(collector), cause=collector))
            continue

        def told(rows: int, at: int = done, name: str = name) -> None:
            tell(at, len(names), f"{name}, {rows:,} rows")

        results.append(_Round(plan, name, collector, http, run_id, told).run(cursors[name]))
    if not plan.dry_run:
        with plan.warehouse.write() as connection:
            status = "done" if all(r.state == "done" for r in results) else "failed"
            counts = {r.source: {"state": r.state, **r.counts.as_dict()} for r in results}
            finish_run(connection, run_id, status, counts, http.timing.now())
    return results


def open_door(config: Config, folder: Path, timing: Timing | None = None) -> Http:
    """Return the door to the network, to which the config's own addresses are known."""
    sections = (config.news, config.bars, config.onchain, config.indices)
    own = [section.base_url for section in sections if section.base_url]
    own += [feed.url for feed in choose_feeds(config.news, folder)]
    own += [
        value
        for settings in config.ingest.plugin.values()
        for value in settings.values()
        if value.startswith(("http://", "https://"))
    ]
    return Http(config.http, own, timing)


def make_collector(name: str, plan: Plan, http: Http) -> Collector | PlugInBroken:
    """Return a collector, or why a plug-in cannot be loaded.

    Raises:
        UsageError: there is no such collector, or its settings cannot work.
    """
    entry = find(COLLECTORS, name)
    settings = plan.config.ingest.plugin.get(name, {})
    tools = Tools(plan.config, http, plan.folder, plan.since, plan.until, settings)
    try:
        collector: Collector = load(entry)(tools)
    except UsageError:
        raise
    except PlugInBroken as exc:
        return exc
    except Exception as exc:  # noqa: BLE001  another's code may raise anything
        broken = PlugInBroken(
            f"{name!r} of the distribution {owner(entry)} cannot be made"
            f" ({type(exc).__name__}: {exc}). Check [ingest.plugin.{name}], or upgrade it."
        )
        broken.__cause__ = exc
        return broken
    return collector


def _begin(plan: Plan, names: Iterable[str], run_id: str, now: datetime) -> dict[str, str | None]:
    """Enter the run and return where each collector stands."""
    if plan.dry_run:
        if not plan.warehouse.path.exists():
            return dict.fromkeys(names)
        with plan.warehouse.read() as connection:
            return {name: read_cursor(connection, name) for name in names}
    arguments = {"sources": list(names), "since": plan.since, "until": plan.until}
    with plan.warehouse.write() as connection:
        begin_run(connection, run_id, "ingest", arguments, now)
        return {name: read_cursor(connection, name) for name in names}


class _Round:
    """One collector's turn."""

    def __init__(
        self,
        plan: Plan,
        name: str,
        collector: Collector,
        http: Http,
        run_id: str,
        told: Callable[[int], None],
    ) -> None:
        self.plan, self.name, self.collector = plan, name, collector
        self.now, self.run_id, self.told = http.timing.now, run_id, told
        self.rows, self.counts = 0, ImportCounts()
        self.polls: dict[str, Poll] = {}

    def run(self, cursor: str | None) -> SourceResult:
        """Collect to the end, or until something stops it; what was stored until then stays."""
        try:
            for batch in self.collector.collect(cursor, self.now()):
                self._take(batch)
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
            now = self.now()
            self.counts += keep_batch(self.plan, self.name, batch, Merge(self.run_id, now))
        self.rows += len(batch.rows)
        self.told(self.rows)

    def _cover(self) -> None:
        covers = getattr(self.collector, "covers", None)
        if covers is None or self.plan.dry_run:
            return
        source, collection = covers
        gap = timedelta(minutes=self.plan.config.news.max_poll_gap_min)
        with self.plan.warehouse.write() as connection:
            merge = Merge(self.run_id, self.now())
            cover_polls(connection, self.name, source, collection, gap, merge)

    def _result(self, state: State, error: str, cause: Exception | None) -> SourceResult:
        polls = tuple(self.polls.values())
        result = SourceResult(self.name, state, self.rows, self.counts, polls, error, cause)
        if state == "done" and result.failed_polls:
            whole = len(result.failed_polls) == len(polls)
            return replace(result, state="failed" if whole else "partial")
        return result


def keep_batch(plan: Plan, name: str, batch: Batch, merge: Merge) -> ImportCounts:
    """Check a batch's rows and store them with polls and cursor in one transaction."""
    with staging(plan.stage_parent) as stage:
        stage_batch(stage, name, batch, plan.config, merge.now)
        stage.close()
        versions = (TEXT_VERSION, load_aliases().version)
        with plan.warehouse.write() as connection:
            return store_batch(
                connection, stage, name, batch.cursor, batch.polls, merge,
                plan.config.market.calendar, versions,
            )  # fmt: skip
