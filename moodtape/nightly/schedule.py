"""What starts the two rhythms: systemd, cron, a container by its compose file, or this process."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Literal

from moodtape.config import NightlySection
from moodtape.errors import UsageError
from moodtape.settings import Settings

Kind = Literal["systemd", "cron", "compose"]
KINDS: tuple[Kind, ...] = ("systemd", "cron", "compose")
Start = Callable[[Sequence[str]], int]


def unit_text(settings: Settings, kind: Kind, python: str = sys.executable) -> str:
    """Return what a scheduler has to be given to start both rhythms of a project."""
    text = (files("moodtape.nightly") / "units" / f"{kind}.txt").read_text(encoding="utf-8")
    if kind == "compose":
        return text
    nightly, folder = settings.config.nightly, str(settings.folder.resolve())
    hour, minute = nightly.at.split(":")
    return text.format(
        systemd_python=_for_systemd(python),
        systemd_folder=_for_systemd(folder),
        cron_python=_for_cron(python),
        cron_folder=_for_cron(folder),
        cron_log=_for_cron(str(Path(folder) / "moodtape.log")),
        tick_minute=nightly.tick_minute,
        at=nightly.at,
        night_hour=int(hour),
        night_minute=int(minute),
    )


def _for_systemd(path: str) -> str:
    """Return a path as a word of a unit file."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in path for c in " \"'\\;") else escaped


def _for_cron(path: str) -> str:
    """Return a path as a word of a crontab's command, in which % would be a line's end."""
    return shlex.quote(path).replace("%", "\\%")


def keep_going(settings: Settings, note: Callable[[str], None], start: Start | None = None) -> None:
    """Start both rhythms at their times until the process is told to stop.

    At first both are started at once: what is done already ends at once. A run that comes due
    while the one before it goes on, or while the machine slept, is run once, as soon as it can
    be. Each run is a process of its own, so that nothing piles up over the months.

    Raises:
        UsageError: APScheduler is not installed.
    """
    try:
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.triggers.cron import CronTrigger
    except ImportError as exc:
        raise UsageError(
            'Scheduling in the foreground needs the "schedule" extra: pip install'
            ' "moodtape[schedule]". Or let the system do it: moodtape schedule --print systemd'
        ) from exc
    runs = _Runs(settings, note)
    run = start or runs.start
    scheduler = BackgroundScheduler(
        timezone="UTC",
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for verb, times in cron_times(settings.config.nightly).items():
        trigger = CronTrigger(**times, timezone="UTC")
        scheduler.add_job(run, trigger, [_command(settings, verb)], id=verb)
        scheduler.add_job(run, None, [_command(settings, verb)], id=f"first {verb}")
    with _told_to_stop() as stop:
        scheduler.start()
        note(f"tick at minute {settings.config.nightly.tick_minute:02d} of every hour, nightly at"
             f" {settings.config.nightly.at} UTC. Ctrl-C ends it.")  # fmt: skip
        try:
            while not stop.is_set():
                time.sleep(LOOK_S)  # not stop.wait: a signal as it begins would find its lock held
        finally:
            runs.stop()
            scheduler.shutdown()


def cron_times(nightly: NightlySection) -> dict[str, dict[str, int]]:
    """Return when each rhythm starts, as fields of a cron line."""
    hour, minute = (int(part) for part in nightly.at.split(":"))
    return {"tick": {"minute": nightly.tick_minute}, "nightly": {"hour": hour, "minute": minute}}


def _command(settings: Settings, verb: str) -> list[str]:
    folder = str(settings.folder.resolve())
    return [sys.executable, "-m", "moodtape", verb, "-q", "--project", folder]


LOOK_S = 0.5
"""Seconds between two looks whether it was told to stop."""
GRACE_S = 10.0
"""Seconds that a run has to end by itself after an interrupt."""


class _Runs:
    """The processes that are running, so that they can be told to stop."""

    def __init__(self, settings: Settings, note: Callable[[str], None]) -> None:
        self._folder, self._note = settings.folder, note
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def start(self, command: Sequence[str]) -> int:
        """Run a command to its end and return its exit code."""
        with self._lock:
            if self._stopped:
                return 0
            process = subprocess.Popen(  # noqa: S603  our own command
                command, cwd=self._folder, start_new_session=True
            )
            self._running.add(process)
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        if code:
            self._note(f"{command[3]} ended with {code}; moodtape status tells more")
        return code

    def stop(self) -> None:
        """Interrupt what is running; it leaves nothing half-stored. Wait for its end.

        What was started by a shell in the background may not hear an interrupt: it is ended.
        """
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()


class _told_to_stop:  # noqa: N801  used as a function
    """Give an event that SIGTERM and Ctrl-C set."""

    def __enter__(self) -> threading.Event:
        self._event = threading.Event()
        self._before = {
            number: signal.signal(number, self._set) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self._event

    def _set(self, number: int, frame: FrameType | None) -> None:
        self._event.set()

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
