"""A bound on how long a step may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from moodtape.errors import TookTooLong


@contextmanager
def time_limit(minutes: float, setting: str) -> Iterator[None]:
    """Stop the block when its time is over; it must run in the main thread to be stopped.

    Raises:
        TookTooLong: it was not over in time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(
            f"Stopped after {minutes:g} minutes ({setting}). What was stored by then stays; run"
            " the command again to go on, or allow it more time."
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
