"""Texts that were forgotten and that a source still shows are cut out of a run's kept answers.

The tables refuse such a text by hashes of its identity, link or author. Answers are kept as they
came, so after a run in which anything is refused at all, its collectors read their answers once
more, and what they find of refused texts is taken out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from moodtape.errors import MoodtapeError, PlugInBroken
from moodtape.ingest.base import BarTable
from moodtape.ingest.raw import ReplayingDoor, read_tape
from moodtape.ingest.redact import redact_tape
from moodtape.ingest.round import Plan
from moodtape.ingest.run import make_collector
from moodtape.ingest.text import author_hash, canonical_url
from moodtape.records import Document
from moodtape.storage.forget import KeptAway, kept_away, traces_of
from moodtape.storage.traces import Traces


def cut_forgotten(plan: Plan) -> int:
    """Take refused texts out of the answers of this run, and of runs that came to no end.

    Returns how many answers held some.
    """
    if plan.answers is None or not plan.answers.is_dir():
        return 0
    if not plan.warehouse.path.exists():  # the run stored nothing, and nothing was forgotten
        return 0
    with plan.warehouse.read() as connection:
        refused = kept_away(connection)
        ended = connection.execute(
            "SELECT run_id FROM run WHERE finished_at IS NOT NULL"
        ).fetchall()
    if not refused:
        return 0
    seen = {run_id for (run_id,) in ended}
    tapes = [path for path in plan.answers.glob("*/*.jsonl") if path.parent.name not in seen]
    return sum(_cut(plan, path, refused) for path in sorted(tapes))


def _cut(plan: Plan, path: Path, refused: KeptAway) -> int:
    texts = [text for text in _shown(plan, path) if _is_refused(text, refused)]
    if not texts:
        return 0
    # A name is looked for only where it is why: others of that name are somebody else.
    names = {t.author for t in texts if _is_refused(replace(t, document_id="", url=""), refused)}
    rows = [(text.document_id, text.url, text.title, text.body) for text in texts]
    return redact_tape(path, traces_of(rows, Traces(authors=frozenset(names))))


def _is_refused(text: Document, refused: KeptAway) -> bool:
    author = author_hash(text.source, text.author) if text.author else ""
    rest = (canonical_url(text.url) or "").partition("://")[2]
    links = [f"https://{rest}", f"http://{rest}"] if rest else []
    return refused.holds(text.source, text.collection, text.document_id, links, author or "")


def _shown(plan: Plan, path: Path) -> Iterator[Document]:
    """Yield the texts that a tape shows: what was new, and what was there before."""
    tape = read_tape(path)
    if tape is None:
        return
    begin = tape.beginning
    then = replace(plan, since=begin.since, until=begin.until, dry_run=True)
    for cursor in dict.fromkeys((begin.cursor, None)):
        collector = make_collector(begin.collector, then, ReplayingDoor(tape))
        if isinstance(collector, PlugInBroken) or not hasattr(collector, "covers"):
            return
        try:
            for batch in collector.collect(cursor, begin.now):
                if not isinstance(batch.rows, BarTable):
                    yield from (row for row in batch.rows if isinstance(row, Document))
        except MoodtapeError:
            continue  # other questions than those that were asked then
