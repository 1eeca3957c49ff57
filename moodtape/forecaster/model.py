"""`build_model(config) -> keras.Model`: two branches in, one number a target out.

Written against Keras 3 alone, so that TensorFlow, JAX and torch all run it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moodtape.config import NetworkSection
from moodtape.forecaster.layers import (
    GATE,
    Streams,
    attend,
    dense,
    fuse,
    market_branch,
    recurrent,
    with_newest,
)

if TYPE_CHECKING:
    import keras

MARKET, SUBJECT, SYMBOL = "market", "subject", "symbol"
MOST_EMBEDDED = 8


@dataclass(frozen=True)
class Shape:
    """Sizes that the data sets: columns of each branch, symbols, and target keys in order."""

    market_columns: int
    subject_columns: int
    symbols: int
    targets: tuple[str, ...]


def build_model(settings: NetworkSection, shape: Shape, seed: int) -> keras.Model:
    """Return the untrained network.

    Inputs: `market` (batch, lookback, Fm); `subject` (batch, its lookback, Fs) where there
    are such columns; `symbol` (batch,) whole numbers where there is more than one.
    Outputs: by target key, (batch, 1): scaled mean return, P(up), scaled log volatility.
    """
    import keras

    streams = Streams(seed)
    market = keras.Input((settings.lookback_bars, shape.market_columns), name=MARKET)
    inputs: dict[str, Any] = {MARKET: market}
    state = market_branch(market, settings, streams)
    state = with_newest(state, market, settings.market_units, streams, MARKET)
    state = streams.dropout(state, settings.dropout, "market_dropout")
    if shape.subject_columns:
        subject = keras.Input(
            (settings.sentiment_lookback_bars, shape.subject_columns), name=SUBJECT
        )
        inputs[SUBJECT] = subject
        units, looks_back = settings.sentiment_units, settings.fusion == "cross_attention"
        read = recurrent(subject, "gru", units, streams, "subject_state", every_step=looks_back)
        if looks_back:
            read = attend(state, read, units, streams)
        read = with_newest(read, subject, units, streams, SUBJECT)
        read = streams.dropout(read, settings.dropout, "subject_dropout")
        state = fuse(state, read, settings, streams)
    if shape.symbols > 1:
        symbol = keras.Input((), dtype="int32", name=SYMBOL)
        inputs[SYMBOL] = symbol
        embedding = keras.layers.Embedding(
            shape.symbols, min(MOST_EMBEDDED, shape.symbols),
            embeddings_initializer=streams.kernel("symbol_embedding"), name="symbol_embedding",
        )  # fmt: skip
        state = keras.layers.Concatenate(name="with_symbol")([state, embedding(symbol)])
    hidden = dense(state, settings.hidden, streams, "hidden", "relu")
    hidden = streams.dropout(hidden, settings.dropout, "hidden_dropout")
    outputs = {key: _head(hidden, key, streams) for key in shape.targets}
    return keras.Model(inputs, outputs, name="moodtape")


def with_gate(core: keras.Model) -> keras.Model:
    """Return the network with its mean gate, (batch, 1), as a further output `gate`.

    0 is shut, 1 open. A network without a gate comes back as it is.
    """
    import keras

    if not any(layer.name == GATE for layer in core.layers):
        return core
    gate = core.get_layer(GATE).output
    mean = keras.ops.mean(keras.ops.cast(gate, "float32"), axis=-1, keepdims=True)
    return keras.Model(core.input, {**core.output, GATE: mean}, name="moodtape_with_gate")


def _head(hidden: Any, key: str, streams: Streams) -> Any:
    """Return one target's answer, 32 bit wide whatever the precision of the layers before."""
    activation = "sigmoid" if key.startswith("direction") else None
    return dense(hidden, 1, streams, key, activation, dtype="float32")
