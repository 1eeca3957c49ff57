"""Light start-up: what every command touches loads no heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from moodtape.storage.db import Warehouse

HEAVY = {
    *("tensorflow", "keras", "torch", "transformers", "pandas", "numpy", "duckdb"),
    *("onnxruntime", "matplotlib", "scipy", "sklearn", "statsmodels", "arch", "pyarrow"),
    "ccxt",
}
LIGHT = [
    *("moodtape", "moodtape.settings", "moodtape.config", "moodtape.clock"),
    *("moodtape.calendars", "moodtape.errors", "moodtape.records", "moodtape.sample"),
    *("moodtape.storage", "moodtape.storage.db", "moodtape.ingest", "moodtape.nlp"),
    *("moodtape.forecaster", "moodtape.forecaster.features"),
]


def heavy_modules_after(code: str) -> set[str]:
    """Return which heavy libraries a fresh interpreter holds after running the code."""
    tail = "\nimport json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    result = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return HEAVY & set(json.loads(result.stdout.splitlines()[-1]))


def test_settings_clock_and_warehouse_load_nothing_heavy() -> None:
    assert heavy_modules_after(f"import {', '.join(LIGHT)}") == set()


@pytest.mark.parametrize("library", ["pandas", "duckdb"])
def test_the_check_itself_sees_a_heavy_library(library: str) -> None:
    assert library in heavy_modules_after(f"import {library}")


def test_help_and_status_load_nothing_heavy(tmp_path: Path) -> None:
    def moodtape(*arguments: str) -> str:
        return (
            f"import sys; sys.argv = ['moodtape', *{arguments!r}]\n"
            "from moodtape.cli import main\n"
            "try: main()\nexcept SystemExit as end: assert end.code == 0, end.code"
        )

    assert heavy_modules_after(moodtape("--help")) == set()
    with Warehouse(tmp_path / "moodtape.duckdb").write():
        pass
    used = heavy_modules_after(moodtape("status", "--project", str(tmp_path)))
    assert used == {"duckdb"}
