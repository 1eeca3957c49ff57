from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.device import Device
from moodtape.forecaster.inputs import Inputs
from moodtape.forecaster.metrics import brier, squared_error
from moodtape.forecaster.train import (
    ANSWER_CLIP,
    Fit,
    NetworkForecaster,
    TargetScale,
    target_scales,
)


def test_it_learns_what_is_there(fit: Fit, cell: Any) -> None:
    dataset, _, fold = cell
    forecast = fit.forecast(dataset, fold.test)
    for key, target in dataset.targets.items():
        y, f = target.y[fold.test], forecast[key]
        known = ~np.isnan(y)
        base = np.nanmean(target.y[fold.train])
        loss = brier if target.name == "direction" else squared_error
        gain = 1 - loss(y[known], f[known]).mean() / loss(y[known], base).mean()
        assert gain > 0.5, f"{key}: explains only {gain:.0%}"
    assert len(fit.history) <= 8
    assert fit.history[fit.best_epoch - 1]["val_loss"] == min(h["val_loss"] for h in fit.history)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    forecaster: NetworkForecaster, fit: Fit, cell: Any
) -> None:
    dataset, inputs, fold = cell
    first = forecaster(dataset, inputs, fold, fold.test, seed=0)
    other = forecaster(dataset, inputs, fold, fold.test, seed=1)
    again = forecaster(dataset, inputs, fold, fold.test, seed=0)
    for key, values in first.items():
        assert np.array_equal(values, again[key]), key
        assert not np.array_equal(values, other[key]), key


def test_what_was_fitted_before_leaves_no_trace(
    small_config: Config, device: Device, forecaster: NetworkForecaster, fit: Fit, cell: Any
) -> None:
    dataset, inputs, fold = cell
    used = forecaster(dataset, inputs, fold, fold.test, seed=0)
    fresh = NetworkForecaster(small_config, device)(dataset, inputs, fold, fold.test, seed=0)
    for key, values in used.items():
        assert np.array_equal(values, fresh[key]), key


def test_a_row_after_the_tested_ones_changes_nothing(
    forecaster: NetworkForecaster, fit: Fit, cell: Any
) -> None:
    dataset, inputs, fold = cell
    early = fold.test[:50]
    before = forecaster(dataset, inputs, fold, early, seed=0)
    market = inputs.market.copy()
    market[early[-1] + 1 :] = 99.0
    targets = {
        key: replace(t, y=np.where(np.arange(len(t.y)) >= early[0], 7.0, t.y))
        for key, t in dataset.targets.items()
    }
    changed = replace(dataset, targets=targets)
    after = forecaster(changed, Inputs(market, inputs.subject), fold, early, seed=0)
    for key, values in before.items():
        assert np.array_equal(values, after[key]), key


def test_missing_answers_weigh_nothing(forecaster: NetworkForecaster, fit: Fit, cell: Any) -> None:
    dataset, inputs, fold = cell
    holes = np.isnan(dataset.targets["direction_1"].y[fold.train]).sum()
    assert holes > 0, "the case must occur"
    forecast = forecaster(dataset, inputs, fold, fold.test, seed=0)
    assert all(np.isfinite(values).all() for values in forecast.values())


def test_scales_come_from_the_training_rows_and_return(make_cell: Callable[..., Any]) -> None:
    dataset, _, fold = make_cell()
    scales = {s.key: s for s in target_scales(dataset, fold.train)}
    volatility = dataset.targets["volatility_1"].y
    assert scales["volatility_1"].center == pytest.approx(volatility[fold.train].mean())
    assert scales["volatility_1"].spread == pytest.approx(volatility[fold.train].std())
    ret = dataset.targets["return_1"].y
    assert scales["return_1"].center == 0.0
    assert scales["return_1"].spread == pytest.approx((ret[fold.train] / 0.01).std())
    for key, scale in scales.items():
        y = dataset.targets[key].y
        back = scale.restored(scale.scaled(y, dataset.trailing_variance), dataset.trailing_variance)
        np.testing.assert_allclose(back, y, err_msg=key)


def test_a_wild_answer_is_cut_while_fitting() -> None:
    scale = TargetScale("return_4", "return", 4, 0.0, 2.0)
    # own scale sqrt(1e-4 * 4) = 0.02, spread 2: one unit is 0.04
    scaled = scale.scaled(np.array([0.04, 1.0, np.nan]), np.full(3, 1e-4))
    np.testing.assert_allclose(scaled, [1.0, ANSWER_CLIP, np.nan])


