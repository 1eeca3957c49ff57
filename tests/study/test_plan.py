"""The plan is written once, and every way in which a study differs from it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from moodtape.errors import UnreadableFile
from moodtape.study.ablate import Outcome
from moodtape.study.before import Before
from moodtape.study.ground import Ground
from moodtape.study.plan import PLAN, deviations, write_plan

FIRST = Before(0.025, 0, {"BTC return 1": 1})


def test_a_kept_plan_has_no_deviations(ground: Ground, outcome: Outcome, tmp_path: Path) -> None:
    name = write_plan(tmp_path, ground, FIRST)
    assert len(name) == 16
    plan = json.loads((tmp_path / PLAN).read_text())
    assert plan["family"] == ["BTC return_1", "BTC direction_1", "BTC volatility_1"]
    assert plan["claims"] == ["tone"]
    assert plan["dataset"] == ground.dataset.fingerprint()
    assert deviations(tmp_path, ground, FIRST, outcome) == []


def test_a_plan_of_before_there_were_claims_meant_the_tone(
    ground: Ground, outcome: Outcome, tmp_path: Path
) -> None:
    write_plan(tmp_path, ground, FIRST)
    plan = json.loads((tmp_path / PLAN).read_text())
    del plan["claims"]
    (tmp_path / PLAN).write_text(json.dumps(plan))
    assert deviations(tmp_path, ground, FIRST, outcome) == []


def test_the_first_plan_stays_and_what_changed_meanwhile_is_told(
    ground: Ground, outcome: Outcome, tmp_path: Path
) -> None:
    name = write_plan(tmp_path, ground, FIRST)
    later = Before(0.025 / 6, 3, {"BTC return 1": 2})
    assert write_plan(tmp_path, ground, later) == name, "a study that goes on keeps its plan"
    assert deviations(tmp_path, ground, later, outcome) == [
        "the level: 0.025 was planned, and 0.004166666666666667 was done",
        "the number of looks at these data: BTC return 1 1 was planned, and BTC return 1 2 was"
        " done",
        "the hypotheses of earlier studies: 0 was planned, and 3 was done",
    ]


def test_a_given_plan_binds(ground: Ground, outcome: Outcome, tmp_path: Path) -> None:
    earlier, folder = tmp_path / "earlier", tmp_path / "run"
    earlier.mkdir()
    folder.mkdir()
    fewer = replace(ground, arms=ground.arms[:3])
    name = write_plan(earlier, fewer, FIRST)
    assert write_plan(folder, ground, FIRST, earlier / PLAN) == name
    names = [arm.name for arm in ground.arms]
    assert deviations(folder, ground, FIRST, outcome) == [
        f"the arms: {', '.join(names[:3])} was planned, and {', '.join(names)} was done"
    ]


def test_what_could_not_be_done_is_told(ground: Ground, outcome: Outcome, tmp_path: Path) -> None:
    write_plan(tmp_path, ground, FIRST)
    empty = replace(ground.folds[0], test=np.array([], dtype=np.int64))
    first, *rest = outcome.answers
    untested = replace(
        first, evidence=replace(first.evidence, against={"null": None}, obstacles=("too few",))
    )
    found = deviations(
        tmp_path,
        replace(ground, folds=(empty, *ground.folds[1:])),
        FIRST,
        replace(outcome, answers=(untested, *rest)),
    )
    asked = f"{first.symbol} {first.target} {first.horizon_bars}"
    assert found == [
        "fold 1 had no decision to test",
        f"{asked}: not tested against every control (too few)",
    ]


def test_folds_that_moved_are_told_in_a_word(
    ground: Ground, outcome: Outcome, tmp_path: Path
) -> None:
    write_plan(tmp_path, ground, FIRST)
    day = np.timedelta64(timedelta(days=1), "us")
    moved = tuple(replace(f, test_from=f.test_from + day) for f in ground.folds)
    found = deviations(tmp_path, replace(ground, folds=moved), FIRST, outcome)
    assert found == ["the folds: not as planned"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"arms": []}'])
def test_what_is_no_plan_is_refused(ground: Ground, tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UnreadableFile, match="plan"):
        write_plan(tmp_path, ground, FIRST, path)
    with pytest.raises(UnreadableFile, match="nowhere"):
        write_plan(tmp_path, ground, FIRST, tmp_path / "nowhere.json")
    assert not (tmp_path / PLAN).exists()
