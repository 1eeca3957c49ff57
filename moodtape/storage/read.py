"""Point-in-time reads: every function takes `as_of` and returns only rows known by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from moodtape.clock import iso
from moodtape.errors import DataMissing, UsageError, did_you_mean
from moodtape.records import MARKET_SYMBOL, Span
from moodtape.storage.db import query

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection as Connection


@dataclass(frozen=True)
class Series:
    """Which stored bars a study reads: one venue and one quote."""

    symbol: str
    venue: str
    quote: str
    interval: str


def choose_series(
    connection: Connection, symbol: str, interval: str, venue: str | None, quote: str | None
) -> Series:
    """Return the bars to read for a symbol: the configured venue and quote, else the only ones.

    Raises:
        DataMissing: there are no bars of that symbol and interval.
        UsageError: there are several venues or quotes and none was chosen.
    """
    rows = connection.execute(
        'SELECT venue, quote, count(*) FROM bar WHERE symbol = ? AND "interval" = ?'
        " AND (? IS NULL OR venue = ?) AND (? IS NULL OR quote = ?) GROUP BY ALL ORDER BY ALL",
        [symbol, interval, venue, venue, quote, quote],
    ).fetchall()
    if not rows:
        known = connection.execute("SELECT DISTINCT symbol FROM bar ORDER BY 1").fetchall()
        names = [row[0] for row in known]
        stored = f" Stored: {', '.join(names)}." if names else ""
        raise DataMissing(
            f"No {interval} bars for {symbol}.{did_you_mean(symbol, names)}{stored}"
            f" Run: moodtape import bars FILE --symbol {symbol}"
        )
    if len(rows) > 1:
        listed = "; ".join(f"{v} in {q} ({n} bars)" for v, q, n in rows)
        raise UsageError(
            f"{symbol} has bars of several venues or quotes: {listed}. Choose in moodtape.toml:"
            f' [market] venue = {{ {symbol} = "{rows[0][0]}" }}, quote = {{ {symbol} ='
            f' "{rows[0][1]}" }}'
        )
    return Series(symbol, rows[0][0], rows[0][1], interval)


def stored_symbols(connection: Connection, interval: str) -> list[str]:
    """Return the assets that have bars of an interval, in order.

    Raises:
        DataMissing: there is none.
    """
    rows = connection.execute(
        'SELECT DISTINCT symbol FROM bar WHERE "interval" = ? ORDER BY 1', [interval]
    ).fetchall()
    if not rows:
        raise DataMissing(
            f"There are no {interval} bars of any asset. Run: moodtape import bars FILE"
        )
    return [row[0] for row in rows]


def bar_versions(connection: Connection, series: Series, as_of: datetime) -> pd.DataFrame:
    """Return every stored version of a series' bars known by `as_of`, by open time and version."""
    return connection.execute(
        query("bars_as_of"),
        {
            "symbol": series.symbol,
            "venue": series.venue,
            "quote": series.quote,
            "interval": series.interval,
            "as_of": as_of,
        },
    ).df()


def bar_span(connection: Connection, series: Series) -> Span:
    """Return from the first open to the last close of a series."""
    rows = connection.execute(
        "SELECT min(open_time), max(close_time) FROM bar"
        ' WHERE symbol = ? AND venue = ? AND quote = ? AND "interval" = ?',
        [series.symbol, series.venue, series.quote, series.interval],
    ).fetchall()
    return Span(rows[0][0], rows[0][1])


def metric_versions(
    connection: Connection, symbol: str, names: Sequence[str], as_of: datetime
) -> pd.DataFrame:
    """Return versions of a symbol's metrics (and the market's) that were the newest when known.

    Columns: metric, provider, period_end, known_at, value; ordered by metric and known_at.
    A row that restates an old period never displaces a newer period.
    """
    return connection.execute(
        query("metrics_as_of"),
        {"symbols": [symbol, MARKET_SYMBOL], "names": list(names), "as_of": as_of},
    ).df()


