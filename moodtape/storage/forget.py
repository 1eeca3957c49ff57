"""Deletes texts on request and keeps what is nobody's: times, hashes, mentions, scores, hours.

1. find     the stored texts that a request means, and what would give them away elsewhere
2. blank    text, author, link and identity, in every table
3. refuse   a tombstone for each text, so that it does not come back; links and authors that were
            named stay refused, too
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodtape.records import TEXT_SOURCES, Source
from moodtape.storage.db import run_script
from moodtape.storage.traces import Traces
from moodtape.storage.write import Merge

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


NO_TRACES = Traces()


@dataclass(frozen=True)
class Request:
    """Which texts are to be forgotten.

    ids: identities at the source, as stored.
    urls: links as they are stored, in every form that means the same page.
    authors: hashes of names with the source that each one is for.
    traces: what the request itself says that payloads may hold.
    """

    ids: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    authors: tuple[tuple[Source, str], ...] = ()
    sources: tuple[Source, ...] = TEXT_SOURCES
    traces: Traces = NO_TRACES

    @property
    def reason(self) -> str:
        """Return how the texts were named, without what was said."""
        told = {"id": self.ids, "url": self.urls, "author": self.authors}
        return "asked by " + ", ".join(name for name, values in told.items() if values)


@dataclass(frozen=True)
class Found:
    """What a request means: how many texts, and the refused rows that hold one."""

    texts: int
    revisions: int
    strings: int
    quarantined: tuple[int, ...]
    traces: Traces
    known_before: bool


def find_texts(connection: Connection, request: Request) -> Found:
    """Return what is stored of the texts that a request means; the warehouse is not changed."""
    run_script(connection, "forget_find", _parameters(request))
    rows = connection.execute(
        "SELECT document_id, url, title, body FROM document"
        " SEMI JOIN condemned USING (source, collection, document_id)"
    ).fetchall()
    texts, strings = connection.execute(
        "SELECT (SELECT count(*) FROM condemned), (SELECT count(*) FROM orphan)"
    ).fetchall()[0]
    traces = traces_of(rows, request.traces)
    refused = connection.execute(
        "SELECT rowid, place, payload FROM quarantine WHERE place <> 'forgotten' ORDER BY rowid"
    ).fetchall()
    held = tuple(row[0] for row in refused if traces.are_in(f'"{row[1]}" {row[2]}'))
    return Found(texts, len(rows), strings, held, traces, _known_before(connection, request))


def traces_of(rows: Iterable[Sequence[str | None]], told: Traces = NO_TRACES) -> Traces:
    """Return what gives some texts away, given as document_id, url, title and body."""
    rows = list(rows)
    return Traces(
        told.identities | {i for row in rows for i in _identities(row[0] or "")},
        told.links | {link_trace(row[1]) for row in rows if row[1]},
        told.texts | {text for row in rows for text in row[2:] if text},
        told.authors,
    )


@dataclass(frozen=True)
class KeptAway:
    """What does not come in again, as hashes: see the tables `tombstone` and `suppressed`."""

    identities: frozenset[str]
    keys: frozenset[tuple[str, str]]

    def __bool__(self) -> bool:
        return bool(self.identities or self.keys)

    def holds(
        self, source: str, collection: str, document_id: str, links: Iterable[str], author: str
    ) -> bool:
        """Say whether a text was forgotten: it, its link, or all of its author's (a hash)."""
        identity = _hashed("\x1f".join((source, collection, document_id)))
        return f"forgotten:{identity}" in self.identities or any(
            (source, _hashed(key)) in self.keys for key in (*links, author) if key
        )


def kept_away(connection: Connection) -> KeptAway:
    """Return the hashes of all that was forgotten."""
    identities = connection.execute("SELECT document_id FROM tombstone").fetchall()
    keys = connection.execute("SELECT source, key_hash FROM suppressed").fetchall()
    return KeptAway(frozenset(i for (i,) in identities), frozenset(keys))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def link_trace(url: str) -> str:
    """Return the part of a link that every form of it shares.

    >>> link_trace("https://news.example/a?id=3")
    'news.example/a'
    """
    bare = url.partition("://")[2]
    place = bare.partition("?")[0].rstrip("/")
    return place if "/" in place else bare


def _identities(document_id: str) -> set[str]:
    """Return an identity as its source tells it: without the feed's name and our own marks."""
    bare = document_id.partition(":")[2].lstrip("/") or document_id
    found = {document_id, bare, bare.rpartition("#")[0] or bare}
    return {one for one in found if len(one) > 3}


def forget_texts(connection: Connection, request: Request, found: Found, merge: Merge) -> None:
    """Blank the texts that `find_texts` found in this session, and refuse them from now on."""
    parameters = {
        **_parameters(request),
        "reason": request.reason,
        "author_sources": [source for source, _ in request.authors],
        "now": merge.now,
        "run_id": merge.run_id,
    }
    run_script(connection, "forget_blank", parameters)
    connection.execute(
        """
        UPDATE quarantine SET
            payload = forgotten_id(source, place || chr(31) || reason, payload),
            place = 'forgotten'
        WHERE list_contains(?, rowid)
        """,
        [list(found.quarantined)],
    )


def _parameters(request: Request) -> dict[str, Sequence[str]]:
    return {
        "sources": list(request.sources),
        "ids": list(request.ids),
        "urls": list(request.urls),
        "authors": [value for _, value in request.authors],
    }


def _known_before(connection: Connection, request: Request) -> bool:
    """Say whether a request was carried out before."""
    rows = connection.execute(
        """
        SELECT
            EXISTS (
                SELECT 1 FROM tombstone AS t, (SELECT unnest(?::VARCHAR[]) AS id) AS i
                WHERE list_contains(?, t.source)
                    AND t.document_id = forgotten_id(t.source, t.collection, i.id)
            ) OR EXISTS (
                SELECT 1 FROM suppressed
                WHERE list_contains(?, source)
                    AND key_hash IN (
                        SELECT sha256(key)[:24] FROM (SELECT unnest(?::VARCHAR[]) AS key)
                    )
            )
        """,
        [
            *(list(request.ids), list(request.sources), list(request.sources)),
            [*request.urls, *(value for _, value in request.authors)],
        ],
    ).fetchall()
    return bool(rows[0][0])
