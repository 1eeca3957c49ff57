"""Scores in and out of the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moodtape.records import Span

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_UNSCORED = """
FROM scored_text AS t
ANTI JOIN (SELECT content_hash FROM score WHERE scorer = $scorer) AS s USING (content_hash)
WHERE
    t.text <> ''
    AND ($since IS NULL OR t.content_hash IN (
        SELECT content_hash FROM document WHERE known_at >= $since AND known_at < $until
    ))
"""


def _bounds(scorer: str, span: Span | None) -> dict[str, Any]:
    return {
        "scorer": scorer,
        "since": span.since if span else None,
        "until": span.until if span else None,
    }


def unscored_count(connection: Connection, scorer: str, span: Span | None) -> int:
    """Return how many texts the scorer has not scored."""
    rows = connection.execute("SELECT count(*)" + _UNSCORED, _bounds(scorer, span)).fetchall()
    return int(rows[0][0])


def unscored_page(
    connection: Connection, scorer: str, span: Span | None, size: int
) -> list[tuple[str, str]]:
    """Return `(content_hash, text)` of some unscored texts, short ones first."""
    return connection.execute(
        "SELECT t.content_hash, t.text" + _UNSCORED + "ORDER BY length(t.text), t.content_hash"
        " LIMIT $size",
        {**_bounds(scorer, span), "size": size},
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
