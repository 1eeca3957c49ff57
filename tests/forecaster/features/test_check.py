"""The check that every feature is held to, and that it catches what it is for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from moodtape.calendars import get_calendar
from moodtape.config import Config
from moodtape.errors import PlugInBroken, UsageError
from moodtape.forecaster import reach
from moodtape.forecaster.features.base import PRICE, REGISTRY, SENTIMENT, Feature, feature
from moodtape.forecaster.features.chosen import chosen_features
from moodtape.forecaster.features.onchain import metric_features
from moodtape.forecaster.features.polls import poll_features
from moodtape.forecaster.features.rolling import lagged
from moodtape.testing import check_feature

Array = np.ndarray
CHOSEN = chosen_features(Config())
BUILT_IN = {f.name: f for f in (*CHOSEN.price, *CHOSEN.calendar, *CHOSEN.texts)}


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take out what a test declares."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_ones_pass(name: str) -> None:
    check_feature(BUILT_IN[name])


def test_those_made_of_settings_are_no_features_of_plug_ins() -> None:
    made = {f.name for f in (*poll_features(), *metric_features("m@p", 24, 7.0))}
    assert not made & set(BUILT_IN)


def test_how_far_back_the_chosen_ones_look() -> None:
    assert CHOSEN.lookback_bars == REGISTRY["macd_histogram"].lookback == 510
    assert CHOSEN.lookback_hours == CHOSEN.tone_hours - 1 == 5 * 48 - 1


def next_close(close: Array) -> Array:
    """Close of the next bar."""
    return np.append(close[1:], np.nan)


def share_of_peak(close: Array) -> Array:
    """Close over the highest of all."""
    return close / np.nanmax(close)


def running_mean(close: Array) -> Array:
    """Mean of all closes so far."""
    return np.nancumsum(close) / np.arange(1, len(close) + 1)


def spoils(close: Array) -> Array:
    """Change of the close, written into it."""
    close -= lagged(close, 1)
    return close


def counts(close: Array) -> Array:
    """Close and the number of calls."""
    counts.calls += 1
    return close + counts.calls


counts.calls = 0


def one_number(close: Array) -> float:
    """Last close."""
    return float(close[-1])


def needs_values(close: Array) -> Array:
    """Close, where there is one."""
    if np.isnan(close).all():
        raise IndexError("no close")
    return close


def nothing(close: Array) -> Array:
    """Missing everywhere."""
    return close * np.nan


def unsaid(close: Array) -> Array:
    return close


@pytest.mark.parametrize(
    ("compute", "told"),
    [
        (next_close, "looks ahead"),
        (share_of_peak, "looks ahead"),
        (running_mean, "reaches further"),
        (spoils, "changes its input 'close'"),
        (counts, "a second time"),
        (one_number, r"not \(\d+,\)"),
        (needs_values, "missing fails"),
        (nothing, "missing at every step"),
        (unsaid, "docstring"),
    ],
)
def test_each_flaw_is_told(compute: Callable[..., Array], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_feature(Feature(compute.__name__, PRICE, ("close",), 3, "x", compute))


def test_a_function_must_be_declared_with_inputs_that_there_are() -> None:
    with pytest.raises(AssertionError, match="not declared"):
        check_feature(next_close)
    with pytest.raises(ValueError, match="no input 'closes'; there are open, high, low, close"):
        feature(group=PRICE, inputs=["closes"], lookback=0, unit="x")(next_close)
    with pytest.raises(ValueError, match="the sentiment features of a bar have no input 'close'"):
        feature(group="sentiment", inputs=["close"], lookback=0, unit="x")(next_close)
    with pytest.raises(ValueError, match="no input 'value'; there are none"):
        feature(group="onchain", inputs=["value"], lookback=0, unit="x")(next_close)


def test_a_name_is_declared_once_and_only_by_whom_it_was() -> None:
    declare = feature(group=PRICE, inputs=["close"], lookback=0, unit="x")
    assert declare(declare(next_close)) is next_close, "a module that is imported anew"
    exec("def next_close(close):\n    return close", namespace := {"__name__": "another"})
    with pytest.raises(ValueError, match="next_close is declared twice"):
        declare(namespace["next_close"])


def install(folder: Path, patch: pytest.MonkeyPatch, module: str, code: str, value: str) -> None:
    """Make a distribution that offers features, as if it had been installed."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (folder / f"{module}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[moodtape.features]\ncandles = {value}\n")
    patch.syspath_prepend(str(folder))


