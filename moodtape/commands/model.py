"""`score`, `train` and `predict`: the scorer and the model that is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from moodtape.commands.console import note, print_json, say, steps
from moodtape.commands.explained import print_explanation
from moodtape.commands.options import (
    AsOf,
    ConfigFiles,
    DeviceName,
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
    instant,
    question_of,
    settings_of,
    study_overrides,
)
from moodtape.errors import UsageError


def score(
    scorer: Annotated[str | None, typer.Option(help="bundled or lexicon.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only news, reddit or x; may be repeated.")
    ] = None,
    since: Since = None,
    until: Until = None,
    device: DeviceName = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score every text that has no score yet, and bring the hourly series up to date."""
    from moodtape.pipeline import score_texts, scores_left_unread, span_of
    from moodtape.records import TEXT_SOURCES

    chosen = tuple(s for s in TEXT_SOURCES if source is None or s in source)
    if unknown := set(source or ()) - set(TEXT_SOURCES):
        raise UsageError(f"--source {min(unknown)} is none of {', '.join(TEXT_SOURCES)}.")
    settings = settings_of(
        project, config, {"sentiment.scorer": scorer, "sentiment.device": device}
    )
    if device == "gpu":
        _require_gpu_for(settings.config.sentiment.scorer)
    with steps(quiet or as_json) as told:
        summary = score_texts(
            settings,
            span_of(since, until),
            lambda done, total: told.amount(done, total, "texts"),
            chosen,
        )
    warnings = []
    if device is not None:
        flagless = settings_of(project, config, {"sentiment.scorer": scorer})
        warnings = scores_left_unread(flagless, summary.scorer)
    if as_json:
        print_json({"schema_version": 1, "command": "score", "warnings": warnings, **vars(summary)})
        return
    rate = f", {summary.scored / summary.seconds:,.0f} a second" if summary.scored else ""
    say(f"{summary.scored:,} texts scored by {summary.scorer}{rate}; {summary.hours:,} hours made.")
    for text in warnings:
        note(text)


def _require_gpu_for(scorer: str) -> None:
    """Refuse at once what `--device gpu` cannot do, even where there is nothing to score."""
    from moodtape.nlp.registry import load_scorer
    from moodtape.nlp.torch_scorer import require_gpu

    load_scorer(scorer, device="gpu")
    require_gpu()


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
    from moodtape.forecasts import train as run

    overrides = study_overrides(preset, symbol, target, horizon, None, seed, device, subject)
    settings = settings_of(project, config, overrides)
    with steps(quiet or as_json) as told:
        result = run(
            settings, question_of(settings, since, until, as_of, preset), command_line(), told
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
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the texts added, hour by hour.")
    ] = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Forecast from the newest bar, with the model that `train` made."""
    from moodtape.forecasts import predict as forecast

    results = forecast(settings_of(project, config), run, instant(as_of), explain)
    if as_json:
        print_json(results)
        return
    for warning in results["warnings"]:
        note(f"Note: left out. {warning}")
    for item in results["results"]:
        print_forecasts([item])
        if explain:
            print_explanation(item)


def print_forecasts(forecasts: Sequence[Mapping[str, Any]]) -> None:
    """Print each forecast in one line."""
    for item in forecasts:
        parts = []
        if item["p_up"] is not None:
            parts.append(f"P(up) {item['p_up']:.1%}")
        if item["quantiles"]:
            between = _nine_in_ten(item["quantiles"], "+.2%")
            parts.append(f"median {item['quantiles']['0.5']:+.2%}{between}")
        if item["volatility"] is not None:
            between = _nine_in_ten(item["volatility_quantiles"] or {}, ".2%")
            parts.append(f"volatility {item['volatility']:.2%} a bar{between}")
        if item["gate"] is not None:
            parts.append(f"gate {item['gate']:.2f}")
        bars = "bar" if item["horizon_bars"] == 1 else "bars"
        say(
            f"{item['symbol']} at {item['cutoff'][:16].replace('T', ' ')} UTC,"
            f" {item['horizon_bars']} {bars} ahead: {'; '.join(parts)}"
        )


def _nine_in_ten(quantiles: Mapping[str, float], form: str) -> str:
    """Return the interval of nine in ten, or nothing where no row was left to calibrate it on."""
    if not {"0.05", "0.95"} <= set(quantiles):
        return ""
    return f", nine in ten between {quantiles['0.05']:{form}} and {quantiles['0.95']:{form}}"
