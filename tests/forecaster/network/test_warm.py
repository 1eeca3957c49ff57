"""A fit that begins where the one of the fold before ended, whoever fits it in what order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.clock import from_datetime64
from moodtape.config import Config, WalkForwardSection
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.cells import IMPORTANCE, Cell, CellFitter, CellStore, chains_of
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.forecasters import NETWORK
from moodtape.forecaster.pool import fit_cells
from moodtape.forecaster.runs import config_hash
from moodtape.forecaster.splits import Fold, make_folds
from moodtape.forecaster.train import NetworkForecaster
from moodtape.records import Span

ARMS = [Arm("full", ("price", "sentiment"), "sentiment", "as_is")]
FIRST, SECOND, THIRD = (Cell(NETWORK, number, "full", 0) for number in range(3))


@pytest.fixture(scope="module")
def warm(small_config: Config) -> Config:
    training = small_config.training.model_copy(update={"warm_start": True, "epochs": 3})
    return small_config.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def forecaster(warm: Config, device: Any) -> NetworkForecaster:
    return NetworkForecaster(warm, device)


@pytest.fixture(scope="module")
def dataset(cell: Any) -> Dataset:
    """Return the small market, its span as long as its bars."""
    return replace(cell[0], span=Span(cell[0].span.since, from_datetime64(cell[0].cutoff[-1])))


@pytest.fixture(scope="module")
def folds(dataset: Dataset) -> list[Fold]:
    return make_folds(dataset, 12, WalkForwardSection(folds=3, min_train_rows=100))


def bits(forecasts: Any) -> dict[str, bytes]:
    return {key: values.tobytes() for key, values in forecasts.items()}


def test_each_fold_begins_with_the_weights_of_the_one_before(
    dataset: Dataset, warm: Config, folds: list[Fold], forecaster: NetworkForecaster
) -> None:
    fitter = CellFitter(dataset, folds, ARMS, warm)
    found = [fitter.fit(each, forecaster) for each in (FIRST, SECOND)]
    cold = CellFitter(dataset, folds, ARMS, Config(**{**dict(warm), "training": {}}))
    assert bits(found[0]) == bits(cold.fit(FIRST, forecaster)), "nothing is before the first"
    assert bits(found[1]) != bits(cold.fit(SECOND, forecaster))
    inputs = [fitter._inputs(each, dataset, folds[each.fold]) for each in (FIRST, SECOND)]
    rows = np.concatenate([folds[1].calibrate, folds[1].test])
    start = None
    for number, own in enumerate(inputs):
        at = {"dataset": dataset, "inputs": own, "fold": folds[number], "rows": rows}
        forecasts, start = forecaster.go_on(**at, seed=0, start=start)
    assert bits(forecasts) == bits(found[1])


def test_a_cell_is_the_same_in_any_order_and_tells_of_its_own_fit(
    dataset: Dataset, warm: Config, folds: list[Fold], forecaster: NetworkForecaster
) -> None:
    in_a_row = CellFitter(dataset, folds, ARMS, warm)
    last = [in_a_row.fit(each, forecaster) for each in (FIRST, SECOND, THIRD)][-1]
    told = len(forecaster.log)
    alone = CellFitter(dataset, folds, ARMS, warm)
    assert bits(alone.fit(THIRD, forecaster)) == bits(last)
    assert [row["fold"] for row in forecaster.log[told:]] == [2]
    copies = replace(THIRD, kind=IMPORTANCE)
    tested = len(folds[2].calibrate)
    again = alone.fit(copies, forecaster)["return_1"][: len(folds[2].test)]
    np.testing.assert_array_equal(again, last["return_1"][tested:])


def test_no_forecast_depends_on_what_comes_after_its_fold(
    dataset: Dataset,
    warm: Config,
    folds: list[Fold],
    forecaster: NetworkForecaster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights of a later fold would be a leak; the test sees it when it is planted."""
    later = folds[2].test_from
    after = dataset.cutoff >= later
    features = np.where(after[:, None], -3.0 * dataset.features[::-1], dataset.features)
    targets = {
        key: replace(target, y=np.where(after, 1.0 - target.y, target.y))
        for key, target in dataset.targets.items()
    }
    other = replace(dataset, features=features, targets=targets)

    def second(data: Any) -> dict[str, bytes]:
        return bits(CellFitter(data, folds, ARMS, warm).fit(SECOND, forecaster))

    assert second(dataset) == second(other)
    end = replace(folds[2], train=np.concatenate([folds[2].train, folds[2].test[:-1]]))

    def of_the_end(fitter: CellFitter, each: Cell, fit_predict: Any) -> Any:
        inputs = fitter._inputs(each, fitter._dataset, end)
        return fit_predict.go_on(
            fitter._dataset, inputs, end, end.test, seed=each.seed, start=None
        )[1]

    monkeypatch.setattr(CellFitter, "_weights_before", of_the_end)
    assert second(dataset) != second(other)


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one(
    dataset: Dataset, warm: Config, folds: list[Fold], forecaster: NetworkForecaster, tmp_path: Path
) -> None:
    cells = [replace(each, seed=seed) for each in (FIRST, SECOND, THIRD) for seed in (0, 1)]
    assert [len(chain) for chain in chains_of(cells, warm)] == [3, 3]
    store, told = CellStore(tmp_path / "cells"), []
    fit_cells(cells, dataset, folds, ARMS, warm, store, 2, told.append)
    assert sorted(told) == sorted(map(str, cells))
    fitter = CellFitter(dataset, folds, ARMS, warm)
    for each in cells:
        found, log = store.load(each) or ({}, {})
        assert log["fold"] == each.fold
        assert bits(fitter.fit(each, forecaster)) == bits(found), each


def test_settings_that_are_off_leave_the_trial_what_it_was() -> None:
    assert config_hash(Config()) == "7053a3de44cb9cb0"
    for section, name, value in (
        ("training", "warm_start", True),
        ("walk_forward", "refit_bars", 500),
    ):
        assert config_hash(Config.model_validate({section: {name: value}})) != "7053a3de44cb9cb0"
