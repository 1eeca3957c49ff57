"""The verbs that fill the warehouse as library calls; each may be run twice.

Every function takes `Settings` (config and folder), does one thing whole, and returns
what there is to print.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from moodtape.clock import parse_instant, utc_now
from moodtape.records import TEXT_SOURCES, Source, Span
from moodtape.settings import Settings
from moodtape.storage.write import begin_run, finish_run, new_run_id
from moodtape.study.project import Steps, hour_rules, warehouse_of

if TYPE_CHECKING:
    from moodtape.ingest.forgetting import Forgotten
    from moodtape.ingest.importer import FileResult, ImportOptions
    from moodtape.ingest.polite import Timing
    from moodtape.ingest.recheck import Recheck
    from moodtape.ingest.result import SourceResult
    from moodtape.nlp.score import ScoreSummary


def import_files(
    settings: Settings,
    files: Sequence[Path],
    options: ImportOptions,
    progress: Callable[[Path, int, int], None] | None = None,
) -> list[FileResult]:
    """Take files in, one transaction each, and return what came of them.

    Raises:
        UnreadableFile, UsageError: at the first file that cannot be used; those before it
            are in, and a second call knows them.
    """
    from moodtape.ingest.importer import import_file

    now, results = utc_now(), []
    for path in files:
        tick = None if progress is None else _bound(progress, path)
        results.append(
            import_file(
                warehouse_of(settings), settings.staging, path, options, settings.config,
                new_run_id(now), now, tick,
            )
        )  # fmt: skip
    return results


def _bound(progress: Callable[[Path, int, int], None], path: Path) -> Callable[[int, int], None]:
    return lambda done, total: progress(path, done, total)


def ingest(
    settings: Settings,
    sources: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    dry_run: bool = False,
    how: Literal["new", "backfill", "replay"] = "new",
    progress: Steps | None = None,
    timing: Timing | None = None,
) -> list[SourceResult]:
    """Ask sources for what is new, each by itself, and return what came of each.

    Args:
        sources: names of collectors; those of the config if empty.
        since, until: a stretch to fetch instead of what came since the last poll.
        dry_run: ask and read, but store nothing.
        how: what is new; what is missing between what is stored; or what the kept answers
            hold, without asking anybody.
        timing: clock and sleep; the machine's by default.
    Raises:
        UsageError: a source is unknown, or its settings cannot work; nothing was asked.
        WarehouseLocked: another process is writing.
    """
    from moodtape.ingest.backfill import backfill
    from moodtape.ingest.replay import replay_answers
    from moodtape.ingest.round import Plan
    from moodtape.ingest.run import run_collectors

    plan = Plan(
        warehouse_of(settings), settings.staging, settings.folder, settings.config, since, until,
        dry_run, timing, settings.answers,
    )  # fmt: skip
    names = sources or settings.config.ingest.sources
    ways = {"new": run_collectors, "backfill": backfill, "replay": replay_answers}
    return ways[how](plan, names, progress)


def undo_import(settings: Settings, run_id: str) -> dict[str, int]:
    """Take back everything that one import stored; return rows removed by table."""
    from moodtape.storage.write import undo_run

    with warehouse_of(settings).write() as connection:
        return undo_run(connection, run_id, utc_now())


def forget(
    settings: Settings,
    ids: Sequence[str] = (),
    authors: Sequence[str] = (),
    urls: Sequence[str] = (),
    sources: Sequence[Source] = (),
    dry_run: bool = False,
) -> Forgotten:
    """Delete texts from the kept answers and the warehouse, and refuse them from now on.

    Raises:
        UsageError: nothing is named, or a link is none.
        DataMissing: there is no warehouse.
        WarehouseLocked: another process is writing.
    """
    from moodtape.ingest.forgetting import carry_out, look, request_of

    request, warehouse, now = (
        request_of(ids, authors, urls, sources),
        warehouse_of(settings),
        utc_now(),
    )
    if dry_run:
        return look(warehouse, settings.answers, request)
    return carry_out(warehouse, settings.answers, request, new_run_id(now), now)


def recheck(
    settings: Settings, sources: Sequence[Source] = (), dry_run: bool = False
) -> list[Recheck]:
    """Look posts of Reddit and X up again, and forget those that are gone there.

    Raises:
        DataMissing: there is no warehouse.
        WarehouseLocked: another process is writing.
    """
    from moodtape.ingest.base import Tools
    from moodtape.ingest.recheck import recheck as look_up
    from moodtape.ingest.recheck import sources_of
    from moodtape.ingest.run import open_door
    from moodtape.storage.hosts import HostLimit, read_host_limits, store_host_limits

    warehouse, door = warehouse_of(settings), open_door(settings.config, settings.folder)
    tools = Tools(settings.config, door, settings.folder, ledger=warehouse, dry_run=dry_run)
    run_id = new_run_id(door.now())

    def keep(limit: HostLimit) -> None:
        with warehouse.write() as connection:
            store_host_limits(connection, [limit], run_id, door.now())

    with warehouse.read() as connection:
        door.limits.begin(read_host_limits(connection), keep)
    return [
        look_up(tools, source, warehouse, settings.answers, run_id)
        for source in sources_of(sources)
    ]


def score_texts(
    settings: Settings,
    span: Span | None = None,
    progress: Callable[[int, int], None] | None = None,
    sources: tuple[Source, ...] = TEXT_SOURCES,
    now: datetime | None = None,
) -> ScoreSummary:
    """Score every text that the config's scorer has not scored, and remake the hours they touch.

    Raises:
        UsageError, DataMissing: there are texts to score, and the scorer's model, torch or a
            GPU is missing.
        WarehouseLocked: another process is writing.
    """
    from moodtape.nlp.in_use import scorer_in_use
    from moodtape.nlp.score import score_unscored
    from moodtape.storage.scores import Which

    config, began = settings.config, now or utc_now()
    warehouse, run_id = warehouse_of(settings), new_run_id(began)
    scorer = scorer_in_use(warehouse, config.sentiment, config.storage.threads).scorer
    with warehouse.write() as connection:
        begin_run(connection, run_id, "score", {"scorer": scorer.name}, began)
    summary = score_unscored(
        warehouse, scorer, hour_rules(settings), run_id, began, Which(span, sources), progress
    )
    with warehouse.write() as connection:
        counts = {"scored": summary.scored, "hours": summary.hours}
        finish_run(connection, run_id, "done", counts, now or utc_now())
    return summary


def scores_left_unread(settings: Settings, scorer: str) -> list[str]:
    """Return a warning if studies under these settings read other scores than those of `scorer`."""
    from moodtape.nlp.in_use import scorer_in_use
    from moodtape.nlp.registry import scorer_id

    in_use = scorer_in_use(warehouse_of(settings), settings.config.sentiment)
    if scorer_id(in_use.scorer) == scorer or not in_use.note:
        return []
    return [f"Studies do not read these scores: {in_use.note}."]


def span_of(since: str | None, until: str | None) -> Span | None:
    """Return the span that a user typed, open ends as far as time goes; None without either."""
    if since is None and until is None:
        return None
    return Span(parse_instant(since or "1970-01-01"), parse_instant(until or "9999-01-01"))
