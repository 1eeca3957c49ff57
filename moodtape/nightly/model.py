"""Which model is in use, its forecasts, and the one that follows it.

A model in use is a folder in `runs` that can be served; the newest one is the champion. A new
one is trained in `runs/challengers` and moves to `runs`, at once and whole, when it may follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from moodtape.errors import GateFailed
from moodtape.nightly.champion import models_in_use
from moodtape.settings import Settings
from moodtape.storage.write import begin_run, finish_run, new_run_id
from moodtape.study.ground import Question
from moodtape.study.project import warehouse_of

CHALLENGERS = "challengers"
GATE_CUTS = 2


@dataclass(frozen=True)
class Forecasted:
    """What a round of forecasts came to. held: why a symbol has none for its newest bar."""

    new: int
    late: int
    forecasts: list[dict[str, Any]]
    held: list[str]


def forecast_all(settings: Settings, now: datetime) -> Forecasted | None:
    """Forecast every decision since the last one that has a forecast; None without a model.

    Raises:
        DataMissing, DataStale, UsageError: see `study.forecasting.forecast_newest`.
    """
    from moodtape.storage.ledger import last_forecast, store_forecasts
    from moodtape.study.forecasting import Caught, forecast_missed, forecast_newest

    config, warehouse = settings.config, warehouse_of(settings)
    folders = models_in_use(settings)
    if not folders:
        return None
    with warehouse.read() as connection:
        since = last_forecast(connection, config.market.symbols, config.market.interval)
    if since is None:
        caught = Caught(forecast_newest(warehouse, config, folders[0], now), [])
    else:
        since = max(since, now - timedelta(days=config.nightly.catch_up_days))
        caught = forecast_missed(warehouse, config, folders, now, since)
    run_id = new_run_id(now)
    with warehouse.write() as connection:
        begin_run(connection, run_id, "forecast", {"model": folders[0].name}, now)
        new = store_forecasts(connection, caught.forecasts, config.market.interval, run_id, now)
        finish_run(connection, run_id, "done", {"forecasts": new}, now)
    late = sum(item["late"] for item in caught.forecasts)
    return Forecasted(new, late, caught.forecasts, caught.held)


def last_training(settings: Settings) -> datetime | None:
    """Return when a model was last trained, whatever became of it."""
    with warehouse_of(settings).read() as connection:
        rows = connection.execute(
            "SELECT max(started_at) FROM run WHERE command = 'train' AND status = 'done'"
        ).fetchall()
    found: datetime | None = rows[0][0]
    return found


def is_training_due(settings: Settings, now: datetime) -> bool:
    """Say whether the last training is so long ago that a new one is due."""
    days = settings.config.nightly.retrain_days
    if not days:
        return False
    last = last_training(settings)
    return last is None or now - last >= timedelta(days=days) - timedelta(hours=1)


def retrain(
    settings: Settings, now: datetime, tell: Callable[[int, int, str], None] | None = None
) -> dict[str, Any]:
    """Train a challenger on what is known now; let it follow when it is clean and sound.

    Raises:
        GateFailed: the audit found look-ahead, or its forecasts are no numbers; the model in
            use stays.
    """
    from moodtape.pipeline import train
    from moodtape.studies import run_audit

    question = Question(settings.config.ablation.subject, as_of=now)
    nursery = settings.runs / CHALLENGERS
    result = train(settings, question, "moodtape nightly", tell, now, nursery)
    folder = nursery / result["run"]
    audited = run_audit(settings, question, GATE_CUTS)
    if not audited.clean:
        raise GateFailed(f"{audited.sentence()} The model in use stays; see {folder}")
    require_sound(settings, folder, now)
    folder.rename(settings.runs / folder.name)
    return {"run": folder.name, "epochs": result["epochs"], "rows": result["rows"]["train"]}


def require_sound(settings: Settings, folder: Path, now: datetime) -> None:
    """Make sure that a challenger's newest forecasts can be believed at all.

    Raises:
        GateFailed: a probability outside 0 to 1, quantiles out of order, a volatility that is
            none; or it cannot be served.
    """
    import math

    from moodtape.study.forecasting import forecast_newest

    for item in forecast_newest(warehouse_of(settings), settings.config, folder, now):
        levels = list((item["quantiles"] or {}).values())
        numbers = [*levels, *(item[k] for k in ("p_up", "volatility") if item[k] is not None)]
        sound = (
            all(math.isfinite(number) for number in numbers)
            and levels == sorted(levels)
            and (item["p_up"] is None or 0 <= item["p_up"] <= 1)
            and (item["volatility"] is None or 0 < item["volatility"] < 1)
        )
        if not sound:
            raise GateFailed(
                f"The new model forecasts {item['symbol']} in a way that cannot be: P(up)"
                f" {item['p_up']}, quantiles {levels}, volatility {item['volatility']}."
                f" The model in use stays; see {folder}"
            )
