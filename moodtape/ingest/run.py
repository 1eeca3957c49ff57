"""`moodtape ingest`: cursor in, batches stored, cursor out; one source that fails stops no other.

1. load      every collector first, so that a wrong setting is told before anything is asked
2. collect   sources at the same time, each host by one request after the other; batch by
             batch, each stored with its polls and cursor, or not at all
3. cover     a round of polls that came to its end says which hours had no text
4. tell      what came of each source, and why something did not

A run in which nothing has changed writes once: at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from moodtape.config import WITH_BASE_URL, Config
from moodtape.errors import PlugInBroken, UsageError
from moodtape.ingest.base import Collector, Door, Tools
from moodtape.ingest.entry import RunEntry
from moodtape.ingest.http import Http, Timing
from moodtape.ingest.raw import Beginning, RecordingDoor, forget_old_tapes, tape_of
from moodtape.ingest.result import Board, Progress, SourceResult
from moodtape.ingest.round import Plan, Round
from moodtape.ingest.rss import choose_feeds
from moodtape.ingest.together import in_order
from moodtape.plugins import COLLECTORS, find, load, owner
from moodtape.storage.collected import read_cursor
from moodtape.storage.hosts import HostLimit, read_host_limits, store_host_limits
from moodtape.storage.write import new_run_id


def run_collectors(
    plan: Plan, names: Sequence[str], progress: Progress | None = None
) -> list[SourceResult]:
    """Run each collector by itself and return what came of it, in the order of the names.

    Raises:
        UsageError: a source is unknown, or its settings cannot work; nothing was asked.
        WarehouseLocked: another process is writing.
    """
    names = list(dict.fromkeys(names))
    http = open_door(plan.config, plan.folder, plan.timing)
    now = http.now()
    run_id = new_run_id(now)
    doors = [RecordingDoor(http, tape_of(plan, run_id, name)) for name in names]
    made = [make_collector(name, plan, door) for name, door in zip(names, doors, strict=True)]
    arguments = {"sources": names, "since": plan.since, "until": plan.until}
    entry = RunEntry(plan.warehouse, run_id, arguments, now)
    cursors, hosts = _begin(plan, names, entry)
    http.limits.begin(hosts, partial(_keep_host, plan, run_id, http, entry))
    board = Board(names, progress)
    left: list[Round] = []
    turns = [
        partial(_turn, plan, run_id, name, collector, door, cursors[name], board, entry, left)
        for name, collector, door in zip(names, made, doors, strict=True)
    ]
    try:
        results = list(in_order(turns, names, plan.config.http.hosts_at_once, http.halt))
    except BaseException:
        http.halt.stop()
        raise
    if not plan.dry_run:
        from moodtape.ingest.shown import cut_forgotten  # it makes collectors, as this does

        cut_forgotten(plan)
        with plan.warehouse.write() as connection:
            status = "done" if all(r.state == "done" for r in results) else "failed"
            counts = {r.source: {"state": r.state, **r.counts.as_dict()} for r in results}
            for turn in left:
                turn.store_rest(connection)
            store_host_limits(connection, http.limits.improved(), run_id, http.now())
            entry.finish(connection, status, counts, http.now())
        forget_old_tapes(plan, now)
    return results


def _turn(
    plan: Plan,
    run_id: str,
    name: str,
    collector: Collector | PlugInBroken,
    door: RecordingDoor,
    cursor: str | None,
    board: Board,
    entry: RunEntry,
    left: list[Round],
) -> SourceResult:
    """Let one collector go on from where it stood; the last one leaves its end to the run's."""
    with board.turn_of(name):
        if isinstance(collector, PlugInBroken):
            return SourceResult(name, "failed", error=str(collector), cause=collector)
        start = door.now()
        door.begin(Beginning(run_id, name, cursor, start, plan.since, plan.until))
        told = partial(board.rows, name)
        turn = Round(plan, name, collector, door, run_id, told, enter=entry.enter)
        result = turn.run(cursor, start)
        if board.is_last(name):
            left.append(turn)
        else:
            turn.close()
        return result


def _keep_host(plan: Plan, run_id: str, http: Http, entry: RunEntry, limit: HostLimit) -> None:
    """Store at once how a host stands that fails or wants to be left alone."""
    if plan.dry_run:
        return
    entry.enter()
    with plan.warehouse.write() as connection:
        store_host_limits(connection, [limit], run_id, http.now())


def open_door(config: Config, folder: Path, timing: Timing | None = None) -> Http:
    """Return the door to the network, to which the config's own addresses are known."""
    own = [address for section in WITH_BASE_URL if (address := getattr(config, section).base_url)]
    own += [feed.url for feed in choose_feeds(config.news, folder)]
    own += [
        value
        for settings in config.ingest.plugin.values()
        for value in settings.values()
        if value.startswith(("http://", "https://"))
    ]
    return Http(config.http, own, timing)


def make_collector(name: str, plan: Plan, http: Door) -> Collector | PlugInBroken:
    """Return a collector, or why a plug-in cannot be loaded.

    Raises:
        UsageError: there is no such collector, or its settings cannot work.
    """
    entry = find(COLLECTORS, name)
    settings = plan.config.ingest.plugin.get(name, {})
    tools = Tools(
        plan.config, http, plan.folder, plan.since, plan.until, settings, plan.warehouse,
        plan.dry_run,
    )  # fmt: skip
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


def _begin(
    plan: Plan, names: Sequence[str], entry: RunEntry
) -> tuple[dict[str, str | None], dict[str, HostLimit]]:
    """Return where each collector stands and how each host does; make a warehouse first."""
    if not plan.warehouse.path.exists():
        if plan.dry_run:
            return dict.fromkeys(names), {}
        entry.enter()
    with plan.warehouse.read() as connection:
        cursors = {name: read_cursor(connection, name) for name in names}
        return cursors, read_host_limits(connection)
