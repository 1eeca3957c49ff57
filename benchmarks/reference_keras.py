"""The network that the default one is timed against: plain Keras on stored windows.

67,585 parameters: causal Conv1D(64, 5), Conv1D(64, 3), MaxPool 2 and LSTM(64) over 60 bars
of 24 columns; GRU(32) over 60 hours of 8 columns; a sigmoid gate over the text's Dense(64);
Dense(32), Dense(1). It is what one writes who has read the Keras guide: `model.fit` on arrays
of windows. Nothing of Moodtape is imported, and this file does not change when its network does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LOOKBACK, MARKET_COLUMNS, SUBJECT_COLUMNS = 60, 24, 8


def reference_model(rate: float = 1e-3) -> Any:
    """Return the compiled network: (batch, 60, 24), (batch, 60, 8) -> (batch, 1)."""
    import keras
    from keras import layers

    market = keras.Input((LOOKBACK, MARKET_COLUMNS))
    subject = keras.Input((LOOKBACK, SUBJECT_COLUMNS))
    x = layers.Conv1D(64, 5, padding="causal", activation="relu")(market)
    x = layers.Conv1D(64, 3, padding="causal", activation="relu")(x)
    x = layers.LSTM(64)(layers.MaxPooling1D(2)(x))
    text = layers.GRU(32)(subject)
    gate = layers.Dense(64, activation="sigmoid")(layers.Concatenate()([x, text]))
    joined = layers.Add()([x, layers.Multiply()([gate, layers.Dense(64)(text)])])
    answer = layers.Dense(1)(layers.Dense(32, activation="relu")(joined))
    model = keras.Model([market, subject], answer)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mean_squared_error")
    return model


def stored_windows(matrix: Any, rows: Any, lookback: int = LOOKBACK) -> Any:
    """Return every window as an array of its own, float32. (R, F), (n,) -> (n, lookback, F)"""
    view = np.lib.stride_tricks.sliding_window_view(matrix, lookback, axis=0)  # (., F, lookback)
    return np.ascontiguousarray(view[rows - lookback + 1].transpose(0, 2, 1), dtype=np.float32)
