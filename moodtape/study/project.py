"""A project's warehouse and rules, and hours that are in step with its texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moodtape.clock import utc_now
from moodtape.settings import Settings
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules, is_stale, refresh_hours
from moodtape.storage.ledger import record_trials
from moodtape.storage.write import begin_run, finish_run, run_counts

if TYPE_CHECKING:
    from moodtape.study.ground import Ground, Question

Steps = Callable[[int, int, str], None]
"""Told (done, in all, what is being done)."""


def warehouse_of(settings: Settings) -> Warehouse:
    """Return the project's warehouse, which need not exist yet."""
    storage = settings.config.storage
    return Warehouse(settings.warehouse, storage.threads, storage.memory_limit, storage.lock_wait_s)


def hour_rules(settings: Settings) -> HourRules:
    """Return what makes a text count in its hour; the bundled model says of what kind it is."""
    from moodtape.nlp.in_use import classifier_in_use

    config = settings.config
    return HourRules(
        max_age=timedelta(hours=config.clock.max_age_h),
        repost_window=timedelta(hours=config.sentiment.repost_window_h),
        repost_similarity=config.sentiment.repost_similarity,
        classifier=classifier_in_use(warehouse_of(settings), config.sentiment),
    )


def refresh_hours_if_dirty(settings: Settings) -> None:
    """Remake hours that an import touched after the last scoring."""
    warehouse, rules = warehouse_of(settings), hour_rules(settings)
    with warehouse.read() as connection:
        stale = is_stale(connection, rules)
    if stale:
        with warehouse.write() as connection:
            refresh_hours(connection, rules)


def ground_of(settings: Settings, question: Question) -> Ground:
    """Return what a study stands on, its hours being in step with the texts."""
    from moodtape.study.ground import lay_ground

    refresh_hours_if_dirty(settings)
    return lay_ground(warehouse_of(settings), settings.config, question)


def note_run(
    settings: Settings,
    run_id: str,
    verb: str,
    command: str,
    counts: Mapping[str, Any],
    now: datetime,
    trials: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Enter a run that is done, and its looks at the data; one that was entered stays as it was.

    Args:
        command: as typed. counts: what it came to. now: its beginning.
        trials: what `record_trials` takes.
    """
    with warehouse_of(settings).write() as connection:
        if run_counts(connection, run_id) is None:  # else killed after this line, and gone on with
            begin_run(connection, run_id, verb, {"command": command}, now)
        record_trials(connection, trials, run_id, now)
        finish_run(connection, run_id, "done", counts, utc_now())
