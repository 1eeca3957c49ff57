"""The effect by regime: of all rows it is the study's own, and of parts it is that of the parts."""

from __future__ import annotations

import numpy as np
import pytest

from moodtape.forecaster.arms import NULL
from moodtape.forecaster.evidence import target_losses
from moodtape.study.ablate import Outcome
from moodtape.study.evaluation import FEWEST_ROWS
from moodtape.study.evaluation import regimes as parts_of
from moodtape.study.ground import Ground
from moodtape.study.regimes import regime_rows


def test_all_rows_have_the_effect_of_the_study(ground: Ground, outcome: Outcome) -> None:
    rows = list(regime_rows(ground, outcome))
    whole = {row["target"]: row for row in rows if row["regime"] == "all"}
    for answer in outcome.answers:
        row = whole[answer.target]
        assert row["effect"] == pytest.approx(answer.effect)
        assert row["n"] == answer.n
        assert row["interval"][0] <= row["effect"] <= row["interval"][1]


def test_a_part_has_the_effect_of_its_rows(ground: Ground, outcome: Outcome) -> None:
    (study,) = outcome.studies
    rows = {row["regime"]: row for row in regime_rows(ground, outcome) if row["target"] == "return"}
    losses = target_losses(study, ground.dataset, 0, "return_1")
    parts = parts_of(ground.dataset, ground.dataset.targets["return_1"], losses.rows)
    assert rows["calm"]["n"] + rows["volatile"]["n"] == rows["all"]["n"]
    for regime in ("calm", "volatile", "reversal"):
        inside = parts[regime]
        null = losses.by_arm[NULL][:, inside].mean()
        real = losses.by_arm[study.real][:, inside].mean()
        assert rows[regime]["effect"] == pytest.approx((null - real) / null), regime
    assert parts["extreme"].sum() < FEWEST_ROWS
    assert "extreme" not in rows, "a handful of moves says nothing"
    assert list(regime_rows(ground, outcome)) == list(regime_rows(ground, outcome))
    assert all(np.isfinite(row["interval"]).all() for row in rows.values())
