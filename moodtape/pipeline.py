"""The verbs of the command line as library calls; each may be run twice.

Every function takes `Settings` (config and folder), does one thing whole, and returns
what there is to print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moodtape.clock import parse_instant, utc_now
from moodtape.records import TEXT_SOURCES, Source, Span
from moodtape.settings import Settings
from moodtape.storage.write import begin_run, finish_run, new_run_id
from moodtape.study.project import ground_of, hour_rules, warehouse_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

    from moodtape.ingest.forgetting import Forgotten
    from moodtape.ingest.importer import FileResult, ImportOptions
    from moodtape.ingest.polite import Timing
    from moodtape.ingest.recheck import Recheck
    from moodtape.ingest.result import SourceResult
    from moodtape.nlp.score import ScoreSummary
    from moodtape.study.ablate import Outcome
    from moodtape.study.ground import Ground, Question

Steps = Callable[[int, int, str], None]
"""Told (done, in all, what is being done)."""


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


def train(
    settings: Settings,
    question: Question,
    command: str,
    progress: Steps | None = None,
    now: datetime | None = None,
    parent: Path | None = None,
) -> dict[str, Any]:
    """Fit the model that is served on everything known, and return what its fitting measured.

    A run of the same model that was interrupted goes on in its folder.

    parent: where the run folder is made; one that is not in `runs` is not served.
    """
    from moodtape.forecaster.arms import real_arm
    from moodtape.forecaster.checkpoint import held, interrupted
    from moodtape.forecaster.runs import make_run_folder
    from moodtape.study.training import served_key, train_served

    tell = progress or (lambda done, total, what: None)
    began = now or utc_now()
    tell(0, 0, "reading the warehouse")
    ground = ground_of(settings, question)
    arm, parent = real_arm(ground.arms), parent or settings.runs
    begun = interrupted(parent, served_key(ground, arm))
    if begun is not None:
        tell(0, 0, f"going on with {begun.name}")
    folder = begun or make_run_folder(parent, new_run_id(began))
    with held(folder):
        result = train_served(ground, folder, arm, command, tell)
    _note_run(settings, folder.name, "train", command, {"epochs": result["epochs"]}, began)
    return result


def evaluate(
    settings: Settings, question: Question, command: str, progress: Steps | None = None
) -> dict[str, Any]:
    """Forecast every test fold with the network, the linear forecaster and all baselines.

    It shows losses with and without the group under test, so it is a look at these data.
    """
    from moodtape.forecaster.arms import PLACEBOS, PLANTED
    from moodtape.forecaster.runs import make_run_folder, plain, write_json, write_table
    from moodtape.storage.ledger import EVALUATED, record_trials
    from moodtape.study.ablate import fit_studies, trials_of
    from moodtape.study.evaluation import metric_rows
    from moodtape.study.results import outcome_provenance
    from moodtape.study.rivals import rival_results
    from moodtape.study.series import predictions_table

    tell = progress or (lambda done, total, what: None)
    now = utc_now()
    tell(0, 0, "reading the warehouse")
    ground = ground_of(settings, question)
    models = tuple(a for a in ground.arms if a.treatment not in (*PLACEBOS, PLANTED))
    outcome = fit_studies(replace(ground, arms=models), tell)
    rows: list[dict[str, Any]] = []
    for study in outcome.studies:
        for row in metric_rows(
            study, ground.dataset, settings.config.seed, ground.dataset.interval
        ):
            if row not in rows:
                rows.append(row)
    rests_on = _importance_metrics(ground, outcome)
    folder = make_run_folder(settings.runs, new_run_id(now))
    results = {
        "schema_version": 1,
        "command": "evaluate",
        "warnings": [],
        "run": folder.name,
        "results": rows + rests_on,
        "rivals": rival_results(ground, outcome),
        "provenance": outcome_provenance(ground, outcome, command),
    }
    write_json(folder / "config.json", ground.config.model_dump(mode="json"))
    write_json(folder / "results.json", results)
    write_table(folder / "predictions.parquet", predictions_table(ground, outcome.studies))
    _note_run(settings, folder.name, "evaluate", command, {"rows": len(rows)}, now)
    looked = [{**trial, "verdict": EVALUATED} for trial in trials_of(ground)]
    with warehouse_of(settings).write() as connection:
        record_trials(connection, looked, folder.name, now)
    found: dict[str, Any] = plain(results)
    return found


def _importance_metrics(ground: Ground, outcome: Outcome) -> list[dict[str, Any]]:
    """Return what forecasts rest on, as rows of the table of metrics."""
    from moodtape.study.evaluation import importance_rows

    if outcome.importance is None:
        return []
    dataset = ground.dataset
    return [
        {
            **{k: v for k, v in row.items() if k not in ("forecaster", "group")},
            "model": f"{row['forecaster']} {row['model']}",
            "metric": f"importance of {row['group']}",
            "regime": "all",
        }
        for row in importance_rows(
            outcome.importance, dataset, ground.config.seed, dataset.interval
        )
    ]


def predict(
    settings: Settings, run: str | None, as_of: datetime | None, explain: bool = False
) -> dict[str, Any]:
    """Score what is unscored, then forecast from the newest bar known at `as_of`.

    Args:
        explain: say of each forecast what its texts added, hour by hour.
    """
    from moodtape.forecaster.runs import SERVED, find_run, plain
    from moodtape.storage.ledger import store_forecasts
    from moodtape.study.forecasting import catch_newest

    made_at = utc_now()
    folder = find_run(settings.runs, run, SERVED, "train")
    score_texts(settings)
    caught = catch_newest(
        warehouse_of(settings), settings.config, folder, as_of or made_at,
        hour_rules(settings) if explain else None,
    )  # fmt: skip
    forecasts = caught.forecasts
    for item in forecasts:
        item["late"] = item["late"] or as_of is not None
    with warehouse_of(settings).write() as connection:
        store_forecasts(
            connection, forecasts, settings.config.market.interval, folder.name, made_at
        )
    found: dict[str, Any] = plain(
        {"schema_version": 1, "command": "predict", "warnings": caught.held, "run": folder.name,
         "results": forecasts}
    )  # fmt: skip
    return found


def settle(settings: Settings, now: datetime | None = None) -> Mapping[str, int]:
    """Settle every forecast whose horizon has passed; return how many settled, void and waiting."""
    from moodtape.study.settling import settle_due

    moment = now or utc_now()
    return settle_due(warehouse_of(settings), settings.config, new_run_id(moment), moment)


def skill_so_far(connection: Connection, as_of: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return how many forecasts came to what, and how good those made in time were."""
    from moodtape.storage.settlements import live_forecasts, settlement_counts

    counts = settlement_counts(connection)
    found: dict[str, list[dict[str, Any]]] = {
        "forecasts": [{"state": state, "forecasts": n} for state, n in counts],
        "skill": [],
    }
    if any(state == "live" for state, _ in counts):
        from moodtape.forecaster.skill import live_skill

        found["skill"] = live_skill(live_forecasts(connection, as_of))
    return found


def span_of(since: str | None, until: str | None) -> Span | None:
    """Return the span that a user typed, open ends as far as time goes; None without either."""
    if since is None and until is None:
        return None
    return Span(parse_instant(since or "1970-01-01"), parse_instant(until or "9999-01-01"))


def _note_run(
    settings: Settings,
    run_id: str,
    verb: str,
    command: str,
    counts: Mapping[str, Any],
    now: datetime,
) -> None:
    with warehouse_of(settings).write() as connection:
        begin_run(connection, run_id, verb, {"command": command}, now)
        finish_run(connection, run_id, "done", counts, utc_now())
