"""One network, three backends: the same weights answer the same and train the same way.

What TensorFlow said is kept in `golden/backends.json`; each backend is held to it in an
interpreter of its own, since a backend is chosen when keras is imported. Refresh with
REFRESH_GOLDEN=1 pytest tests/forecaster/network/test_backends.py and read the difference.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("backend_run.py")
GOLDEN = Path(__file__).with_name("golden") / "backends.json"
FORWARD, TRAINED = 1e-5, 1e-4
"""Largest gaps of an answer before any training, and of losses and answers after four epochs."""


def run(backend: str, out: Path) -> dict[str, Any]:
    if util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), str(out)], capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize(
    "backend",
    [
        "tensorflow",
        pytest.param("jax", marks=pytest.mark.backend_jax),
        pytest.param("torch", marks=pytest.mark.backend_torch),
    ],
)
def test_every_backend_answers_and_trains_alike(backend: str, tmp_path: Path) -> None:
    found = run(backend, tmp_path / "found.json")
    kept = ("before", "after", "losses")
    if os.environ.get("REFRESH_GOLDEN") and backend == "tensorflow":
        GOLDEN.parent.mkdir(exist_ok=True)
        rounded = json.dumps({key: found[key] for key in kept}, indent=1)
        GOLDEN.write_text(rounded + "\n", encoding="utf-8")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert set(golden["before"]) == {"return_1", "direction_1", "volatility_1", "gate"}
    for part, near in (("before", FORWARD), ("after", TRAINED), ("losses", TRAINED)):
        assert set(found[part]) == set(golden[part])
        for key, values in golden[part].items():
            assert found[part][key] == pytest.approx(values, abs=near), f"{part}: {key}"
    for name, losses in golden["losses"].items():
        assert losses[-1] < 0.5 * losses[0], f"{name} hardly falls: the test says little"
    # A whole fit draws its own weights and dropout, so backends differ; each must learn.
    for key, share in found["explained"].items():
        assert share > 0.5, f"{key}: explains only {share:.0%}"