CANDLES = Config.model_validate({"features": {"plugins": ["candles"]}})


def test_the_example_of_the_docs_is_found_as_a_plug_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "features.md").read_text("utf-8")
    example, check = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    install(tmp_path, monkeypatch, "my_candles", f"{example}\n\n{check}", "my_candles")
    assert 'candles = "my_candles"' in page
    added = [f.name for f in chosen_features(CANDLES).price if f.added]
    assert added == ["jump_at_open", "mean_range_10"]
    assert [f.name for f in chosen_features(CANDLES).price[: len(CHOSEN.price)]] == [
        f.name for f in CHOSEN.price
    ]
    assert chosen_features(Config()).price == CHOSEN.price, (
        "what is loaded and not named is not used"
    )
    sys.modules["my_candles"].test_my_features()
    monkeypatch.delitem(sys.modules, "my_candles")


def test_an_entry_may_name_one_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from moodtape.forecaster.features.base import feature\n"
        "@feature(group='price', inputs=['close'], lookback=0, unit='x')\n"
        "def mine(close):\n    'Close.'\n    return close\n"
        "@feature(group='price', inputs=['close'], lookback=0, unit='x')\n"
        "def other(close):\n    'Close.'\n    return close\n"
    )
    install(tmp_path, monkeypatch, "one_candle", code, "one_candle:mine")
    assert [f.name for f in chosen_features(CANDLES).price if f.added] == ["mine"]
    monkeypatch.delitem(sys.modules, "one_candle")


def test_what_is_wrong_with_a_plug_in_is_told_with_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="There is no feature 'candles'"):
        chosen_features(CANDLES)
    install(tmp_path, monkeypatch, "empty_candles", "x = 1\n", "empty_candles")
    with pytest.raises(UsageError, match=r"'candles' of empty_candles 1\.0 offers no feature"):
        chosen_features(CANDLES)
    monkeypatch.delitem(sys.modules, "empty_candles")
    (tmp_path / "empty_candles.py").write_text(
        "from moodtape.forecaster.features.base import feature\n"
        "@feature(group='price', inputs=['close'], lookback=0, unit='x')\n"
        "def rsi_14(close):\n    return close\n"
    )
    with pytest.raises(PlugInBroken, match=r"empty_candles 1\.0 .* rsi_14 is declared twice"):
        chosen_features(CANDLES)


def test_a_name_that_a_half_life_makes_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "from moodtape.forecaster.features.base import feature\n"
        "@feature(group='sentiment', inputs=['n'], lookback=0, unit='x')\n"
        "def rate_24h(n):\n    'Texts.'\n    return n\n"
    )
    install(tmp_path, monkeypatch, "rate_candle", code, "rate_candle")
    assert "rate_24h" in [f.name for f in chosen_features(CANDLES).texts]
    daily = Config.model_validate(
        {"features": {"plugins": ["candles"]}, "sentiment": {"half_lives_h": [24]}}
    )
    with pytest.raises(UsageError, match=r"two features 'rate_24h': a plug-in's, and the one"):
        chosen_features(daily)
    monkeypatch.delitem(sys.modules, "rate_candle")


def test_rows_are_read_as_far_back_as_a_feature_of_texts_by_the_bar_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def month_of(n: Array) -> Array:
        """Texts."""
        return n

    month = Feature("month", SENTIMENT, ("n", "usual"), 720, "texts", month_of)
    with_month = replace(CHOSEN, texts=(*CHOSEN.texts, month))
    monkeypatch.setattr(reach, "chosen_features", lambda _: with_month)
    hours = Config().network.sentiment_lookback_bars + 720 + max(168, CHOSEN.lookback_hours)
    since, hour = datetime(2024, 6, 1, tzinfo=UTC), timedelta(hours=1)
    assert reach.reach_of(Config(), get_calendar("24/7"), hour, since) > hours * hour
