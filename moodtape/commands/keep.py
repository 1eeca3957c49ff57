"""`backup`, `backup list`, `backup restore`, `export` and `import export`."""

from __future__ import annotations

from typing import Annotated

import typer

from moodtape.commands.console import note, print_json, print_table, say
from moodtape.commands.files import app as import_app
from moodtape.commands.options import ConfigFiles, Json, Project, settings_of

app = typer.Typer(invoke_without_command=True)
Address = Annotated[
    str, typer.Argument(help="Folder, or an address such as s3://bucket/folder.", metavar="FOLDER")
]


@app.callback(help="Copy warehouse, settings and model; check the copy; do away with old ones.")
def backup(
    context: typer.Context,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Make a backup, unless a verb below it was called."""
    if context.invoked_subcommand is not None:
        return
    from moodtape.backup import make_backup
    from moodtape.clock import utc_now
    from moodtape.nightly.turns import between_steps
    from moodtape.study.project import warehouse_of

    settings = settings_of(project, config)
    with between_steps(settings):
        made = make_backup(settings, warehouse_of(settings), utc_now())
    if as_json:
        print_json({"schema_version": 1, "command": "backup", "warnings": [], "name": made.name,
                    "folder": str(made.folder), "rows": made.rows, "bytes": made.size})  # fmt: skip
        return
    say(f"{made.folder}: {made.rows:,} rows, {made.size / 2**20:,.1f} MiB, opened and compared")


@app.command("list")
def list_all(config: ConfigFiles = None, project: Project = None, as_json: Json = False) -> None:
    """Say which backups there are, the newest first."""
    from moodtape.backup import list_backups

    rows = [
        {"name": b.name, "made_at": b.made_at[:16], "rows": b.rows, "mib": round(b.size / 2**20, 1),
         "damage": b.damage}
        for b in list_backups(settings_of(project, config))
    ]  # fmt: skip
    if as_json:
        print_json({"schema_version": 1, "command": "backup list", "warnings": [],
                    "results": rows})  # fmt: skip
        return
    whole = [row for row in rows if row["damage"] is None]
    print_table(whole, {"name": "name", "made_at": "made at", "rows": "rows", "mib": "MiB"})
    for row in rows:
        if row["damage"] is not None:
            note(f"{row['name']} is damaged: {row['damage']}")


@app.command("restore")
def bring_back(
    name: Annotated[str | None, typer.Argument(help="Name of a backup; else the newest.")] = None,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Put a backup in the place of the warehouse; the present one is kept beside it."""
    from moodtape.clock import utc_now
    from moodtape.nightly.turns import between_runs
    from moodtape.restore import find_backup, restore
    from moodtape.study.project import warehouse_of

    settings = settings_of(project, config)
    with between_runs(settings):
        taken = find_backup(settings, name)
        aside = restore(settings, warehouse_of(settings), name, utc_now())
    if as_json:
        kept = str(aside) if aside.exists() else None
        print_json({"schema_version": 1, "command": "backup restore", "warnings": [],
                    "name": taken.name, "aside": kept})  # fmt: skip
        return
    say(f"{settings.warehouse} is as it was at {taken.name}.")
    if aside.exists():
        note(f"What was there is now {aside}; remove it when you do not need it.")


def export(
    folder: Address, config: ConfigFiles = None, project: Project = None, as_json: Json = False
) -> None:
    """Write the warehouse as partitioned Parquet, which Spark, Ray Data and DuckDB read."""
    from moodtape.storage.parquet import export_tables
    from moodtape.study.project import warehouse_of

    with warehouse_of(settings_of(project, config)).read() as connection:
        sums = export_tables(connection, folder.rstrip("/"))
    _told("export", folder, sums, as_json)


@import_app.command("export")
def import_export(
    folder: Address, config: ConfigFiles = None, project: Project = None, as_json: Json = False
) -> None:
    """Fill a new project from what `export` wrote; every row comes back as it was."""
    from moodtape.storage.parquet import import_tables
    from moodtape.study.project import warehouse_of

    with warehouse_of(settings_of(project, config)).write() as connection:
        sums = import_tables(connection, folder.rstrip("/"))
    _told("import export", folder, sums, as_json)


def _told(command: str, folder: str, sums: dict[str, dict[str, str | int]], as_json: bool) -> None:
    rows = [{"table": name, "rows": facts["rows"]} for name, facts in sums.items() if facts["rows"]]
    if as_json:
        print_json({"schema_version": 1, "command": command, "warnings": [], "folder": folder,
                    "results": rows})  # fmt: skip
        return
    print_table(rows, {"table": "table", "rows": "rows"})
