"""A new model follows the one in use when it is shown to be no worse, and every no is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from moodtape.clock import parse_instant
from moodtape.config import Config
from moodtape.errors import DataMissing, GateFailed
from moodtape.forecaster.gate import Bound
from moodtape.nightly import succession
from moodtape.nightly.champion import (
    CHALLENGERS,
    described_models,
    models_in_use,
    pin,
    pinned,
    take_back,
)
from moodtape.nightly.run import Order
from moodtape.settings import Settings, load_settings
from moodtape.storage.ledger import store_forecasts
from moodtape.storage.promotions import last_promotion
from moodtape.storage.write import new_run_id
from moodtape.study.forecasting import forecast_missed

if TYPE_CHECKING:
    from tests.nightly.conftest import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OLD, NEW = "20260101T000000Z-aaaaaa", "20260501T000000Z-bbbbbb"


def good(**changed: Any) -> Bound:
    usual = {"target": "return_1", "increase": 0.0, "upper": 0.005, "n": 840, "blocks": 35.0}
    return Bound(**(usual | changed))


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"the model in use": [good()]}, None),
        ({"the model in use": [good(), good(target="direction_1", upper=0.0101, increase=0.002)]},
         "Its loss of direction_1 is +0.20% against the model in use, and may be +1.01%"),
        ({"the model in use": [good(blocks=29.0)]}, "29 independent blocks; 30 are needed"),
        ({"the model in use": []}, "no forecasts in common with the model in use"),
        ({"the model in use": [good()], "the pinned x": [good(upper=0.02)]}, "the pinned x"),
    ],
)  # fmt: skip
def test_what_keeps_the_model_in_use(figures: dict[str, list[Bound]], told: str | None) -> None:
    found = succession.reason_to_keep(figures, Config())
    assert found is None if told is None else told in str(found)


@pytest.fixture(scope="module")
def lived(build: Callable[..., World], tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a world that has forecast in time for fifty days, with a model that sees nothing."""
    world = build(tmp_path_factory.mktemp("lived") / "lived")

    def close(opened: Any) -> float:
        hour = (opened - parse_instant("2025-01-01")) // HOUR
        return 100 * float(np.exp(0.01 * np.random.default_rng(hour).standard_normal()))

    world.close = close  # type: ignore[method-assign]
    world.run("tick", Order(only="ingest"), **{"bars.first_days": 75})
    world.serve_model(world.now - 60 * DAY, OLD)
    settings = load_settings(world.folder, environ={})
    since = world.now - 50 * DAY
    caught = forecast_missed(
        world.warehouse, settings.config, models_in_use(settings), world.now, since
    )
    for item in caught.forecasts:
        item["late"] = False
    with world.warehouse.write() as connection:
        store_forecasts(connection, caught.forecasts, "1h", "r", since)
    world.run("tick", Order(only="settle"))
    return world


@pytest.fixture
def trained(lived: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Return what stands in for the minutes of training: a model with outputs of another size."""

    def prepare(gain: float) -> list[Any]:
        asked: list[Any] = []

        def train(settings: Any, as_of: Any, now: Any, epochs: Any, tell: Any) -> dict[str, Any]:
            asked.append((as_of, epochs))
            run = new_run_id(now)
            lived.serve_model(as_of - 2 * HOUR, f"{CHALLENGERS}/{run}", gain)
            return {"run": run, "best_epoch": 4}

        def let_in(settings: Any, now: Any, epochs: Any, tell: Any) -> str:
            result = train(settings, now, now, epochs, tell)
            return str(result["run"])

        monkeypatch.setattr(succession, "_train", train)
        monkeypatch.setattr(succession, "_let_in", let_in)
        return asked

    return prepare


def settings_of(world: World, **nightly: float) -> Settings:
    changed = {f"nightly.{name}": value for name, value in nightly.items()}
    return load_settings(world.folder, (), changed, environ={})


def test_one_that_is_as_good_follows_and_is_trained_to_the_present(
    lived: World, trained: Callable[..., list[Any]]
) -> None:
    asked = trained(1.0)
    decision = succession.train_next(settings_of(lived), lived.now)
    assert decision.word == "promoted", decision.why
    assert decision.champion == OLD
    (blind, none), (present, epochs) = asked
    assert blind == lived.now - 42 * DAY - 25 * HOUR, "before the window, and the purge"
    assert (none, present, epochs) == (None, lived.now, 4), "so many epochs as were best"
    (bounds,) = decision.figures.values()
    assert [b["target"] for b in bounds] == ["return_1", "direction_1", "volatility_1"]
    assert all(b["increase"] == 0 and b["blocks"] >= 30 for b in bounds)
    with lived.warehouse.read() as connection:
        last = last_promotion(connection)
    assert last is not None
    assert (last["word"], last["model_run"]) == ("promoted", decision.model)


def test_a_worse_one_stays_outside_and_it_is_told_why(
    lived: World, trained: Callable[..., list[Any]]
) -> None:
    asked = trained(-40.0)
    decision = succession.train_next(settings_of(lived), lived.now)
    assert decision.word == "kept"
    assert "against the model in use, and may be +" in decision.why
    assert len(asked) == 1, "it is not trained again"
    assert [f.name for f in models_in_use(settings_of(lived))] == [OLD]


def test_without_weeks_of_forecasts_nothing_is_trained(
    make_ready: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_ready()
    monkeypatch.setattr(succession, "_train", lambda *a: pytest.fail("it was trained"))
    decision = succession.train_next(settings_of(world), world.now)
    assert decision.word == "kept"
    assert decision.why.startswith("The last 42 days hold 0 forecasts made in time")


def test_what_cannot_be_compared_keeps_the_model(
    lived: World, trained: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise DataMissing("The pinned model is gone.")

    trained(1.0)
    monkeypatch.setattr(succession, "_figures", broken)
    decision = succession.train_next(settings_of(lived), lived.now)
    assert (decision.word, decision.why) == (
        "kept", "The comparison cannot be made: The pinned model is gone.",
    )  # fmt: skip


def test_a_gate_that_fails_is_entered_and_ends_with_four(
    lived: World, trained: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_ahead(*arguments: Any) -> str:
        raise GateFailed("The audit found look-ahead.")

    trained(1.0)
    monkeypatch.setattr(succession, "_let_in", look_ahead)
    with pytest.raises(GateFailed):
        succession.train_next(settings_of(lived), lived.now + HOUR)
    with lived.warehouse.read() as connection:
        last = last_promotion(connection)
    assert last is not None
    assert (last["word"], last["why"]) == ("kept", "The audit found look-ahead.")


def test_models_are_listed_pinned_and_taken_back(ready: World, run: Callable[..., Any]) -> None:
    settings = settings_of(ready)
    old = models_in_use(settings)[0]
    assert pinned(settings) == old
    with pytest.raises(DataMissing, match="no earlier model"):
        take_back(settings)
    new = ready.serve_model(ready.now - HOUR, NEW)
    assert pinned(settings) == old, "the oldest, as long as none is pinned"
    pin(settings, NEW)
    assert [(m["run"], m["is"]) for m in described_models(settings, ready.now)] == [
        (NEW, "champion, pinned"), (old.name, ""),
    ]  # fmt: skip
    where = ("--project", ready.folder)
    assert "champion, pinned" in run("models", "runs", *where).out
    assert run("models", "pin", "20260101T000000Z-aaaaab", *where).code == 3
    assert run("models", "pin", old.name, *where).code == 0
    assert f"{old.name} is in use again" in run("models", "back", *where).out
    assert (settings.runs / "retired" / new.name / "served.json").is_file()
    assert models_in_use(settings) == [old]
