"""One fit of the network, read from top to bottom.

1. scale      answers by the training rows (`TargetScales`)
2. reset      weights and dropout from the fit's own seed, or the weights of an earlier fold
3. fit        Adam, order drawn by seed; `stop` rows end it and slow it down (`course.py`)
4. restore    the weights of the epoch that was best on `stop`
5. forecast   back in the answers' own units
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.device import Device
from moodtape.forecaster.layers import GATE
from moodtape.forecaster.model import MARKET, SUBJECT, SYMBOL, Shape
from moodtape.forecaster.seeds import child_seed, generator
from moodtape.forecaster.target import answer_unit
from moodtape.forecaster.windows import thin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.checkpoint import Checkpoint
    from moodtape.forecaster.course import Progress
    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.events import EventFile
    from moodtape.forecaster.forecasters import Weights
    from moodtape.forecaster.indexed import IndexedNetwork
    from moodtape.forecaster.inputs import Inputs
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Rows = NDArray[np.int64]

ANSWER_CLIP = 8.0
"""Answers are cut here, in standard deviations, while fitting: one crash must not rule a step."""


@dataclass(frozen=True)
class TargetScale:
    """How one target's answers look to the network: (y / own scale - center) / spread."""

    key: str
    name: str
    horizon_bars: int
    center: float
    spread: float

    def scaled(self, y: Floats, trailing_variance: Floats) -> Floats:
        """Return answers as the network sees them, NaN where there is none."""
        if self.name == "direction":
            return y
        own = answer_unit(self.name, self.horizon_bars, trailing_variance)
        return np.asarray(np.clip((y / own - self.center) / self.spread, -ANSWER_CLIP, ANSWER_CLIP))

    def restored(self, output: Floats, trailing_variance: Floats) -> Floats:
        """Return the network's outputs in the answer's own unit."""
        if self.name == "direction":
            return output
        own = answer_unit(self.name, self.horizon_bars, trailing_variance)
        return np.asarray((output * self.spread + self.center) * own)


def target_scales(dataset: Dataset, rows: Rows) -> tuple[TargetScale, ...]:
    """Return the scale of every target, fitted on the training rows alone."""
    scales = []
    for key, target in dataset.targets.items():
        plain = TargetScale(key, target.name, target.horizon_bars, 0.0, 1.0)
        if target.name != "direction":
            variance = dataset.trailing_variance[rows]
            y = target.y[rows] / answer_unit(target.name, target.horizon_bars, variance)
            spread = float(np.nanstd(y))
            center = float(np.nanmean(y)) if target.name == "volatility" else 0.0
            plain = TargetScale(key, target.name, target.horizon_bars, center, spread or 1.0)
        scales.append(plain)
    return tuple(scales)


@dataclass(frozen=True)
class Fit:
    """A fitted network and what its fitting measured."""

    network: IndexedNetwork
    shape: Shape
    scales: tuple[TargetScale, ...]
    history: tuple[Mapping[str, float], ...]
    seconds: float
    samples_per_s: float

    @property
    def best_epoch(self) -> int:
        """Return the number of the epoch whose weights were kept, from 1."""
        losses = [row["val_loss"] for row in self.history]
        return int(np.argmin(losses)) + 1

    def forecast(self, dataset: Dataset, rows: Rows) -> dict[str, Floats]:
        """Return mean log return, P(up) or log volatility by target key, each (n,).

        Beside them stands `gate`, where the network has one.
        """
        outputs = self.network.predict(rows)
        variance = dataset.trailing_variance[rows]
        answers = {s.key: s.restored(outputs[s.key], variance) for s in self.scales}
        return answers | {k: v for k, v in outputs.items() if k == GATE}


@dataclass(frozen=True)
class Watch:
    """Who looks on while a fit goes on: all of it leaves its bits as they are.

    checkpoint: keeps its state, and has it go on where it was interrupted.
    progress: told how far it is. events: gets its curves.
    """

    checkpoint: Checkpoint | None = None
    progress: Progress | None = None
    events: EventFile | None = None