def test_the_gate_is_a_share(fit: Fit, forecaster: NetworkForecaster, cell: Any) -> None:
    dataset, inputs, fold = cell
    gate = forecaster(dataset, inputs, fold, fold.test, seed=0)["gate"]
    assert gate.shape == fold.test.shape
    assert ((gate > 0) & (gate < 1)).all()
    assert gate.std() > 0.01, "it opens and shuts"
    without = Inputs(inputs.market, inputs.subject[:, :0])
    assert "gate" not in forecaster(dataset, without, fold, fold.test, seed=0)


def test_symbols_are_thinned_alike(make_cell: Callable[..., Any], device: Device) -> None:
    from moodtape.forecaster.train import _thin_by_symbol

    dataset, _, fold = make_cell(symbols=2)
    order = fold.train[np.argsort(dataset.cutoff[fold.train], kind="stable")]
    kept = _thin_by_symbol(dataset, order, 600)
    assert np.bincount(dataset.symbol[kept]).tolist() == [294, 294]
    assert (np.diff(dataset.cutoff[kept]) >= np.timedelta64(0, "us")).all()


@pytest.mark.filterwarnings("ignore")  # exporters warn about their own internals
def test_the_served_model_says_what_the_network_says(
    small_config: Config, device: Device, make_cell: Callable[..., Any], tmp_path: Any
) -> None:
    from moodtape.forecaster.calibration import fit_calibration
    from moodtape.forecaster.export import save_model
    from moodtape.forecaster.scaling import Scaler
    from moodtape.forecaster.served import Served, forecast_rows
    from moodtape.forecaster.windows import gather

    dataset, inputs, fold = make_cell(symbols=2)
    fit = NetworkForecaster(small_config, device).fit(dataset, inputs, fold, seed=0)
    rows = fold.calibrate[:64]
    windows = {
        "market": gather(inputs.market, rows, 8),
        "subject": gather(inputs.subject, rows, 4),
        "symbol": dataset.symbol[rows].astype("int32"),
    }
    gap = save_model(fit.network.core, tmp_path, windows)
    assert gap is not None
    assert gap < 1e-5
    truth = fit.forecast(dataset, fold.test)
    names = [c.name for c in dataset.columns]
    made = fit_calibration(dataset, fold.calibrate, fit.forecast(dataset, fold.calibrate))
    identity = Scaler(np.zeros((2, len(names))), np.ones((2, len(names))))
    served = Served(
        dataset.symbols, "1h", "lexicon@1", ("news",), (), tuple(names[:4]), tuple(names[4:]),
        tuple(names), 8, 4, fit.scales, made.offsets, identity, "2024-02-01", made.odds,
        made.usual_miss,
    )  # fmt: skip
    served.write(tmp_path)
    read = Served.read(tmp_path)
    assert read.calibration == made
    assert read.scales == served.scales
    answers = forecast_rows(tmp_path, read, dataset, fold.test)
    calibrated = made.apply(dataset, fold.test, truth)
    assert [a["symbol"] for a in answers] == ["BTC"] * 100 + ["ETH"] * 100
    for place, answer in enumerate(answers):
        assert answer["mean"] == pytest.approx(truth["return_1"][place], abs=1e-6)
        assert answer["p_up_raw"] == pytest.approx(truth["direction_1"][place], abs=1e-5)
        assert answer["p_up"] == pytest.approx(calibrated["direction_1"][place], abs=1e-4)
        volatility = np.exp(truth["volatility_1"][place])
        assert answer["volatility"] == pytest.approx(volatility, rel=1e-4)
        assert answer["gate"] == pytest.approx(truth["gate"][place], abs=1e-5)
        quantiles = list(answer["quantiles"].values())
        assert quantiles == pytest.approx(calibrated["return_1"][place], abs=1e-6)
        assert quantiles == sorted(quantiles), "quantiles cross"
        quantiles = np.log(list(answer["volatility_quantiles"].values()))
        assert quantiles == pytest.approx(calibrated["volatility_1"][place], abs=1e-4)


def test_a_matrix_longer_than_a_part_is_filled_whole() -> None:
    from moodtape.forecaster.device import prepare

    prepare("cpu")
    from moodtape.forecaster.filling import ROWS, fill
    from moodtape.forecaster.indexed import GatherWindows

    values = np.random.default_rng(0).standard_normal((ROWS + 5, 3))
    gather = GatherWindows(len(values), 3, lookback=2)
    for filled in (values, values[::-1]):
        fill(gather.matrix, filled)
        np.testing.assert_array_equal(np.asarray(gather.matrix.value), filled.astype(np.float32))
