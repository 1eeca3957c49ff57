"""The blocks of the network: two branches, a gate between them, one head a target.

Every layer has a name, and its random streams come from the root seed and that name
alone. So arms that share a layer start it from the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moodtape.config import NetworkSection
from moodtape.forecaster.seeds import child_seed

if TYPE_CHECKING:
    import keras

GATE = "gate"
TORCH_SEEDS = 2**31
"""Torch takes seeds below this; the others take all of `child_seed`."""


@dataclass(frozen=True)
class Streams:
    """Random streams for the layers of one fit."""

    seed: int

    def of(self, *names: str) -> int:
        """Return the seed of one named use, as the backend at work takes it."""
        import keras

        seed = child_seed(self.seed, *names)
        return seed % TORCH_SEEDS if keras.backend.backend() == "torch" else seed

    def kernel(self, name: str) -> keras.Initializer:
        """Return the initializer of a layer's weights."""
        import keras

        return keras.initializers.GlorotUniform(seed=self.of(name, "kernel"))

    def recurrent(self, name: str) -> keras.Initializer:
        """Return the initializer of a recurrent layer's state weights."""
        import keras

        return keras.initializers.Orthogonal(seed=self.of(name, "recurrent"))

    def dropout(self, x: Any, share: float, name: str) -> Any:
        """Return `x` with a share dropped in training."""
        import keras

        layer = keras.layers.Dropout(share, seed=self.of(name), name=name)
        return layer(x) if share else x


def dense(
    x: Any,
    units: int,
    streams: Streams,
    name: str,
    activation: str | None = None,
    dtype: str | None = None,
) -> Any:
    """Return a dense layer's output, in the policy's precision by default. (batch, units)"""
    import keras

    layer = keras.layers.Dense(
        units, activation=activation, kernel_initializer=streams.kernel(name), name=name,
        dtype=dtype,
    )  # fmt: skip
    return layer(x)


def convolution(x: Any, filters: int, kernel: int, streams: Streams, name: str) -> Any:
    """Return a causal convolution over time. (batch, steps, k) -> (batch, steps, filters)"""
    import keras

    layer = keras.layers.Conv1D(
        filters, kernel, padding="causal", activation="relu",
        kernel_initializer=streams.kernel(name), name=name,
    )  # fmt: skip
    return layer(x)


def recurrent(
    x: Any, cell: str, units: int, streams: Streams, name: str, every_step: bool = False
) -> Any:
    """Return an LSTM's or GRU's last state, or its state at every step.

    (batch, steps, k) -> (batch, units), or (batch, steps, units)
    """
    import keras

    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    layer = kind(
        units, kernel_initializer=streams.kernel(name),
        recurrent_initializer=streams.recurrent(name), seed=streams.of(name),
        return_sequences=every_step, name=name,
    )  # fmt: skip
    return layer(x)


def market_branch(x: Any, settings: NetworkSection, streams: Streams) -> Any:
    """Return what the market window says. (batch, lookback, F) -> (batch, units)

    `cnn_lstm` reads shapes of a few bars, pools them and follows them over the window;
    `cnn`, `lstm` and `gru` are its parts alone.
    """
    import keras

    if settings.market in ("cnn_lstm", "cnn"):
        x = convolution(x, settings.filters, settings.kernel, streams, "market_conv_1")
        x = convolution(x, settings.filters, 3, streams, "market_conv_2")
        if settings.market == "cnn":
            x = keras.layers.GlobalAveragePooling1D(name="market_mean")(x)
            return dense(x, settings.market_units, streams, "market_state", "relu")
        x = keras.layers.MaxPooling1D(settings.pool, name="market_pool")(x)
    cell = "gru" if settings.market == "gru" else "lstm"
    return recurrent(x, cell, settings.market_units, streams, "market_state")


def attend(market: Any, sequence: Any, units: int, streams: Streams) -> Any:
    """Return what the market's state looks up in the steps of the sentiment branch.

    One head: the state asks, each step answers with a weight of its own and a value.
    (batch, m), (batch, steps, s) -> (batch, units)
    Source: Vaswani et al. (2017), scaled dot-product attention.
    """
    import keras

    query = dense(market, units, streams, "attention_query") * units**-0.5
    key = dense(sequence, units, streams, "attention_key")
    value = dense(sequence, units, streams, "attention_value")
    asked = keras.layers.Reshape((1, units), name="attention_asked")(query)
    read = keras.layers.Attention(name="attention")([asked, value, key])
    return keras.layers.Reshape((units,), name="attention_read")(read)


def with_newest(state: Any, window: Any, units: int, streams: Streams, name: str) -> Any:
    """Return a branch's state beside a dense reading of its newest row alone.

    The features of the newest row already sum up the past; without this path a short
    fit spends itself on learning to carry them through convolution, pool and cell.
    (batch, k), (batch, steps, F) -> (batch, k + units)
    """
    import keras

    newest = dense(window[:, -1, :], units, streams, f"{name}_newest", "tanh")
    return keras.layers.Concatenate(name=f"{name}_whole")([state, newest])


def fuse(market: Any, subject: Any, settings: NetworkSection, streams: Streams) -> Any:
    """Return both branches as one. (batch, m), (batch, s) -> (batch, m + s)

    gated: each number of the sentiment branch passes a gate between 0 and 1 that both
    branches set together; the gate's mean says when text mattered. Otherwise no gate.
    """
    import keras

    if settings.fusion == "gated":
        both = keras.layers.Concatenate(name="gate_inputs")([market, subject])
        gate = dense(both, subject.shape[-1], streams, GATE, "sigmoid")
        subject = keras.layers.Multiply(name="gated")([subject, gate])
    return keras.layers.Concatenate(name="fused")([market, subject])
