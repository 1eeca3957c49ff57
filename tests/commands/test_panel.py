"""A small panel of stocks from files to verdicts: many assets, unequal histories, sessions."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from moodtape.calendars import get_calendar

if TYPE_CHECKING:
    from tests.commands.conftest import Result

STOCKS = {"ACME": (0, 999), "BOLT": (0, 999), "CROW": (70, 999), "DUSK": (0, 80), "EAST": (0, 9)}
"""By name, the first session of its history and its end: DUSK has none that is tested."""

SETTINGS = """
[market]
symbols = ["ACME"]
interval = "1d"
calendar = "XNYS"
[sentiment]
scorer = "lexicon"
[network]
lookback_bars = 10
sentiment_lookback_bars = 4
[walk_forward]
folds = 1
min_train_rows = 60
embargo_bars = 2
[target]
names = ["volatility"]
[verdict]
forecaster = "linear"
draws = 200
[ablation]
also = []
"""


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    """Return a project of daily bars and texts in files, not yet imported."""
    rng = np.random.default_rng(4)
    days = get_calendar("XNYS").expected_opens(
        datetime(2023, 1, 3, tzinfo=UTC), datetime(2023, 11, 1, tzinfo=UTC), timedelta(days=1)
    )
    frames = []
    for symbol, (first, end) in STOCKS.items():
        own = days[first:end]
        close = 50 * np.exp(np.cumsum(0.01 * rng.standard_t(5, len(own))))
        opened = close * np.exp(0.003 * rng.standard_normal(len(own)))
        bars = {
            "date": own.astype("datetime64[D]").astype(str), "symbol": symbol, "open": opened,
            "high": np.maximum(opened, close) * 1.004, "low": np.minimum(opened, close) * 0.996,
            "close": close, "volume": rng.lognormal(10, 0.5, len(own)),
        }  # fmt: skip
        frames.append(pd.DataFrame(bars))
    pd.concat(frames).to_csv(tmp_path / "bars.csv", index=False)
    count = 1_500
    published = pd.Timestamp(days[0], tz="UTC") + pd.to_timedelta(
        np.sort(rng.uniform(0, 300 * 86_400, count)).round(), unit="s"
    )
    about = rng.choice(list(STOCKS), count)
    phrase = rng.choice(["soars on orders", "crashes on a warning", "trades sideways"], count)
    texts = pd.DataFrame({"published_at": published, "symbol": about})
    texts["collected_at"] = published + pd.Timedelta(minutes=7)
    texts["title"] = [
        f"{a} {p}, desk {i} says" for i, (a, p) in enumerate(zip(about, phrase, strict=True))
    ]
    texts.to_csv(tmp_path / "texts.csv", index=False)
    (tmp_path / "moodtape.toml").write_text(SETTINGS)
    return tmp_path


def test_from_files_to_verdicts(
    panel: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(panel)
    empty = run("ablate", "--symbol", "all")
    assert empty.code == 3
    for command in (
        ("import", "bars", "bars.csv", "--interval", "1d", "--calendar", "XNYS"),
        ("import", "documents", "texts.csv", "--source", "news"),
        ("score",),
    ):
        assert (done := run(*command)).code == 0, done.err
    found = run("ablate", "--symbol", "all", "--since", "2023-01-20", "--json")
    assert found.code == 0, found.err
    study = json.loads(found.out)
    assert study["question"]["symbols"] == [*STOCKS][:-1]
    assert "EAST had no bars in the span, and no part in the study." in study["caveats"]
    assert study["audit"]["clean"]
    answered = {r["symbol"]: r for r in study["results"]}
    assert set(answered) == set(study["question"]["symbols"])
    words = {"helps", "hurts", "does not help", "cannot tell"}
    assert {r["verdict"] for r in study["results"]} <= words
    assert {r["family_size"] for r in study["results"]} == {4}
    assert answered["CROW"]["n"] <= answered["ACME"]["n"]
    assert (answered["DUSK"]["n"], answered["DUSK"]["verdict"]) == (0, "cannot tell")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # exporters warn about their own internals
def test_a_stock_whose_bars_have_ended_is_left_out_of_the_forecast(
    panel: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(panel)
    settings = SETTINGS.replace('["ACME"]', '["ACME", "BOLT", "DUSK"]')
    (panel / "moodtape.toml").write_text(settings + "[training]\nepochs = 1\nmax_rows = 100\n")
    for command in (
        ("import", "bars", "bars.csv", "--interval", "1d", "--calendar", "XNYS"),
        ("import", "documents", "texts.csv", "--source", "news"),
        ("score",),
        ("train",),
    ):
        assert (done := run(*command)).code == 0, done.err
    found = run("predict", "--as-of", "2023-10-31T21:00:00Z", "--json")
    assert found.code == 0, found.err
    forecast = json.loads(found.out)
    assert [item["symbol"] for item in forecast["results"]] == ["ACME", "BOLT"]
    (warning,) = forecast["warnings"]
    assert "No 1d bar of DUSK is new enough" in warning
    told = run("predict", "--as-of", "2023-10-31T21:00:00Z")
    assert "Note: left out. No 1d bar of DUSK" in told.err
    none = run("predict", "--as-of", "2024-10-31T21:00:00Z")
    assert none.code == 3
