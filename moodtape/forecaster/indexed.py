"""A network fed with row numbers: the windows are gathered inside it, on the device.

Imports keras at the top, so import it only where a network is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from moodtape.config import NetworkSection
from moodtape.forecaster.filling import fill
from moodtape.forecaster.model import MARKET, SUBJECT, SYMBOL, Shape, build_model, with_gate
from moodtape.forecaster.windows import fixed_batch, fixed_batches

if TYPE_CHECKING:
    from moodtape.forecaster.windows import Rows


@keras.saving.register_keras_serializable("moodtape")
class GatherWindows(keras.layers.Layer):  # type: ignore[misc]
    """Row numbers become windows of a matrix that the layer holds. (batch,) -> (batch, L, F)"""

    def __init__(self, rows: int, columns: int, lookback: int, **options: Any) -> None:
        super().__init__(**options)
        self.lookback = lookback
        self.matrix = self.add_weight(
            shape=(rows, columns), initializer="zeros", trainable=False, name="matrix"
        )

    def call(self, row: Any) -> Any:
        """Return the rows row - L + 1 .. row of the matrix."""
        steps = ops.arange(1 - self.lookback, 1, dtype="int32")
        return ops.take(self.matrix, ops.expand_dims(row, 1) + steps, axis=0)


@keras.saving.register_keras_serializable("moodtape")
class GatherValues(keras.layers.Layer):  # type: ignore[misc]
    """Row numbers become one whole number each, such as the symbol's. (batch,) -> (batch,)"""

    def __init__(self, rows: int, **options: Any) -> None:
        super().__init__(**options)
        self.matrix = self.add_weight(
            shape=(rows,), initializer="zeros", dtype="int32", trainable=False, name="matrix"
        )

    def call(self, row: Any) -> Any:
        """Return the value at each row."""
        return ops.take(self.matrix, row, axis=0)


class IndexedNetwork:
    """A network of one shape, compiled once and set back to new starting weights for each fit.

    Args:
        rows: R, rows of the matrices it gathers from.
        rate: learning rate at the start of each fit.
        clip_norm: gradients of a weight are cut to this norm; 0 leaves them.
        jit_compile: compile a step as a whole.
    """

    def __init__(
        self,
        settings: NetworkSection,
        shape: Shape,
        rows: int,
        rate: float,
        clip_norm: float,
        jit_compile: bool,
    ) -> None:
        self.settings, self.shape, self.rate = settings, shape, rate
        self._starts: dict[int, list[Any]] = {}
        self.core = build_model(settings, shape, seed=0)
        row = keras.Input((), dtype="int32", name="row")
        self._gathers: dict[str, Any] = {
            MARKET: GatherWindows(rows, shape.market_columns, settings.lookback_bars)
        }
        if SUBJECT in self._input_names:
            self._gathers[SUBJECT] = GatherWindows(
                rows, shape.subject_columns, settings.sentiment_lookback_bars
            )
        if SYMBOL in self._input_names:
            self._gathers[SYMBOL] = GatherValues(rows)
        windows = {name: gather(row) for name, gather in self._gathers.items()}
        self.model = keras.Model(row, self.core(windows))
        self._reader = keras.Model(row, with_gate(self.core)(windows))
        self._reader.jit_compile = jit_compile
        self.model.compile(
            optimizer=keras.optimizers.Adam(rate, clipnorm=clip_norm or None),
            loss={key: _loss(key) for key in shape.targets},
            jit_compile=jit_compile,
        )

    @property
    def _input_names(self) -> list[str]:
        return list(self.core.input) if isinstance(self.core.input, dict) else [MARKET]

    @property
    def weights(self) -> list[Any]:
        """Return the weights as they are now, without the streams of dropout."""
        return [ops.convert_to_numpy(each.value) for each in self.core.weights]

    def reset(
        self, seed: int, matrices: dict[str, Any], weights: Sequence[Any] | None = None
    ) -> None:
        """Start afresh: weights and dropout streams of `seed`, an untouched optimizer, new data.

        Args:
            matrices: by input name, (R, F) or (R,).
            weights: to begin with in place of those of `seed`.
        """
        if seed not in self._starts:  # the arms of a fold begin with the same weights
            fresh = build_model(self.settings, self.shape, seed)
            self._starts[seed] = [ops.convert_to_numpy(new.value) for new in fresh.variables]
        for kept, start in zip(self.core.variables, self._starts[seed], strict=True):
            kept.assign(start)
        if weights is not None:
            for kept, start in zip(self.core.weights, weights, strict=True):
                kept.assign(start)
        optimizer = self.model.optimizer
        for variable in optimizer.variables:
            variable.assign(ops.zeros_like(variable.value))
        optimizer.learning_rate = self.rate
        for name, gather in self._gathers.items():
            fill(gather.matrix, matrices[name])

    def assign(self, network: Sequence[Any], optimizer: Sequence[Any] = ()) -> None:
        """Give every variable of the network, and of the optimizer if named, these values."""
        targets = list(zip(self.core.variables, network, strict=True))
        if optimizer:
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            targets += zip(self.model.optimizer.variables, optimizer, strict=True)
        for variable, values in targets:
            variable.assign(values)

    def predict(self, rows: Rows, batch: int = 512) -> dict[str, Any]:
        """Return the outputs at some rows in batches of one fixed shape: key -> (n,) float64.

        `gate` is among them where the network has one: its mean, 0 shut to 1 open.
        """
        parts: dict[str, list[Any]] = {}
        for part, weight in fixed_batches(rows, batch):
            answers = self._reader.predict_on_batch(part.astype(np.int32))
            for key, values in answers.items():
                parts.setdefault(key, []).append(np.asarray(values)[weight > 0, 0])
        return {key: np.concatenate(found).astype(np.float64) for key, found in parts.items()}


def _loss(key: str) -> str:
    return "binary_crossentropy" if key.startswith("direction") else "mean_squared_error"


class RowBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of row numbers with answers and weights; the order is drawn anew each epoch.

    Args:
        answers, weights: by target key, (R,), answers scaled and zero where weight is zero.
        rng: draws the order; None keeps the order of time.
    """

    def __init__(
        self,
        rows: Rows,
        answers: dict[str, Any],
        weights: dict[str, Any],
        size: int,
        rng: np.random.Generator | None,
    ) -> None:
        super().__init__()
        self._rows, self._answers, self._weights = rows, answers, weights
        self._size, self._rng = size, rng
        self._order = rows
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._rows) // self._size)

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order."""
        self._order = self._rows if self._rng is None else self._rng.permutation(self._rows)

    def __getitem__(self, index: int) -> Any:
        rows, weight = fixed_batch(self._order, self._size, index)
        answers = {key: y[rows][:, None].astype(np.float32) for key, y in self._answers.items()}
        weights = {key: (w[rows] * weight).astype(np.float32) for key, w in self._weights.items()}
        return rows.astype(np.int32), answers, weights
