"""`moodtape ingest`: what is new at the sources."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moodtape.commands.console import note, print_json, print_table, say, steps
from moodtape.commands.options import (
    ConfigFiles,
    Json,
    Project,
    Quiet,
    Symbols,
    instant,
    settings_of,
)
from moodtape.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from moodtape.ingest.result import SourceResult

COUNTS = ("new", "known", "corrected", "quarantined")

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        help="news, bars, onchain, indices, reddit, x, dumps, funding, coingecko, blockchain,"
        " mempool or a plug-in's; those of the config if none."
    ),
]
BaseUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--base-url", help="A stand-in for a source: news=http://host. Repeatable.", metavar="S=URL"
    ),
]
From = Annotated[
    str | None,
    typer.Option("--since", help="Fetch again from here, ISO, UTC, not from the last poll.",
                 metavar="TIME"),
]  # fmt: skip
To = Annotated[
    str | None, typer.Option("--until", help="Fetch up to here, exclusive.", metavar="TIME")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Ask and read, but store nothing.")]
Replay = Annotated[
    bool, typer.Option("--replay", help="Store again what kept answers hold; asks nobody.")
]
Backfill = Annotated[
    bool, typer.Option("--backfill", help="Ask for what is missing between what is stored.")
]


def ingest(
    sources: Sources = None,
    since: From = None,
    until: To = None,
    symbol: Symbols = None,
    base_url: BaseUrls = None,
    dry_run: DryRun = False,
    fill: Backfill = False,
    replay: Replay = False,
    config: ConfigFiles = None,
    project: Project = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch what is new: news, bars, on-chain metrics, indices; none of them needs a key.

    Every source goes on from where it stood. One that fails stops no other: then the exit
    code is 5, and the table says what did not come and why.
    """
    from moodtape.ingest.result import require_all, summary
    from moodtape.pipeline import ingest as run

    if sum((replay, fill, dry_run, bool(since or until))) > 1:
        raise UsageError("--backfill, --replay, --dry-run and --since/--until exclude each other.")
    overrides = {"market.symbols": symbol, **_stand_ins(base_url)}
    settings = settings_of(project, config, overrides)
    with steps(quiet or as_json) as told:
        results = run(
            settings, sources or (), instant(since), instant(until), dry_run,
            "replay" if replay else "backfill" if fill else "new", told,
        )  # fmt: skip
    _explain_mistakes(results)
    if as_json:
        print_json(
            {"schema_version": 1, "command": "ingest", "warnings": _warnings(results),
             "dry_run": dry_run, **summary(results)}
        )  # fmt: skip
    else:
        _print(results, dry_run)
    require_all(results)


def _stand_ins(pairs: Sequence[str] | None) -> dict[str, str]:
    """Return settings for `news=http://host` and its like."""
    from moodtape.config import WITH_BASE_URL

    found = {}
    for pair in pairs or ():
        source, mark, url = pair.partition("=")
        if not mark or not url.startswith(("http://", "https://")):
            raise UsageError(
                f"--base-url {pair}: write it as SOURCE=URL, news=http://127.0.0.1:80."
            )
        if source not in WITH_BASE_URL:
            hint = did_you_mean(source, WITH_BASE_URL)
            raise UsageError(
                f"--base-url {source}=...: it is one of {', '.join(WITH_BASE_URL)}.{hint}"
                " A plug-in has its own settings: [ingest.plugin.NAME]."
            )
        found[f"{source}.base_url"] = url
    return found


def _warnings(results: Sequence[SourceResult]) -> list[str]:
    told = [f"{r.source}: {r.error}" for r in results if r.error]
    told += [
        f"{r.source} {p.stream} {p.state}: {p.detail}" for r in results for p in r.failed_polls
    ]
    told += [
        f"{r.source}: {r.counts.quarantined:,} rows are in quarantine"
        for r in results
        if r.counts.quarantined
    ]
    return told


def _print(results: Sequence[SourceResult], dry_run: bool) -> None:
    rows: list[dict[str, Any]] = []
    for result in results:
        good = len(result.polls) - len(result.failed_polls)
        streams = f"{good} of {len(result.polls)}"
        row = {"source": result.source, "state": result.state, "streams": streams}
        rows.append({**row, "rows": result.rows, **asdict(result.counts)})
    if not results:
        say("Nothing is missing between what is stored.")
    counts = () if dry_run else COUNTS
    heads = ("source", "state", "streams", "rows", *counts)
    print_table(rows, {head: head for head in heads})
    for text in _warnings(results):
        say(text)
    for result in results:
        for reason, count in result.counts.reasons.items():
            say(f"{result.source}: {count:,} in quarantine: {reason}")
    if dry_run:
        for result in results:
            for poll in result.polls:
                if poll.detail and poll not in result.failed_polls:
                    say(f"{result.source} {poll.stream}: {poll.detail}")
        note("A dry run: nothing was stored, and no source's place has moved.")
    elif any(r.counts.new for r in results if r.source == "news"):
        note("There are new texts. Run: moodtape score")


def _explain_mistakes(results: Sequence[SourceResult]) -> None:
    """Show the trace of what stopped a source, where that was asked for."""
    if not os.environ.get("MOODTAPE_DEBUG"):
        return
    import traceback

    for result in results:
        if result.cause is not None:
            note("".join(traceback.format_exception(result.cause)))
