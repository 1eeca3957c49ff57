"""The course of one fit: when it ends, how fast it learns, and what is kept after each epoch.

Imports keras at the top, so import it only where a network is trained.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from moodtape.clock import utc_now
from moodtape.config import TrainingSection
from moodtape.forecaster.checkpoint import Checkpoint, Snapshot

if TYPE_CHECKING:
    from moodtape.forecaster.events import EventFile
    from moodtape.forecaster.indexed import IndexedNetwork

Progress = Callable[[int, int, str], None]
"""Told (batches done, in all at most, what is being done)."""

LEAST_GAIN = 1e-4
"""A `stop` loss must fall by this much for the plateau schedule to count it as a gain."""


@dataclass
class State:
    """What a fit remembers from epoch to epoch, besides its variables.

    epochs: how many are over. best: lowest `stop` loss, in epoch number best_epoch, from 0;
    waited: epochs since. level, level_waited: the same for the plateau schedule.
    rate: learning rate of the next epoch. seconds: spent, interruptions left out.
    history: losses of each epoch.
    """

    rate: float
    epochs: int = 0
    best: float = math.inf
    best_epoch: int = 0
    waited: int = 0
    level: float = math.inf
    level_waited: int = 0
    stopped: bool = False
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


class Course(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops a fit by its `stop` rows, keeps the best weights, and sets the learning rate.

    Args:
        network: the one that is fitted; `go_on` gives it the state of an interrupted fit.
        settings: epochs, patience and schedule.
        batches: steps of an epoch.
        checkpoint: where the state goes after each epoch; nowhere by default.
        progress: told how far the fit is. events: gets the losses, for TensorBoard.
    """

    async_safe = True  # nothing here reads a batch's logs, so keras need not wait for them

    def __init__(
        self,
        network: IndexedNetwork,
        settings: TrainingSection,
        batches: int,
        checkpoint: Checkpoint | None = None,
        progress: Progress | None = None,
        events: EventFile | None = None,
    ) -> None:
        super().__init__()
        self.state = State(settings.learning_rate)
        self._network, self._settings, self._batches = network, settings, batches
        self._checkpoint, self._progress, self._events = checkpoint, progress, events
        self._best: list[Any] = []
        self._since = time.monotonic()

    def go_on(self) -> bool:
        """Take the state of an interrupted fit up, and say whether there was one."""
        snapshot = self._checkpoint.load() if self._checkpoint else None
        if snapshot is None:
            return False
        self.state = State(**snapshot.state)
        self._network.assign(snapshot.network, snapshot.optimizer)
        self._best = list(snapshot.best)
        return True

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin to count seconds."""
        del logs
        self._since = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the learning rate of an epoch."""
        del logs
        if self._settings.schedule == "cosine":
            self.state.rate = cosine(self._settings.learning_rate, epoch, self._settings.epochs)
        self.model.optimizer.learning_rate = self.state.rate

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell how far the fit is."""
        del logs
        if self._progress is not None:
            state, epochs = self.state, self._settings.epochs
            best = f", best stop loss {state.best:.4f}" if state.epochs else ""
            done = state.epochs * self._batches + batch + 1
            what = f"fitting, epoch {state.epochs + 1} of {epochs} at most{best}"
            self._progress(done, epochs * self._batches, what)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note the losses, judge them, and keep the state."""
        state = self.state
        losses = {name: float(value) for name, value in (logs or {}).items()}
        state.history.append({**losses, "learning_rate": state.rate})
        state.epochs = epoch + 1
        now = time.monotonic()
        state.seconds, self._since = state.seconds + now - self._since, now
        self._judge(losses["val_loss"])
        if self._events is not None:
            self._events.write(epoch + 1, state.history[-1], utc_now().timestamp())
        if self._checkpoint is not None:
            variables = self._network.core.variables
            optimizer = self.model.optimizer.variables
            self._checkpoint.save(
                Snapshot(asdict(state), _values(variables), _values(optimizer), self._best)
            )
        self.model.stop_training = state.stopped

    def _judge(self, loss: float) -> None:
        """Keep the best weights, stop when none came for long, slow down on a plateau."""
        state, patience = self.state, self._settings.patience
        state.waited += 1
        if loss < state.best or not self._best:
            if loss < state.best:
                state.best, state.waited = loss, 0
            state.best_epoch = state.epochs - 1
            self._best = _values(self._network.core.variables)
        elif state.waited >= patience and state.epochs > 1:
            state.stopped = True
        if self._settings.schedule == "plateau":
            self._slow_down(loss, max(1, patience - 1))

    def _slow_down(self, loss: float, patience: int) -> None:
        state = self.state
        if loss < state.level - LEAST_GAIN:
            state.level, state.level_waited = loss, 0
            return
        state.level_waited += 1
        if state.level_waited >= patience:
            # 32 bits wide, as the optimizer keeps it: so a rate that was read back is the same.
            state.rate = float(np.float32(np.float32(state.rate) * np.float32(0.5)))
            state.level_waited = 0

    def restore_best(self) -> None:
        """Give the network the weights of its best epoch."""
        self._network.assign(self._best)


def cosine(rate: float, epoch: int, epochs: int) -> float:
    """Return the learning rate of an epoch that falls along half a cosine to nearly nothing.

    Source: Loshchilov & Hutter (2017), without restarts.

    >>> [round(cosine(1.0, epoch, 4), 3) for epoch in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    return rate * 0.5 * (1 + math.cos(math.pi * epoch / epochs))


def _values(variables: Any) -> list[Any]:
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]
