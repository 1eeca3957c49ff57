"""Flags that several verbs share, and how they become settings."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from moodtape.clock import parse_instant
from moodtape.errors import UsageError, did_you_mean
from moodtape.settings import Settings, bundled_config, find_project, load_settings

ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option("-c", "--config", help="Further TOML files; later ones win.", metavar="FILE"),
]
Project = Annotated[
    Path | None,
    typer.Option("--project", help="Folder of the project; by default found upward from here."),
]
Since = Annotated[
    str | None, typer.Option(help="First decision, ISO, UTC: 2022-04-01.", metavar="TIME")
]
Until = Annotated[
    str | None, typer.Option(help="End of decisions, exclusive, ISO, UTC.", metavar="TIME")
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Use only what was known by then.", metavar="TIME")
]
Symbols = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol",
        help="Asset such as BTC; may be repeated. all: every one with bars.",
        metavar="SYMBOL",
    ),
]
EVERY = "all"
"""Stands for all assets; their names are in upper case, so that none is called so."""

Targets = Annotated[
    list[str] | None, typer.Option("--target", help="return, direction or volatility; repeatable.")
]
Horizons = Annotated[
    list[int] | None, typer.Option("--horizon", help="Bars ahead; may be repeated.", min=1)
]
Forecaster = Annotated[
    str | None,
    typer.Option(help="What gives the word: network, linear or boosting.", metavar="NAME"),
]
Preset = Annotated[
    str | None, typer.Option(help="Settings laid over the config: quick, default or full.")
]
Seed = Annotated[int | None, typer.Option(help="Root of all randomness.", min=0)]
DeviceName = Annotated[str | None, typer.Option("--device", help="auto, cpu or gpu.")]
ExecutorName = Annotated[
    str, typer.Option("--executor", help="local, or ray for a cluster.", metavar="TEXT")
]
Subject = Annotated[
    str | None, typer.Option(help="What is put to the test: sentiment or onchain.", metavar="GROUP")
]
Run = Annotated[str | None, typer.Option("--run", help="Name of a run folder; else the newest.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")]


def settings_of(
    project: Path | None, files: list[Path] | None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings of the project at hand; flags that were not given override nothing."""
    folder = project or find_project(Path.cwd()) or Path.cwd()
    given = {name: value for name, value in (overrides or {}).items() if value not in (None, [])}
    if given.get("market.symbols") == [EVERY]:
        given["market.symbols"] = _every_symbol(
            load_settings(
                folder,
                files or (),
                {name: value for name, value in given.items() if name != "market.symbols"},
            )
        )
    return load_settings(folder, files or (), given)


def _every_symbol(settings: Settings) -> list[str]:
    """Return the assets that have bars of the configured interval."""
    from moodtape.storage.read import stored_symbols
    from moodtape.study.project import warehouse_of

    with warehouse_of(settings).read() as connection:
        return stored_symbols(connection, settings.config.market.interval)


def device_of(settings: Settings) -> Literal["cpu", "gpu"]:
    """Return where a scorer computes whose scores go into no warehouse: `auto` is the CPU."""
    return "gpu" if settings.config.sentiment.device == "gpu" else "cpu"


def executor_of(name: str) -> Literal["local", "ray"]:
    """Return who does the work.

    Raises:
        UsageError: there is no such executor.
    """
    if name not in ("local", "ray"):
        raise UsageError(f"--executor {name}: it is local or ray.")
    return "ray" if name == "ray" else "local"


def study_overrides(
    preset: str | None = None,
    symbols: list[str] | None = None,
    targets: list[str] | None = None,
    horizons: list[int] | None = None,
    forecaster: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    subject: str | None = None,
) -> dict[str, Any]:
    """Return settings that flags stand for, a preset's under the others."""
    if subject not in (None, "sentiment", "onchain"):
        raise UsageError(f"--subject {subject}: it is sentiment or onchain.")
    return {
        **preset_values(preset),
        "market.symbols": symbols,
        "target.names": targets,
        "target.horizons": horizons,
        "verdict.forecaster": forecaster,
        "seed": seed,
        "training.device": device,
        "ablation.subject": subject,
    }  # fmt: skip


def preset_values(name: str | None) -> dict[str, Any]:
    """Return the settings of a preset in `configs/ablation.toml`."""
    import tomllib

    if name is None:
        return {}
    presets: dict[str, dict[str, Any]] = tomllib.loads(bundled_config("ablation.toml"))["preset"]
    if name not in presets:
        raise UsageError(
            f"{name!r} is no preset.{did_you_mean(name, presets)} There are: {', '.join(presets)}."
        )
    return presets[name]


def instant(text: str | None) -> Any:
    """Return the UTC instant that was typed, or None."""
    return None if text is None else parse_instant(text)


def command_line() -> str:
    """Return what was typed, for the run folder."""
    return " ".join(["moodtape", *sys.argv[1:]])


def question_of(
    settings: Settings, since: str | None, until: str | None, as_of: str | None, preset: str | None
) -> Any:
    """Return what a study is asked: flags, and the subject that the settings name."""
    from moodtape.study.ground import Question

    subject = settings.config.ablation.subject
    return Question(subject, instant(since), instant(until), instant(as_of), preset)
