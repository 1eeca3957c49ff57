"""Cells are fitted once, whoever fits them, and a study may stop anywhere between two."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.errors import UsageError
from moodtape.forecaster import on_ray
from moodtape.forecaster.ablation import Study, run_study
from moodtape.forecaster.arms import arms_of, real_arm
from moodtape.forecaster.cells import (
    ARM,
    Cell,
    CellFitter,
    CellStore,
    baseline_cells,
    cells_of,
    importance_cells,
)
from moodtape.forecaster.checkpoint import computed_by
from moodtape.forecaster.forecasters import LINEAR, NETWORK
from moodtape.forecaster.linear import fit_predict_linear
from moodtape.forecaster.on_ray import agree, fit_cells_on_ray
from moodtape.forecaster.pool import fit_cells
from moodtape.forecaster.splits import make_folds
from moodtape.settings import bundled_config

CONFIG = Config.model_validate(
    {
        "walk_forward": {"folds": 2, "min_train_rows": 100},
        "network": {"lookback_bars": 20},
        "training": {"seeds": 3},
        "target": {"names": ("return", "direction")},
    }
)
CELL = Cell("network", 1, "full/../odd name", 2)


@pytest.fixture(scope="module")
def dataset(make_dataset: Any) -> Any:
    return make_dataset(700, pull=0.6, names=("return", "direction"))


def parts(dataset: Any) -> tuple[Any, Any]:
    folds = make_folds(dataset, 20, CONFIG.walk_forward)
    return folds, arms_of(CONFIG, dataset, "sentiment", bundled_config("ablation.toml"))


def study(dataset: Any, **options: Any) -> Study:
    return run_study(dataset, *parts(dataset), CONFIG, LINEAR, **options)


def same(one: Study, other: Study) -> bool:
    return all(
        values.tobytes() == other.arms[name].by_key[key].tobytes()
        for name, arm in one.arms.items()
        for key, values in arm.by_key.items()
    )


def test_a_kept_cell_comes_back_bit_for_bit(tmp_path: Path) -> None:
    store = CellStore(tmp_path / "cells")
    assert store.load(CELL) is None
    forecasts = {"return_1": np.array([0.1, np.nan, -1e-300]), "gate": np.array([0.25])}
    store.save(CELL, forecasts, {"epochs": 4})
    found, log = store.load(CELL) or ({}, {})
    assert log == {"epochs": 4}
    assert {k: v.tobytes() for k, v in found.items()} == {
        k: v.tobytes() for k, v in forecasts.items()
    }
    assert store.load(Cell("network", 1, "full", 2)) is None
    (file,) = (tmp_path / "cells").iterdir()
    file.write_bytes(file.read_bytes()[:-30])
    assert store.load(CELL) is None, "half a file is none"
    file.write_bytes(b"")
    assert store.load(CELL) is None, "nor is an empty one"
    store.save(CELL, forecasts, {})
    whole = bytearray(file.read_bytes())
    place = whole.index(np.array([-1e-300]).tobytes())
    whole[place] ^= 1
    file.write_bytes(whole)
    assert store.load(CELL) is None, "nor one with a bit turned over"
    store.remove()
    assert not list(tmp_path.iterdir())


def test_an_interrupted_study_goes_on_where_it_was(dataset: Any, tmp_path: Path) -> None:
    store, told = CellStore(tmp_path / "cells"), []

    def stop_after(count: int) -> Any:
        def tell(cell: str) -> None:
            told.append(cell)
            if len(told) > count:
                raise KeyboardInterrupt

        return tell

    with pytest.raises(KeyboardInterrupt):
        study(dataset, kept=store, progress=stop_after(5))
    first, told[:] = list(told), []
    made = study(dataset, kept=store, progress=told.append)
    every = [str(cell) for cell in cells_of(LINEAR, *parts(dataset), 3)]
    assert first[:-1] + told == every, "each was fitted once, the one at hand excepted"
    assert same(made, study(dataset))
    told.clear()
    assert same(study(dataset, kept=store, progress=told.append), made)
    assert told == []


def test_an_echo_is_of_its_own_fold_whatever_was_fitted_before(dataset: Any) -> None:
    """What past prices tell is kept for the next draw; a later fold's would be the future."""
    folds, arms = parts(dataset)
    cells = [Cell(LINEAR, fold, "echo", draw) for draw in (0, 1) for fold in (1, 0)]
    shared = CellFitter(dataset, folds, arms, CONFIG)
    for cell in cells:
        alone = CellFitter(dataset, folds, arms, CONFIG).fit(cell, fit_predict_linear)
        for key, forecasts in shared.fit(cell, fit_predict_linear).items():
            np.testing.assert_array_equal(forecasts, alone[key], err_msg=str(cell))


