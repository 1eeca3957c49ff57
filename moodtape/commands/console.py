"""What people see: tables and JSON on stdout, progress on stderr, bars only on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def say(text: str) -> None:
    """Print a result line on stdout, as it is: nothing in it is markup."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Print a line about what is going on, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_json(values: Any) -> None:
    """Print one JSON object; NaN becomes null, times ISO text."""
    from moodtape.forecaster.runs import plain

    say(json.dumps(plain(values), ensure_ascii=False, indent=1, allow_nan=False))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print rows under short headings, numbers to the right, as wide as they need to be.

    columns: heading by key, in order.
    """
    if not rows:
        return
    cells = [[_cell(row.get(key)) for key in columns] for row in rows]
    heads = list(columns.values())
    widths = [max(len(h), *(len(c[i]) for c in cells)) for i, h in enumerate(heads)]
    right = [all(_is_number(row.get(key)) for row in rows) for key in columns]
    for line in (heads, ["-" * w for w in widths], *cells):
        parts = [
            text.rjust(w) if r else text.ljust(w)
            for text, w, r in zip(line, widths, right, strict=True)
        ]
        say("  ".join(parts).rstrip())


def _cell(value: Any) -> str:
    """Return a value as a table shows it."""
    if value is None or value != value:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d %H:%M"))
    return str(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


class Steps:
    """Tells how far a verb is: a bar on a terminal, a line for each stage elsewhere.

    A stage is what stands before the first comma of what is being done; what ends in `left`
    after its last comma is the time that is left. A sentence stays as it is.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._started = time.monotonic()
        self._stage = self._counted = ""
        self._counting_since = self._started
        self._bar: Progress | None = None
        self._task: Any = None

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that `done` of `total` are over and `what` is going on; a total of 0 is unknown."""
        if self._quiet:
            return
        stage, _, detail = what.partition(", ")
        left = detail.rpartition(", ")[2] if detail.endswith(" left") else ""
        sentence = what.endswith(".")
        if sentence:
            stage = what
        if self._bar is not None:
            if sentence:
                self._bar.console.print(what, markup=False, highlight=False)
                return
            self._bar.update(
                self._task, completed=done, total=total or None, rate="", left=left,
                description=what.removesuffix(f", {left}") if left else what,
            )  # fmt: skip
            return
        if stage != self._stage:
            self._stage = stage
            count = f" ({done} of {total} done{', ' + left if left else ''})" if total else ""
            note(f"[{time.monotonic() - self._started:5.0f} s] {stage}{count}")

    def amount(self, done: int, total: int, what: str) -> None:
        """Show an amount with its rate and time left; off a terminal, a line every tenth."""
        if self._quiet:
            return
        if what != self._counted:
            self._counted, self._counting_since = what, time.monotonic()
        seconds = max(time.monotonic() - self._counting_since, 1e-9)
        rate = done / seconds
        if self._bar is not None:
            self(done, total, what)
            self._bar.update(self._task, rate=f"{rate:,.0f}/s")
            return
        tenth = 10 * done // max(total, 1)
        if f"{what} {tenth}" != self._stage:
            self._stage = f"{what} {tenth}"
            speed = f", {rate:,.0f}/s, {(total - done) / rate:.0f} s left" if done else ""
            note(f"[{seconds:5.0f} s] {what}: {done:,} of {total:,}{speed}")

    def showing(self, bar: Progress) -> None:
        """Draw on a bar from now on."""
        self._bar, self._task = bar, bar.add_task("starting", total=None, rate="", left="")


@contextmanager
def steps(quiet: bool) -> Iterator[Steps]:
    """Give a `Steps` that cleans up after itself."""
    told = Steps(quiet)
    if quiet or not sys.stderr.isatty():
        yield told
        return
    from rich.console import Console

    with bar_of(Console(stderr=True)) as bar:
        told.showing(bar)
        yield told


def bar_of(console: Console) -> Progress:
    """Return a bar with what is done, how much of it, at what rate, and the time that is left."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Left(TimeRemainingColumn):
        """What is told of the time that is left, or what the counts say of it."""

        def render(self, task: Task) -> Text:
            told: str = task.fields["left"]
            return Text(told, style="progress.remaining") if told else super().render(task)

    columns = (
        *(SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn()),
        *(MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), Left()),
    )
    return Progress(*columns, console=console, transient=True)
