"""The cells of a study, with forecasters that one can look into."""

from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.ablation import Study, run_study
from moodtape.forecaster.arms import arms_of
from moodtape.forecaster.forecasters import BOOSTING, LINEAR, NETWORK, PLACEBO_DRAWS
from moodtape.forecaster.scaling import Scaler
from moodtape.forecaster.splits import make_folds
from moodtape.settings import bundled_config

CONFIG = Config.model_validate(
    {
        "walk_forward": {"folds": 3, "min_train_rows": 100},
        "network": {"lookback_bars": 20},
        "training": {"seeds": 4},
        "target": {"names": ("return", "direction")},
        "ablation": {"arms": ("price", "full", "null", "shift", "echo", "planted")},
    }
)


def study(dataset: Any, forecaster: str = LINEAR, **options: Any) -> Study:
    folds = make_folds(dataset, 20, CONFIG.walk_forward)
    arms = arms_of(CONFIG, dataset, "sentiment", bundled_config("ablation.toml"))
    return run_study(dataset, folds, arms, CONFIG, forecaster, **options)


@pytest.fixture(scope="module")
def dataset(make_dataset: Any) -> Any:
    """Return 1,200 bars of two symbols, the next return following the tone."""
    return make_dataset(1200, symbols=("BTC", "ETH"), pull=0.6, names=("return", "direction"))


@pytest.fixture(scope="module")
def linear(dataset: Any) -> Study:
    """Return the study of the linear forecaster."""
    return study(dataset)


def test_every_arm_forecasts_every_test_row_in_order_of_time(dataset: Any, linear: Study) -> None:
    folds = make_folds(dataset, 20, CONFIG.walk_forward)
    assert np.array_equal(linear.rows, np.concatenate([f.test for f in folds]))
    assert np.array_equal(np.unique(linear.fold), [0, 1, 2])
    assert (np.diff(dataset.cutoff[linear.rows]) >= np.timedelta64(0, "us")).all()
    assert set(linear.arms) == {"price", "full", "null", "shift", "echo", "planted"}
    for name, forecasts in linear.arms.items():
        seeds = PLACEBO_DRAWS if name in ("shift", "echo") else 1
        for key in ("return_1", "direction_1"):
            assert forecasts.by_key[key].shape == (seeds, len(linear.rows))
    for by_key in linear.baselines.values():
        assert all(values.shape == linear.rows.shape for values in by_key.values())
    assert linear.real == "full"


def test_placebo_draws_differ_and_a_study_repeats_itself(dataset: Any, linear: Study) -> None:
    for placebo in ("shift", "echo"):
        draws = linear.arms[placebo].by_key["return_1"]
        assert len(np.unique(draws, axis=0)) == PLACEBO_DRAWS
    again = study(dataset)
    for name, forecasts in linear.arms.items():
        for key, values in forecasts.by_key.items():
            assert values.tobytes() == again.arms[name].by_key[key].tobytes(), name


def test_null_and_price_are_the_same_to_a_linear_forecaster(linear: Study) -> None:
    for key in ("return_1", "direction_1"):
        np.testing.assert_allclose(
            linear.arms["null"].by_key[key], linear.arms["price"].by_key[key], atol=1e-9
        )


def test_boosting_runs_the_same_arms_as_the_linear_forecaster(dataset: Any, linear: Study) -> None:
    made = study(dataset, BOOSTING)
    for name, forecasts in made.arms.items():
        for key, values in forecasts.by_key.items():
            assert values.shape == linear.arms[name].by_key[key].shape, name
            assert np.isfinite(values).all()
    assert len(np.unique(made.arms["shift"].by_key["direction_1"], axis=0)) == PLACEBO_DRAWS


def test_a_stochastic_forecaster_is_fitted_once_a_seed_fold_and_arm(dataset: Any) -> None:
    calls: list[tuple[int, int, int]] = []
    subjects: dict[int, list[np.ndarray]] = {}
    told: list[str] = []

    def fit(dataset: Any, inputs: Any, fold: Any, rows: Any, *, seed: int) -> dict[str, Any]:
        assert np.array_equal(rows, np.concatenate([fold.calibrate, fold.test]))
        subjects.setdefault(len(calls) // 4 % 6, []).append(inputs.subject)
        calls.append((fold.number, seed, inputs.subject.shape[1]))
        return {key: np.full(len(rows), float(seed)) for key in dataset.targets}

    made = study(dataset, NETWORK, fit_predict=fit, progress=told.append)
    assert len(calls) == len(told) == 3 * 6 * 4
    assert told[0] == "network: fold 1, price, seed 1"
    for forecasts in made.arms.values():
        np.testing.assert_array_equal(forecasts.by_key["return_1"][:, 0], [0, 1, 2, 3])
    kinds = [len({x.tobytes() for x in subjects[arm][:4]}) for arm in range(6)]
    assert kinds == [1, 1, 1, 4, 4, 1], "placebos are drawn anew, what is planted is not"


def test_features_are_scaled_by_the_training_rows_of_their_fold(
    dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[np.ndarray] = []
    fit = Scaler.fit.__func__  # type: ignore[attr-defined]

    def spy(cls: Any, features: Any, symbol: Any, rows: Any, n_symbols: int, *rest: Any) -> Scaler:
        if n_symbols == len(dataset.symbols):  # an echo scales what prices tell by itself
            fitted.append(rows)
        return fit(cls, features, symbol, rows, n_symbols, *rest)

    monkeypatch.setattr(Scaler, "fit", classmethod(spy))
    study(dataset)
    folds = make_folds(dataset, 20, CONFIG.walk_forward)
    assert len(fitted) == 3
    for rows, fold in zip(fitted, folds, strict=True):
        assert np.array_equal(rows, fold.train)


def test_a_fold_that_tests_nothing_is_left_out(make_dataset: Any) -> None:
    dataset = make_dataset(900, holes=range(610, 755), names=("return",))
    folds = make_folds(dataset, 20, CONFIG.walk_forward)
    assert [len(f.test) > 0 for f in folds] == [True, False, True]
    made = study(dataset)
    assert np.array_equal(np.unique(made.fold), [0, 2])
