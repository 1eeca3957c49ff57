"""Who waits for whom: one run of a rhythm at a time, steps of both in turn, and others between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import get_args

from moodtape.nightly.lock import only_one
from moodtape.settings import Settings
from moodtape.storage.steps import Rhythm

LOCKS = ".moodtape"
STEP = "step"


def run_lock(settings: Settings, rhythm: Rhythm) -> AbstractContextManager[None]:
    """Return what is held by a rhythm while it runs."""
    wait_s = settings.config.storage.lock_wait_s
    return _lock(settings, rhythm, f"{rhythm} of this project", wait_s)


def step_lock(settings: Settings) -> AbstractContextManager[None]:
    """Return what is held by a step while it runs; it waits as long as one of them may take."""
    wait_s = 60 * settings.config.nightly.step_limit_min
    return _lock(settings, STEP, "A step of the other rhythm", wait_s)


@contextmanager
def between_steps(settings: Settings) -> Iterator[None]:
    """Keep the steps of both rhythms waiting for the length of the block; a training goes on.

    Raises:
        WarehouseLocked: one of them took longer than `storage.lock_wait_s`.
    """
    wait_s = settings.config.storage.lock_wait_s
    with _lock(settings, STEP, "A step of tick or nightly", wait_s):
        yield


@contextmanager
def between_runs(settings: Settings) -> Iterator[None]:
    """Keep both rhythms from running at all for the length of the block.

    Raises:
        WarehouseLocked: one of them took longer than `storage.lock_wait_s`.
    """
    with ExitStack() as held:
        for rhythm in get_args(Rhythm):
            held.enter_context(run_lock(settings, rhythm))
        held.enter_context(between_steps(settings))
        yield


def _lock(settings: Settings, name: str, what: str, wait_s: float) -> AbstractContextManager[None]:
    return only_one(settings.folder / LOCKS / f"{name}.lock", what, wait_s)
