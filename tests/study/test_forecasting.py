"""The forecast for the newest bar, from a run folder made by hand and read by ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from moodtape.config import Config
from moodtape.errors import DataMissing, DataStale, UsageError
from moodtape.forecaster.scaling import Scaler
from moodtape.forecaster.served import Served
from moodtape.forecaster.train import TargetScale
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.storage.db import Warehouse
from moodtape.study.forecasting import forecast_newest
from moodtape.study.ground import Ground

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
END = START + 720 * HOUR
LOOKBACK = 12
Model = Callable[..., Path]


def last_value_network(columns: int) -> onnx.ModelProto:
    """Return a network whose outputs follow the first market column of the last bar."""
    window = helper.make_tensor_value_info("market", TensorProto.FLOAT, ["n", LOOKBACK, columns])
    names = ("return_1", "direction_1", "volatility_1")
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 1]) for n in names]
    nodes = [
        helper.make_node("Gather", ["market", "last"], ["row"], axis=1),
        helper.make_node("Gather", ["row", "first"], ["return_1"], axis=1),
        helper.make_node("Sigmoid", ["return_1"], ["direction_1"]),
        helper.make_node("Identity", ["return_1"], ["volatility_1"]),
    ]
    picks = [
        helper.make_tensor("last", TensorProto.INT64, [], [LOOKBACK - 1]),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
    ]
    graph = helper.make_graph(nodes, "last value", [window], outputs, picks)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.fixture
def model(ground: Ground, tmp_path: Path) -> Model:
    """Return a function that writes a run folder with a model of the ground's columns."""

    def make(**changed: Any) -> Path:
        dataset = ground.dataset
        names = tuple(c.name for c in dataset.columns)
        served = Served(
            symbols=("BTC",),
            interval="1h",
            scorer=ground.request.scorer,
            streams=dataset.streams,
            metrics=dataset.metrics,
            market=("ret_1", "bar_range"),
            subject=(),
            columns=names,
            lookback_bars=LOOKBACK,
            subject_lookback_bars=6,
            scales=(
                TargetScale("return_1", "return", 1, 0.5, 2.0),
                TargetScale("direction_1", "direction", 1, 0.0, 1.0),
                TargetScale("volatility_1", "volatility", 1, -5.0, 0.5),
            ),
            residuals={"return_1": (-2.0, -1.0, 0.0, 1.0, 2.0)},
            scaler=Scaler(np.zeros((1, len(names))), np.full((1, len(names)), 0.01)),
            trained_until="2024-01-20T00:00:00+00:00",
        )
        folder = tmp_path / "run-1"
        folder.mkdir()
        replace(served, **changed).write(folder)
        onnx.save(last_value_network(2), folder / "model.onnx")
        return folder

    return make


def test_a_forecast_is_the_networks_in_the_answers_own_units(
    warehouse: Warehouse, config: Config, model: Model, ground: Ground
) -> None:
    (found,) = forecast_newest(warehouse, config, model(), END + 2 * MINUTE)
    assert (found["symbol"], found["horizon_bars"], found["run"]) == ("BTC", 1, "run-1")
    assert found["cutoff"] == END
    assert found["decision_time"] == END + 2 * MINUTE
    row = int(np.flatnonzero(ground.dataset.cutoff == np.datetime64(END.replace(tzinfo=None)))[0])
    output = np.clip(ground.dataset.features[row, 0] / 0.01, -5, 5)
    own = np.sqrt(ground.dataset.trailing_variance[row])
    mean = (2 * output + 0.5) * own
    assert found["mean"] == pytest.approx(mean, rel=1e-5)
    assert found["quantiles"] == {
        level: pytest.approx(mean + own * residual, rel=1e-5)
        for level, residual in zip(
            ("0.05", "0.25", "0.5", "0.75", "0.95"), range(-2, 3), strict=True
        )
    }
    assert found["p_up"] == pytest.approx(1 / (1 + np.exp(-output)), rel=1e-5)
    assert found["p_up_raw"] == pytest.approx(found["p_up"])
    assert found["volatility"] == pytest.approx(np.exp(0.5 * output - 5), rel=1e-5)
    assert found["volatility_quantiles"] is None


def test_a_forecast_is_calibrated_as_its_run_says(
    warehouse: Warehouse, config: Config, model: Model
) -> None:
    nan = float("nan")
    folder = model(
        residuals={"return_1": (nan, -1.0, 0.0, 1.0, nan), "volatility_1": (-0.2, -0.1, 0, 1, 2)},
        odds={"direction_1": (0.1, 0.5)},
    )
    (found,) = forecast_newest(warehouse, config, folder, END + 2 * MINUTE)
    raw = found["p_up_raw"]
    line = 0.1 + 0.5 * np.log(raw / (1 - raw))
    assert found["p_up"] == pytest.approx(1 / (1 + np.exp(-line)), rel=1e-6)
    assert list(found["quantiles"]) == ["0.25", "0.5", "0.75"], "too few rows for the others"
    assert found["volatility_quantiles"]["0.05"] == pytest.approx(
        found["volatility"] * np.exp(-0.2)
    )


