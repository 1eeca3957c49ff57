"""`tick` and `nightly`: what runs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from moodtape.commands.console import note, print_json, print_table, say, steps
from moodtape.commands.options import ConfigFiles, Json, Project, Quiet, settings_of

if TYPE_CHECKING:
    from moodtape.nightly.run import RhythmResult
    from moodtape.storage.steps import Rhythm

Only = Annotated[
    str | None, typer.Option("--only", help="Run this step alone, even if it was done.")
]
FromStep = Annotated[
    str | None, typer.Option("--from-step", help="Run this step and those after it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def tick(
    only: Only = None,
    from_step: FromStep = None,
    dry_run: DryRun = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do the hour: ingest, score, close the hours, settle what fell due, forecast.

    Run it every hour, a few minutes after it began. Run twice in an hour, it goes on at the
    first step that is not done.
    """
    _run("tick", only, from_step, dry_run, settings_of(project, config), as_json, quiet)


def nightly(
    only: Only = None,
    from_step: FromStep = None,
    dry_run: DryRun = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do the night: what `tick` does, train anew where that is due, write a page, make a backup.

    Run twice in a night, it goes on at the first step that is not done. Decisions of nights
    that nobody ran are made up for, each from what was known then.
    """
    _run("nightly", only, from_step, dry_run, settings_of(project, config), as_json, quiet)


def _run(
    rhythm: Rhythm,
    only: str | None,
    from_step: str | None,
    dry_run: bool,
    settings: Any,
    as_json: bool,
    quiet: bool,
) -> None:
    from moodtape.nightly.run import Order, run_rhythm

    order = Order(only, from_step, dry_run)
    with steps(quiet or as_json) as told:
        result = run_rhythm(settings, rhythm, order, tell=told)
    if as_json:
        warnings = [f"{s.step}: {s.error}" for s in result.steps if s.error]
        values = {**result.as_dict(), "warnings": [*warnings, *result.warnings]}
        print_json({"schema_version": 1, "command": rhythm, "dry_run": dry_run, **values})
    else:
        _print(result, dry_run)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _print(result: RhythmResult, dry_run: bool) -> None:
    from moodtape.nightly.steps import NOT_DUE

    say(f"{result.rhythm} of {result.slot:%Y-%m-%d %H:%M} UTC")
    if result.missed:
        nights = f"{len(result.missed)} night" + "s" * (len(result.missed) > 1)
        say(f"{nights} before it were not run; what they missed is made up for")
    if not result.todo:
        say("It is done. To do it again: --from-step ingest")
    if dry_run:
        say(f"would run: {', '.join(result.todo)}" if result.todo else "nothing would run")
        return
    rows = [
        {"step": s.step, "state": s.state, "seconds": s.seconds, "what": _told(s.counts)}
        for s in result.steps
    ]
    print_table(rows, {"step": "step", "state": "state", "seconds": "seconds", "what": "what"})
    for step in result.steps:
        if step.error and step.error != NOT_DUE:
            note(f"{step.step}: {step.error}")
    for warning in result.warnings:
        note(warning)


def _told(counts: Any) -> str:
    """Return counts in a line: `news 12 new, bars 1 new`, or `scored 12, hours 3`."""
    return ", ".join(
        f"{name} {value['new']:,} new" if isinstance(value, dict) else f"{name} {value}"
        for name, value in counts.items()
    )


def schedule(
    print_for: Annotated[
        str | None,
        typer.Option("--print", help="Print units for systemd, lines for cron, or a compose file."),
    ] = None,
    config: ConfigFiles = None,
    project: Project = None,
) -> None:
    """Start both rhythms at their times, here in the foreground, or print what a scheduler needs.

    In the foreground it needs the `schedule` extra and runs until Ctrl-C or SIGTERM.
    """
    from moodtape.errors import UsageError, did_you_mean
    from moodtape.nightly.schedule import KINDS, keep_going, unit_text

    settings = settings_of(project, config)
    if print_for is None:
        keep_going(settings, note)
        return
    for kind in KINDS:
        if kind == print_for:
            say(unit_text(settings, kind).rstrip("\n"))
            return
    raise UsageError(
        f"--print {print_for}: it is one of {', '.join(KINDS)}.{did_you_mean(print_for, KINDS)}"
    )
