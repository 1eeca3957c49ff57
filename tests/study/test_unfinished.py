"""A study goes on in the folder that it was interrupted in, and in no other one."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.errors import UsageError
from moodtape.forecaster.cells import Cell, CellStore
from moodtape.forecaster.checkpoint import held
from moodtape.forecaster.runs import plain
from moodtape.study.ablate import cells_of_study, fit_studies
from moodtape.study.ground import Ground
from moodtape.study.unfinished import run_of_study

NOW = datetime(2025, 6, 30, tzinfo=UTC)
CELL = Cell("linear", 0, "null", 0)
FORECASTS = {"return_1": np.array([0.5])}


def interrupted(runs: Path, ground: Ground) -> Path:
    """Leave a study after its first cell; return its folder."""
    with suppress(KeyboardInterrupt), run_of_study(runs, ground, "evaluate", NOW, ignore) as run:
        run[1].save(CELL, FORECASTS, {})
        raise KeyboardInterrupt
    return run[0]


def bare(what: str) -> str:
    """Return what is told of a cell without the time that is left."""
    cell, _, last = what.rpartition(", ")
    return cell if last.endswith(" left") else what


def ignore(*told: Any) -> None:
    """Show nothing."""


def test_what_was_finished_is_at_hand_until_all_is(ground: Ground, tmp_path: Path) -> None:
    first, told = interrupted(tmp_path, ground), []
    with run_of_study(tmp_path, ground, "evaluate", NOW, lambda *step: told.append(step)) as run:
        folder, kept = run
        assert folder == first
        assert kept.load(CELL) == (FORECASTS, {})
    assert told == [(0, 0, f"going on with {first.name}")]
    assert not list(first.iterdir()), "neither cells nor a lock"
    with run_of_study(tmp_path, ground, "evaluate", NOW, ignore) as (folder, kept):
        assert folder != first
        assert kept.load(CELL) is None


def test_neither_another_verb_nor_another_process_goes_on_with_it(
    ground: Ground, tmp_path: Path
) -> None:
    first = interrupted(tmp_path, ground)
    with run_of_study(tmp_path, ground, "ablate", NOW, ignore) as (folder, _):
        assert folder != first
    with held(first), run_of_study(tmp_path, ground, "evaluate", NOW, ignore) as (folder, _):
        assert folder != first
        with pytest.raises(UsageError), held(folder):
            pass


def test_nothing_that_is_finished_is_fitted_again(ground: Ground, tmp_path: Path) -> None:
    store, told = CellStore(tmp_path / "cells"), []

    def tell(*step: Any) -> None:
        told.append(step)

    first = fit_studies(ground, tell, store)
    cells = cells_of_study(ground)
    assert {cell.kind for cell in cells} == {"arm", "baseline", "importance"}
    assert [done for done, _, _ in told] == list(range(len(cells)))
    assert sorted(bare(what) for _, _, what in told) == sorted(map(str, cells))
    told.clear()
    again = fit_studies(ground, tell, store)
    assert told == []
    assert plain(again.studies[0].baselines) == plain(first.studies[0].baselines)
    assert plain(again.importance.shuffled) == plain(first.importance.shuffled)  # type: ignore[union-attr]
    next(iter(sorted(store.folder.glob("baseline-*")))).unlink()
    fit_studies(ground, tell, store)
    assert told == [(len(cells) - 1, len(cells), "baselines: fold 1, ridge")]
