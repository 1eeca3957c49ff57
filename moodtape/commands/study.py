"""`score`, `train`, `evaluate`, `ablate`, `predict`, `audit` and `report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from moodtape.commands.console import note, print_json, print_table, say, steps
from moodtape.commands.options import (
    AsOf,
    ConfigFiles,
    DeviceName,
    Forecaster,
    Horizons,
    Json,
    Preset,
    Project,
    Quiet,
    Seed,
    Since,
    Subject,
    Symbols,
    Targets,
    Until,
    command_line,
    instant,
    settings_of,
    study_overrides,
)
from moodtape.errors import GateFailed, UsageError
from moodtape.settings import Settings

Run = Annotated[str | None, typer.Option("--run", help="Name of a run folder; else the newest.")]


def _question(
    settings: Settings, since: str | None, until: str | None, as_of: str | None, preset: str | None
) -> Any:
    from moodtape.study.ground import Question

    subject = settings.config.ablation.subject
    return Question(subject, instant(since), instant(until), instant(as_of), preset)


def score(
    scorer: Annotated[str | None, typer.Option(help="bundled or lexicon.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only news, reddit or x; may be repeated.")
    ] = None,
    since: Since = None,
    until: Until = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score every text that has no score yet, and bring the hourly series up to date."""
    from moodtape.pipeline import score_texts, span_of
    from moodtape.records import TEXT_SOURCES

    chosen = tuple(s for s in TEXT_SOURCES if source is None or s in source)
    if unknown := set(source or ()) - set(TEXT_SOURCES):
        raise UsageError(f"--source {min(unknown)} is none of {', '.join(TEXT_SOURCES)}.")
    settings = settings_of(project, config, {"sentiment.scorer": scorer})
    with steps(quiet or as_json) as told:
        summary = score_texts(
            settings,
            span_of(since, until),
            lambda done, total: told.amount(done, total, "texts"),
            chosen,
        )
    if as_json:
        print_json({"schema_version": 1, "command": "score", "warnings": [], **vars(summary)})
        return
    rate = f", {summary.scored / summary.seconds:,.0f} a second" if summary.scored else ""
    say(f"{summary.scored:,} texts scored by {summary.scorer}{rate}; {summary.hours:,} hours made.")


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
            settings, _question(settings, since, until, as_of, preset), command_line(), told
        )
    if as_json:
        print_json(results)
    else:
        print_answers(results)


def print_answers(results: Mapping[str, Any]) -> None:
    """Print a study's words, the figures behind them, and where its page is."""
    question = results["question"]
    texts = f", {results['texts_used']:,} texts" if results["texts_used"] else ""
    say(
        f"{question['subject']} for {', '.join(question['symbols'])}, decisions from"
        f" {question['since']:%Y-%m-%d %H:%M} to {question['until']:%Y-%m-%d %H:%M} UTC{texts}"
    )
    for answer in results["results"]:
        if answer["decides"]:
            say(f"  {answer['sentence']}")
    say("")
    rows = [
        {
            **answer,
            "word": answer["verdict"],
            "gain": _percent(answer["effect"]),
            "low": _percent(answer["interval"][0]),
            "high": _percent(answer["interval"][1]),
            "over_shift": _percent(answer["effect_shift"]),
        }
        for answer in results["results"]
    ]
    print_table(
        rows,
        {
            "symbol": "symbol",
            "target": "target",
            "horizon_bars": "bars",
            "forecaster": "forecaster",
            "word": "verdict",
            "gain": "gain over null",
            "low": "95 % low",
            "high": "95 % high",
            "over_shift": "over shift",
            "n": "n",
        },
    )
    say("")
    for caveat in results["caveats"]:
        note(f"Note: {caveat}")
    audited = results["audit"]
    state = "no look-ahead" if audited["clean"] else "LOOK-AHEAD FOUND"
    say(f"Audit: {state} in {audited['checked']:,} numbers at {len(audited['cuts'])} cuts.")
    say(f"Page: {results['report']}")


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:+.2%}"


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
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forecast every test fold and compare network, ridge and baselines, metric by metric."""
    from moodtape.pipeline import evaluate as run

    overrides = study_overrides(preset, symbol, target, horizon, forecaster, seed, device, subject)
    settings = settings_of(project, config, overrides)
    with steps(quiet or as_json) as told:
        results = run(
            settings, _question(settings, since, until, as_of, preset), command_line(), told
        )
    if as_json:
        print_json(results)
        return
    rows = [r for r in results["results"] if r["regime"] == "all"]
    heads = ("symbol", "target", "horizon_bars", "metric", "model", "value", "low", "high", "n")
    order = sorted(rows, key=lambda r: (r["symbol"], r["target"], r["horizon_bars"], r["metric"]))
    print_table(order, {h: h.replace("_", " ") for h in heads})
    say(f"\nAll regimes and every forecast: {settings.runs / results['run']}")


def train(
    symbol: Symbols = None,
    since: Since = None,
    until: Until = None,
    target: Targets = None,
    horizon: Horizons = None,
    subject: Subject = None,
    preset: Preset = None,
    seed: Seed = None,
    device: DeviceName = None,
    as_of: AsOf = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the network that `predict` serves, on every decision whose answer is known."""
    from moodtape.pipeline import train as run

    overrides = study_overrides(preset, symbol, target, horizon, None, seed, device, subject)
    settings = settings_of(project, config, overrides)
    with steps(quiet or as_json) as told:
        result = run(
            settings, _question(settings, since, until, as_of, preset), command_line(), told
        )
    if as_json:
        print_json(result)
    else:
        print_training(result)


