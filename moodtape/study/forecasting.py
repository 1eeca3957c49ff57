"""Forecasts from a saved run, for the newest bar or for missed ones: no keras, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.clock import from_datetime64, iso, parse_duration, to_datetime64
from moodtape.config import Config
from moodtape.errors import DataMissing, DataStale, UsageError
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.served import Served
from moodtape.storage.db import Warehouse
from moodtape.study.desk import Desk
from moodtape.study.explaining import Asked, explanations

if TYPE_CHECKING:
    from moodtape.storage.hours import HourRules


def forecast_newest(
    warehouse: Warehouse,
    config: Config,
    folder: Path,
    as_of: datetime,
    explained_by: HourRules | None = None,
) -> list[dict[str, Any]]:
    """Return a forecast for each symbol and horizon, as of an instant.

    Args:
        explained_by: what makes a text count in its hour; each forecast then has an
            `explanation` (see `explaining.py`).
    Raises:
        DataMissing: no bars, or texts known by then without a score.
        DataStale: the newest bar is too old.
        UsageError: the config no longer fits the model.
    """
    return catch_newest(warehouse, config, folder, as_of, explained_by).forecasts


def catch_newest(
    warehouse: Warehouse,
    config: Config,
    folder: Path,
    as_of: datetime,
    explained_by: HourRules | None = None,
) -> Caught:
    """Return `forecast_newest`, and why a symbol of a panel was left out of it.

    Raises:
        DataMissing, DataStale, UsageError: see `forecast_newest`; a stale symbol among others
            that are not is left out instead.
    """
    desk = Desk.open(warehouse, config, folder, as_of, as_of)
    rows, held = desk.newest()
    if not rows:
        raise DataStale(held[0])
    made = desk.forecasts(rows)
    if explained_by is not None:
        asked = Asked(warehouse, config, folder, desk.served, desk.dataset, as_of, explained_by)
        for item, why in zip(made, explanations(asked, rows, made), strict=True):
            item["explanation"] = why
    return Caught(made, held)


@dataclass(frozen=True)
class Caught:
    """Forecasts in order of time, and why a symbol has none for its newest bar."""

    forecasts: list[dict[str, Any]]
    held: list[str]


def forecast_missed(
    warehouse: Warehouse, config: Config, folders: Sequence[Path], as_of: datetime, since: datetime
) -> Caught:
    """Return forecasts of every decision after a cut-off, each from what was known at it.

    A row of the feature matrix is computed as of its own decision, so that one made up for
    later is what it would have been; it is `late` then. A model forecasts no decision before
    the last answer it was trained on: an earlier model does, or nobody. An earlier one that no
    longer fits the config bars none of the newest one's.

    Args:
        folders: models in use, the newest first.
        since: cut-off of the last decision that has a forecast.
    Raises:
        DataMissing, DataStale, UsageError: see `forecast_newest`.
    """
    found: list[dict[str, Any]] = []
    held: list[str] = []
    until = as_of
    for folder in folders:
        try:
            desk = Desk.open(warehouse, config, folder, as_of, since)
            knows = _answers_until(desk.served, config)
            rows = desk.rows_between(max(since, knows), until)
            made = desk.forecasts(rows) if rows else []
        except (DataMissing, UsageError) as exc:
            if until == as_of:
                raise
            held.append(
                f"Decisions after {iso(since)} that the newest model may not forecast get none:"
                f" the one before, {folder.name}, cannot be asked any more ({exc})"
            )
            break
        if until == as_of:
            held = desk.newest()[1]
        found = [*made, *found]
        if not _bars_between(desk.dataset, since, knows):
            break
        until = knows
    return Caught(found, held)


def _answers_until(served: Served, config: Config) -> datetime:
    """Return the last instant before the newest answer that the model was trained on."""
    calendar, interval = get_calendar(config.market.calendar), parse_duration(served.interval)
    longest = max(scale.horizon_bars for scale in served.scales)
    since, span = datetime.fromisoformat(served.trained_until), (longest + 1) * interval
    while True:
        opens = calendar.expected_opens(since, since + span, interval)
        if len(opens) >= longest:
            break
        span *= 2
    closes = calendar.close_times(opens, interval)
    return from_datetime64(closes[longest - 1]) - timedelta(microseconds=1)


def _bars_between(dataset: Dataset, after: datetime, until: datetime) -> bool:
    """Say whether any bar closed in `(after, until]`."""
    inside = (dataset.cutoff > to_datetime64(after)) & (dataset.cutoff <= to_datetime64(until))
    return bool((inside & ~np.isnan(dataset.close)).any())
