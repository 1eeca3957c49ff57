"""`moodtape import`: bars, metrics and documents from files."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from moodtape.commands.console import note, print_json, print_table, say, steps
from moodtape.commands.options import ConfigFiles, Json, Project, Quiet, settings_of
from moodtape.errors import UsageError

if TYPE_CHECKING:
    from moodtape.ingest.importer import FileResult, What


class KindFirst(TyperGroup):
    """A group that, given a file where the kind of what it holds should stand, says so."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command of a kind.

        Raises:
            UsageError: it is a file.
        """
        if args and args[0] not in self.commands and Path(args[0]).exists():
            kinds = ", ".join(name for name in self.commands if name != "export")
            raise UsageError(
                f"What does {args[0]} hold? Say one of {kinds}:"
                f" moodtape import bars {shlex.quote(args[0])}"
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=KindFirst,
    help="Take bars, metrics or documents in from CSV, JSONL or Parquet files.",
    no_args_is_help=True,
    invoke_without_command=True,
)

Files = Annotated[list[Path], typer.Argument(help="CSV, JSONL or Parquet, also gzip or zstd.")]
Symbol = Annotated[
    str | None, typer.Option(help="Asset, where the file does not say it: BTC or BTC/USDT.")
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="Our column = the file's: open_time=ts. Repeatable."),
]
AssumeUtc = Annotated[bool, typer.Option("--assume-utc", help="Times without a zone are UTC.")]
COUNTS = ("new", "known", "corrected", "quarantined", "duplicate_in_file")


@app.callback()
def undo(
    context: typer.Context,
    run: Annotated[
        str | None, typer.Option("--undo", help="Take back a whole import.", metavar="RUN")
    ] = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Take bars, metrics or documents in from CSV, JSONL or Parquet files."""
    if context.invoked_subcommand is not None:
        if run is not None:
            raise UsageError("--undo takes an import back; it stands alone.")
        return
    if run is None:
        raise UsageError("Say what to import: moodtape import bars|metrics|documents FILE...")
    from moodtape.pipeline import undo_import

    removed = undo_import(settings_of(project, config), run)
    if as_json:
        print_json({"schema_version": 1, "command": "import --undo", "warnings": [], "run": run,
                    "removed": removed})  # fmt: skip
        return
    parts = ", ".join(f"{count:,} from {table}" for table, count in removed.items())
    say(f"Import {run} is undone: {parts or 'it had stored nothing'}.")


@app.command()
def bars(
    files: Files,
    symbol: Symbol = None,
    interval: Annotated[str | None, typer.Option(help="Length of a bar: 1h, 1d.")] = None,
    venue: Annotated[str | None, typer.Option(help="Exchange or index.")] = None,
    quote: Annotated[str | None, typer.Option(help="Currency of the prices.")] = None,
    calendar: Annotated[str | None, typer.Option(help="24/7, or a code such as XNYS.")] = None,
    column_map: Map = None,
    assume_utc: AssumeUtc = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take price bars in. A bar is known at its close; a changed one becomes a correction."""
    said = {"symbol": symbol, "interval": interval, "venue": venue, "quote": quote,
            "calendar": calendar, "assume_utc": assume_utc}  # fmt: skip
    _run("bars", files, said, column_map, settings_args=(project, config), as_json=as_json,
         quiet=quiet)  # fmt: skip


@app.command()
def metrics(
    files: Files,
    symbol: Symbol = None,
    provider: Annotated[str | None, typer.Option(help="Who published them.")] = None,
    lag: Annotated[str | None, typer.Option(help="From a period's end to known: 6h.")] = None,
    label: Annotated[
        str | None, typer.Option(help="Whether the time column is the period's start or end.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only these columns. Repeatable.")] = None,
    column_map: Map = None,
    assume_utc: AssumeUtc = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take on-chain, index or funding values in, wide (a column each) or long."""
    if label not in (None, "start", "end"):
        raise UsageError(f"--label {label}: it is start or end.")
    said = {"symbol": symbol, "provider": provider, "lag": lag, "label": label,
            "only": tuple(only or ()), "assume_utc": assume_utc}  # fmt: skip
    _run("metrics", files, said, column_map, settings_args=(project, config), as_json=as_json,
         quiet=quiet)  # fmt: skip


@app.command()
def documents(
    files: Files,
    source: Annotated[str | None, typer.Option(help="news, reddit or x.")] = None,
    symbol: Annotated[str | None, typer.Option(help="What all texts are about.")] = None,
    collection: Annotated[
        str | None, typer.Option(help="Name of the data set; else the file's column or name.")
    ] = None,
    crawled: Annotated[
        bool, typer.Option("--crawled", help="The crawl missed nothing: empty hours had no text.")
    ] = False,
    column_map: Map = None,
    assume_utc: AssumeUtc = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take texts in. One that names its collection time is known then, not when published."""
    said = {"source": source, "symbol": symbol, "collection": collection, "crawled": crawled,
            "assume_utc": assume_utc}  # fmt: skip
    _run("documents", files, said, column_map, settings_args=(project, config), as_json=as_json,
         quiet=quiet)  # fmt: skip


def _run(
    what: What,
    files: list[Path],
    said: dict[str, Any],
    column_map: list[str] | None,
    *,
    settings_args: tuple[Path | None, list[Path] | None],
    as_json: bool,
    quiet: bool,
) -> None:
    from moodtape.ingest.importer import ImportOptions
    from moodtape.pipeline import import_files

    options = ImportOptions(what, mapping=_mapping(column_map), **said)
    settings = settings_of(*settings_args)
    with steps(quiet or as_json) as told:

        def progress(path: Path, done: int, total: int) -> None:
            told.amount(done // 1024, max(total // 1024, 1), f"{path.name} (KiB)")

        results = import_files(settings, files, options, progress)
    if as_json:
        print_json(_summary(what, results))
    else:
        _print(results)


def _mapping(pairs: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for pair in pairs or ():
        ours, mark, theirs = pair.partition("=")
        if not mark or not ours or not theirs:
            raise UsageError(f"--map {pair}: write it as OURS=THEIRS, such as open_time=ts.")
        found[ours.strip()] = theirs.strip()
    return found


def _warnings(results: Sequence[FileResult]) -> list[str]:
    return [
        f"{r.path.name}: {r.counts.quarantined:,} rows are in quarantine"
        for r in results
        if r.counts.quarantined
    ]


def _summary(what: str, results: Sequence[FileResult]) -> dict[str, Any]:
    total = sum((r.counts for r in results[1:]), results[0].counts)
    return {
        "schema_version": 1,
        "command": f"import {what}",
        "warnings": _warnings(results),
        **total.as_dict(),
        "sources": [
            {"file": str(r.path), "notes": list(r.notes), **r.counts.as_dict()} for r in results
        ],
    }


def _print(results: Sequence[FileResult]) -> None:
    rows = [{"file": r.path.name, **asdict(r.counts)} for r in results]
    heads = {"file": "file", **{c: c.replace("_", " ") for c in COUNTS}}
    print_table(rows, heads)
    for result in results:
        for text in result.notes:
            say(f"{result.path.name}: {text}")
        for reason, count in result.counts.reasons.items():
            say(f"{result.path.name}: {count:,} in quarantine: {reason}")
    for text in _warnings(results):
        note(f"Warning: {text}. See them with: moodtape status")
