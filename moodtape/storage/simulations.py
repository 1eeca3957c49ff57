"""The ledger of simulated strategies: the best of many is lucky, so all are counted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection as Connection
    from numpy.typing import NDArray

    Days = NDArray[np.datetime64]
    Floats = NDArray[np.float64]

_IDENTITY = (
    *("settings_hash", "study", "forecaster", "model", "symbol", "target", "horizon_bars"),
)
_FACTS = (*_IDENTITY, "span_from", "span_until", "daily_sharpe", "return_days", "daily_returns")


def record_simulation(
    connection: Connection, facts: Mapping[str, Any], run_id: str, now: datetime
) -> None:
    """Enter a simulated strategy; one that was entered before stays as it was.

    One that was entered before daily returns were kept gets them.

    Args:
        facts: settings_hash, study, forecaster, model, symbol, target, horizon_bars, span_from,
            span_until, daily_sharpe, return_days and daily_returns.
    """
    what = "\x00".join(str(facts[k]) for k in _IDENTITY)
    connection.execute(
        f"INSERT INTO simulation (simulation_id, {', '.join(_FACTS)}, recorded_at,"  # noqa: S608  names of our own
        f" run_id) VALUES ({', '.join('?' * (len(_FACTS) + 3))})"
        " ON CONFLICT DO UPDATE SET return_days = excluded.return_days,"
        " daily_returns = excluded.daily_returns WHERE simulation.return_days IS NULL",
        [
            hashlib.sha256(what.encode()).hexdigest()[:20], *(facts[k] for k in _FACTS), now,
            run_id,
        ],
    )  # fmt: skip


def tried_sharpes(
    connection: Connection, symbol: str, span_from: datetime, span_until: datetime
) -> list[float]:
    """Return daily Sharpe ratios of every strategy simulated on a symbol in an overlapping span."""
    rows = connection.execute(
        "SELECT daily_sharpe FROM simulation WHERE symbol = ? AND span_from < ?"
        " AND span_until > ? AND daily_sharpe IS NOT NULL ORDER BY simulation_id",
        [symbol, span_until, span_from],
    ).fetchall()
    return [row[0] for row in rows]


def tried_returns(
    connection: Connection, symbol: str, span_from: datetime, span_until: datetime
) -> list[tuple[Days, Floats]]:
    """Return days and net returns of every strategy simulated on a symbol in an overlapping span.

    Those of before they were kept are not among them.
    """
    import numpy as np

    rows = connection.execute(
        "SELECT return_days, daily_returns FROM simulation WHERE symbol = ? AND span_from < ?"
        " AND span_until > ? AND return_days IS NOT NULL ORDER BY simulation_id",
        [symbol, span_until, span_from],
    ).fetchall()
    return [(np.array(days, dtype="datetime64[D]"), np.array(values)) for days, values in rows]
