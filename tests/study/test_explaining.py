"""From a forecast to the hours and texts that counted, with a network whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper

from moodtape.config import Config
from moodtape.forecaster.scaling import Scaler
from moodtape.forecaster.served import Served
from moodtape.forecaster.train import TargetScale
from moodtape.storage import read
from moodtape.storage.counted import counted_texts
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.study.explaining import LOOK_BACK, MOST_HOURS, MOST_TEXTS
from moodtape.study.forecasting import forecast_newest
from moodtape.study.ground import Ground

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
END = START + 720 * HOUR
LOOKBACK = 12
RULES = HourRules()


def newest_tone(columns: int) -> onnx.ModelProto:
    """Return a network whose outputs are the first sentiment column of the newest bar."""
    windows = [
        helper.make_tensor_value_info("market", TensorProto.FLOAT, ["n", LOOKBACK, 1]),
        helper.make_tensor_value_info("subject", TensorProto.FLOAT, ["n", 6, columns]),
    ]
    outputs = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 1])
        for n in ("return_1", "direction_1")
    ]
    nodes = [
        helper.make_node("Gather", ["subject", "last"], ["row"], axis=1),
        helper.make_node("Gather", ["row", "first"], ["return_1"], axis=1),
        helper.make_node("Sigmoid", ["return_1"], ["direction_1"]),
    ]
    picks = [
        helper.make_tensor("last", TensorProto.INT64, [], [5]),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
    ]
    graph = helper.make_graph(nodes, "newest tone", windows, outputs, picks)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.fixture
def model(ground: Ground, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a run whose network answers with one column."""

    def make(column: str) -> Path:
        dataset = ground.dataset
        names = tuple(c.name for c in dataset.columns)
        served = Served(
            symbols=("BTC",),
            interval="1h",
            scorer=ground.request.scorer,
            streams=dataset.streams,
            metrics=dataset.metrics,
            market=("ret_1",),
            subject=(column,),
            columns=names,
            lookback_bars=LOOKBACK,
            subject_lookback_bars=6,
            scales=(
                TargetScale("return_1", "return", 1, 0.0, 1.0),
                TargetScale("direction_1", "direction", 1, 0.0, 1.0),
            ),
            residuals={},
            scaler=Scaler(np.zeros((1, len(names))), np.ones((1, len(names)))),
            trained_until="2024-01-20T00:00:00+00:00",
        )
        folder = tmp_path / column
        folder.mkdir()
        served.write(folder)
        onnx.save(newest_tone(1), folder / "model.onnx")
        return folder

    return make


def explained(
    warehouse: Warehouse, config: Config, folder: Path, as_of: datetime
) -> dict[str, Any]:
    (found,) = forecast_newest(warehouse, config, folder, as_of, RULES)
    return found


def texts_in(warehouse: Warehouse, ground: Ground, hours: list[datetime]) -> pd.DataFrame:
    with warehouse.read() as connection:
        return counted_texts(
            connection, hours, ["BTC", "MARKET"], ground.request.scorer or "",
            ("news", "reddit", "x"), END + HOUR, RULES,
        )  # fmt: skip


def test_the_texts_are_those_that_the_sums_count(warehouse: Warehouse, ground: Ground) -> None:
    hours = [START + i * HOUR for i in range(720)]
    texts = texts_in(warehouse, ground, hours)
    with warehouse.read() as connection:
        sums = read.hourly_sums(
            connection, ["BTC", "MARKET"], ground.request.scorer or "",
            ("news", "reddit", "x"), END + HOUR,
        )  # fmt: skip
    keys = ["symbol", "source", "collection", "hour"]
    expected = sums[sums["n"] > 0].set_index(keys)
    found = texts.groupby(keys)["tone"].agg(["size", "sum"])
    assert len(found) > 50
    assert found["size"].to_dict() == expected["n"].to_dict()
    for key, tone in found["sum"].items():
        assert tone == pytest.approx(expected.loc[key, "sum_tone"] / 1e6, abs=1e-9)


def test_what_an_hour_added_is_the_forecast_less_the_one_without_it(
    warehouse: Warehouse, config: Config, model: Callable[[str], Path], ground: Ground
) -> None:
    """The network answers with the tone of the newest hour: that hour alone can add anything."""
    texts = texts_in(warehouse, ground, [END - i * HOUR for i in range(1, 300)])
    own = texts[(texts["symbol"] == "BTC") & (texts["source"] == "news") & (texts["tone"] != 0)]
    newest = own["hour"].max().to_pydatetime()
    found = explained(warehouse, config, model("news.tone_last"), newest + HOUR + 2 * MINUTE)
    why = found["explanation"]
    first = why["hours"][0]
    assert first["hour"] == newest
    closed = np.datetime64((newest + HOUR).replace(tzinfo=None))
    column = [c.name for c in ground.dataset.columns].index("news.tone_last")
    tone = ground.dataset.features[ground.dataset.cutoff == closed, column][0]
    assert tone != 0
    assert first["added"]["p_up"] == pytest.approx(1 / (1 + np.exp(-tone)) - 0.5, rel=1e-5)
    assert why["without_texts"]["p_up"] == pytest.approx(0.5)
    assert [hour["added"]["p_up"] for hour in why["hours"][1:]] == [0.0] * (len(why["hours"]) - 1)
    assert first["added"]["volatility"] is None, "the run forecasts none"


def test_older_hours_count_where_the_network_reads_an_average(
    warehouse: Warehouse, config: Config, model: Callable[[str], Path], ground: Ground
) -> None:
    column = next(c.name for c in ground.dataset.columns if c.name.startswith("news.tone_6h"))
    found = explained(warehouse, config, model(column), END + 2 * MINUTE)
    why = found["explanation"]
    assert 1 < len(why["hours"]) <= MOST_HOURS
    sizes = [abs(hour["added"]["p_up"]) for hour in why["hours"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] > 0
    for hour in why["hours"]:
        assert 1 <= len(hour["headlines"]) <= MOST_TEXTS
        tones = [abs(row["tone"]) for row in hour["headlines"]]
        assert tones == sorted(tones, reverse=True)
        assert all(row["title"] for row in hour["headlines"])


def test_an_explanation_knows_nothing_that_its_forecast_did_not(
    warehouse: Warehouse, config: Config, model: Callable[[str], Path]
) -> None:
    folder = model("news.tone_last")
    cutoff = END - 100 * HOUR
    found = explained(warehouse, config, folder, cutoff + 30 * MINUTE)
    assert found["cutoff"] == cutoff
    assert found["explanation"]["hours"]
    for hour in found["explanation"]["hours"]:
        assert cutoff - LOOK_BACK <= hour["hour"] <= cutoff - HOUR
        for row in hour["headlines"]:
            assert hour["hour"] <= row["known_at"] < hour["hour"] + HOUR


def test_before_the_first_text_there_is_nothing_to_explain(
    warehouse: Warehouse, config: Config, model: Callable[[str], Path]
) -> None:
    found = explained(warehouse, config, model("news.tone_last"), START + 60 * HOUR)
    assert found["explanation"] == {"gate": None, "without_texts": None, "hours": []}
