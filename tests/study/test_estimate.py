"""The time that a study will take comes from what its finished cells took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moodtape.cluster import ALONE, Workers
from moodtape.forecaster.cells import Cell, CellStore
from moodtape.forecaster.linear import fit_predict_linear
from moodtape.study.ablate import cells_of_study, fit_studies
from moodtape.study.estimate import Counter, measured, work_of
from moodtape.study.ground import Ground


def ticking(*seconds: float) -> Any:
    """Return a clock that shows these seconds, one after the other."""
    shown: Iterator[float] = iter(seconds)
    return lambda: next(shown)


def network(ground: Ground, **training: Any) -> float:
    config = ground.config
    changed = config.model_copy(update={"training": config.training.model_copy(update=training)})
    return work_of(Cell("network", 0, "null", 0), replace(ground, config=changed))


def test_work_follows_rows_and_epochs(ground: Ground) -> None:
    first, second = (work_of(Cell("linear", fold, "null", 0), ground) for fold in (0, 1))
    rows = [len(fold.train) for fold in ground.folds]
    assert second / first == pytest.approx(rows[1] / rows[0])
    assert network(ground, epochs=4) == pytest.approx(2 * network(ground, epochs=2))
    assert network(ground, epochs=40) == network(ground, epochs=20), "it stops by then"
    assert network(ground, max_rows=50) / network(ground) == pytest.approx(50 / rows[0])
    assert network(ground, max_rows=0) == network(ground, max_rows=10**6)


def test_what_is_left_takes_as_long_as_what_is_over_did(ground: Ground, tmp_path: Path) -> None:
    cells = [Cell("linear", fold, "null", seed) for fold in (0, 1) for seed in (0, 1)]
    one, two = (work_of(cell, ground) for cell in cells[::2])
    store, told = CellStore(tmp_path / "cells"), []
    store.save(cells[0], {}, {})
    counter = Counter(lambda *step: told.append(step), ground, cells, store, ticking(100, 130, 160))
    for cell in cells[1:]:
        counter.begun(str(cell))
    assert told == [
        (1, 4, str(cells[1])),
        (2, 4, f"{cells[2]}, {30 * 2 * two / one:.0f} s left"),
        (3, 4, f"{cells[3]}, {60 * two / (one + two):.0f} s left"),
    ]
    told.clear()
    counter = Counter(lambda *step: told.append(step), ground, cells, None, ticking(0, 20, 30))
    for cell in cells[2:]:
        counter.done(str(cell))
    assert told == [
        (1, 4, f"{cells[2]}, {20 * (2 * one + two) / two:.0f} s left"),
        (2, 4, f"{cells[3]}, {30 * one / two:.0f} s left"),
    ]


def test_a_first_fit_says_what_the_others_will_take(ground: Ground, tmp_path: Path) -> None:
    cells, store = cells_of_study(ground), CellStore(tmp_path / "cells")
    said = measured(ground, cells, store, ALONE, fit_predict_linear, ticking(0, 60))
    assert store.load(cells[0]) is not None, "what was measured is kept"
    assert said.startswith(f"{len(cells) - 1} fits will take about ")
    assert "one after the other" in said
    work = {cell: work_of(cell, ground) for cell in cells}
    hours = (sum(work.values()) / work[cells[0]] - 2) / 60
    said = measured(ground, cells, store, Workers(2), fit_predict_linear, ticking(0, 120))
    assert f"{len(cells) - 2} fits" in said
    assert f"about {hours:.1f} h by 2 processes" in said or f"{60 * hours:.0f} min by 2" in said


def test_the_full_preset_says_so_before_it_begins(ground: Ground, tmp_path: Path) -> None:
    told: list[str] = []
    full = replace(ground, question=replace(ground.question, preset="full"))
    fit_studies(full, lambda _, __, what: told.append(what), CellStore(tmp_path / "cells"))
    assert told[0] == "measuring a first fit"
    assert "fits will take about" in told[1]
    assert told[1].endswith(".")
    assert ": fold 1, " in told[2]
