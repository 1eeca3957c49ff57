"""Trials and forecasts: what was looked at, and what was said before it happened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


def record_trials(
    connection: Connection, trials: Sequence[Mapping[str, Any]], run_id: str, now: datetime
) -> None:
    """Enter studies whose test outcome was computed; one that was entered before stays as it was.

    Each has config_hash, symbol, target, horizon_bars, forecaster, test_from, test_until, verdict.
    """
    for trial in trials:
        what = [str(trial[k]) for k in _IDENTITY]
        trial_id = hashlib.sha256("\x00".join(what).encode()).hexdigest()[:20]
        connection.execute(
            """
            MERGE INTO trial AS stored
            USING (SELECT ? AS trial_id, ? AS config_hash, ? AS symbol, ? AS target,
                ?::INTEGER AS horizon_bars, ? AS forecaster, ?::TIMESTAMPTZ AS test_from,
                ?::TIMESTAMPTZ AS test_until, ? AS verdict, ?::TIMESTAMPTZ AS recorded_at,
                ? AS run_id) AS t
            ON stored.trial_id = t.trial_id
            WHEN NOT MATCHED THEN INSERT
            """,
            [trial_id, *(trial[k] for k in (*_IDENTITY, "verdict")), now, run_id],
        )


_IDENTITY = (
    *("config_hash", "symbol", "target", "horizon_bars", "forecaster"),
    *("test_from", "test_until"),
)


def earlier_looks(connection: Connection, trial: Mapping[str, Any]) -> int:
    """Return how many other configs were tried on this question over mostly the same test span."""
    rows = connection.execute(
        """
        SELECT count(DISTINCT config_hash)
        FROM trial
        WHERE
            symbol = $symbol AND target = $target AND horizon_bars = $horizon_bars
            AND config_hash <> $config_hash
            AND epoch(least(test_until, $test_until::TIMESTAMPTZ))
            - epoch(greatest(test_from, $test_from::TIMESTAMPTZ))
            > 0.5 * (epoch($test_until::TIMESTAMPTZ) - epoch($test_from::TIMESTAMPTZ))
        """,
        {k: trial[k] for k in _IDENTITY if k != "forecaster"},
    ).fetchall()
    return int(rows[0][0])


def store_forecasts(
    connection: Connection,
    forecasts: Sequence[Mapping[str, Any]],
    interval: str,
    run_id: str,
    made_at: datetime,
) -> int:
    """Keep forecasts as they were issued; one made before for the same bar stays. Return how many.

    Each has symbol, cutoff, horizon_bars, run, decision_time, late, quantiles, p_up, volatility,
    and may have the venue and quote of its bars and the mean of the return.
    """
    stored = 0
    for item in forecasts:
        quantiles = None if item["quantiles"] is None else json.dumps(item["quantiles"])
        rows = connection.execute(
            """
            MERGE INTO forecast AS stored
            USING (SELECT ? AS symbol, ? AS "interval", ?::TIMESTAMPTZ AS cutoff,
                ?::INTEGER AS horizon_bars, ? AS model_run, ?::TIMESTAMPTZ AS decision_time,
                ?::TIMESTAMPTZ AS made_at, ?::BOOLEAN AS late, ?::JSON AS quantiles,
                ?::DOUBLE AS p_up, ?::DOUBLE AS volatility, ? AS run_id, ? AS venue, ? AS quote,
                ?::DOUBLE AS mean) AS f
            ON
                stored.symbol = f.symbol AND stored."interval" = f."interval"
                AND stored.cutoff = f.cutoff AND stored.horizon_bars = f.horizon_bars
                AND stored.model_run = f.model_run
            WHEN NOT MATCHED THEN INSERT
            """,
            [
                *(item["symbol"], interval, item["cutoff"], item["horizon_bars"], item["run"]),
                *(item["decision_time"], made_at, item["late"], quantiles),
                *(item["p_up"], item["volatility"], run_id),
                *(item.get("venue"), item.get("quote"), item.get("mean")),
            ],
        ).fetchall()
        stored += int(rows[0][0])
    return stored


def last_forecast(connection: Connection, symbols: Sequence[str], interval: str) -> datetime | None:
    """Return the cut-off up to which every symbol has forecasts; None if one has none."""
    rows = connection.execute(
        'SELECT max(cutoff) FROM forecast WHERE list_contains(?, symbol) AND "interval" = ?'
        " GROUP BY symbol",
        [list(symbols), interval],
    ).fetchall()
    return min(row[0] for row in rows) if len(rows) == len(set(symbols)) else None
