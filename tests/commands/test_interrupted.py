"""A study that is killed goes on in its run folder, with as many processes as one likes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WAIT_S = 240


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something to become so."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"{what} took more than {WAIT_S} s"
        time.sleep(0.02)


def processes_of(parent: int) -> list[int]:
    """Return the processes that one has started."""
    return [int(p) for p in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs the processes of Linux")
@pytest.mark.parametrize("verb", ["ablate", "evaluate"])
def test_a_killed_study_goes_on_and_ends_with_the_same_figures(
    loaded: Path, run: Callable[..., Any], tmp_path: Path, verb: str
) -> None:
    project = tmp_path / "project"
    shutil.copytree(loaded, project, ignore=shutil.ignore_patterns("runs"))
    asked = (verb, "--forecaster", "boosting", "--json", "--project", str(project))
    begun = subprocess.Popen(
        [sys.executable, "-m", "moodtape", *asked, "--jobs", "2"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ.copy(),
    )  # fmt: skip
    runs = project / "runs"
    until(lambda: len(list(runs.glob("*/cells-*/*.npz"))) >= 3, "the first cells")
    started = processes_of(begun.pid)
    begun.send_signal(signal.SIGKILL)
    assert begun.wait() == -signal.SIGKILL
    until(lambda: not any(Path(f"/proc/{p}").exists() for p in started), "the processes' end")
    (folder,) = runs.iterdir()
    kept = len(list(folder.glob("cells-*/*.npz")))
    done = run(*asked)
    assert done.code == 0, done.err
    results = json.loads(done.out)
    assert results["run"] == folder.name, "the interrupted run was not gone on with"
    assert not list(folder.glob("cells-*")), "the study is whole"
    assert not list(folder.glob("*.lock"))
    whole = json.loads(run(*asked, "--jobs", "2").out)
    assert whole["run"] != folder.name
    assert kept >= 3
    same = ("losses", "interval") if verb == "ablate" else ("model", "metric", "value", "low")
    for one, other in zip(results["results"], whole["results"], strict=True):
        assert [one[name] for name in same] == [other[name] for name in same]
