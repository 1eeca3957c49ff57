"""`moodtape forget`: deletes texts on request, and those that are gone at their source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from moodtape.commands.console import note, print_json, print_table, say
from moodtape.commands.options import ConfigFiles, Json, Project, settings_of
from moodtape.errors import DataMissing, SourceFailed, UsageError

if TYPE_CHECKING:
    from moodtape.records import Source
    from moodtape.settings import Settings

Ids = Annotated[list[str] | None, typer.Option("--id", help="Identity at the source. Repeatable.")]
Authors = Annotated[
    list[str] | None,
    typer.Option("--author", help="Name as the source shows it; X: the number. Repeatable."),
]
Urls = Annotated[list[str] | None, typer.Option("--url", help="Link of a text. Repeatable.")]
Sources = Annotated[
    list[str] | None, typer.Option("--source", help="Only there: news, reddit or x. Repeatable.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be forgotten.")]

Again = Annotated[
    bool, typer.Option("--recheck", help="Forget what Reddit and X do not show any more.")
]


def forget(
    ids: Ids = None,
    author: Authors = None,
    url: Urls = None,
    source: Sources = None,
    dry_run: DryRun = False,
    recheck: Again = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Delete texts, their authors and links from the warehouse and the kept answers.

    Their hours stay as they are, and they do not come back by a later ingest or import.
    """
    from moodtape.pipeline import forget as run

    settings = settings_of(project, config)
    if recheck:
        if ids or author or url or (source and "news" in source):
            raise UsageError("--recheck asks reddit and x; nothing else is named beside it.")
        _recheck(settings, _sources(source), dry_run, as_json)
        return
    done = run(settings, ids or (), author or (), url or (), _sources(source), dry_run)
    if done.is_nothing:
        raise DataMissing(
            "Nothing of this is stored, and it was not forgotten before. Names and links are"
            " looked for as the source wrote them."
        )
    if as_json:
        told = {"schema_version": 1, "command": "forget", "warnings": [], "dry_run": dry_run}
        print_json(told | asdict(done))
        return
    heads = ("texts", "revisions", "strings", "quarantined", "answers")
    print_table([asdict(done)], {head: head for head in heads})
    if not (done.texts or done.quarantined or done.answers):
        say("Nothing is left of it: it was forgotten before.")
    if dry_run:
        note("A dry run: nothing was changed.")


def _recheck(settings: Settings, sources: Sequence[Source], dry_run: bool, as_json: bool) -> None:
    from moodtape.pipeline import recheck as run

    results = run(settings, sources, dry_run)
    missed = [f"{r.source}: {r.detail}" for r in results if r.state in ("failed", "impossible")]
    if as_json:
        print_json(
            {"schema_version": 1, "command": "forget --recheck", "warnings": missed,
             "dry_run": dry_run, "sources": [asdict(result) for result in results]}
        )  # fmt: skip
    else:
        heads = ("source", "state", "asked", "gone", "authorless")
        print_table([asdict(result) for result in results], {head: head for head in heads})
        for result in results:
            if result.detail:
                say(f"{result.source}: {result.detail}")
    failed = [r.source for r in results if r.state == "failed"]
    if failed:
        raise SourceFailed(f"Not every post of {', '.join(failed)} could be checked.")


def _sources(names: list[str] | None) -> tuple[Source, ...]:
    from moodtape.records import TEXT_SOURCES

    found: list[Source] = [known for known in TEXT_SOURCES if known in (names or ())]
    if len(found) < len(set(names or ())):
        raise UsageError(f"--source is one of {', '.join(TEXT_SOURCES)}.")
    return tuple(found)
