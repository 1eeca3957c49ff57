"""The calibration page says what its files of worlds say, and its command asks what it may."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from moodtape.calibrate.plot import power_svg
from moodtape.calibrate.rates import power
from moodtape.calibrate.run import read_rows
from moodtape.calibrate.worlds import KINDS
from moodtape.cli import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def certify(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("certify")


def test_the_page_has_the_figures_of_its_files(certify: Any) -> None:
    page = certify.PAGE.read_text("utf-8")
    asked = [found[2].split() for found in certify.MARKED.finditer(page)]
    files = {name for _, *names in asked for name in names}
    assert files == {path.stem for path in certify.FOLDER.glob("*.csv")}, "a file nobody shows"
    assert page == certify.with_figures(page, certify.FOLDER), "run: benchmarks/certify.py write"
    for run in certify.LENGTHS:
        rows = read_rows(certify.FOLDER / f"{run.name}.csv")
        assert (certify.FOLDER / f"{run.name}.svg").read_text("utf-8") == power_svg(power(rows))


def test_a_word_that_is_changed_in_a_file_changes_the_page(certify: Any, tmp_path: Path) -> None:
    page = certify.PAGE.read_text("utf-8")
    for path in certify.FOLDER.glob("*.csv"):
        shutil.copy(path, tmp_path)
    assert certify.with_figures(page, tmp_path) == page
    one = tmp_path / "no_effect.csv"
    told = one.read_text("utf-8")
    one.write_text(told.replace(",cannot tell,", ",helps,", 1), "utf-8")
    assert "| **1 of 2,000 " in certify.with_figures(page, tmp_path)


def test_every_run_is_one_that_calibrate_takes(certify: Any) -> None:
    verb = get_command(app).commands["calibrate"]  # type: ignore[attr-defined]
    for run in certify.RUNS:
        _, name, *line = run.command(certify.FOLDER, 2)
        asked = verb.make_context(name, line).params
        assert (asked["block"], asked["jobs"]) == ("certify", 2)
        assert set(asked["kind"] or KINDS) <= set(KINDS)
        assert str(asked["out"]) == f"{run.name}.csv"
        for config in asked["config"] or ():
            assert (certify.FOLDER / config).is_file()
