"""Features of plug-ins are columns like built-in ones, and audited like them."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from moodtape.forecaster.features.base import REGISTRY
from tests.point_in_time.test_planted_leaks import TESTED

if TYPE_CHECKING:
    from tests.point_in_time.conftest import Study

CODE = """
import numpy as np

from moodtape.forecaster.features.base import feature
from moodtape.forecaster.features.rolling import lagged


@feature(group="price", inputs=["open", "close"], lookback=1, unit="share of price")
def jump_at_open(open, close):
    '''Jump from the last bar's close to this bar's open.'''
    return open / lagged(close, 1) - 1


@feature(group="sentiment", inputs=["n"], lookback=2, unit="texts", step="hour")
def quiet_hours(n):
    '''Whether three hours had no text.'''
    return ((n == 0) & (lagged(n, 1) == 0) & (lagged(n, 2) == 0)).astype(float)


@feature(group="price", inputs=["close"], lookback=1, unit="share of price")
def tomorrow(close):
    '''Return of the next bar.'''
    return np.append(close[1:], np.nan) / close - 1
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a distribution of two honest features and one that looks ahead."""
    info = tmp_path / "candles-1.0.dist-info"
    info.mkdir()
    (tmp_path / "their_candles.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: candles\nVersion: 1.0\n")
    names = ("jump_at_open", "quiet_hours", "tomorrow")
    entries = "".join(f"{n} = their_candles:{n}\n" for n in names)
    (info / "entry_points.txt").write_text(f"[moodtape.features]\n{entries}")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in names:
        REGISTRY.pop(name, None)
    sys.modules.pop("their_candles", None)


def with_plugins(study: Study, *names: str) -> Study:
    features = study.config.features.model_copy(update={"plugins": names})
    return replace(study, config=study.config.model_copy(update={"features": features}))


@pytest.mark.usefixtures("installed")
def test_honest_ones_are_clean_and_one_that_looks_ahead_is_named(study: Study) -> None:
    assert with_plugins(study, "jump_at_open", "quiet_hours").audit(cuts=(TESTED,)).clean
    result = with_plugins(study, "jump_at_open", "tomorrow").audit(cuts=(TESTED,))
    assert result.offenders[0].column == "tomorrow"
    assert result.offenders[0].row_time == TESTED
    assert "jump_at_open" not in {o.column for o in result.offenders}
    assert not [o for o in result.offenders if o.looked_ahead and o.looked_ahead < timedelta(0)]
