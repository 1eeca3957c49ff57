"""The `moodtape` command: verbs, and what an error looks like at the terminal."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from moodtape import __version__
from moodtape.commands import (
    backtest,
    calibrate,
    demo,
    files,
    forget,
    ingest,
    keep,
    model,
    models,
    nightly,
    show,
    start,
    study,
    tune,
)
from moodtape.errors import MoodtapeError

app = typer.Typer(
    name="moodtape",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


INTERRUPTED = 130
"""Exit code that typer gives Ctrl-C."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"moodtape {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the whole trace of an error.")
    ] = False,
) -> None:
    """The tape of the market's mood: does sentiment help you forecast this coin, or not?"""
    if debug:
        os.environ["MOODTAPE_DEBUG"] = "1"


app.command()(demo.demo)
app.command()(start.init)
app.add_typer(show.config_app, name="config")
app.command()(ingest.ingest)
app.add_typer(files.app, name="import")
for verb in (model.score, model.train, study.evaluate, study.ablate, model.predict, study.audit):
    app.command()(verb)
app.command()(tune.tune)
app.command()(backtest.backtest)
app.command()(calibrate.calibrate)
app.command()(study.report)
app.command()(nightly.tick)
app.command()(nightly.nightly)
app.command()(nightly.schedule)
app.add_typer(keep.app, name="backup")
app.command()(keep.export)
app.command()(show.status)
app.command()(forget.forget)
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command line; end with the exit code that fits what happened."""
    try:
        code = app(standalone_mode=False)
    except Exception as exc:  # noqa: BLE001  the one place where every error becomes a line
        code = _explained(exc)
    if code == INTERRUPTED:
        sys.stderr.write("\nInterrupted. Nothing is half-stored; run the command again to go on.\n")
    sys.exit(code or 0)


def _explained(error: Exception) -> int:
    """Print an error as one line and return its exit code."""
    if os.environ.get("MOODTAPE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, TyperException) and hasattr(error, "show"):
        error.show()  # wrong usage: typer knows how to say it
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, MoodtapeError):
        lines = [str(error), *getattr(error, "__notes__", ())]
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        return error.exit_code
    kind = type(error).__name__
    sys.stderr.write(f"Unexpected failure: {kind}: {error}. Run it with --debug for the trace.\n")
    return 1
