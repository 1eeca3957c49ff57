"""`ablate`, `evaluate`, `audit` and `report`: studies and what is left of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodtape.cluster import Workers
from moodtape.commands.console import note, print_json, print_table, say, steps
from moodtape.commands.options import (
    AsOf,
    ConfigFiles,
    DeviceName,
    ExecutorName,
    Forecaster,
    Horizons,
    Json,
    Preset,
    Project,
    Quiet,
    Run,
    Seed,
    Since,
    Subject,
    Symbols,
    Targets,
    Until,
    command_line,
    executor_of,
    question_of,
    settings_of,
    study_overrides,
)
from moodtape.commands.study_printed import (
    KNOWN,
    PUBLISHED,
    print_answers,
    print_clocks,
    print_rivals,
)
from moodtape.errors import GateFailed, UsageError

Jobs = Annotated[
    int, typer.Option(help="Processes that fit at once; ray has one on every core.", min=1)
]


def ablate(
    symbol: Symbols = None,
    since: Since = None,
    until: Until = None,
    target: Targets = None,
    horizon: Horizons = None,
    subject: Subject = None,
    forecaster: Forecaster = None,
    preset: Preset = None,
    seed: Seed = None,
    device: DeviceName = None,
    as_of: AsOf = None,
    jobs: Jobs = 1,
    executor: ExecutorName = "local",
    plan: Annotated[
        Path | None,
        typer.Option(
            help="plan.json of an earlier run: the report tells every deviation from it.",
            metavar="FILE",
        ),
    ] = None,
    open_holdout: Annotated[
        bool,
        typer.Option(
            "--open-holdout", help="Read what was held out, once: it can only weaken the answer."
        ),
    ] = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train with and without sentiment and say whether it helps, hurts, or nobody can tell."""
    from moodtape.studies import ablate as run

    overrides = study_overrides(preset, symbol, target, horizon, forecaster, seed, device, subject)
    settings = settings_of(project, config, overrides)
    with steps(quiet or as_json) as told:
        results = run(
            settings,
            question_of(settings, since, until, as_of, preset),
            command_line(),
            told,
            Workers(jobs, executor_of(executor)),
            plan,
            open_holdout,
        )
    if as_json:
        print_json(results)
    else:
        print_answers(results)


def evaluate(
    symbol: Symbols = None,
    since: Since = None,
    until: Until = None,
    target: Targets = None,
    horizon: Horizons = None,
    subject: Subject = None,
    forecaster: Forecaster = None,
    preset: Preset = None,
    seed: Seed = None,
    device: DeviceName = None,
    as_of: AsOf = None,
    jobs: Jobs = 1,
    executor: ExecutorName = "local",
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forecast every test fold and compare network, ridge and baselines, metric by metric."""
    from moodtape.forecasts import evaluate as run

    overrides = study_overrides(preset, symbol, target, horizon, forecaster, seed, device, subject)
    settings = settings_of(project, config, overrides)
    with steps(quiet or as_json) as told:
        results = run(
            settings, question_of(settings, since, until, as_of, preset), command_line(), told,
            Workers(jobs, executor_of(executor)),
        )  # fmt: skip
    if as_json:
        print_json(results)
        return
    rows = [r for r in results["results"] if r["regime"] == "all"]
    heads = ("symbol", "target", "horizon_bars", "metric", "model", "value", "low", "high", "n")
    order = sorted(rows, key=lambda r: (r["symbol"], r["target"], r["horizon_bars"], r["metric"]))
    print_table(order, {h: h.replace("_", " ") for h in heads})
    say("")
    print_rivals(results)
    say(f"All regimes and every forecast: {settings.runs / results['run']}")


def audit(
    symbol: Symbols = None,
    since: Since = None,
    until: Until = None,
    subject: Subject = None,
    cuts: Annotated[int, typer.Option(help="How many instants to cut at.", min=1)] = 5,
    network: Annotated[
        bool, typer.Option("--network", help="Audit the network's forecasts too (slow).")
    ] = False,
    clock: Annotated[
        str,
        typer.Option(
            help="published_at: show what it is worth to count texts as known when they were"
            " published, an effect and no verdict.",
            metavar="CLOCK",
        ),
    ] = KNOWN,
    target: Targets = None,
    horizon: Horizons = None,
    forecaster: Annotated[
        str | None,
        typer.Option(help="With --clock published_at: whose effect; else linear.", metavar="NAME"),
    ] = None,
    preset: Preset = None,
    as_of: AsOf = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Change everything known after some instants and require that nothing before changes."""
    from moodtape.studies import measure_clock, run_audit

    if clock not in (KNOWN, PUBLISHED):
        raise UsageError(f"--clock {clock}: it is {KNOWN} or {PUBLISHED}.")
    if forecaster and clock == KNOWN:
        raise UsageError(f"--forecaster goes with --clock {PUBLISHED}; an audit looks at all.")
    settings = settings_of(
        project, config, study_overrides(preset, symbol, target, horizon, subject=subject)
    )
    if clock == PUBLISHED:
        question = question_of(settings, since, until, as_of, preset)
        with steps(quiet or as_json) as told:
            results = measure_clock(settings, question, command_line(), forecaster, told)
        if as_json:
            print_json(results)
        else:
            print_clocks(results)
        return
    with steps(quiet or as_json) as told:
        result = run_audit(
            settings, question_of(settings, since, until, as_of, preset), cuts, network,
            lambda what: told(0, 0, what),
        )  # fmt: skip
    if as_json:
        print_json({"schema_version": 1, "command": "audit", "warnings": [], **result.as_dict()})
    if not result.clean:
        for offender in result.offenders:
            note(f"  {offender}")
        raise GateFailed(result.sentence())
    if not as_json:
        say(result.sentence())


def report(run: Run = None, config: ConfigFiles = None, project: Project = None) -> None:
    """Make the page of a finished study again and say where it is."""
    from moodtape.studies import render_again

    say(str(render_again(settings_of(project, config), run)))
