"""The studies of the command line as library calls: audit, ablation, their pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.clock import utc_now
from moodtape.cluster import ALONE, Workers
from moodtape.errors import GateFailed, UsageError, did_you_mean
from moodtape.settings import Settings
from moodtape.study.project import Steps, ground_of, hour_rules, note_run, warehouse_of

if TYPE_CHECKING:
    from moodtape.audit import AuditResult
    from moodtape.forecaster.cells import CellStore
    from moodtape.study.before import Before
    from moodtape.study.clocks import Bench
    from moodtape.study.ground import Ground, Question

SAMPLED_CUTS = 2
"""Cuts of the audit that goes with every study; `moodtape audit` makes more."""


@dataclass(frozen=True)
class Given:
    """What a study is told besides its question.

    command: as typed; now: when it began. workers: who fits cells at once.
    plan: file that it is held to. open_holdout: read what was held out, too.
    """

    command: str
    now: datetime
    workers: Workers = ALONE
    plan: Path | None = None
    open_holdout: bool = False


def run_audit(
    settings: Settings,
    question: Question,
    cuts: int,
    network: bool = False,
    progress: Callable[[str], None] | None = None,
) -> AuditResult:
    """Change everything known after some cuts and require that nothing before them changes."""
    return _audit(settings, ground_of(settings, question), cuts, network, progress)


def _audit(
    settings: Settings,
    ground: Ground,
    cuts: int,
    network: bool = False,
    progress: Callable[[str], None] | None = None,
) -> AuditResult:
    from moodtape.audit import audit
    from moodtape.audit.cells import Stage

    fit_predict = None
    if network:
        from moodtape.forecaster.device import prepare
        from moodtape.forecaster.train import NetworkForecaster

        fit_predict = NetworkForecaster(ground.config, prepare(ground.config.training.device))
    warehouse, rules, spill = warehouse_of(settings), hour_rules(settings), settings.staging
    found = audit(
        warehouse, ground.config, ground.fixed_request, rules, spill, cuts, fit_predict, progress
    )
    for name, (config, request) in ground.own_texts.items():
        # Its texts are its own; what is done with them is the same as with the study's.
        if progress is not None:
            progress(f"audit: what the arm {name} reads")
        own = audit(warehouse, config, request, rules, spill, cuts, None, progress, Stage.CARRIED)
        found = found.with_arm(name, own)
    return found


def measure_clock(
    settings: Settings,
    question: Question,
    command: str,
    forecaster: str | None = None,
    progress: Steps | None = None,
) -> dict[str, Any]:
    """Return what look-ahead is worth: the effect by the wishful clock against that by the honest.

    The effect on tested time is shown, so it is a look at these data; no word is given.

    Args:
        forecaster: the linear one by default, for cost.
    Raises:
        UsageError: there is no such forecaster.
    """
    from moodtape.forecaster.claims import TONE
    from moodtape.forecaster.forecasters import FORECASTERS, LINEAR
    from moodtape.forecaster.runs import plain
    from moodtape.storage.ledger import EVALUATED
    from moodtape.storage.write import new_run_id
    from moodtape.study.ablate import trials_of
    from moodtape.study.clocks import PUBLISHED, clock_rows, wishful

    name, tell, now = forecaster or LINEAR, progress or (lambda done, total, what: None), utc_now()
    if name not in FORECASTERS:
        raise UsageError(f"{name!r} is no forecaster.{did_you_mean(name, FORECASTERS)}")
    tell(0, 0, "reading the warehouse")
    ground = ground_of(settings, question)
    rows = clock_rows(ground, _bench(settings, tell), [wishful(ground)], name)
    looked = {
        (t["symbol"], t["target"], t["horizon_bars"]): {**t, "forecaster": name}
        for t in trials_of(ground)
        if t["claim"] == TONE
    }
    trials = [{**trial, "verdict": EVALUATED} for trial in looked.values()]
    note_run(settings, new_run_id(now), "audit", command, {"trials": len(trials)}, now, trials)
    found: dict[str, Any] = plain(
        {
            "schema_version": 1,
            "command": "audit",
            "warnings": [],
            "clock": PUBLISHED,
            "subject": question.subject,
            "since": ground.span.since,
            "until": ground.span.until,
            "results": rows,
        }
    )
    return found


def _bench(settings: Settings, tell: Steps) -> Bench:
    """Return where a study of these settings is made again by other clocks."""
    from moodtape.study.clocks import Bench

    return Bench(
        warehouse_of(settings), hour_rules(settings), settings.staging,
        lambda what: tell(0, 0, what),
    )  # fmt: skip


def ablate(
    settings: Settings,
    question: Question,
    command: str,
    progress: Steps | None = None,
    workers: Workers = ALONE,
    plan: Path | None = None,
    open_holdout: bool = False,
) -> dict[str, Any]:
    """Answer whether the subject helps, write the run folder and its page, return the results.

    A study that was interrupted goes on in its run folder: cells that it finished are not
    fitted again.

    Args:
        workers: who fits cells at once.
        plan: file of a plan made earlier that the study is held to.
        open_holdout: read the hold-out, too; it can only weaken, and is spent then.
    Raises:
        UnreadableFile: the plan is none.
        GateFailed: the audit found look-ahead; the page says so and no other word is given.
    """
    from moodtape.study.plan import read_plan
    from moodtape.study.unfinished import run_of_study

    tell = progress or (lambda done, total, what: None)
    now = utc_now()
    if plan is not None:
        read_plan(plan)  # before there is a folder to leave behind
    tell(0, 0, "reading the warehouse")
    ground = ground_of(settings, question)
    with run_of_study(settings.runs, ground, "ablate", now, tell) as (folder, kept):
        given = Given(command, now, workers, plan, open_holdout)
        results, audited = _ablate(settings, ground, folder, kept, tell, given)
    if not audited.clean:
        raise GateFailed(f"{audited.sentence()} No verdict is given. See {results['report']}")
    return results


def _ablate(
    settings: Settings,
    ground: Ground,
    folder: Path,
    kept: CellStore,
    tell: Steps,
    given: Given,
) -> tuple[dict[str, Any], AuditResult]:
    """Make the study of a run folder that is held; return its results and its audit."""
    from moodtape.forecaster.report.page import render_page, write_csvs
    from moodtape.forecaster.runs import write_json, write_table, write_text
    from moodtape.study.ablate import run_ablation, trials_of
    from moodtape.study.beside import beside_of
    from moodtape.study.holdout import hold_out
    from moodtape.study.page import SERIES
    from moodtape.study.plan import deviations, write_plan
    from moodtape.study.results import ablation_results
    from moodtape.study.series import month_effects, predictions_table, report_series

    run_id, trials = folder.name, trials_of(ground)
    before = _before(settings, ground, trials)
    plan = write_plan(folder, ground, before, given.plan)
    audited = _audit(settings, ground, SAMPLED_CUTS, progress=lambda what: tell(0, 0, what))
    outcome = run_ablation(ground, audited.clean, tell, before, kept, given.workers)
    warehouse = warehouse_of(settings)
    holdout = hold_out(warehouse, ground, run_id, given.open_holdout, given.now)
    beside = beside_of(ground, outcome, _bench(settings, tell), holdout)
    tell(0, 0, "writing the page")
    results = ablation_results(
        warehouse, ground, outcome, audited.as_dict(), before, run_id, given.command, given.now,
        beside,
    )  # fmt: skip
    page = Path(settings.config.project.runs, run_id, "report.html")
    results["report"] = str(page)
    results["provenance"]["plan"] = plan
    results["deviations"] = deviations(folder, ground, before, outcome)
    for answer in (*results["results"], *results["attention"]):
        answer["report"] = str(page)
    _enter(
        settings, trials, results, run_id, given.command, given.now
    )  # once computed, it counts as a look
    series = report_series(ground, outcome)
    results["months"] = month_effects(series.losses, results["results"])
    write_json(folder / "config.json", ground.config.model_dump(mode="json"))
    write_json(folder / "results.json", results)
    write_table(folder / "predictions.parquet", predictions_table(ground, outcome.studies))
    for name in SERIES:
        write_table(folder / f"series_{name}.parquet", getattr(series, name))
    write_csvs(_as_json(results), series, folder)
    write_text(folder / "report.html", render_page(_as_json(results), series))
    return results, audited


def _as_json(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return results as `results.json` holds them, so that a page made again is the same."""
    from moodtape.forecaster.runs import plain

    found: dict[str, Any] = plain(results)
    return found


