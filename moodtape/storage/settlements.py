"""What came of forecasts: settled once, never rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from moodtape.storage.db import query

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection as Connection


@dataclass(frozen=True)
class Issued:
    """A forecast that waits for its answer. venue, quote: None where they were not kept."""

    symbol: str
    interval: str
    cutoff: datetime
    horizon_bars: int
    model_run: str
    venue: str | None
    quote: str | None


@dataclass(frozen=True)
class Settlement:
    """What came of a forecast.

    due_at: close of the last bar of its horizon.
    state: void where a bar that it needs never came; then there is no answer.
    log_return: from the cutoff to due_at.
    volatility: standard deviation of one bar's log return over the horizon.
    trailing_variance: of one bar's log return in the week before; scale of the return's loss.
    volatility_before: what persistence says of volatility.
    """

    forecast: Issued
    due_at: datetime
    state: Literal["settled", "void"]
    log_return: float | None = None
    volatility: float | None = None
    trailing_variance: float | None = None
    volatility_before: float | None = None


def unsettled(connection: Connection, as_of: datetime) -> list[Issued]:
    """Return forecasts made by then without an answer, by series and cutoff."""
    rows = connection.execute(query("forecasts_unsettled"), {"as_of": as_of}).fetchall()
    return [Issued(*row) for row in rows]


def store_settlements(
    connection: Connection, settlements: Sequence[Settlement], run_id: str, now: datetime
) -> int:
    """Enter answers; one that was entered before stays as it was. Return how many are new."""
    stored = 0
    for item in settlements:
        issued = item.forecast
        rows = connection.execute(
            query("settlement_store"),
            {
                "symbol": issued.symbol, "interval": issued.interval, "cutoff": issued.cutoff,
                "horizon_bars": issued.horizon_bars, "model_run": issued.model_run,
                "due_at": item.due_at, "state": item.state, "log_return": item.log_return,
                "volatility": item.volatility, "trailing_variance": item.trailing_variance,
                "volatility_before": item.volatility_before, "now": now, "run_id": run_id,
            },
        ).fetchall()  # fmt: skip
        stored += int(rows[0][0])
    return stored


def live_forecasts(connection: Connection, as_of: datetime) -> pd.DataFrame:
    """Return forecasts that were in time, with their answers, as known at an instant.

    Of several for the same bar the one made first counts. Columns: symbol, interval,
    horizon_bars, cutoff, due_at, model_run, mean, p_up, volatility, then the answer:
    log_return, realised, trailing_variance, volatility_before.
    """
    return connection.execute(query("forecasts_live"), {"as_of": as_of}).df()


def settlement_counts(connection: Connection) -> list[tuple[str, int]]:
    """Return how many forecasts are settled, void, late or waiting."""
    return connection.execute(query("settlement_counts")).fetchall()


def newest_forecasts(
    connection: Connection, as_of: datetime, cutoff_by: datetime
) -> list[dict[str, Any]]:
    """Return the newest forecast of each symbol and horizon, of those made and cut off by then."""
    cursor = connection.execute(query("forecasts_newest"), {"as_of": as_of, "cutoff_by": cutoff_by})
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