def test_what_a_fit_measured_is_kept_with_it(dataset: Any, tmp_path: Path) -> None:
    class Logging:
        def __init__(self) -> None:
            self.log: list[dict[str, Any]] = []

        def __call__(self, *cell: Any, seed: int) -> Any:
            self.log.append({"seed": seed, "epochs": 7 + seed})
            return fit_predict_linear(*cell, seed=seed)

    store = CellStore(tmp_path / "cells")
    once, again = Logging(), Logging()
    for fit in (once, again):
        run_study(dataset, *parts(dataset), CONFIG, NETWORK, fit, kept=store)
    assert again.log == once.log
    assert len(once.log) == len(cells_of(NETWORK, *parts(dataset), 3))


def test_two_processes_give_the_bits_of_one(dataset: Any, tmp_path: Path) -> None:
    folds, arms = parts(dataset)
    store, told = CellStore(tmp_path / "cells"), []
    cells = [c for name in (LINEAR, "boosting") for c in cells_of(name, folds, arms, 3)]
    cells += baseline_cells(folds, CONFIG) + importance_cells(LINEAR, folds, real_arm(arms))
    fit_cells(cells, dataset, folds, arms, CONFIG, store, 2, told.append)
    assert sorted(told) == sorted(map(str, cells))
    told.clear()
    fit_cells(cells, dataset, folds, arms, CONFIG, store, 2, told.append)
    assert told == [], "nothing is left to fit"
    for name in (LINEAR, "boosting"):
        shared = run_study(dataset, folds, arms, CONFIG, name, kept=store, progress=told.append)
        assert told == []
        assert same(shared, run_study(dataset, folds, arms, CONFIG, name))
    fitter = CellFitter(dataset, folds, arms, CONFIG)
    for cell in cells:
        if cell.kind != ARM:
            found, _ = store.load(cell) or ({}, {})
            here = fitter.fit(cell, cell.open(CONFIG))
            assert {key: v.tobytes() for key, v in here.items()} == {
                key: v.tobytes() for key, v in found.items()
            }, cell


def test_an_error_in_a_process_is_that_error_here(
    dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds, arms = parts(dataset)
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    cells, store = [Cell(NETWORK, 0, "null", 0)], CellStore(tmp_path / "cells")
    with pytest.raises(UsageError, match="KERAS_BACKEND is abacus"):
        fit_cells(cells, dataset, folds, arms, CONFIG, store, 1)


def test_ray_without_its_extra_says_so(
    dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, store = importlib.util.find_spec, CellStore(tmp_path / "cells")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else found(name)
    )
    with pytest.raises(UsageError, match="needs the 'ray' extra"):
        fit_cells_on_ray([CELL], dataset, *parts(dataset), CONFIG, store)


def test_machines_with_another_library_are_refused() -> None:
    here = {"code": "a", "numpy": "2.4"}
    agree(here, {**here, "other": "1"})
    with pytest.raises(UsageError, match=r"its numpy is 2\.5, here it is 2\.4"):
        agree(here, {**here, "numpy": "2.5"})


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")  # ray warns about itself
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra")
def test_ray_gives_the_bits_of_this_process(
    dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else a token is kept in the home folder
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1",
        object_store_memory=80 * 2**20,
    )  # fmt: skip
    try:
        (folds, arms), store = parts(dataset), CellStore(tmp_path / "cells")
        cells = [c for name in (LINEAR, "boosting") for c in cells_of(name, folds[:1], arms, 3)]
        cells += baseline_cells(folds[:1], CONFIG) + importance_cells(
            LINEAR, folds[:1], real_arm(arms)
        )
        told: list[str] = []
        asked = (cells, dataset, folds, arms, CONFIG, store)
        fit_cells_on_ray(*asked, told.append)
        assert sorted(told) == sorted(map(str, cells))
        told.clear()
        fit_cells_on_ray(*asked, told.append)
        assert told == [], "nothing is left to fit"
        fitter = CellFitter(dataset, folds, arms, CONFIG)
        for cell in cells:
            found, _ = store.load(cell) or ({}, {})
            here = fitter.fit(cell, cell.open(CONFIG))
            assert {key: v.tobytes() for key, v in here.items()} == {
                key: v.tobytes() for key, v in found.items()
            }, cell
        monkeypatch.setattr(on_ray, "computed_by", lambda: {**computed_by(), "numpy": "1"})
        with pytest.raises(UsageError, match="would compute other bits: its numpy is"):
            fit_cells_on_ray([Cell(LINEAR, 1, "null", 0)], *asked[1:])
    finally:
        ray.shutdown()