def _before(settings: Settings, ground: Ground, trials: Sequence[Mapping[str, Any]]) -> Before:
    """Return what was looked at before over mostly the same time, and the words that stand."""
    from moodtape.storage.ledger import earlier_looks
    from moodtape.storage.looks import last_word
    from moodtape.study.before import before_of, question_key

    with warehouse_of(settings).read() as connection:
        earlier, last = {}, {}
        for t in trials:
            question = question_key(t["symbol"], t["target"], t["horizon_bars"], t["claim"])
            earlier[question] = earlier_looks(connection, t)
            if (stands := last_word(connection, t)) is not None:
                last[question, t["forecaster"]] = stands
    return before_of(ground.config, earlier, last)


def _enter(
    settings: Settings,
    trials: Sequence[dict[str, Any]],
    results: Mapping[str, Any],
    run_id: str,
    command: str,
    now: datetime,
) -> None:
    """Enter the study in the ledger, and the trials that were given a word of their own."""
    from moodtape.study.results import LINES

    keys = ("symbol", "target", "horizon_bars", "forecaster")
    words = {
        (claim, *(r[k] for k in keys)): r["verdict"]
        for claim, name in LINES.items()
        for r in results[name]
        if r["last_word"] is None
    }
    trials = [
        {**trial, "verdict": words[key]}
        for trial in trials
        if (key := (trial["claim"], *(trial[k] for k in keys))) in words
    ]
    note_run(settings, run_id, "ablate", command, {"trials": len(trials)}, now, trials)


def render_again(settings: Settings, run: str | None) -> Path:
    """Make the page of a finished study again from its run folder; return where it is."""
    from moodtape.forecaster.runs import find_run
    from moodtape.study.page import LOSSES, page_again

    return page_again(find_run(settings.runs, run, LOSSES, "ablate"))
