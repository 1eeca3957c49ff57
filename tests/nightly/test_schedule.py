"""What schedulers are given, and the foreground one."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from moodtape.config import NightlySection
from moodtape.nightly.schedule import _Runs, cron_times, keep_going, unit_text
from moodtape.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
PYTHON = "/opt/moodtape/bin/python"


def project(folder: Path, more: str = "") -> Settings:
    folder.mkdir(exist_ok=True)
    (folder / "moodtape.toml").write_text(f"[nightly]\n{more}")
    return load_settings(folder, environ={})


def units(text: str) -> dict[str, configparser.ConfigParser]:
    """Return the files of a printed text, as systemd reads them."""
    found = {}
    for part in re.split(r"^# == ", text, flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        found[name] = configparser.ConfigParser(interpolation=None)
        found[name].optionxform = str  # type: ignore[assignment,method-assign]
        found[name].read_string(body)
    return found


def test_systemd_units_start_both_rhythms_at_their_times(tmp_path: Path) -> None:
    settings = project(tmp_path / "p", 'at = "23:05"\ntick_minute = 7\n')
    found = units(unit_text(settings, "systemd", PYTHON))
    assert set(found) == {f"moodtape-{r}.{k}" for r in ("tick", "nightly") for k in
                          ("service", "timer")}  # fmt: skip
    service = found["moodtape-nightly.service"]["Service"]
    assert service["ExecStart"] == f"{PYTHON} -m moodtape nightly -q --project {tmp_path / 'p'}"
    assert service["Type"] == "oneshot"
    assert service["ReadWritePaths"] == str(tmp_path / "p")
    assert found["moodtape-tick.timer"]["Timer"]["OnCalendar"] == "*-*-* *:07:00 UTC"
    assert found["moodtape-nightly.timer"]["Timer"]["OnCalendar"] == "*-*-* 23:05:00 UTC"
    assert all(u["Timer"]["Persistent"] == "true" for n, u in found.items() if "timer" in n)


def test_odd_paths_are_written_as_each_scheduler_reads_them(tmp_path: Path) -> None:
    settings = project(tmp_path / "my 50% market")
    line = units(unit_text(settings, "systemd", PYTHON))["moodtape-tick.service"]["Service"]
    assert line["ExecStart"].endswith(f'--project "{tmp_path}/my 50%% market"')
    jobs = [x for x in unit_text(settings, "cron", PYTHON).splitlines() if x[:1].isdigit()]
    command = jobs[0].split(" ", 5)[5]
    assert "\\%" in command
    words = shlex.split(command.replace("\\%", "%"))
    assert words[:6] == [PYTHON, "-m", "moodtape", "tick", "-q", "--project"]
    assert words[6] == str(tmp_path / "my 50% market")


def test_cron_lines_are_of_both_rhythms(tmp_path: Path) -> None:
    text = unit_text(project(tmp_path / "p"), "cron", PYTHON)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines[0] == "CRON_TZ=UTC"
    assert [line.split(" -m ")[0] for line in lines[1:]] == [
        f"3 * * * * {PYTHON}", f"20 0 * * * {PYTHON}",
    ]  # fmt: skip


def test_the_container_can_write_nothing_but_its_volume() -> None:
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001"
    assert service["volumes"] == ["project:/project"]
    assert service["healthcheck"]["test"] == ["CMD", "moodtape", "status", "--json"]
    recipe = (ROOT / service["build"]["dockerfile"]).read_text()
    assert "\nUSER 10001:10001\n" in recipe
    assert '\nCMD ["schedule"]' in recipe
    copied = re.findall(r"^COPY (.+) \S+$", recipe, re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
    ignored = (ROOT / ".containerignore").read_text().split()
    for name in " ".join(copied).split():
        assert any(Path(name).match(rule[1:]) for rule in ignored if rule[0] == "!"), name


def test_what_is_printed_is_the_compose_file_of_the_repository(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    done = run("schedule", "--print", "compose", "--project", tmp_path)
    assert done.out == (ROOT / "compose.yaml").read_text()
    done = run("schedule", "--print", "sistemd", "--project", tmp_path)
    assert done.code == 2
    assert "Did you mean systemd?" in done.err
    assert "moodtape tick -q" in run("schedule", "--print", "cron", "--project", tmp_path).out


def test_the_foreground_one_starts_both_at_once_and_ends_when_told(tmp_path: Path) -> None:
    settings, told = project(tmp_path / "p"), []
    started: list[str] = []

    def start(command: Sequence[str]) -> int:
        started.append(" ".join(command))
        if len(started) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    keep_going(settings, told.append, start)
    assert sorted(started) == [
        f"{sys.executable} -m moodtape {verb} -q --project {tmp_path / 'p'}"
        for verb in ("nightly", "tick")
    ]
    assert told == ["tick at minute 03 of every hour, nightly at 00:20 UTC. Ctrl-C ends it."]
    assert signal.getsignal(signal.SIGTERM) == before


def test_its_times_are_those_of_the_settings() -> None:
    from apscheduler.triggers.cron import CronTrigger

    times = cron_times(NightlySection(at="04:30", tick_minute=9))
    now = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)  # clocks jump that night in Europe
    fires = {}
    for verb, fields in times.items():
        trigger, last, found = CronTrigger(**fields, timezone="UTC"), None, []
        for _ in range(3):
            last = trigger.get_next_fire_time(last, now if last is None else last + timedelta(1e-6))
            found.append(last)
        fires[verb] = [f"{at:%d %H:%M}" for at in found]
    assert fires == {
        "tick": ["29 01:09", "29 02:09", "29 03:09"],
        "nightly": ["29 04:30", "30 04:30", "31 04:30"],
    }


def test_a_run_that_fails_is_told_and_a_running_one_is_stopped(tmp_path: Path) -> None:
    told: list[str] = []
    runs = _Runs(project(tmp_path / "p"), told.append)
    failing = [sys.executable, "-c", "import sys; sys.exit(3)", "tick"]
    assert runs.start(failing) == 3
    assert told == ["tick ended with 3; moodtape status tells more"]
    code = "import signal, sys, time\nopen('up', 'w').close()\ntime.sleep(60)"
    ended: list[int] = []
    thread = threading.Thread(
        target=lambda: ended.append(runs.start([sys.executable, "-c", code, "nightly"]))
    )
    thread.start()
    while not (tmp_path / "p" / "up").exists():
        time.sleep(0.01)
    runs.stop()
    thread.join()
    assert ended[0] not in (0, None), "it was interrupted"
    assert runs.start(failing) == 0, "nothing is begun after the end"
