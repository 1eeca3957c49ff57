"""A network fitted by another process, on one core of its own, has the bits of this one's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.cells import Cell, CellFitter, CellStore
from moodtape.forecaster.forecasters import NETWORK
from moodtape.forecaster.pool import fit_cells
from moodtape.forecaster.train import NetworkForecaster

GROUPS = ("price", "sentiment")
ARMS = [
    Arm("full", GROUPS, "sentiment", "as_is"),
    Arm("null", GROUPS, "sentiment", "constant"),
]


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one(
    cell: Any, forecaster: NetworkForecaster, small_config: Config, tmp_path: Path
) -> None:
    dataset, _, fold = cell
    cells = [Cell(NETWORK, 0, arm.name, seed) for arm in ARMS for seed in (0, 1)]
    store = CellStore(tmp_path / "cells")
    fit_cells(cells, dataset, [fold], ARMS, small_config, store, 2)
    fitter = CellFitter(dataset, [fold], ARMS, small_config)
    for each in cells:
        found, log = store.load(each) or ({}, {})
        here = fitter.fit(each, forecaster)
        assert log["epochs"] >= 1
        assert set(found) == set(here)
        for key, values in here.items():
            assert values.tobytes() == found[key].tobytes(), (each, key)
