"""What a study leaves to look at over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moodtape.study.ablate import Outcome
from moodtape.study.ground import Ground
from moodtape.study.series import (
    QUANTILES,
    gate_series,
    loss_series,
    month_effects,
    predictions_table,
)


@pytest.fixture(scope="module")
def gated(outcome: Outcome) -> Outcome:
    """Return the outcome as if the real arm had a gate that two seeds read."""
    study = outcome.studies[0]
    real = study.arms[study.real]
    n = len(study.rows)
    gate = np.stack([np.linspace(0, 1, n), np.full(n, 0.5)])
    forecasts = {key: np.repeat(values[:1], 2, axis=0) for key, values in real.by_key.items()}
    arms = {**study.arms, study.real: replace(real, by_key={**forecasts, "gate": gate})}
    return replace(outcome, studies=(replace(study, arms=arms),))


def test_the_gate_over_time_is_the_real_arms_mean_over_seeds(
    ground: Ground, outcome: Outcome, gated: Outcome
) -> None:
    table = gate_series(ground, gated)
    rows = gated.studies[0].rows
    assert len(table) == len(rows)
    assert set(table["symbol"]) == {"BTC"}
    np.testing.assert_allclose(table["gate"], np.linspace(0.25, 0.75, len(rows)))
    cutoffs = table["time"].dt.tz_localize(None).to_numpy("datetime64[us]")
    assert (cutoffs == ground.dataset.cutoff[rows]).all()
    without = gate_series(ground, outcome)
    assert without.empty
    assert list(without) == list(table)


def test_every_forecast_says_how_far_its_gate_stood_open(ground: Ground, gated: Outcome) -> None:
    study = gated.studies[0]
    table = predictions_table(ground, [study])
    real = table[table["arm"] == study.real]
    for seed, expected in enumerate(study.arms[study.real].by_key["gate"]):
        for _, part in real[real["seed"] == seed].groupby("target"):
            np.testing.assert_array_equal(part["gate"], expected)
    assert table.loc[table["arm"] != study.real, "gate"].isna().all()
    assert set(table["target"]) == set(ground.dataset.targets), "a gate is no target"


def test_months_add_up_to_the_effect(ground: Ground, outcome: Outcome) -> None:
    answers = [
        {
            "symbol": a.symbol, "target": a.target, "horizon_bars": a.horizon_bars,
            "forecaster": a.forecaster, "losses": a.losses,
        }
        for a in outcome.answers
    ]  # fmt: skip
    losses = loss_series(ground, outcome)
    late = losses["time"] >= losses["time"].median()
    losses.loc[late, "time"] += pd.Timedelta(days=31)
    rows = month_effects(losses, answers)
    for answer in outcome.answers:
        mine = [row for row in rows if row["target"] == answer.target]
        assert len(mine) > 1
        assert sum(row["n"] for row in mine) == answer.n
        whole = sum(row["effect"] * row["n"] for row in mine) / answer.n
        assert whole == pytest.approx(answer.effect, abs=1e-12)


def test_forecasts_are_kept_in_long_form(ground: Ground, outcome: Outcome) -> None:
    study, targets = outcome.studies[0], ground.dataset.targets
    table = predictions_table(ground, [study])
    assert not table.duplicated(["unique_id", "cutoff", "forecaster", "arm", "seed"]).any()
    due = table["ds"].notna()
    assert (table["ds"] > table["cutoff"])[due].all(), "an answer is known after the forecast"
    assert table.loc[~due, "y"].isna().all(), "or never"
    for key, target in targets.items():
        mine = table[(table["unique_id"] == f"BTC/{key}") & (table["arm"] == study.real)]
        arm = study.arms[study.real].by_key[key]
        assert set(mine["seed"]) == set(range(len(arm)))
        for seed, values in enumerate(arm):
            one = mine[mine["seed"] == seed]
            np.testing.assert_array_equal(one["yhat"], values)
            np.testing.assert_array_equal(one["y"], target.y[study.rows])
            known = one["ds"].dt.tz_localize(None).to_numpy("datetime64[us]")
            np.testing.assert_array_equal(known, target.known_at[study.rows])
            calibrated = study.calibrated[study.real][key]
            if key.startswith("direction"):
                assert one[list(QUANTILES)].isna().all(axis=None), "P(up) says it all"
            else:
                np.testing.assert_array_equal(one[list(QUANTILES)], calibrated)
                assert not np.isnan(calibrated).all(), "nothing was compared"
