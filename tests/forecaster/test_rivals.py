"""One forecaster against another on the same decisions, against what one can work out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.ablation import ArmForecasts, Study
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.rivals import Rivalry, rivalries

CONFIG = Config.model_validate({"verdict": {"draws": 400}})
REAL = Arm("full", ("price", "sentiment"), "sentiment", "as_is")


def study_of(dataset: Any, forecaster: str, noise: float, seeds: int = 1) -> Study:
    """Return a study whose forecasts miss the answer by so much noise."""
    rows = np.flatnonzero(~np.isnan(dataset.trailing_variance))
    rng = np.random.default_rng([len(forecaster), seeds])

    def near(key: str, size: float, count: int) -> np.ndarray:
        y = np.nan_to_num(dataset.targets[key].y[rows])
        unit = np.sqrt(dataset.trailing_variance[rows]) if key == "return_1" else 1.0
        return y + size * unit * rng.standard_normal((count, len(rows)))

    keys = ("return_1", "volatility_1")
    return Study(
        forecaster=forecaster,
        rows=rows,
        fold=np.repeat(np.arange(4), -(-len(rows) // 4))[: len(rows)],
        arms={"full": ArmForecasts(REAL, {key: near(key, noise, seeds) for key in keys})},
        baselines={
            "persistence": {key: near(key, 1.0, 1)[0] for key in keys},
            "HAR": {"volatility_1": near("volatility_1", 0.5, 1)[0]},
        },
        helps_allowed=True,
        real="full",
    )


@pytest.fixture(scope="module")
def dataset(make_dataset: Any) -> Any:
    return make_dataset(2400, names=("return", "volatility"))


@pytest.fixture(scope="module")
def found(dataset: Any) -> list[Rivalry]:
    studies = [
        study_of(dataset, "network", 0.6, seeds=3),
        study_of(dataset, "linear", 0.6),
        study_of(dataset, "boosting", 0.4),
    ]
    return rivalries(studies, dataset, CONFIG)


def test_the_first_meets_everybody_and_the_others_meet_har(found: list[Rivalry]) -> None:
    pairs = [(r.target, r.forecaster, r.rival, r.fitted) for r in found]
    assert pairs == [
        ("return", "network", "linear", True),
        ("return", "network", "boosting", True),
        ("return", "network", "persistence", False),
        ("volatility", "network", "linear", True),
        ("volatility", "network", "boosting", True),
        ("volatility", "network", "persistence", False),
        ("volatility", "network", "HAR", False),
        ("volatility", "linear", "HAR", False),
        ("volatility", "boosting", "HAR", False),
    ]


def test_gains_are_those_of_mean_losses_with_an_interval_around_them(
    dataset: Any, found: list[Rivalry]
) -> None:
    for row in found:
        assert row.gain == pytest.approx(1 - row.loss / row.rival_loss)
        assert row.interval[0] < row.gain < row.interval[1]
        assert row.n == 2400 - 51 - 1, "the last answer is not known"
    by_pair = {(r.target, r.forecaster, r.rival): r for r in found}
    boosting = by_pair["volatility", "boosting", "HAR"]
    assert boosting.loss == pytest.approx(0.4**2, rel=0.1)
    assert boosting.rival_loss == pytest.approx(0.5**2, rel=0.1)
    assert boosting.beats
    assert not boosting.loses
    assert by_pair["return", "network", "boosting"].loses
    assert by_pair["return", "network", "persistence"].beats
    equal = by_pair["return", "network", "linear"]
    assert not equal.beats
    assert not equal.loses


def test_a_forecaster_alone_still_meets_the_baselines(dataset: Any) -> None:
    found = rivalries([study_of(dataset, "linear", 0.6)], dataset, CONFIG)
    assert {r.rival for r in found} == {"persistence", "HAR"}


def test_rivals_that_never_differ_have_no_interval(dataset: Any) -> None:
    one = study_of(dataset, "linear", 0.6)
    found = rivalries([one, one], dataset, CONFIG)
    same = next(r for r in found if r.fitted)
    assert same.gain == 0
    assert np.isnan(same.interval).all()
    assert not same.beats
    assert not same.loses
