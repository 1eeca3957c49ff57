"""What runs did, as lines of JSON in a file of bounded size, for whoever collects logs.

One line when a run and a step begin, one when they end, one for each problem. Both rhythms write
the same file; a line is whole or not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from moodtape.errors import MoodtapeError
from moodtape.nightly.lock import only_one
from moodtape.settings import Settings

Level = Literal["info", "warning", "error"]
LOCK_WAIT_S = 10.0


@dataclass
class Journal:
    """The log of one run.

    about: what every line says: rhythm, slot, run_id.
    trouble: why lines are missing, where some are; a log that cannot be written ends no run.
    """

    settings: Settings
    clock: Callable[[], datetime]
    about: dict[str, Any] = field(default_factory=dict)
    trouble: str | None = None

    def note(self, event: str, level: Level = "info", **facts: Any) -> None:
        """Add a line."""
        if not self.settings.config.nightly.log:
            return
        from moodtape.forecaster.runs import plain

        line = {"time": self.clock(), "level": level, "event": event, **self.about, **facts}
        text = json.dumps(plain(line), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            self._append(text)
        except (OSError, MoodtapeError) as exc:
            self.trouble = f"The log {log_of(self.settings)} cannot be written: {exc}."

    def _append(self, text: str) -> None:
        path, nightly = log_of(self.settings), self.settings.config.nightly
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        with only_one(lock, "Writing the log", LOCK_WAIT_S):
            if path.exists() and path.stat().st_size + len(text) > nightly.log_mib * 2**20:
                _rotate(path, nightly.log_files)
            with path.open("a", encoding="utf-8") as handle:
                handle.write(text)


def log_of(settings: Settings) -> Path:
    """Return where the log is written; a path in the config may lie outside the project."""
    return settings.folder / settings.config.nightly.log


def _rotate(path: Path, files: int) -> None:
    """Let the log become `.1`, that `.2`, and so on; the oldest goes."""
    names = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, files))]
    names[-1].unlink(missing_ok=True)
    for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
        with suppress(FileNotFoundError):
            newer.rename(older)