def first_values(connection: Connection, symbol: str, metric: str, as_of: datetime) -> pd.DataFrame:
    """Return each period of a symbol's metric as it was first known: provider, period_end, value.

    For what happened at the end of a period whether it was known or not, such as a payment.
    """
    return connection.execute(
        "SELECT provider, period_end, arg_min(value, known_at) AS value FROM metric"
        " WHERE symbol = ? AND metric = ? AND known_at <= ? GROUP BY ALL ORDER BY ALL",
        [symbol, metric, as_of],
    ).df()


def hourly_sums(
    connection: Connection,
    symbols: Sequence[str],
    scorer: str,
    sources: Sequence[str],
    as_of: datetime,
    kinds: Sequence[str] = (),
    promotion: bool = True,
) -> pd.DataFrame:
    """Return sums per symbol, source, collection and hour, of hours over by `as_of`.

    Args:
        kinds: count only texts of these kinds; all where none is named. An hour that was
            watched and had texts of other kinds alone has no row, like one without texts.
        promotion: count texts that look like promotion, too.
    """
    return connection.execute(
        query("hourly_as_of"),
        {
            "symbols": list(symbols),
            "scorer": scorer,
            "sources": list(sources),
            "as_of": as_of,
            "kinds": list(kinds),
            "promotion": promotion,
        },
    ).df()


def seen_hours(
    connection: Connection, scorer: str, sources: Sequence[str], as_of: datetime
) -> pd.DataFrame:
    """Return the hours in which each source brought any text: columns source, hour."""
    return connection.execute(
        query("seen_hours"), {"scorer": scorer, "sources": list(sources), "as_of": as_of}
    ).df()


def forgotten_hours(
    connection: Connection,
    symbols: Sequence[str],
    scorer: str,
    sources: Sequence[str],
    as_of: datetime,
) -> pd.DataFrame:
    """Return hours with texts that were deleted before the scorer read them, over by `as_of`.

    Columns: symbol, source, hour, lost, texts (those that are lost included).
    """
    parameters = {
        "symbols": list(symbols), "scorer": scorer, "sources": list(sources), "as_of": as_of,
    }  # fmt: skip
    return connection.execute(query("forgotten_hours"), parameters).df()


def coverage(connection: Connection, sources: Sequence[str]) -> pd.DataFrame:
    """Return when each collection was watched: source, collection, from, until, state."""
    return connection.execute(
        "SELECT source, collection, covered_from, covered_until, state FROM coverage"
        " WHERE list_contains(?, source) ORDER BY ALL",
        [list(sources)],
    ).df()


def poll_hours(connection: Connection, sources: Sequence[str], as_of: datetime) -> pd.DataFrame:
    """Return how each source's polls ended, by hours over by `as_of`.

    Columns: source, hour, n_polls, n_down, n_refused, n_unreadable, n_capped.
    """
    return connection.execute(query("poll_hours"), {"sources": list(sources), "as_of": as_of}).df()


def require_scored(
    connection: Connection, scorer: str, sources: Sequence[str], span: Span, advice: str = "",
    command: str = "moodtape score",
) -> None:  # fmt: skip
    """Make sure that every text a study may read has been scored.

    Args:
        advice: where else scores may be, for the reader of the error.
        command: what scores them.
    Raises:
        DataMissing: some have not, with how many and the command that scores them.
    """
    rows = connection.execute(
        """
        SELECT count(*), min(known_at), max(known_at)
        FROM document
        ANTI JOIN (SELECT content_hash FROM score WHERE scorer = ?) AS s USING (content_hash)
        ANTI JOIN (SELECT content_hash FROM scored_text WHERE text = '') AS f USING (content_hash)
        WHERE known_at >= ? AND known_at < ? AND list_contains(?, source)
        """,
        [scorer, span.since, span.until, list(sources)],
    ).fetchall()
    count, first, last = rows[0]
    if count:
        raise DataMissing(
            f"{count:,} texts known between {iso(first)} and {iso(last)} are not scored by"
            f" {scorer.partition('@')[0]}. Run: {command}{advice and f'. Or: {advice}'}"
        )
