"""The texts behind an hour's sums: what a forecast can be traced back to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from moodtape.clock import microseconds
from moodtape.storage.db import query
from moodtape.storage.hours import HourRules

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection as Connection


def counted_texts(
    connection: Connection,
    hours: Sequence[datetime],
    symbols: Sequence[str],
    scorer: str,
    sources: Sequence[str],
    as_of: datetime,
    rules: HourRules,
    kinds: Sequence[str] = (),
    promotion: bool = True,
) -> pd.DataFrame:
    """Return the texts behind the sums of some hours, known by `as_of`.

    Columns hour, symbol (an asset, or MARKET), source, collection, outlet, known_at, title,
    body, url, kind and tone (P(positive) less P(negative)); the most outspoken of an hour
    first. A text that was forgotten has no title, body and url.

    Args:
        hours: their starts. rules: what makes a text count in its hour.
        kinds: only texts of these kinds; all where none is named.
        promotion: texts that look like promotion, too.
    """
    return connection.execute(
        query("counted_texts"),
        {
            "hours": list(hours),
            "symbols": list(symbols),
            "scorer": scorer,
            "sources": list(sources),
            "as_of": as_of,
            "max_age_us": microseconds(rules.max_age),
            "classifier": rules.classifier,
            "kinds": list(kinds),
            "promotion": promotion,
        },
    ).df()
