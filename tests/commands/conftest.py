"""A small project of CSV files, and the command line run in this process."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from moodtape.cli import main

START = datetime(2025, 1, 6, tzinfo=UTC)
HOURS = 720
SETTINGS = """
[market]
symbols = ["BTC"]
[sentiment]
scorer = "lexicon"
half_lives_h = [6.0]
[walk_forward]
folds = 2
min_train_rows = 60
[network]
lookback_bars = 8
sentiment_lookback_bars = 4
filters = 4
market_units = 6
sentiment_units = 4
hidden = 6
pool = 2
[training]
seeds = 1
epochs = 2
max_rows = 200
[verdict]
forecaster = "linear"
draws = 300
[ablation]
also = []
clock_delays_min = []
"""


@dataclass(frozen=True)
class Result:
    """What a command left at the terminal."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `moodtape ARGUMENTS` here and returns code, out and err."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["moodtape", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with bars, headlines and a daily metric of one month."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_t(4, HOURS)))
    with (folder / "bars.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["open_time", "open", "high", "low", "close", "volume"])
        before = 100.0
        for hour in range(HOURS):
            stamp = (START + timedelta(hours=hour)).isoformat()
            low, high = min(before, close[hour]) * 0.999, max(before, close[hour]) * 1.001
            writer.writerow([stamp, before, high, low, close[hour], 10 + rng.random()])
            before = close[hour]
    words = ["Bitcoin soars on ETF inflows", "Bitcoin crashes as exchange is hacked",
             "Bitcoin holders wait for the next meeting"]  # fmt: skip
    with (folder / "news.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", "published_at", "collected_at", "title"])
        for number in range(HOURS):
            published = START + timedelta(minutes=60 * number + 10)
            collected = published + timedelta(minutes=25)
            title = f"{words[rng.integers(3)]}, says report {number}"
            writer.writerow([f"n{number}", published.isoformat(), collected.isoformat(), title])
    with (folder / "chain.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["date", "AdrActCnt"])
        for day in range(HOURS // 24):
            writer.writerow([f"{START + timedelta(days=day):%Y-%m-%d}", 1000 + day])
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project folder with small settings and no warehouse yet."""
    (tmp_path / "moodtape.toml").write_text(SETTINGS)
    return tmp_path


@pytest.fixture
def loaded(project: Path, files: Path, run: Run) -> Path:
    """Return a project whose files are imported and scored."""
    where = ("--project", project, "-q")
    for what, name in (("bars", "bars.csv"), ("documents", "news.csv"), ("metrics", "chain.csv")):
        done = run("import", what, files / name, "--symbol", "BTC", *where)
        assert done.code == 0, done.err
    assert run("score", *where).code == 0
    return project
