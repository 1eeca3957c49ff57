"""The table of metrics, figure by figure against values worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from moodtape.forecaster.ablation import ArmForecasts, Study
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.features.base import PRICE, Column
from moodtape.forecaster.target import Target
from moodtape.records import Span
from moodtape.study.calibration import calibration_rows
from moodtape.study.evaluation import FEWEST_ROWS, REGIMES, metric_rows, regimes

N = 40
HOUR = np.timedelta64(1, "h").astype("timedelta64[us]")
VARIANCE = 4e-4
Rows = dict[tuple[str, str, str, str], dict[str, Any]]


def tiny(answers: Mapping[str, Any], before: Any = None, variance: Any = None) -> Dataset:
    """Return N bars whose close moves by the answers of `return`; ret_24 is given."""
    opens = np.datetime64("2024-01-01", "us") + HOUR * np.arange(N)
    moves = np.nan_to_num(np.asarray(answers.get("return", np.zeros(N)), dtype=float))
    close = 100 * np.exp(np.concatenate([[0.0], np.cumsum(moves[:-1])]))
    return Dataset(
        symbols=("BTC",),
        interval="1h",
        symbol=np.zeros(N, dtype=np.int64),
        open_time=opens,
        cutoff=opens + HOUR,
        decision_time=opens + HOUR,
        features=np.reshape(np.ones(N) if before is None else before, (N, 1)).astype(float),
        history=np.zeros((N, 20)),
        columns=(Column("ret_24", PRICE, False, ""),),
        targets={
            f"{name}_1": Target(name, 1, np.asarray(y, dtype=float), opens + 2 * HOUR)
            for name, y in answers.items()
        },
        close=close,
        run_length=np.arange(1, N + 1),
        trailing_variance=np.full(N, VARIANCE) if variance is None else np.asarray(variance),
        regime=np.zeros(N, dtype=np.int64),
        span=Span(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)),
        streams=(),
        metrics=(),
    )


def study(key: str, persistence: Any, real: Any, rows: Any = None) -> Study:
    """Return a study of one arm; `real` has one row a seed."""
    taken = np.arange(N) if rows is None else rows
    return Study(
        forecaster="network",
        rows=taken,
        fold=np.zeros(len(taken), dtype=np.int64),
        arms={"real": ArmForecasts(Arm("real", (), "", "as_is"), {key: np.atleast_2d(real)})},
        baselines={"persistence": {key: np.asarray(persistence, dtype=float)}},
        helps_allowed=True,
        real="real",
    )


def table(made: Study, dataset: Dataset) -> Rows:
    rows = list(metric_rows(made, dataset, seed=7, interval="1h"))
    found = {(r["target"], r["model"], r["metric"], r["regime"]): r for r in rows}
    assert len(found) == len(rows), "a figure stands in the table twice"
    return found


def test_a_return_forecast_in_figures() -> None:
    y = np.where(np.arange(N) % 2 == 0, 0.01, -0.02)
    forecast = np.where(np.arange(N) % 4 < 2, y + 0.01, 0.0)  # half off by 0.01, half zero
    found = table(study("return_1", np.zeros(N), forecast), tiny({"return": y}))

    def value(model: str, metric: str) -> float:
        return float(found["return", model, metric, "all"]["value"])

    square = (1e-4 + 4e-4) / 2  # of the answers
    mine = (1e-4 + square) / 2
    assert value("persistence", "MSE") == pytest.approx(square)
    assert value("persistence", "RMSE") == pytest.approx(np.sqrt(square))
    assert value("persistence", "MAE") == pytest.approx(0.015)
    assert value("persistence", "deciding loss") == pytest.approx(square / VARIANCE)
    assert value("persistence", "skill against persistence") == 0
    assert value("persistence", "directional accuracy") == 0.5, "no opinion is half right"
    assert value("network real", "MSE") == pytest.approx(mine)
    assert value("network real", "MAE") == pytest.approx((0.01 + 0.015) / 2)
    assert value("network real", "skill against persistence") == pytest.approx(1 - mine / square)
    # 0.02 is an up, -0.01 a down, and zeros are half right.
    assert value("network real", "directional accuracy") == pytest.approx(0.75)


def test_a_probability_in_figures() -> None:
    y = (np.arange(N) % 4 != 0).astype(float)  # three in four go up
    forecast = np.select([np.arange(N) % 4 == 0, np.arange(N) % 4 == 1], [0.2, 0.5], 0.8)
    found = table(study("direction_1", np.full(N, 0.5), forecast), tiny({"direction": y}))

    def value(model: str, metric: str) -> float:
        return float(found["direction", model, metric, "all"]["value"])

    assert value("persistence", "Brier") == 0.25
    assert value("persistence", "directional accuracy") == 0.5
    assert value("persistence", "log loss") == pytest.approx(np.log(2))
    assert value("persistence", "MCC") == 0
    assert value("network real", "share of ups") == 0.75
    brier = (0.04 + 0.25 + 0.04 + 0.04) / 4
    assert value("network real", "Brier") == pytest.approx(brier)
    assert value("network real", "deciding loss") == pytest.approx(brier)
    assert value("network real", "skill against persistence") == pytest.approx(1 - brier / 0.25)
    assert value("network real", "log loss") == pytest.approx(-(3 * np.log(0.8) + np.log(0.5)) / 4)
    assert value("network real", "directional accuracy") == pytest.approx(3.5 / 4)
    # 0.5 is said to be no up: of 40, 10 true downs, 20 true ups, 10 missed ups, no false one.
    assert value("network real", "MCC") == pytest.approx(
        (20 * 10 - 0 * 10) / np.sqrt(20 * 30 * 10 * 20)
    )


def test_volatility_is_an_error_of_logs() -> None:
    y = np.where(np.arange(N) % 2 == 0, -5.0, -4.0)
    found = table(study("volatility_1", np.full(N, -5.0), y + 0.5), tiny({"volatility": y}))
    assert found["volatility", "persistence", "deciding loss", "all"]["value"] == 0.5
    assert found["volatility", "network real", "deciding loss", "all"]["value"] == 0.25
    assert found["volatility", "network real", "skill against persistence", "all"]["value"] == 0.5
    assert ("volatility", "network real", "directional accuracy", "all") not in found


def test_calibrated_outputs_in_figures() -> None:
    y = np.where(np.arange(N) % 4 == 0, 0.03, 0.01)  # three in four lie in the narrow interval
    made = study("return_1", np.zeros(N), np.zeros(N))
    quantiles = np.tile([-0.01, 0.0, 0.01, 0.02, 0.04], (N, 1))
    found = table(replace(made, calibrated={"real": {"return_1": quantiles}}), tiny({"return": y}))

    def value(metric: str, target: str = "return") -> float:
        return float(found[target, "network real", metric, "all"]["value"])

    assert value("coverage of 50 %") == 0.75
    assert value("coverage of 90 %") == 1.0
    assert value("width of 50 %") == pytest.approx(0.02)
    assert value("width of 90 %") == pytest.approx(0.05)
    usual = 0.05 * 0.02 + 0.25 * 0.01 + 0 + 0.25 * 0.01 + 0.05 * 0.03
    rare = 0.05 * 0.04 + 0.25 * 0.03 + 0.5 * 0.02 + 0.75 * 0.01 + 0.05 * 0.01
    assert value("pinball loss") == pytest.approx((3 * usual + rare) / 4 / 5)
    assert ("return", "persistence", "coverage of 50 %", "all") not in found

    up = (np.arange(N) % 4 != 0).astype(float)
    made = study("direction_1", np.full(N, 0.5), np.full(N, 0.55))
    calibrated = {"real": {"direction_1": np.full(N, 0.75)}}
    found = table(replace(made, calibrated=calibrated), tiny({"direction": up}))
    assert value("Brier, calibrated", "direction") == pytest.approx(0.75 * 0.25)
    assert value("calibration error", "direction") == pytest.approx(0.2)
    assert value("calibration error, calibrated", "direction") == pytest.approx(0, abs=1e-12)
    assert value("deciding loss", "direction") == value("Brier", "direction"), "raw, as before"


def test_a_fold_with_too_few_rows_to_calibrate_on_claims_no_coverage() -> None:
    y = np.where(np.arange(N) % 2 == 0, 0.01, -0.02)
    quantiles = np.tile([np.nan, 0.0, 0.01, 0.02, np.nan], (N, 1))
    made = replace(
        study("return_1", np.zeros(N), np.zeros(N)), calibrated={"real": {"return_1": quantiles}}
    )
    assert not [metric for *_, metric, _ in table(made, tiny({"return": y})) if "cover" in metric]
    assert list(calibration_rows(made, tiny({"return": y}), 7, "1h", baseline=True)) == []


def test_calibration_of_the_arm_in_question_and_of_persistence() -> None:
    y = np.where(np.arange(N) % 4 == 0, 0.03, 0.01)
    quantiles = np.tile([-0.01, 0.0, 0.01, 0.02, 0.04], (N, 1))
    made = replace(
        study("return_1", np.zeros(N), np.zeros(N)),
        calibrated={n: {"return_1": quantiles} for n in ("real", "persistence", "other")},
    )
    rows = list(calibration_rows(made, tiny({"return": y}), 7, "1h", baseline=True))
    assert [(r["forecaster"], r["model"]) for r in rows] == [
        ("network", "real"),
        ("baseline", "persistence"),
    ]
    told = rows[0]["intervals"]["50 %"]
    assert (told["nominal"], told["coverage"]["value"]) == (0.5, 0.75)
    assert told["coverage"]["low"] < 0.75 < told["coverage"]["high"]
    up = (np.arange(N) % 4 != 0).astype(float)
    made = replace(
        study("direction_1", np.full(N, 0.5), np.full(N, 0.55)),
        calibrated={"real": {"direction_1": np.full(N, 0.75)}},
    )
    (row,) = calibration_rows(made, tiny({"direction": up}), 7, "1h", baseline=True)
    assert row["raw"]["bins"] == [[pytest.approx(0.55), 0.75, N]]
    assert row["calibrated"]["brier"] < row["raw"]["brier"]


def test_seeds_are_averaged_as_they_are_served() -> None:
    y = np.where(np.arange(N) % 2 == 0, 0.01, -0.02)
    seeds = np.stack([y + 0.03, y - 0.01])  # their mean is off by 0.01
    found = table(study("return_1", np.zeros(N), seeds), tiny({"return": y}))
    assert found["return", "network real", "MSE", "all"]["value"] == pytest.approx(1e-4)


def test_intervals_hold_their_value_and_shrink_to_it_without_variation() -> None:
    rng = np.random.default_rng(2)
    y = 0.01 * rng.standard_normal(N)
    found = table(
        study("return_1", np.zeros(N), y + 0.005 * rng.standard_normal(N)), tiny({"return": y})
    )
    for (_, model, metric, _), row in found.items():
        assert row["low"] <= row["value"] <= row["high"], (model, metric)
    wide = found["return", "network real", "MSE", "all"]
    assert wide["low"] < wide["high"]
    constant = table(study("return_1", np.zeros(N), y + 0.01), tiny({"return": y}))
    row = constant["return", "network real", "MSE", "all"]
    assert [row["low"], row["high"]] == pytest.approx([1e-4, 1e-4])


def test_answers_that_are_missing_are_left_out_and_few_give_no_table() -> None:
    y = np.where(np.arange(N) % 2 == 0, 0.01, -0.02)
    y[:5] = np.nan
    found = table(study("return_1", np.zeros(N), y), tiny({"return": y}))
    assert {row["n"] for row in found.values()} == {35}
    y[: N - FEWEST_ROWS + 1] = np.nan
    assert table(study("return_1", np.zeros(N), y), tiny({"return": y})) == {}


def test_regimes_describe_the_moment_and_the_move() -> None:
    y = np.full(N, 0.01)
    y[::4] = -0.01
    y[17] = 0.5
    before = np.ones(N)
    before[N // 2 :] = -1
    variance = np.full(N, VARIANCE)
    variance[[3, 8, 21, 34]] = 1e-2
    dataset = tiny({"return": y}, before, variance)
    found = regimes(dataset, dataset.targets["return_1"], np.arange(N))
    assert tuple(found) == REGIMES
    assert found["all"].all()
    assert np.flatnonzero(found["volatile"]).tolist() == [3, 8, 21, 34]
    assert np.array_equal(found["calm"], ~found["volatile"])
    assert np.flatnonzero(found["extreme"]).tolist() == [17]
    # The last row's move is not known here: its bar has no successor.
    against = [i for i in range(N - 1) if (y[i] > 0) != (i < N // 2)]
    assert np.flatnonzero(found["reversal"]).tolist() == against


def test_a_move_never_reaches_into_the_next_symbols_bars() -> None:
    y = np.where(np.arange(N) % 2 == 0, 0.01, -0.02)
    dataset = tiny({"return": y})
    object.__setattr__(dataset, "symbols", ("BTC", "ETH"))
    object.__setattr__(dataset, "symbol", (np.arange(N) >= N // 2).astype(np.int64))
    found = regimes(dataset, dataset.targets["return_1"], np.arange(N // 2))
    assert not found["reversal"][-1]
    assert not found["extreme"][-1]