def test_a_run_of_an_earlier_version_forecasts_as_it_did(
    warehouse: Warehouse, config: Config, model: Model
) -> None:
    folder = model()
    values = json.loads((folder / "served.json").read_text())
    del values["odds"]
    (folder / "served.json").write_text(json.dumps(values))
    (found,) = forecast_newest(warehouse, config, folder, END + 2 * MINUTE)
    assert found["p_up"] == pytest.approx(found["p_up_raw"])
    assert len(found["quantiles"]) == 5


@pytest.mark.parametrize(
    ("after", "late"),
    [(2 * MINUTE, False), (17 * MINUTE, False), (17 * MINUTE + SECOND, True), (3 * HOUR, True)],
)
def test_a_forecast_made_a_quarter_of_an_hour_after_its_decision_is_late(
    warehouse: Warehouse, config: Config, model: Model, after: timedelta, late: bool
) -> None:
    (found,) = forecast_newest(warehouse, config, model(), END + after)
    assert (found["cutoff"], found["late"]) == (END, late)


def test_a_bar_whose_decision_has_not_come_is_not_used(
    warehouse: Warehouse, config: Config, model: Model
) -> None:
    folder = model()
    (found,) = forecast_newest(warehouse, config, folder, END + 2 * MINUTE - SECOND)
    assert found["cutoff"] == END - HOUR
    (earlier,) = forecast_newest(warehouse, config, folder, END - 100 * HOUR + 5 * MINUTE)
    assert earlier["cutoff"] == END - 100 * HOUR
    assert not earlier["late"]


def test_an_old_newest_bar_is_stale_and_says_when_one_could_ask(
    warehouse: Warehouse, config: Config, model: Model
) -> None:
    folder = model()
    with pytest.raises(DataStale, match="the newest closed at 2024-01-31 00:00Z") as caught:
        forecast_newest(warehouse, config, folder, END + 3 * HOUR + SECOND)
    assert str(caught.value).endswith("moodtape predict --as-of 2024-01-31T00:02:00Z")
    with pytest.raises(DataStale, match="there is none") as caught:
        forecast_newest(warehouse, config, folder, START - HOUR)
    assert "--as-of" not in str(caught.value), "no time before would have one"


def test_a_window_does_not_cross_the_beginning(
    warehouse: Warehouse, config: Config, model: Model
) -> None:
    with pytest.raises(DataStale, match="BTC has a hole in the last 12 bars"):
        forecast_newest(warehouse, config, model(), START + 5 * HOUR + 2 * MINUTE)


def test_another_scorer_is_refused(warehouse: Warehouse, config: Config, model: Model) -> None:
    folder = model(scorer="lexicon@older-rules")
    with pytest.raises(UsageError, match="trained on scores of lexicon@older-rules") as caught:
        forecast_newest(warehouse, config, folder, END + 2 * MINUTE)
    assert str(caught.value).endswith("Run: moodtape train")


def test_a_model_without_texts_needs_no_scorer(
    warehouse: Warehouse, make_config: Callable[..., Config], model: Model, ground: Ground
) -> None:
    dry = make_config(features={"groups": ["price", "calendar"]})
    names = tuple(c.name for c in ground.dataset.columns if c.group in ("price", "calendar"))
    scaler = Scaler(np.zeros((1, len(names))), np.full((1, len(names)), 0.01))
    folder = model(scorer=None, streams=(), metrics=(), columns=names, scaler=scaler)
    (found,) = forecast_newest(warehouse, dry, folder, END + 2 * MINUTE)
    assert 0 < found["p_up"] < 1


def test_other_columns_are_refused_by_name(
    warehouse: Warehouse, make_config: Callable[..., Config], model: Model
) -> None:
    other = make_config(sentiment={"half_lives_h": [12.0]})
    with pytest.raises(UsageError, match=r"other columns \(news\.rate_12h") as caught:
        forecast_newest(warehouse, other, model(), END + 2 * MINUTE)
    assert "The config has changed since. Run: moodtape train" in str(caught.value)


def test_another_interval_is_refused(
    warehouse: Warehouse, make_config: Callable[..., Config], model: Model
) -> None:
    daily = make_config(market={"interval": "1d"})
    with pytest.raises(UsageError, match=r"The model reads 1h bars, market\.interval is 1d"):
        forecast_newest(warehouse, daily, model(), END + 2 * MINUTE)


def test_a_text_without_a_score_stops_the_forecast(
    config: Config, model: Model, tmp_path: Path
) -> None:
    made = Warehouse(tmp_path / "w.duckdb")
    bars = [f"{END - i * HOUR:%Y-%m-%dT%H:%MZ},1,2,1,2" for i in range(1, 40)]
    store(made, tmp_path, config, "bars", "open_time,open,high,low,close", bars)
    texts = [f"{END - 5 * HOUR:%Y-%m-%dT%H:%MZ},Bitcoin soars"]
    store(made, tmp_path, config, "documents", "published_at,title", texts)
    with pytest.raises(DataMissing, match=r"1 texts .* Run: moodtape score"):
        forecast_newest(made, config, model(), END + 2 * MINUTE)


def store(
    warehouse: Warehouse, folder: Path, config: Config, what: str, head: str, rows: list[str]
) -> None:
    path = folder / f"{what}.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    options = ImportOptions(what, symbol="BTC", interval="1h" if what == "bars" else None)
    import_file(warehouse, folder / "staging", path, options, config, f"import {what}", END + HOUR)
