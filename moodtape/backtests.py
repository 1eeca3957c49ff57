"""`backtest` as a library call: a study's test forecasts, traded on the bars they were made for."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from moodtape.clock import utc_now
from moodtape.settings import Settings
from moodtape.storage.write import new_run_id
from moodtape.study.project import Steps, note_run, warehouse_of

if TYPE_CHECKING:
    from moodtape.study.backtest import Told


def backtest(
    settings: Settings,
    run: str | None = None,
    forecaster: str | None = None,
    model: str | None = None,
    command: str = "moodtape backtest",
    progress: Steps | None = None,
) -> dict[str, Any]:
    """Trade on a study's test forecasts, keep what came of it beside the study, and return it.

    Args:
        run: name of the study; the newest by default.
        forecaster, model: whose forecasts; by default those that the study's word is about.

    Raises:
        DataMissing: there is no study, or its bars are gone.
        UsageError: it has no such forecasts.
    """
    from moodtape.forecaster.runs import plain, write_json, write_table
    from moodtape.study.backtest import BACKTEST, path_file, told_by
    from moodtape.study.page import LOSSES, page_again

    tell = progress or (lambda done, total, what: None)
    now = utc_now()
    run_id = new_run_id(now)
    told = told_by(settings.runs, run, forecaster, model)
    questions, rows = told.questions(), []
    for place, question in enumerate(questions):
        tell(place, len(questions), f"trading the {question[1]} of {question[0]}")
        row, table = _simulated(settings, told, question, run_id)
        rows.append(row)
        write_table(path_file(told.folder, *question), table)
    results = {
        "schema_version": 1,
        "command": "backtest",
        "warnings": _warnings(settings, rows),
        "run": run_id,
        "study": told.folder.name,
        "forecaster": told.forecaster,
        "model": told.model,
        "settings": settings.config.trading.model_dump(mode="json"),
        "results": rows,
    }
    write_json(told.folder / BACKTEST, results)
    note_run(settings, run_id, "backtest", command, {"strategies": len(rows)}, now)
    if (told.folder / LOSSES).exists():
        page_again(told.folder)
    found: dict[str, Any] = plain(results)
    return found


def _simulated(
    settings: Settings, told: Told, question: tuple[str, str, int], run_id: str
) -> tuple[dict[str, Any], Any]:
    """Return one question's assessment, entered in the ledger, and its path as a table."""
    from moodtape.forecaster.seeds import generator
    from moodtape.forecaster.trading.assess import assess, traded_span
    from moodtape.forecaster.trading.luck import deflated_sharpe
    from moodtape.forecaster.trading.market import daily_returns, return_days
    from moodtape.forecaster.trading.overfit import overfitting_of
    from moodtape.storage.simulations import record_simulation, tried_returns, tried_sharpes
    from moodtape.study.backtest import rule_of, strategy_facts, table_of, warehouse_market

    trading, warehouse = settings.config.trading, warehouse_of(settings)
    cutoffs, forecasts = told.forecasts(*question)
    market = warehouse_market(warehouse, told, question[0], trading.instrument)
    rule = rule_of(told, question, cutoffs, market, trading.instrument)
    rng = generator(settings.config.seed, "backtest", *question)
    result = assess(market, rule, forecasts, told.model, trading, rng)
    path = result.pop("path")
    first, _ = traded_span(market, rule)
    span = market.part(first, first + len(path.equity))
    daily, days = daily_returns(span, path.equity), return_days(span)
    facts = strategy_facts(told, question, result) | {
        "settings_hash": _hash(trading),
        "return_days": days.tolist(),
        "daily_returns": daily.tolist(),
    }
    with warehouse.write() as connection:
        record_simulation(connection, facts, run_id, utc_now())
        near = (question[0], result["from"], result["until"])
        tried, returns = tried_sharpes(connection, *near), tried_returns(connection, *near)
    deflated = {"tried": len(tried), "probability": deflated_sharpe(daily, tried)}
    row = {"symbol": question[0], "target": question[1], "horizon_bars": question[2],
           "shorts": rule.shorts, **result, "deflated_sharpe": deflated,
           "overfitting": overfitting_of(days, returns)}  # fmt: skip
    return row, table_of(market, path, first)


def _hash(trading: Any) -> str:
    text = json.dumps(trading.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _warnings(settings: Settings, rows: list[dict[str, Any]]) -> list[str]:
    """Return what a reader must know before believing a figure."""
    found = []
    if settings.config.trading.instrument == "perp" and not all(r["shorts"] for r in rows):
        found.append(
            "Funding rates do not reach over the whole tested span, so nothing was sold short."
            " Run: moodtape ingest funding"
        )
    if settings.config.trading.fill == "optimistic":
        found.append("Fills at the signal itself are optimistic: nobody can get them.")
    return found
