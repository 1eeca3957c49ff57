"""The newest forecasts become the signal file."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from moodtape.calendars import get_calendar
from moodtape.clock import from_datetime64, parse_duration
from moodtape.config import Config
from moodtape.settings import Settings
from moodtape.signals import Signal, write_signals
from moodtape.storage.settlements import newest_forecasts
from moodtape.study.project import warehouse_of


def write_newest(settings: Settings, now: datetime) -> int:
    """Write the signal file from what the warehouse holds; return the number of signals."""
    config = settings.config
    with warehouse_of(settings).read() as connection:
        rows = newest_forecasts(connection, now, now)
    wanted = [
        row
        for row in rows
        if row["symbol"] in config.market.symbols and row["interval"] == config.market.interval
    ]
    newest = {symbol: max(r["cutoff"] for r in wanted if r["symbol"] == symbol)
              for symbol in {r["symbol"] for r in wanted}}  # fmt: skip
    # A horizon that the model in use does not forecast any more has nothing newer: it is no signal.
    signals = [_signal(config, row) for row in wanted if row["cutoff"] == newest[row["symbol"]]]
    if signals:
        write_signals(signal_file(settings), settings.folder.resolve().name, signals, now)
    return len(signals)


def signal_file(settings: Settings) -> Path:
    """Return where the signal file is written."""
    return settings.folder / settings.config.nightly.signals


def _signal(config: Config, row: dict[str, Any]) -> Signal:
    quantiles = None if row["quantiles"] is None else json.loads(row["quantiles"])
    return Signal(
        symbol=row["symbol"],
        interval=row["interval"],
        horizon_bars=row["horizon_bars"],
        cutoff=row["cutoff"],
        decision_time=row["decision_time"],
        known_until=row["decision_time"],
        expires_at=_expiry(config, row["cutoff"]),
        late=row["late"],
        model=row["model_run"],
        side=_side(config, row),
        p_up=row["p_up"],
        mean=row["mean"],
        quantiles=quantiles,
        volatility=row["volatility"],
    )


def _side(config: Config, row: dict[str, Any]) -> int:
    """Return the side that the trading rule of the config would take; flat without an opinion."""
    import numpy as np

    from moodtape.forecaster.trading.signals import sides

    target, value = ("direction", row["p_up"])
    if value is None:
        target, value = ("return", row["mean"])
    forecast = np.array([np.nan if value is None else value])
    return int(sides(forecast, target, config.trading, config.trading.instrument == "perp")[0])


def _expiry(config: Config, cutoff: datetime) -> datetime:
    """Return when the next bar's forecast would be late."""
    calendar, interval = (
        get_calendar(config.market.calendar),
        parse_duration(config.market.interval),
    )
    span = 2 * interval
    while not len(opens := calendar.expected_opens(cutoff, cutoff + span, interval)):
        span *= 2
    close = from_datetime64(calendar.close_times(opens, interval)[0])
    clock = config.clock
    return close + timedelta(seconds=clock.decision_delay_s + clock.late_after_s)
