"""A network fitted by another process, on one core of its own, has the bits of this one's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import Config
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.cells import Cell, CellFitter, CellStore
from moodtape.forecaster.forecasters import NETWORK
from moodtape.forecaster.on_ray import fit_cells_on_ray
from moodtape.forecaster.pool import fit_cells
from moodtape.forecaster.train import NetworkForecaster

GROUPS = ("price", "sentiment")
ARMS = [
    Arm("full", GROUPS, "sentiment", "as_is"),
    Arm("null", GROUPS, "sentiment", "constant"),
]


def same_as_here(
    cells: list[Cell], store: CellStore, fitter: CellFitter, forecaster: NetworkForecaster
) -> None:
    """Require that kept cells have the bits that this process computes."""
    for each in cells:
        found, log = store.load(each) or ({}, {})
        here = fitter.fit(each, forecaster)
        assert log["epochs"] >= 1
        assert set(found) == set(here)
        for key, values in here.items():
            assert values.tobytes() == found[key].tobytes(), (each, key)


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one(
    cell: Any, forecaster: NetworkForecaster, small_config: Config, tmp_path: Path
) -> None:
    dataset, _, fold = cell
    cells = [Cell(NETWORK, 0, arm.name, seed) for arm in ARMS for seed in (0, 1)]
    store = CellStore(tmp_path / "cells")
    fit_cells(cells, dataset, [fold], ARMS, small_config, store, 2)
    same_as_here(cells, store, CellFitter(dataset, [fold], ARMS, small_config), forecaster)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")  # ray warns about itself
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra")
def test_ray_gives_the_bits_of_this_process(
    cell: Any,
    forecaster: NetworkForecaster,
    small_config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else a token is kept in the home folder
    dataset, _, fold = cell
    cells, store = [Cell(NETWORK, 0, "full", 1)], CellStore(tmp_path / "cells")
    ray.init(
        num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1",
        object_store_memory=80 * 2**20,
    )  # fmt: skip
    try:
        fit_cells_on_ray(cells, dataset, [fold], ARMS, small_config, store)
    finally:
        ray.shutdown()
    same_as_here(cells, store, CellFitter(dataset, [fold], ARMS, small_config), forecaster)
