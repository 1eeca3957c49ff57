"""`models list`, `models add`, `models card`, `models score-files`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from moodtape.commands.console import note, print_json, print_table, say, steps
from moodtape.commands.options import (
    ConfigFiles,
    DeviceName,
    ExecutorName,
    Json,
    Project,
    Quiet,
    device_of,
    executor_of,
    instant,
    settings_of,
)
from moodtape.commands.show import models_app as app
from moodtape.errors import MoodtapeError

__all__ = ["app"]

COLUMNS = ("name", "kinds", "trained_until", "revision", "from")


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """Say which scorers there are: built-in, of plug-ins, and added."""
    from moodtape.nlp.hub import added_models
    from moodtape.plugins import SCORERS, installed, owner

    rows, warnings = [], []
    for name, entries in sorted(installed(SCORERS).items()):
        try:
            rows.append({**_described(name), "from": " and ".join(owner(e) for e in entries)})
        except MoodtapeError as exc:
            warnings.append(str(exc))
    rows += [{**_described(facts.name), "from": "added"} for facts in added_models()]
    if as_json:
        print_json({"schema_version": 1, "command": "models list", "warnings": warnings,
                    "results": rows})  # fmt: skip
        return
    print_table(rows, {column: column for column in COLUMNS})
    for text in warnings:
        note(text)


def _described(name: str) -> dict[str, Any]:
    from moodtape.nlp.base import KindClassifier
    from moodtape.nlp.registry import load_scorer

    scorer = load_scorer(name)
    until = scorer.trained_until
    return {
        "name": name,
        "kinds": "yes" if isinstance(scorer, KindClassifier) else "no",
        "trained_until": None if until is None else until.isoformat(),
        "revision": scorer.revision,
    }


@app.command("add")
def add(
    source: Annotated[str, typer.Argument(help="hf:OWNER/NAME@REVISION, or a model's folder.")],
    trained_until: Annotated[
        str | None,
        typer.Option(
            help="Until when it may know what happened, ISO, UTC; its card may say.",
            metavar="TIME",
        ),
    ] = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Fetch a sentiment model, convert it for ONNX Runtime and keep it; needs the torch extra.

    The name that is printed goes into `sentiment.scorer`. Run twice, nothing is fetched again.
    """
    from moodtape.nlp.hub import add_model

    hub = settings_of(project, config).config.sentiment.hub_url
    name = add_model(source, instant(trained_until), hub)
    if as_json:
        print_json({"schema_version": 1, "command": "models add", "warnings": [],
                    "results": [_described(name)]})  # fmt: skip
        return
    say(name)
    note(f'Use it by [sentiment] scorer = "{name}", or: moodtape models evaluate FILE --scorer ...')


@app.command("card")
def card(
    name: Annotated[str, typer.Argument(help="A scorer's name; see: moodtape models list")],
) -> None:
    """Print what is known of a scorer: how it was made, how good it is, where it fails."""
    from moodtape.nlp.onnx_scorer import ToneScorer
    from moodtape.nlp.registry import load_scorer

    scorer = load_scorer(name)
    path = scorer.folder / "CARD.md" if isinstance(scorer, ToneScorer) else None
    if path is not None and path.is_file():
        say(path.read_text("utf-8"))
        return
    for key, value in _described(name).items():
        say(f"{key}: {value if value is not None else 'unknown'}")
    if scorer.trained_until is None:
        note("Until when it was trained is unknown, so a study takes no text as younger than it.")


@app.command("score-files")
def score_files(
    files: Annotated[list[Path], typer.Argument(help="Parquet files with a column of texts.")],
    out: Annotated[Path, typer.Option(help="Folder for the scores; is made.")],
    scorer: Annotated[str | None, typer.Option(help="bundled or lexicon.")] = None,
    column: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    keep: Annotated[
        list[str] | None, typer.Option(help="A further column to keep, such as an id; repeatable.")
    ] = None,
    executor: ExecutorName = "local",
    threads: Annotated[
        int | None, typer.Option(help="Cores; on ray, of each worker. Else storage.threads.", min=1)
    ] = None,
    device: DeviceName = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score the texts of Parquet files into Parquet files, without a warehouse.

    Part by part: a run that was killed goes on where it was. `auto` is the CPU here.
    """
    from moodtape.nlp.many import score_files as score

    by = executor_of(executor)
    settings = settings_of(
        project, config, {"sentiment.scorer": scorer, "sentiment.device": device}
    )
    with steps(quiet or as_json) as told:
        done = score(
            files, out, settings.config.sentiment.scorer, column, keep or (),
            by, threads or settings.config.storage.threads,
            lambda done, total: told.amount(done, total, "texts"), device_of(settings),
        )  # fmt: skip
    if as_json:
        print_json({"schema_version": 1, "command": "models score-files", "warnings": [],
                    **vars(done)})  # fmt: skip
        return
    say(
        f"{done.rows_scored:,} of {done.rows:,} texts scored by {done.scorer}, in"
        f" {done.parts_scored:,} of {done.parts:,} parts; {out} holds them all."
    )


@app.command("runs")
def list_runs(config: ConfigFiles = None, project: Project = None, as_json: Json = False) -> None:
    """Say which forecasters are in use, the newest first, and which one is pinned."""
    from moodtape.clock import utc_now
    from moodtape.nightly.champion import described_models

    rows = described_models(settings_of(project, config), utc_now())
    if as_json:
        print_json({"schema_version": 1, "command": "models runs", "warnings": [],
                    "results": rows})  # fmt: skip
        return
    print_table(rows, {name: name.replace("_", " ") for name in rows[0]} if rows else {})
    if not rows:
        note("No forecaster is in use. Run: moodtape train")


@app.command("pin")
def pin_run(
    run: Annotated[str, typer.Argument(help="Name of a run that `models runs` lists.")],
    config: ConfigFiles = None,
    project: Project = None,
) -> None:
    """Let a forecaster be the one that no later one may be worse than; else it is the oldest."""
    from moodtape.nightly.champion import pin

    folder = pin(settings_of(project, config), run)
    say(f"{folder.name} is pinned: every later model is compared with it, too.")


@app.command("back")
def go_back(config: ConfigFiles = None, project: Project = None) -> None:
    """Put the newest forecaster out of use; the one before it is in use again."""
    from moodtape.nightly.champion import take_back

    retired, champion = take_back(settings_of(project, config))
    say(f"{champion.name} is in use again; {retired.name} lies in {retired.parent}.")