@dataclass
class NetworkForecaster:
    """Fits the cells of a study. Networks of one shape are compiled once and reused."""

    config: Config
    device: Device
    log: list[dict[str, Any]] = field(default_factory=list)
    _networks: dict[tuple[Shape, int], IndexedNetwork] = field(default_factory=dict)

    def __call__(
        self, dataset: Dataset, inputs: Inputs, fold: Fold, rows: Rows, *, seed: int
    ) -> Mapping[str, Floats]:
        """Fit one cell and return its forecasts at some rows, by target key."""
        return self.go_on(dataset, inputs, fold, rows, seed=seed, start=None)[0]

    def go_on(
        self,
        dataset: Dataset,
        inputs: Inputs,
        fold: Fold,
        rows: Rows,
        *,
        seed: int,
        start: Weights | None,
    ) -> tuple[Mapping[str, Floats], Weights]:
        """Fit one cell from some weights; return its forecasts at some rows, and its weights.

        Args:
            start: of a fit of an earlier fold; drawn from the seed by default.
        """
        fit = self.fit(dataset, inputs, fold, seed, start=start)
        self.log.append(
            {
                "fold": fold.number,
                "seed": seed,
                "epochs": len(fit.history),
                "best_epoch": fit.best_epoch,
                "seconds": round(fit.seconds, 2),
                "samples_per_s": round(fit.samples_per_s),
            }
        )
        return fit.forecast(dataset, rows), fit.network.weights

    def fit(
        self,
        dataset: Dataset,
        inputs: Inputs,
        fold: Fold,
        seed: int,
        watch: Watch | None = None,
        start: Weights | None = None,
    ) -> Fit:
        """Fit on the fold's `train` rows, stopping by its `stop` rows.

        Arms that differ only in their inputs share seed, order of batches and dropout.
        """
        from moodtape.forecaster.course import Course
        from moodtape.forecaster.indexed import RowBatches

        config, watch = self.config, watch or Watch()
        train = _thin_by_symbol(dataset, fold.train, config.training.max_rows)
        scales = target_scales(dataset, train)
        answers, weights = _answers(dataset, scales)
        network = self._network(dataset, inputs)
        network.reset(
            child_seed(config.seed, "network", fold.number, seed), _matrices(dataset, inputs), start
        )
        order = generator(config.seed, "batches", fold.number, seed)
        size, epochs = config.training.batch_size, config.training.epochs
        batches = RowBatches(train, answers, weights, size, order)
        course = Course(
            network, config.training, len(batches),
            watch.checkpoint, watch.progress, watch.events,
        )  # fmt: skip
        state = course.state
        if course.go_on():
            state = course.state
            for _ in range(state.epochs):
                batches.on_epoch_end()  # the orders of the epochs that are over
        if state.epochs < epochs and not state.stopped:
            network.model.fit(
                batches,
                validation_data=RowBatches(fold.stop, answers, weights, size, None),
                initial_epoch=state.epochs,
                epochs=epochs,
                callbacks=[course],
                shuffle=False,  # RowBatches draws its own order, from our seed
                verbose=0,
            )
        course.restore_best()
        return Fit(
            network, network.shape, scales, tuple(state.history), state.seconds,
            len(train) * state.epochs / max(state.seconds, 1e-9),
        )  # fmt: skip

    def _network(self, dataset: Dataset, inputs: Inputs) -> IndexedNetwork:
        from moodtape.forecaster.indexed import IndexedNetwork

        shape = Shape(
            inputs.market.shape[1], inputs.subject.shape[1], len(dataset.symbols),
            tuple(dataset.targets),
        )  # fmt: skip
        key = (shape, len(dataset.symbol))
        if key not in self._networks:
            self._networks[key] = IndexedNetwork(
                self.config.network, shape, len(dataset.symbol),
                self.config.training.learning_rate, self.config.training.clip_norm,
                self.device.jit_compile,
            )  # fmt: skip
        return self._networks[key]


def _thin_by_symbol(dataset: Dataset, rows: Rows, most: int) -> Rows:
    """Return at most `most` rows, every symbol thinned alike, in order of time."""
    if most == 0 or len(rows) <= most:
        return rows
    symbols = np.unique(dataset.symbol[rows])
    share = max(1, most // len(symbols))
    kept = [thin(rows[dataset.symbol[rows] == s], share) for s in symbols]
    return rows[np.isin(rows, np.concatenate(kept))]


def _matrices(dataset: Dataset, inputs: Inputs) -> dict[str, Any]:
    return {MARKET: inputs.market, SUBJECT: inputs.subject, SYMBOL: dataset.symbol}


def _answers(
    dataset: Dataset, scales: Sequence[TargetScale]
) -> tuple[dict[str, Singles], dict[str, Singles]]:
    """Return scaled answers and weights over all rows; a missing answer weighs nothing."""
    answers, weights = {}, {}
    for scale in scales:
        y = scale.scaled(dataset.targets[scale.key].y, dataset.trailing_variance)
        weights[scale.key] = (~np.isnan(y)).astype(np.float32)
        answers[scale.key] = np.nan_to_num(y, nan=0.0).astype(np.float32)
    return answers, weights


def describe_scales(scales: Sequence[TargetScale]) -> list[dict[str, Any]]:
    """Return the scales as plain values, for the run folder."""
    return [asdict(scale) for scale in scales]
