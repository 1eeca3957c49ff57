from __future__ import annotations

import os
import subprocess
import sys

import pytest

from moodtape.errors import DataMissing, UsageError
from moodtape.forecaster.device import Device, prepare


def test_the_cpu_is_deterministic(device: Device) -> None:
    assert device.name == "cpu"
    assert device.backend == os.environ["KERAS_BACKEND"]
    assert device.deterministic


def test_a_gpu_that_is_not_there_is_refused(device: Device) -> None:
    with pytest.raises(DataMissing, match="Use --device cpu") as caught:
        prepare("gpu")
    assert caught.value.exit_code == 3


def test_an_absent_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(UsageError, match="theano, which is not installed"):
        prepare("cpu")


def test_loading_writes_nothing_to_the_terminal() -> None:
    code = "from moodtape.forecaster.device import prepare; prepare('cpu')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == ""
