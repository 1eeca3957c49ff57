"""A run of `train` that was interrupted goes on in its own folder, to the same model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config
from moodtape.forecaster.arms import real_arm
from moodtape.forecaster.checkpoint import interrupted
from moodtape.storage.db import Warehouse
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.study.training import served_key, train_served

TINY = {
    "lookback_bars": 12, "sentiment_lookback_bars": 6, "filters": 4, "market_units": 4,
    "sentiment_units": 4, "hidden": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def small(warehouse: Warehouse, make_config: Callable[..., Config]) -> Ground:
    training = {"epochs": 3, "patience": 3, "batch_size": 64, "tensorboard": True}
    return lay_ground(warehouse, make_config(network=TINY, training=training), Question())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # exporters warn about their own internals
def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(
    small: Ground, tmp_path: Path
) -> None:
    arm, runs = real_arm(small.arms), tmp_path / "runs"

    def train(folder: Path, progress: Any = None) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        return train_served(small, folder, arm, "moodtape train", progress)

    def impatient(done: int, total: int, what: str) -> None:
        if what.startswith("fitting, epoch 3"):
            assert 2 * total < 3 * done < 3 * total
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(runs / "first", impatient)
    key = served_key(small, arm)
    assert interrupted(runs, key) == runs / "first"
    told: list[str] = []
    resumed = train(runs / "first", lambda done, total, what: told.append(what))
    assert interrupted(runs, key) is None, "a whole run is no interrupted one"
    assert not [what for what in told if what.startswith(("fitting, epoch 1", "fitting, epoch 2"))]
    whole = train(tmp_path / "elsewhere")
    assert resumed["history"] == whole["history"]
    served = [
        json.loads((folder / "served.json").read_text())
        for folder in (runs / "first", tmp_path / "elsewhere")
    ]
    assert served[0] == served[1], "calibrated on the same answers, to the last bit"
    assert set(served[0]["residuals"]) == {"return_1", "volatility_1"}
    assert set(served[0]["odds"]) == {"direction_1"}
    assert len(list((runs / "first" / "tensorboard").iterdir())) >= 1


def test_the_key_follows_everything_that_the_bits_depend_on(
    small: Ground, warehouse: Warehouse, make_config: Callable[..., Config]
) -> None:
    arm, key = real_arm(small.arms), served_key(small, real_arm(small.arms))
    training = {"epochs": 3, "patience": 3, "batch_size": 64, "tensorboard": False}
    same = lay_ground(warehouse, make_config(network=TINY, training=training), Question())
    assert served_key(same, arm) == key, "curves change no bit"
    slower = {**training, "learning_rate": 1e-4}
    other = lay_ground(warehouse, make_config(network=TINY, training=slower), Question())
    assert served_key(other, arm) != key
    until = small.span.until - (small.span.until - small.span.since) / 10
    shorter = lay_ground(warehouse, small.config, Question(until=until))
    assert served_key(shorter, arm) != key
