"""Carries out a wish to be forgotten: in kept answers first, then in the warehouse.

What gives a text away is read from the tables, so these are blanked last: a run that a crash
cut short is done again whole by the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from moodtape.errors import UsageError
from moodtape.ingest.redact import redact_answers
from moodtape.ingest.text import author_hash, canonical_url
from moodtape.records import TEXT_SOURCES, Source
from moodtape.storage.db import Warehouse
from moodtape.storage.forget import Found, Request, find_texts, forget_texts, link_trace
from moodtape.storage.traces import Traces
from moodtape.storage.write import Merge, begin_run, finish_run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten, or would be.

    texts: stored ones; `revisions` of them; `strings` that scorers read and no other text has.
    quarantined: refused rows. answers: kept answers that held one.
    known_before: the same was asked before.
    """

    texts: int
    revisions: int
    strings: int
    quarantined: int
    answers: int
    known_before: bool

    @property
    def is_nothing(self) -> bool:
        """Say whether nothing was found, now or before."""
        return not (self.texts or self.quarantined or self.answers or self.known_before)


def request_of(
    ids: Sequence[str], authors: Sequence[str], urls: Sequence[str], sources: Sequence[Source] = ()
) -> Request:
    """Return what is looked for, in every form in which it may be stored.

    Raises:
        UsageError: nothing is named, or a link is none. What was named is not repeated.
    """
    ids, authors = [i.strip() for i in ids], [a.strip() for a in authors]
    wanted = tuple(sources) or TEXT_SOURCES
    if not (ids or authors or urls) or not all((*ids, *authors)):
        raise UsageError("Say what to forget: --id, --author or --url, none of them empty.")
    links = [form for url in urls for form in _forms_of(url)]
    names = {form for name in authors for form in _names(name)}
    hashes = tuple((s, author_hash(s, name)) for s in wanted for name in sorted(names))
    traces = Traces(
        identities=frozenset(ids),
        links=frozenset(link_trace(link) for link in links),
        authors=frozenset(names),
    )
    return Request(tuple(ids), tuple(links), hashes, wanted, traces)


def _forms_of(url: str) -> list[str]:
    """Return a link as it may be stored: by http and https."""
    found = canonical_url(url)
    if found is None:
        raise UsageError("--url: this is no link; it begins with http:// or https://.")
    rest = found.partition("://")[2]
    return [f"https://{rest}", f"http://{rest}"]


def _names(name: str) -> set[str]:
    """Return an author's name with and without what sites put before it.

    >>> sorted(_names("/u/ann"))
    ['/u/ann', '@ann', 'ann', 'u/ann']
    """
    bare = name
    for mark in ("/u/", "u/", "@"):
        bare = bare.removeprefix(mark)
    bare = bare.strip()
    return {name, bare, f"u/{bare}", f"/u/{bare}", f"@{bare}"} if bare else {name}


def look(warehouse: Warehouse, answers: Path, request: Request) -> Forgotten:
    """Return what a request would do; nothing is changed."""
    with warehouse.read() as connection:
        found = find_texts(connection, request)
    return _told(found, redact_answers(answers, found.traces, dry_run=True))


def carry_out(
    warehouse: Warehouse, answers: Path, request: Request, run_id: str, now: datetime
) -> Forgotten:
    """Forget what a request means, everywhere; the ledger says how it was named, not what.

    A request that finds nothing, and never did, leaves no mark.
    """
    with warehouse.read() as connection:
        found = find_texts(connection, request)
    cut = redact_answers(answers, found.traces)
    told = _told(found, cut)
    if told.is_nothing:
        return told
    with warehouse.write() as connection:
        latest = find_texts(connection, request)
        if latest.traces != found.traces:  # a text came meanwhile
            told = _told(latest, cut + redact_answers(answers, latest.traces))
        begin_run(connection, run_id, "forget", {"why": request.reason}, now)
        forget_texts(connection, request, latest, Merge(run_id, now))
        if not latest.texts:
            _remember_unseen(connection, request, Merge(run_id, now))
        counts = {"texts": told.texts, "quarantined": told.quarantined, "answers": told.answers}
        finish_run(connection, run_id, "done", counts, now)
    return told


def _remember_unseen(connection: Connection, request: Request, merge: Merge) -> None:
    """Refuse an identity that only kept answers held, in every collection of its source."""
    for identity in request.ids:
        connection.execute(
            """
            INSERT INTO tombstone
            SELECT c.source, c.collection, forgotten_id(c.source, c.collection, ?), ?, ?, ?
            FROM (SELECT DISTINCT source, collection FROM document) AS c
            WHERE list_contains(?, c.source)
                AND NOT EXISTS (
                    SELECT 1 FROM tombstone AS t
                    WHERE t.source = c.source AND t.collection = c.collection
                        AND t.document_id = forgotten_id(c.source, c.collection, ?)
                )
            """,
            [identity, request.reason, merge.now, merge.run_id, list(request.sources), identity],
        )


def of_identities(source: Source, ids: Iterable[str]) -> Request:
    """Return the request that forgets texts of one source which are gone there."""
    named = tuple(ids)
    return Request(ids=named, sources=(source,), traces=Traces(identities=frozenset(named)))


def _told(found: Found, answers: int) -> Forgotten:
    return Forgotten(
        found.texts, found.revisions, found.strings, len(found.quarantined), answers,
        found.known_before,
    )  # fmt: skip
