"""`ablate`, `evaluate`, `audit` and `report`: studies and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

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
from moodtape.errors import GateFailed, UsageError

KNOWN, PUBLISHED = "known_at", "published_at"
MOST_SENTENCES = 12

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


def print_answers(results: Mapping[str, Any]) -> None:
    """Print a study's words, the figures behind them, and where its page is."""
    from moodtape.forecaster.report.words import named

    question = results["question"]
    texts = f", {results['texts_used']:,} texts" if results["texts_used"] else ""
    say(
        f"{question['subject']} for {named(question['symbols'])}, decisions from"
        f" {question['since']:%Y-%m-%d %H:%M} to {question['until']:%Y-%m-%d %H:%M} UTC{texts}"
    )
    for answer in results["results"]:
        if answer["decides"]:
            say(f"  {answer['sentence']}")
    say("")
    _print_table(results["results"])
    say("95 % intervals of the gain over null, in % of its loss, and over each placebo.")
    say("")
    if results["attention"]:
        say("A second line, beside the first: how many texts there were, without their tone.")
        for answer in results["attention"]:
            if answer["decides"]:
                say(f"  {answer['sentence']}")
        say("")
        _print_table(results["attention"])
        say("")
    print_rivals(results)
    for caveat in results["caveats"]:
        note(f"Note: {caveat}")
    audited = results["audit"]
    state = "no look-ahead" if audited["clean"] else "LOOK-AHEAD FOUND"
    say(f"Audit: {state} in {audited['checked']:,} numbers at {len(audited['cuts'])} cuts.")
    if results["lead_lag"]["sentence"]:
        say(results["lead_lag"]["sentence"])
    if results["learnt"]["sentence"]:
        say(results["learnt"]["sentence"])
    say(results["holdout"]["sentence"])
    kept = "" if results["deviations"] else ", kept"
    say(f"Plan: {results['provenance']['plan']}, written before any test row was read{kept}.")
    for deviation in results["deviations"]:
        note(f"Deviation from the plan: {deviation}.")
    say(f"Page: {results['report']}")


def _print_table(answers: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        {
            **answer,
            "word": answer["verdict"],
            "gain": _percent(answer["effect"]),
            "over_null": _interval(answer["interval"]),
            "over_shift": _interval(answer["interval_shift"]),
            "over_echo": _interval(answer["interval_echo"]),
            "smallest": _smallest(answer),
        }
        for answer in answers
    ]
    print_table(
        rows,
        {
            "symbol": "symbol",
            "target": "target",
            "horizon_bars": "bars",
            "forecaster": "forecaster",
            "word": "verdict",
            "gain": "gain",
            "over_null": "over null",
            "over_shift": "over shift",
            "over_echo": "over echo",
            "smallest": "would have found",
            "n": "n",
        },
    )


def print_rivals(results: Mapping[str, Any]) -> None:
    """Print whether the forecaster beats its rivals, a sentence a question."""
    told = results["rivals"]["sentences"]
    for sentence in told[:MOST_SENTENCES]:
        say(f"  {sentence}")
    if len(told) > MOST_SENTENCES:
        say(f"  and {len(told) - MOST_SENTENCES} more such sentences in results.json")
    say("")


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:+.2%}"


def _interval(ends: Sequence[float]) -> str:
    if any(end is None or end != end for end in ends):
        return "-"
    return f"{100 * ends[0]:+.2f} to {100 * ends[1]:+.2f}"


def _smallest(answer: Mapping[str, Any]) -> str:
    """Return from what size on a gain would have been found; a dash where nobody looked."""
    looked = answer["detectable"]
    if looked is None:
        return "-"
    if looked["above"] is not None:
        return f"above {looked['above']:.2%}"
    return f"{answer['minimum_detectable_effect']:.2%}"


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


def print_clocks(results: Mapping[str, Any]) -> None:
    """Print what the wishful clock makes of the effect, beside the honest one."""
    questions: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in results["results"]:
        asked = (row["symbol"], row["target"], row["horizon_bars"], row["forecaster"])
        questions.setdefault(asked, {})[row["clock"]] = row
    rows = [
        {
            **by_clock[KNOWN],
            "honest": _percent(by_clock[KNOWN]["effect"]),
            "honest_interval": _interval(by_clock[KNOWN]["interval"]),
            "wishful": _percent(by_clock[PUBLISHED]["effect"]),
            "wishful_interval": _interval(by_clock[PUBLISHED]["interval"]),
            "worth": _percent(by_clock[PUBLISHED]["over_known"]),
            "worth_interval": _interval(by_clock[PUBLISHED]["over_known_interval"]),
        }
        for by_clock in questions.values()
    ]
    heads = {
        "symbol": "symbol", "target": "target", "horizon_bars": "bars", "forecaster": "forecaster",
        "honest": "gain, as known", "honest_interval": "95 %", "wishful": "gain, as published",
        "wishful_interval": "95 %", "worth": "look-ahead is worth", "worth_interval": "95 %",
        "n": "n",
    }  # fmt: skip
    print_table(rows, heads)
    what = "texts" if results["subject"] == "sentiment" else "metrics"
    say(
        f"Gains over null, in % of its loss, with {what} as they were known and as they were"
        " published. Only the first could have been had; the last two say what look-ahead is"
        " worth. No verdict follows from it."
    )


def report(run: Run = None, config: ConfigFiles = None, project: Project = None) -> None:
    """Make the page of a finished study again and say where it is."""
    from moodtape.studies import render_again

    say(str(render_again(settings_of(project, config), run)))
