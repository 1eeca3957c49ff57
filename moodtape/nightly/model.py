"""Forecasts of the models in use, and when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moodtape.nightly.champion import models_in_use
from moodtape.settings import Settings
from moodtape.storage.write import begin_run, finish_run, new_run_id
from moodtape.study.project import warehouse_of


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
    from moodtape.study.forecasting import catch_newest, forecast_missed

    config, warehouse = settings.config, warehouse_of(settings)
    folders = models_in_use(settings)
    if not folders:
        return None
    with warehouse.read() as connection:
        since = last_forecast(connection, config.market.symbols, config.market.interval)
    if since is None:
        caught = catch_newest(warehouse, config, folders[0], now)
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
    """Say whether the last training is so long ago, or drifted from, that a new one is due."""
    from moodtape.nightly.drift import has_drifted_since

    nightly = settings.config.nightly
    if not nightly.retrain_days:
        return False
    last = last_training(settings)
    if last is None or now - last >= timedelta(days=nightly.retrain_days) - timedelta(hours=1):
        return True
    return nightly.retrain_on_drift and has_drifted_since(settings, last)
