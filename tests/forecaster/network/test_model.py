from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from moodtape.config import NetworkSection
from moodtape.forecaster.device import Device
from moodtape.forecaster.model import Shape, build_model, with_gate

SHAPE = Shape(5, 3, 1, ("return_1", "direction_1", "volatility_1"))
SMALL: dict[str, Any] = {
    "lookback_bars": 12, "sentiment_lookback_bars": 6, "filters": 4, "market_units": 6,
    "sentiment_units": 4, "hidden": 5, "pool": 2,
}  # fmt: skip


def weights_by_layer(model: Any) -> dict[str, list[np.ndarray]]:
    return {layer.name: [np.asarray(w) for w in layer.get_weights()] for layer in model.layers}


@pytest.mark.parametrize("market", ["cnn_lstm", "cnn", "lstm", "gru"])
@pytest.mark.parametrize("fusion", ["gated", "concat", "cross_attention"])
def test_every_branch_and_fusion_answers_each_target(
    market: Literal["cnn_lstm", "cnn", "lstm", "gru"],
    fusion: Literal["gated", "concat", "cross_attention"],
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


def test_attention_by_hand(device: Device) -> None:
    """The market's state asks; steps answer by softmax(q k / sqrt(d)); the rest is fused."""
    import keras

    model = build_model(NetworkSection(**SMALL, fusion="cross_attention"), SHAPE, seed=1)
    names = ("market_whole", "subject_state", "attention_read")
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    rng = np.random.default_rng(0)
    windows = {
        "market": rng.normal(size=(3, 12, 5)).astype("float32"),
        "subject": rng.normal(size=(3, 6, 3)).astype("float32"),
    }
    state, steps, read = map(np.asarray, inner.predict_on_batch(windows))
    assert steps.shape == (3, 6, 4)
    weights = {
        n: model.get_layer(f"attention_{n}").get_weights() for n in ("query", "key", "value")
    }
    query, key, value = (
        x @ weights[n][0] + weights[n][1]
        for n, x in (("query", state), ("key", steps), ("value", steps))
    )
    score = np.exp(np.einsum("bu,bsu->bs", query, key) / np.sqrt(4))
    expected = np.einsum("bs,bsu->bu", score / score.sum(axis=1, keepdims=True), value)
    np.testing.assert_allclose(read, expected, atol=1e-5)
    oldest = {**windows, "subject": windows["subject"].copy()}
    oldest["subject"][:, 0] += 3
    assert np.abs(np.asarray(inner.predict_on_batch(oldest)[2]) - read).min() > 1e-4


def test_the_gate_is_read_beside_the_answers(device: Device) -> None:
    plain = build_model(NetworkSection(**SMALL), SHAPE, seed=1)
    windows = {
        "market": np.ones((2, 12, 5), dtype="float32"),
        "subject": np.ones((2, 6, 3), dtype="float32"),
    }
    read = with_gate(plain).predict_on_batch(windows)
    assert set(read) == {*SHAPE.targets, "gate"}
    bias = plain.get_layer("gate").get_weights()[1]
    kernel = np.zeros_like(plain.get_layer("gate").get_weights()[0])
    plain.get_layer("gate").set_weights([kernel, np.linspace(-9, 9, len(bias))])
    shut = with_gate(plain).predict_on_batch(windows)["gate"]
    by_hand = (1 / (1 + np.exp(-np.linspace(-9, 9, len(bias))))).mean()
    np.testing.assert_allclose(shut, [[by_hand]] * 2, rtol=1e-5)
    other = build_model(NetworkSection(**SMALL, fusion="concat"), SHAPE, seed=1)
    assert with_gate(other) is other


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
