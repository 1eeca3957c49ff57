"""The signal file is whole, bears its project, and is refused when it is old or foreign."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from moodtape.errors import DataStale, UnreadableFile
from moodtape.signals import Signal, read_signals, write_signals

if TYPE_CHECKING:
    from tests.nightly.conftest import World

CUTOFF = datetime(2026, 3, 1, 4, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SIGNAL = Signal(
    symbol="BTC", interval="1h", horizon_bars=1, cutoff=CUTOFF, decision_time=CUTOFF + 2 * MINUTE,
    known_until=CUTOFF + 2 * MINUTE, expires_at=CUTOFF + HOUR + 17 * MINUTE, late=False,
    model="m", side=1, p_up=0.6, mean=0.001, quantiles={"0.5": 0.001}, volatility=0.01,
)  # fmt: skip
NOW = CUTOFF + 5 * MINUTE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_signals(tmp_path / "signals.json", "mine", [SIGNAL], NOW)
    return tmp_path / "signals.json"


def test_what_was_written_is_read(path: Path) -> None:
    assert read_signals(path, NOW) == (SIGNAL,)
    assert read_signals(str(path), NOW, project="mine", symbols=["BTC"]) == (SIGNAL,)


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (CUTOFF + HOUR + 17 * MINUTE, r"expired at 2026-03-01 05:17Z\. Look: moodtape status"),
        (CUTOFF + MINUTE, "a clock is wrong"),
    ],
)
def test_an_expired_or_early_one_is_refused(path: Path, now: datetime, message: str) -> None:
    with pytest.raises(DataStale, match=message):
        read_signals(path, now)
    assert read_signals(path, CUTOFF + HOUR + 16 * MINUTE)
    assert read_signals(path, CUTOFF + 2 * MINUTE)


def test_a_late_one_is_refused(tmp_path: Path) -> None:
    write_signals(tmp_path / "s.json", "mine", [replace(SIGNAL, late=True)], NOW)
    with pytest.raises(DataStale, match="made too late"):
        read_signals(tmp_path / "s.json", NOW)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(product="other"), "no signal file"),
        (lambda d: d.update(schema_version=2), "this reader knows 1"),
        (lambda d: d["signals"][0].update(p_up=0.99), "changed after it was written"),
        (lambda d: d.pop("checksum"), "changed after it was written"),
    ],
)
def test_a_foreign_or_changed_one_is_refused(
    path: Path, change: Callable[[Any], Any], message: str
) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(UnreadableFile, match=message):
        read_signals(path, NOW)


def test_another_projects_or_a_cut_one_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="by the project 'mine', not by 'yours'"):
        read_signals(path, NOW, project="yours")
    with pytest.raises(UnreadableFile, match="no signal for ETH"):
        read_signals(path, NOW, symbols=["BTC", "ETH"])
    path.write_text(path.read_text()[:100])
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_signals(path, NOW)
    path.write_text("[]")
    with pytest.raises(UnreadableFile, match="no signal file"):
        read_signals(path, NOW)
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_signals(tmp_path / "none.json", NOW)


def test_a_horizon_that_is_forecast_no_more_does_not_bar_the_others(ready: World) -> None:
    with ready.warehouse.write() as connection:
        connection.execute(
            "INSERT INTO forecast SELECT * REPLACE (24 AS horizon_bars) FROM forecast LIMIT 1"
        )
    ready.run("tick")
    (signal,) = read_signals(ready.folder / "signals.json", ready.now)
    assert (signal.horizon_bars, signal.cutoff) == (1, CUTOFF)


def test_a_tick_writes_it_and_a_rerun_makes_up_for_a_lost_one(ready: World) -> None:
    result = ready.run("tick")
    assert result.steps[-1].counts["signals"] == 1
    path = ready.folder / "signals.json"
    (signal,) = read_signals(path, ready.now, project="ready", symbols=["BTC"])
    assert (signal.cutoff, signal.model) == (CUTOFF, "20260101T000000Z-aaaaaa")
    assert signal.expires_at == CUTOFF + HOUR + 17 * MINUTE
    assert signal.side == (signal.p_up > 0.5), "spot is long or flat"
    with ready.warehouse.read() as connection:
        stored = connection.execute(
            "SELECT p_up FROM forecast WHERE cutoff = ?", [CUTOFF]
        ).fetchall()
    assert stored == [(signal.p_up,)]
    path.unlink()
    from moodtape.nightly.run import Order

    ready.run("tick", Order(only="forecast"))
    assert read_signals(path, ready.now) == (signal,)