def print_training(result: Mapping[str, Any]) -> None:
    """Print what a fit measured."""
    rows = result["rows"]
    say(
        f"{result['run']}: {result['parameters']:,} parameters, {rows['train']:,} decisions,"
        f" best of {result['epochs']} epochs was {result['best_epoch']},"
        f" {result['samples_per_s']:,} samples a second on {result['provenance']['device']}"
    )
    if result["gate_mean"] is not None:
        say(f"the sentiment gate stands at {result['gate_mean']:.2f} on average (0 shut, 1 open)")
    if result["servable"]:
        say(f"exported to ONNX; largest difference to the trained network {result['onnx_gap']:.1e}")
    else:
        note("Warning: not servable, since it was trained without TensorFlow.")


def predict(
    run: Run = None,
    as_of: AsOf = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Forecast from the newest bar, with the model that `train` made."""
    from moodtape.pipeline import predict as forecast

    results = forecast(settings_of(project, config), run, instant(as_of))
    if as_json:
        print_json(results)
    else:
        print_forecasts(results["results"])


def print_forecasts(forecasts: Sequence[Mapping[str, Any]]) -> None:
    """Print each forecast in one line."""
    for item in forecasts:
        parts = []
        if item["p_up"] is not None:
            parts.append(f"P(up) {item['p_up']:.1%}")
        if item["quantiles"]:
            middle, low, high = (item["quantiles"][level] for level in ("0.5", "0.05", "0.95"))
            parts.append(f"median {middle:+.2%}, nine in ten between {low:+.2%} and {high:+.2%}")
        if item["volatility"] is not None:
            parts.append(f"volatility {item['volatility']:.2%} a bar")
        bars = "bar" if item["horizon_bars"] == 1 else "bars"
        say(
            f"{item['symbol']} at {item['cutoff'][:16].replace('T', ' ')} UTC,"
            f" {item['horizon_bars']} {bars} ahead: {'; '.join(parts)}"
        )


def audit(
    symbol: Symbols = None,
    since: Since = None,
    until: Until = None,
    subject: Subject = None,
    cuts: Annotated[int, typer.Option(help="How many instants to cut at.", min=1)] = 5,
    network: Annotated[
        bool, typer.Option("--network", help="Audit the network's forecasts too (slow).")
    ] = False,
    preset: Preset = None,
    as_of: AsOf = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Change everything known after some instants and require that nothing before changes."""
    from moodtape.studies import run_audit

    settings = settings_of(project, config, study_overrides(preset, symbol, subject=subject))
    with steps(quiet or as_json) as told:
        result = run_audit(
            settings, _question(settings, since, until, as_of, preset), cuts, network,
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
