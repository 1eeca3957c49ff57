"""Scores in and out of the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moodtape.records import TEXT_SOURCES, Source, Span

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_UNSCORED = """
FROM scored_text AS t
ANTI JOIN (SELECT content_hash FROM score WHERE scorer = $scorer) AS s USING (content_hash)
WHERE
    t.text <> ''
    AND ($sources IS NULL OR t.content_hash IN (
        SELECT content_hash FROM document
        WHERE list_contains($sources, source) AND known_at >= $since AND known_at < $until
    ))
"""


@dataclass(frozen=True)
class Which:
    """Which texts are meant: all, or those of some sources that became known in a span."""

    span: Span | None = None
    sources: tuple[Source, ...] = TEXT_SOURCES


EVERY = Which()


def _bounds(scorer: str, which: Which) -> dict[str, Any]:
    whole = which == EVERY
    span = which.span or Span(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
    return {
        "scorer": scorer,
        "sources": None if whole else list(which.sources),
        "since": span.since,
        "until": span.until,
    }


def unscored_count(connection: Connection, scorer: str, which: Which = EVERY) -> int:
    """Return how many texts the scorer has not scored."""
    rows = connection.execute("SELECT count(*)" + _UNSCORED, _bounds(scorer, which)).fetchall()
    return int(rows[0][0])


def unscored_page(
    connection: Connection, scorer: str, which: Which, size: int
) -> list[tuple[str, str]]:
    """Return `(content_hash, text)` of some unscored texts, in the order of their hashes.

    That order mixes long and short ones, so that the rate of one page is that of the next.
    """
    return connection.execute(
        "SELECT t.content_hash, t.text" + _UNSCORED + "ORDER BY t.content_hash LIMIT $size",
        {**_bounds(scorer, which), "size": size},
    ).fetchall()


def register_scorer(
    connection: Connection,
    scorer: str,
    name: str,
    revision: str,
    trained_until: datetime | None,
    now: datetime,
) -> None:
    """Enter a scorer in the ledger, once."""
    connection.execute(
        """
        MERGE INTO scorer AS stored
        USING (SELECT ? AS scorer, ? AS name, ? AS revision,
            ?::TIMESTAMPTZ AS trained_until, ?::TIMESTAMPTZ AS recorded_at) AS s
        ON stored.scorer = s.scorer
        WHEN NOT MATCHED THEN INSERT
        """,
        [scorer, name, revision, trained_until, now],
    )


def in_order_of_first_score(connection: Connection, scorers: Sequence[str]) -> list[str]:
    """Return those of some scorers that have scored here, the one that did so first first."""
    rows = connection.execute(
        "SELECT scorer FROM scorer WHERE list_contains(?, scorer) ORDER BY recorded_at, scorer",
        [list(scorers)],
    ).fetchall()
    return [scorer for (scorer,) in rows]


def store_scores(
    connection: Connection,
    scorer: str,
    keys: Sequence[str],
    columns: Mapping[str, Any],
    run_id: str,
    now: datetime,
) -> None:
    """Keep a page of scores (and kinds), and mark the hours of their texts dirty."""
    import pyarrow as pa

    page = pa.table({"content_hash": list(keys), **columns})
    connection.register("page", page)
    connection.execute(
        """
        MERGE INTO score AS stored
        USING (
            SELECT content_hash, ? AS scorer, p_negative::INTEGER AS p_negative,
                p_neutral::INTEGER AS p_neutral, p_positive::INTEGER AS p_positive,
                ?::TIMESTAMPTZ AS scored_at, ? AS run_id
            FROM page
        ) AS s
        ON stored.content_hash = s.content_hash AND stored.scorer = s.scorer
        WHEN NOT MATCHED THEN INSERT
        """,
        [scorer, now, run_id],
    )
    if "kind" in columns:
        connection.execute(
            """
            MERGE INTO kind AS stored
            USING (
                SELECT content_hash, ? AS classifier, kind,
                    probability::INTEGER AS probability, ? AS run_id
                FROM page
            ) AS k
            ON stored.content_hash = k.content_hash AND stored.classifier = k.classifier
            WHEN NOT MATCHED THEN INSERT
            """,
            [scorer, run_id],
        )
    connection.execute(
        """
        MERGE INTO dirty_hour AS stored
        USING (
            SELECT DISTINCT source, collection, date_trunc('hour', known_at) AS hour
            FROM document SEMI JOIN page USING (content_hash)
        ) AS d
        ON stored.source = d.source AND stored.collection = d.collection AND stored.hour = d.hour
        WHEN NOT MATCHED THEN INSERT
        """
    )
    connection.unregister("page")
