"""`moodtape ingest --replay`: rows are made again from kept answers, and nobody is asked.

Every turn is taken as it was: from its own cursor, at its own time, with its own answers. In
an empty warehouse the rows become what they were; in a full one nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from moodtape.errors import DataMissing, PlugInBroken
from moodtape.ingest.raw import ReplayingDoor, Tape, read_beginning, read_tape
from moodtape.ingest.result import Progress, SourceResult, joined
from moodtape.ingest.round import Plan, Round
from moodtape.ingest.run import make_collector
from moodtape.storage.collected import read_cursor
from moodtape.storage.write import begin_run, finish_run, run_counts


def replay_answers(
    plan: Plan, names: Sequence[str], progress: Progress | None = None
) -> list[SourceResult]:
    """Take every kept turn of some collectors again, oldest first; return what came of each.

    Raises:
        DataMissing: no answers are kept.
    """
    tell = progress or (lambda done, total, what: None)
    paths = _tapes(plan, names)
    with plan.warehouse.write() as connection:
        # A place that is known stays: kept answers may not reach up to it.
        fresh = {name for name in names if read_cursor(connection, name) is None}
    results: dict[str, SourceResult] = {}
    for done, path in enumerate(paths):
        tape = read_tape(path)
        if tape is None:
            continue
        name = tape.beginning.collector
        tell(done, len(paths), f"{name}, run of {tape.beginning.now:%Y-%m-%d %H:%M}")
        _enter(plan, tape)
        result = _again(plan, tape, name in fresh)
        before = results.get(name)
        results[name] = result if before is None else joined(before, result)
    return list(results.values())


def _tapes(plan: Plan, names: Sequence[str]) -> list[Path]:
    """Return the tapes of some collectors, oldest first; only their heads are read."""
    folders = plan.answers.glob("*/") if plan.answers is not None else ()
    paths = [path for folder in folders for path in folder.glob("*.jsonl")]
    found = [(head, path) for path in paths if (head := read_beginning(path)) is not None]
    wanted = [(head.now, path) for head, path in found if head.collector in names]
    if not wanted:
        raise DataMissing(
            f"No answers of {', '.join(names)} are kept in {plan.answers}"
            " (ingest.keep_answers_d). Run: moodtape ingest"
        )
    return [path for _, path in sorted(wanted)]


def _enter(plan: Plan, tape: Tape) -> None:
    """Enter the run of a tape in the ledger, where it is not known."""
    begin = tape.beginning
    with plan.warehouse.write() as connection:
        if run_counts(connection, begin.run_id) is None:
            begin_run(connection, begin.run_id, "ingest", {"replayed": True}, begin.now)
            finish_run(connection, begin.run_id, "done", {}, begin.now)


def _again(plan: Plan, tape: Tape, moves_cursor: bool) -> SourceResult:
    begin, door = tape.beginning, ReplayingDoor(tape)
    then = replace(plan, since=begin.since, until=begin.until)
    collector = make_collector(begin.collector, then, door)
    if isinstance(collector, PlugInBroken):
        return SourceResult(begin.collector, "failed", error=str(collector), cause=collector)
    turn = Round(
        then, begin.collector, collector, door, begin.run_id, again=True, moves_cursor=moves_cursor
    )
    result = turn.run(begin.cursor, begin.now)
    turn.close()
    return result
