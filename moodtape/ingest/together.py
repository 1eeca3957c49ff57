"""Jobs that wait for the network run at the same time; what they bring comes in their order.

Threads are left behind only while they wait: whoever stops the run first lets every thread
that is at work, and may be storing, come to its next wait. It does not come back from there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import TypeVar

T = TypeVar("T")
Job = Callable[[], T]
LONGEST_STOP_S = 30.0
LOOK_UP_S = 0.2
"""A wait without an end may sleep through a Ctrl-C that comes just before it begins."""


class Stopped(BaseException):
    """The run is over, like at Ctrl-C; nothing that a collector does may catch it."""


class Halt:
    """Knows which threads are at work and which wait, so that a run can be stopped."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_work: set[int] = set()
        self._stopped = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count this thread as one at work for the length of the block."""
        with self._changed:
            self._at_work.add(get_ident())
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Stand around a wait for something outside.

        Raises:
            Stopped: the run was stopped before it, or meanwhile.
        """
        self._require_running()
        was_at_work = self._leave()
        try:
            yield
        finally:
            with self._changed:
                self._require_running()
                if was_at_work:
                    self._at_work.add(get_ident())

    def stop(self) -> None:
        """Stop every thread at its next wait; return when none but this one is at work."""
        with self._changed:
            self._stopped = True
            others = {get_ident()}.issuperset
            self._changed.wait_for(lambda: others(self._at_work), LONGEST_STOP_S)

    def _leave(self) -> bool:
        with self._changed:
            was_at_work = get_ident() in self._at_work
            self._at_work.discard(get_ident())
            self._changed.notify_all()
        return was_at_work

    def _require_running(self) -> None:
        if self._stopped:
            raise Stopped


def in_order(
    jobs: Sequence[Job[T]], lanes: Sequence[Hashable], at_once: int, halt: Halt
) -> Iterator[T]:
    """Yield what jobs return, in their order, as soon as it is there.

    Args:
        lanes: of each job; those of one lane run one after another, in their order.
        at_once: lanes that run at the same time; with one, everything runs in this thread.
    Raises:
        BaseException: the first one that any job raised; no further job is begun then.
    """
    if at_once == 1 or len(set(lanes)) < 2:
        for job in jobs:
            yield job()
        return
    todo: SimpleQueue[list[tuple[int, Job[T]]]] = SimpleQueue()
    for lane in _lanes(jobs, lanes):
        todo.put(lane)
    came: SimpleQueue[tuple[int, T | None, BaseException | None]] = SimpleQueue()
    abandoned = threading.Event()

    def work() -> None:
        with halt.working():
            for place, job in _taken(todo):
                if abandoned.is_set():
                    return
                try:
                    came.put((place, job(), None))
                except BaseException as exc:  # noqa: BLE001  raised again where it is awaited
                    came.put((place, None, exc))
                    return

    count = min(at_once, todo.qsize())
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        yield from _sorted(came, len(jobs), halt)
    finally:
        abandoned.set()
    for thread in threads:
        thread.join()


def _lanes(jobs: Sequence[Job[T]], lanes: Sequence[Hashable]) -> list[list[tuple[int, Job[T]]]]:
    """Return the jobs of each lane with their places."""
    found: dict[Hashable, list[tuple[int, Job[T]]]] = {}
    for place, (job, lane) in enumerate(zip(jobs, lanes, strict=True)):
        found.setdefault(lane, []).append((place, job))
    return list(found.values())


def _taken(todo: SimpleQueue[list[tuple[int, Job[T]]]]) -> Iterator[tuple[int, Job[T]]]:
    """Yield jobs, lane by lane, until none is left."""
    while True:
        try:
            lane = todo.get_nowait()
        except Empty:
            return
        yield from lane


def _sorted(
    came: SimpleQueue[tuple[int, T | None, BaseException | None]], count: int, halt: Halt
) -> Iterator[T]:
    """Yield results by their places."""
    ready: dict[int, T] = {}
    for awaited in range(count):
        while awaited not in ready:
            with halt.waiting():
                place, result, failure = _next(came)
            if failure is not None:
                raise failure
            ready[place] = result  # type: ignore[assignment]
        yield ready.pop(awaited)


def _next(came: SimpleQueue[T]) -> T:
    """Return what comes next, and look up now and then whether the run was interrupted."""
    while True:
        try:
            return came.get(timeout=LOOK_UP_S)
        except Empty:
            continue
