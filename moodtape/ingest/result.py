"""What came of each source, for people and for other tools."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from moodtape.errors import SourceFailed
from moodtape.records import GOOD_POLLS, ImportCounts, Poll

Progress = Callable[[int, int, str], None]
State = Literal["done", "partial", "failed"]


@dataclass(frozen=True)
class SourceResult:
    """What came of one source.

    state: done; partial: some streams failed; failed: the collector stopped.
    rows: that the source sent, known ones included.
    polls: the last one of each stream.
    cause: what stopped it, for --debug.
    """

    source: str
    state: State
    rows: int = 0
    counts: ImportCounts = field(default_factory=ImportCounts)
    polls: tuple[Poll, ...] = ()
    error: str = ""
    cause: Exception | None = None

    @property
    def failed_polls(self) -> tuple[Poll, ...]:
        """Return the streams that cannot be said to be complete."""
        return tuple(poll for poll in self.polls if poll.state not in GOOD_POLLS)

    @property
    def problems(self) -> list[str]:
        """Return a line for each stream that did not come in full, and for what stopped it."""
        lines = [f"{self.source} {p.stream} ({p.state}): {p.detail}" for p in self.failed_polls]
        return [*lines, f"{self.source}: {self.error}"] if self.error else lines


class Board:
    """Tells of sources that are asked at the same time: which are not in yet, and how many rows."""

    def __init__(self, names: Sequence[str], progress: Progress | None) -> None:
        self._tell = progress or (lambda done, total, what: None)
        self._left, self._total = list(names), len(names)
        self._rows = dict.fromkeys(names, 0)
        self._lock = threading.Lock()
        self._show()

    @contextmanager
    def turn_of(self, name: str) -> Iterator[None]:
        """Count a source as in at the end of the block."""
        yield
        with self._lock:
            self._left.remove(name)
            self._show()

    def is_last(self, name: str) -> bool:
        """Say whether every other source is in."""
        with self._lock:
            return self._left == [name]

    def rows(self, name: str, rows: int) -> None:
        """Show that a source has sent so many rows by now."""
        with self._lock:
            self._rows[name] = rows
            self._show()

    def _show(self) -> None:
        rows = sum(self._rows.values())
        if self._left:
            what = " + ".join(self._left) + (f", {rows:,} rows" if rows else "")
            self._tell(self._total - len(self._left), self._total, what)


def joined(before: SourceResult, after: SourceResult) -> SourceResult:
    """Return two turns as one: sums of both, the last poll of each stream, the worse state."""
    order: tuple[State, ...] = ("done", "partial", "failed")
    polls = {poll.stream: poll for poll in (*before.polls, *after.polls)}
    return replace(
        after,
        state=max(before.state, after.state, key=order.index),
        rows=before.rows + after.rows,
        counts=before.counts + after.counts,
        polls=tuple(polls.values()),
        error=after.error or before.error,
        cause=after.cause or before.cause,
    )


def summary(results: Sequence[SourceResult]) -> dict[str, Any]:
    """Return what came of a run under the names that `--json` promises."""
    total = ImportCounts()
    for result in results:
        total += result.counts
    sources = [
        {
            "source": result.source,
            "state": result.state,
            "rows": result.rows,
            **result.counts.as_dict(),
            "error": result.error or None,
            "streams": [
                {"stream": p.stream, "state": p.state, "items": p.items, "detail": p.detail or None}
                for p in result.polls
            ],
        }
        for result in results
    ]
    return {**total.as_dict(), "sources": sources}


def require_all(results: Sequence[SourceResult]) -> None:
    """Make sure that every source came in full.

    Raises:
        SourceFailed: some did not; the others are in.
    """
    bad = [f"{r.source} ({r.state})" for r in results if r.state != "done"]
    if bad:
        raise SourceFailed(
            f"Not everything came: {', '.join(bad)}."
            " What came is stored; the rest comes with the next run."
        )
