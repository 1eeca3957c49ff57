"""Another clock: what it moves, what it leaves, and that a planted look-ahead shows its worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.loading import load_dataset
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.storage.perturb import Clock, open_scratch
from moodtape.study.clocks import Bench, clock_rows, curve, loses_to_delay, one_bar, wishful
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.study.near import near_of
from moodtape.testing import store_market, synthetic_market

HOUR = timedelta(hours=1)


def by_clock(ground: Ground, warehouse: Warehouse, folder: Path, clock: Clock) -> Dataset:
    request = ground.fixed_request
    near = near_of(ground.config, request)
    with open_scratch(warehouse, near, HourRules(), folder, clock) as scratch:
        return load_dataset(scratch, ground.config, request)


def test_no_delay_changes_no_bit(ground: Ground, warehouse: Warehouse, tmp_path: Path) -> None:
    found = by_clock(ground, warehouse, tmp_path, Clock(timedelta(0), "sentiment"))
    assert found.fingerprint() == ground.dataset.fingerprint()


@pytest.mark.parametrize("hours", [1, 24])
def test_a_delay_of_hours_moves_texts_by_so_many_bars_and_no_price(
    ground: Ground, warehouse: Warehouse, tmp_path: Path, hours: int
) -> None:
    found = by_clock(ground, warehouse, tmp_path, Clock(hours * HOUR, "sentiment"))
    price, texts = ground.dataset.group("price"), ground.dataset.group("sentiment")
    assert np.array_equal(
        found.features[:, price], ground.dataset.features[:, price], equal_nan=True
    )
    late = found.features[300:, texts]
    assert np.allclose(late, ground.dataset.features[300 - hours : -hours, texts], equal_nan=True)
    assert not np.allclose(late, ground.dataset.features[300:, texts], equal_nan=True)


def test_a_day_late_is_not_stale(ground: Ground, warehouse: Warehouse, tmp_path: Path) -> None:
    near = near_of(ground.config, ground.fixed_request)
    with open_scratch(
        warehouse, near, HourRules(), tmp_path, Clock(24 * HOUR, "sentiment")
    ) as scratch:
        told = scratch.session.execute("SELECT sum(n), sum(n_stale) FROM sentiment_hourly")
        fresh, stale = told.fetchall()[0]
    assert fresh > 400
    assert stale == 0


def test_the_wishful_clock_of_metrics_knows_them_when_their_period_ends(
    ground: Ground, warehouse: Warehouse, tmp_path: Path
) -> None:
    near = near_of(ground.config, ground.fixed_request)
    near = replace(near, metrics=("AdrActCnt",))
    with open_scratch(warehouse, near, HourRules(), tmp_path, Clock(None, "onchain")) as scratch:
        rows = scratch.session.execute("SELECT known_at = period_end FROM metric").fetchall()
        texts = scratch.session.execute("SELECT bool_and(known_at > published_at) FROM document")
        assert texts.fetchall() == [(True,)], "texts stay as they were known"
    assert len(rows) == 18
    assert all(row[0] for row in rows)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory, config: Config) -> tuple[Warehouse, Ground]:
    """Return a world whose tone tells the next bar, held by a collector three hours too late."""
    folder = tmp_path_factory.mktemp("late")
    market = synthetic_market(np.random.default_rng(8), 1500, driven="return", gain=0.4)
    texts = market.documents
    late = texts.assign(collected_at=texts["published_at"] + timedelta(hours=3))
    warehouse = Warehouse(folder / "moodtape.duckdb")
    store_market(warehouse, folder / "market", replace(market, documents=late), config)
    changed = config.model_copy(
        update={"target": config.target.model_copy(update={"names": ("return",)})}
    )
    return warehouse, lay_ground(warehouse, changed, Question())


def test_a_planted_look_ahead_shows_what_it_is_worth(
    late: tuple[Warehouse, Ground], tmp_path: Path
) -> None:
    warehouse, ground = late
    told: list[str] = []
    bench = Bench(warehouse, HourRules(), tmp_path, told.append)
    rows = clock_rows(ground, bench, [wishful(ground), one_bar(ground)])
    known, published, later = rows
    assert [row["delay_min"] for row in rows] == [0, None, 60]
    assert published["interval"][0] > 0.05, "whoever knew texts at once would have gained"
    assert published["over_known_interval"][0] > 0.05
    assert known["effect"] < 0.5 * published["effect"]
    assert known["over_known"] is None
    assert published["over_known"] == pytest.approx(
        published["effect"] - known["effect"], abs=1e-9
    ), "null is the same by both clocks, so that the difference is all of it"
    assert later["over_known"] < published["over_known"]
    assert told == ["clock: as stored", "clock: as published", "clock: 60 min later"]
    assert list(tmp_path.iterdir()) == [], "scratch files vanish"


def test_the_curve_holds_one_bar_and_none_is_drawn_without_delays(ground: Ground) -> None:
    minutes = [clock.delay and clock.delay // timedelta(minutes=1) for clock in curve(ground)]
    assert minutes == [None, 15, 60, 240, 1440]
    quiet = ground.config.ablation.model_copy(update={"clock_delays_min": (30,)})
    own = replace(ground, config=ground.config.model_copy(update={"ablation": quiet}))
    assert [c.delay for c in curve(own)][1:] == [timedelta(minutes=30), HOUR]
    none = ground.config.ablation.model_copy(update={"clock_delays_min": ()})
    own = replace(ground, config=ground.config.model_copy(update={"ablation": none}))
    assert curve(own) == []


@pytest.mark.parametrize(("later", "said"), [(0.004, True), (0.006, False), (-0.01, True)])
def test_a_gain_that_one_bar_halves_is_known(ground: Ground, later: float, said: bool) -> None:
    def row(minutes: int, effect: float, forecaster: str = "linear") -> dict[str, Any]:
        return {
            "clock": "known_at", "delay_min": minutes, "symbol": "BTC", "target": "return",
            "horizon_bars": 1, "forecaster": forecaster, "effect": effect,
        }  # fmt: skip

    question = ("BTC", "return", 1)
    rows = [row(0, 0.01), row(60, later), row(60, 1.0, "network")]
    assert loses_to_delay(rows, ground, "linear", question) is said
    assert loses_to_delay(rows, ground, "network", question) is None, "nobody looked"
    assert loses_to_delay(rows, ground, "linear", ("ETH", "return", 1)) is None
