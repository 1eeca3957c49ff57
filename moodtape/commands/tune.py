"""`tune`: one setting of the network for all arms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from moodtape.commands.console import print_json, print_table, say, steps
from moodtape.commands.options import (
    AsOf,
    ConfigFiles,
    DeviceName,
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
    question_of,
    settings_of,
    study_overrides,
)

SHOWN = 5


def tune(
    trials: Annotated[int, typer.Option(help="Settings to try, earlier ones too.", min=1)] = 20,
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
    """Choose the network's learning rate, batch, units, look-back and dropout before any test."""
    from moodtape.tuning import tune as run

    overrides = study_overrides(preset, symbol, target, horizon, None, seed, device, subject)
    settings = settings_of(project, config, overrides)
    with steps(quiet or as_json) as told:
        results = run(
            settings, question_of(settings, since, until, as_of, preset), command_line(), trials,
            told,
        )  # fmt: skip
    if as_json:
        print_json(results)
    else:
        print_tuned(results)


def print_tuned(results: Mapping[str, Any]) -> None:
    """Print the best settings, and how to use the first of them."""
    rows = [
        {"loss": tried["loss"], **{k.partition(".")[2]: v for k, v in tried["setting"].items()}}
        for tried in sorted(results["results"], key=lambda t: t["loss"])[:SHOWN]
    ]
    print_table(rows, {name: name.replace("_", " ") for name in rows[0]})
    gain = 1 - results["best"]["loss"] / results["in_use"]["loss"]
    say(
        f"\n{len(results['results'])} settings tried on {results['rows']['test']:,} decisions"
        f" before the first test; the best has a loss {gain:.2%} below that of the one in use."
    )
    say(f"Use it for every arm: moodtape ablate -c {results['file']}")
