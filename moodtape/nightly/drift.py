"""The monitors, night by night: an alarm begins an episode, and a week of silence.

Every night is looked at as of itself, missed ones too, in their order; what was decided stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from moodtape.errors import DataMissing, UsageError
from moodtape.forecaster.drift.episodes import SILENT_DAYS
from moodtape.nightly.champion import champion
from moodtape.settings import Settings
from moodtape.storage.drifts import (
    Drift,
    DriftWord,
    decided_nights,
    is_silent,
    last_alarm,
    last_drift,
    record_drift,
)
from moodtape.storage.write import new_run_id
from moodtape.study.project import warehouse_of


def look_for_drift(
    settings: Settings, nights: Sequence[datetime], now: datetime
) -> dict[str, Any] | None:
    """Look at some nights and enter what they came to; return the last one's answer.

    None where no model was in use.
    """
    from moodtape.study.drifting import InputWatch, LossWatch, look_at

    warehouse, config = warehouse_of(settings), settings.config
    with warehouse.read() as connection:
        done = decided_nights(connection, nights)
    watches: dict[str, tuple[Any, LossWatch]] = {}
    for night in sorted(nights):
        model = champion(settings, night)
        if model is None or night in done:
            continue
        name = model["run"]
        if name not in watches:
            inputs: Any
            try:
                inputs = InputWatch.open(warehouse, config, settings.runs / name, max(nights))
            except (DataMissing, UsageError) as exc:
                inputs = exc
            watches[name] = (inputs, LossWatch.open(warehouse, config, name, max(nights)))
        with warehouse.read() as connection:
            alarm = last_alarm(connection, night, of_losses=True)
            silent = is_silent(connection, night, SILENT_DAYS)
        seen = look_at(*watches[name], night, None if alarm is None else alarm["night"])
        word = _word(seen.score, silent)
        found = Drift(night, name, word, seen.what, seen.score, seen.of_losses, seen.figures)
        with warehouse.write() as connection:
            record_drift(connection, found, new_run_id(now), now)
    with warehouse.read() as connection:
        return last_drift(connection, max(nights))


def _word(score: float | None, silent: bool) -> DriftWord:
    if score is None:
        return "unknown"
    if score < 1:
        return "calm"
    return "silent" if silent else "alarm"


def has_drifted_since(settings: Settings, trained_at: datetime) -> bool:
    """Say whether an alarm was raised after a training began."""
    with warehouse_of(settings).read() as connection:
        rows = connection.execute(
            "SELECT 1 FROM drift WHERE word = 'alarm' AND decided_at > ? LIMIT 1", [trained_at]
        ).fetchall()
    return bool(rows)
