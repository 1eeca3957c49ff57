"""A year of nights with outages and kills ends with the rows of a year without any."""

from __future__ import annotations

import copy
import importlib
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
NIGHT = datetime.fromisoformat("2026-03-02T00:10:00+00:00")
NEXT = NIGHT + timedelta(days=1)


@pytest.mark.slow
def test_a_year_with_faults_ends_like_a_year_without() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/bench_year.py", "--nights", "365"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.search(
        r"365 nights and 75 ticks .* (\d+) times a source .* (\d+) kills, (\d+) of them at work",
        done.stdout,
    )
    assert told is not None, done.stdout
    down, kills, caught = map(int, told.groups())
    assert (down > 25, kills, caught > 40) == (True, 36 + 25, True), "faults that do not happen"


@pytest.fixture
def year_rows(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("year_rows")


def test_what_two_years_must_not_differ_in_is_told(year_rows: Any) -> None:
    """A text of a night without its source comes with the next one, and in no other way."""
    night, following = NIGHT.isoformat(), NEXT.isoformat()
    text = {"document_id": "n1", "known_at": night, "recorded_at": night}
    calm = {
        "document": [text, {**text, "document_id": "n2"}],
        "drift": [{"night": night}],
        "sentiment_hourly": [{"n": "1", "n_stale": "1"}],
    }
    down = {NIGHT: {"/feed"}, NEXT: set()}
    faulty = copy.deepcopy(calm)
    assert list(year_rows.differences(calm, faulty, {NIGHT: set()})) == []
    assert "lost 2" in next(year_rows.differences(calm, faulty, down)), "they cannot be known yet"
    for row in faulty["document"]:
        row |= {"known_at": following, "recorded_at": following}
    assert list(year_rows.differences(calm, faulty, down)) == []
    faulty["document"].append(faulty["document"][0])
    faulty["drift"], faulty["sentiment_hourly"] = [], [{"n": "3", "n_stale": "0"}]
    told = list(year_rows.differences(calm, faulty, down))
    assert [line.split(" ")[0] for line in told] == ["document:", "drift:", "hours"]
    assert told[0].startswith("document: lost 0 [], more 1")


def test_a_forecast_of_a_night_without_the_market_is_late_and_nothing_else(year_rows: Any) -> None:
    row = {
        "decision_time": NIGHT.isoformat(), "made_at": NIGHT.isoformat(), "late": "False",
        "p_up": "0.5",
    }  # fmt: skip
    rest: dict[str, Any] = {"drift": [], "sentiment_hourly": []}
    late = {**row, "made_at": NEXT.isoformat(), "late": "True"}
    down = {NIGHT: {"/api/v3/klines"}, NEXT: set()}
    for found, equal in ((late, True), (row, False), ({**late, "p_up": "0.6"}, False)):
        told = year_rows.differences(
            {"forecast": [row], **rest}, {"forecast": [found], **rest}, down
        )
        assert (list(told) == []) is equal
