from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from moodtape.config import NetworkSection
from moodtape.forecaster.device import Device
from moodtape.forecaster.model import Shape, build_model

SHAPE = Shape(5, 3, 1, ("return_1", "direction_1", "volatility_1"))
SMALL: dict[str, Any] = {
    "lookback_bars": 12, "sentiment_lookback_bars": 6, "filters": 4, "market_units": 6,
    "sentiment_units": 4, "hidden": 5, "pool": 2,
}  # fmt: skip


def weights_by_layer(model: Any) -> dict[str, list[np.ndarray]]:
    return {layer.name: [np.asarray(w) for w in layer.get_weights()] for layer in model.layers}


@pytest.mark.parametrize("market", ["cnn_lstm", "cnn", "lstm", "gru"])
@pytest.mark.parametrize("fusion", ["gated", "concat"])
def test_every_branch_and_fusion_answers_each_target(
    market: Literal["cnn_lstm", "cnn", "lstm", "gru"],
    fusion: Literal["gated", "concat"],
    device: Device,
) -> None:
    settings = NetworkSection(**SMALL, market=market, fusion=fusion)
    model = build_model(settings, SHAPE, seed=1)
    rng = np.random.default_rng(0)
    answers = model.predict_on_batch(
        {
            "market": rng.normal(size=(2, 12, 5)).astype("float32"),
            "subject": rng.normal(size=(2, 6, 3)).astype("float32"),
        }
    )
    assert {name: value.shape for name, value in answers.items()} == {
        "return_1": (2, 1),
        "direction_1": (2, 1),
        "volatility_1": (2, 1),
    }
    assert ((answers["direction_1"] > 0) & (answers["direction_1"] < 1)).all()
    names = [layer.name for layer in model.layers]
    assert ("gate" in names) == (fusion == "gated")


def test_without_a_subject_there_is_one_branch(device: Device) -> None:
    model = build_model(NetworkSection(**SMALL), Shape(5, 0, 1, ("return_1",)), seed=1)
    assert not any(layer.name.startswith("subject") for layer in model.layers)


def test_several_symbols_get_an_embedding(device: Device) -> None:
    model = build_model(NetworkSection(**SMALL), Shape(5, 3, 3, ("return_1",)), seed=1)
    assert model.get_layer("symbol_embedding").get_weights()[0].shape == (3, 3)


def test_arms_share_the_numbers_that_equally_named_layers_start_from(device: Device) -> None:
    settings = NetworkSection(**SMALL)
    with_texts = weights_by_layer(build_model(settings, SHAPE, seed=5))
    without = weights_by_layer(build_model(settings, Shape(5, 0, 1, SHAPE.targets), seed=5))
    other_seed = weights_by_layer(build_model(settings, SHAPE, seed=6))
    for name in ("market_conv_1", "market_conv_2", "market_state", "market_newest"):
        for a, b in zip(with_texts[name], without[name], strict=True):
            assert np.array_equal(a, b), name
        assert not np.array_equal(with_texts[name][0], other_seed[name][0]), name
    kernels = {n: w[0] for n, w in with_texts.items() if w}
    assert not np.array_equal(kernels["market_conv_1"][0, :4], kernels["market_conv_2"][0, :4])


def test_the_model_uses_keras_alone() -> None:
    from pathlib import Path

    import moodtape.forecaster.layers as layers

    folder = Path(layers.__file__).parent
    for name in ("layers", "model", "indexed", "train", "windows"):
        text = (folder / f"{name}.py").read_text("utf-8")
        assert "tensorflow" not in text.lower().replace("tensorflow, jax", ""), name
