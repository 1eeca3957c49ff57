"""Trials and forecasts: what was looked at, and what was said before it happened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


EVALUATED = "evaluated"
"""Stands for the word of a trial whose losses were shown, with and without the group under test."""

FIRST_CLAIM = "tone"
"""What a trial claims unless it says otherwise."""


def record_trials(
    connection: Connection, trials: Sequence[Mapping[str, Any]], run_id: str, now: datetime
) -> None:
    """Enter studies whose test outcome was computed; one that was entered before stays as it was.

    One that had only been evaluated gets its word, and keeps its place among the looks.

    Each has config_hash, symbol, target, horizon_bars, forecaster, test_from, test_until, verdict,
    and may have the claim, which is `tone` by default.
    """
    for trial in trials:
        connection.execute(
            """
            MERGE INTO trial AS stored
            USING (SELECT ? AS trial_id, ? AS config_hash, ? AS symbol, ? AS target,
                ?::INTEGER AS horizon_bars, ? AS forecaster, ?::TIMESTAMPTZ AS test_from,
                ?::TIMESTAMPTZ AS test_until, ? AS verdict, ?::TIMESTAMPTZ AS recorded_at,
                ? AS run_id, ? AS claim) AS t
            ON stored.trial_id = t.trial_id
            WHEN MATCHED AND stored.verdict = ? THEN UPDATE SET
                verdict = t.verdict, run_id = t.run_id
            WHEN NOT MATCHED THEN INSERT BY NAME
            """,
            [
                trial_id(trial),
                *(trial[k] for k in (*_IDENTITY, "verdict")),
                now,
                run_id,
                claim_of(trial),
                EVALUATED,
            ],
        )


_IDENTITY = (
    *("config_hash", "symbol", "target", "horizon_bars", "forecaster"),
    *("test_from", "test_until"),
)


@dataclass(frozen=True)
class Earlier:
    """What was looked at over mostly the same time before a trial was first entered.

    configs: other configs that asked the same question.
    spans: other spans of the same record over which the same config asked it (`looks.py`).
    hypotheses: questions that other configs asked, this one or any other.
    """

    configs: int = 0
    spans: int = 0
    hypotheses: int = 0

    @property
    def look(self) -> int:
        """Return the number of this look at these data."""
        return 1 + self.configs + self.spans


def earlier_looks(connection: Connection, trial: Mapping[str, Any]) -> Earlier:
    """Return what was looked at over more than half of a trial's test span.

    A trial that was entered before, a rerun, counts what stood there then.
    """
    from moodtape.storage.looks import spans_looked_at

    rows = connection.execute(
        """
        WITH earlier AS (
            SELECT
                *, config_hash = $config_hash AS same_config,
                symbol = $symbol AND target = $target AND horizon_bars = $horizon_bars
                AND claim = $claim AS same
            FROM trial
            WHERE
                epoch(least(test_until, $test_until::TIMESTAMPTZ))
                - epoch(greatest(test_from, $test_from::TIMESTAMPTZ))
                > 0.5 * (epoch($test_until::TIMESTAMPTZ) - epoch($test_from::TIMESTAMPTZ))
                AND recorded_at < coalesce(
                    (SELECT min(recorded_at) FROM trial WHERE trial_id = $trial_id),
                    'infinity'::TIMESTAMPTZ
                )
        )
        SELECT
            count(DISTINCT config_hash) FILTER (WHERE same AND NOT same_config),
            count(DISTINCT (config_hash, claim, symbol, target, horizon_bars))
                FILTER (WHERE NOT same_config)
        FROM earlier
        """,
        {k: trial[k] for k in _IDENTITY if k != "forecaster"}
        | {"trial_id": trial_id(trial), "claim": claim_of(trial)},
    ).fetchall()
    configs, hypotheses = map(int, rows[0])
    return Earlier(configs, spans_looked_at(connection, trial), hypotheses)


def newest_verdicts(connection: Connection) -> dict[str, str]:
    """Return the word of the newest study of each question: `BTC direction 1 network`.

    It is the word on the first claim; a second line is no news of its own.
    """
    rows = connection.execute(
        """
        SELECT
            concat_ws(' ', symbol, target, horizon_bars, forecaster),
            arg_max(verdict, (recorded_at, test_until, trial_id))
        FROM trial WHERE verdict <> ? AND claim = ? GROUP BY ALL ORDER BY ALL
        """,
        [EVALUATED, FIRST_CLAIM],
    ).fetchall()
    return dict(rows)


def trial_id(trial: Mapping[str, Any]) -> str:
    """Return the hash by which a trial is known."""
    what = [str(trial[k]) for k in _IDENTITY]
    if claim_of(trial) != FIRST_CLAIM:  # those of the first claim keep the hash they had
        what.append(claim_of(trial))
    return hashlib.sha256("\x00".join(what).encode()).hexdigest()[:20]


def claim_of(trial: Mapping[str, Any]) -> str:
    """Return what a trial claims; the first claim where it does not say."""
    return str(trial.get("claim", FIRST_CLAIM))


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
