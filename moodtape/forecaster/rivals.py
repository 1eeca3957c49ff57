"""Whether a forecaster is worth its price: against its rivals, on the same decisions.

1. losses      the deciding loss of the arm in question, of the others' and of each baseline
2. pairs       rival less forecaster, seed by seed
3. intervals   stats.py: bootstrapped in time, the same resamples for all pairs

They describe and decide nothing: the word is about the texts, not about the forecaster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.errors import InsufficientData
from moodtape.forecaster.baselines import HAR
from moodtape.forecaster.evidence import paired, target_losses
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.shift import usual_bars
from moodtape.forecaster.stats import FEWEST, Resamples, block_length, paired_test

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.ablation import Study
    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rivalry:
    """One forecaster against another, or against a baseline, on the same decisions.

    fitted: the rival is a forecaster with the arm in question too; else a baseline.
    loss, rival_loss: mean deciding losses.
    gain: how much lower the forecaster's loss is than the rival's, as a share of the rival's.
    interval: its 95 % interval, NaN where no test was possible.
    n: decisions with a known answer.
    """

    symbol: str
    target: str
    horizon_bars: int
    forecaster: str
    rival: str
    fitted: bool
    loss: float
    rival_loss: float
    gain: float
    interval: tuple[float, float]
    n: int

    @property
    def beats(self) -> bool:
        """Say whether the forecaster is better than its rival beyond chance."""
        return self.interval[0] > 0

    @property
    def loses(self) -> bool:
        """Say whether it is worse beyond chance."""
        return self.interval[1] < 0


@dataclass(frozen=True)
class _Contender:
    """Losses of one forecast of an answer: shape (S, n), or (1, n) of a baseline."""

    name: str
    fitted: bool
    losses: Floats


def rivalries(studies: Sequence[Study], dataset: Dataset, config: Config) -> list[Rivalry]:
    """Return the first forecaster against all others and all baselines, and the others' HAR.

    Args:
        studies: on the same folds; the first gives the word.
    """
    return [
        found
        for symbol in range(len(dataset.symbols))
        for key in dataset.targets
        for found in _of_question(studies, dataset, config, symbol, key)
    ]


def _of_question(
    studies: Sequence[Study], dataset: Dataset, config: Config, symbol: int, key: str
) -> Iterator[Rivalry]:
    """Yield the rivalries of one symbol, target and horizon."""
    by_study = [target_losses(study, dataset, symbol, key) for study in studies]
    first, target = by_study[0], dataset.targets[key]
    own = [
        _Contender(study.forecaster, True, losses.by_arm[study.real])
        for study, losses in zip(studies, by_study, strict=True)
    ]
    rules = [_Contender(name, False, v[None]) for name, v in first.by_baseline.items()]
    pairs = [(own[0], rival) for rival in (*own[1:], *rules)]
    pairs += [(other, rule) for other in own[1:] for rule in rules if rule.name == HAR]
    if len(first.rows) < FEWEST or not pairs:
        return
    differences = [paired(rival.losses, one.losses) for one, rival in pairs]
    per_day = usual_bars(dataset, "D")
    block = max(block_length(d.mean(axis=0), target.horizon_bars, per_day) for d in differences)
    rng = generator(config.seed, "rivals", dataset.symbols[symbol], key)
    resamples = Resamples.draw(len(first.rows), block, config.verdict.draws, rng)
    for (one, rival), by_seed in zip(pairs, differences, strict=True):
        rival_loss = float(rival.losses.mean())
        yield Rivalry(
            symbol=dataset.symbols[symbol],
            target=target.name,
            horizon_bars=target.horizon_bars,
            forecaster=one.name,
            rival=rival.name,
            fitted=rival.fitted,
            loss=float(one.losses.mean()),
            rival_loss=rival_loss,
            gain=float(by_seed.mean()) / rival_loss,
            interval=_interval(by_seed, first.fold, resamples, rival_loss),
            n=len(first.rows),
        )


def _interval(
    by_seed: Floats, fold: NDArray[np.int64], resamples: Resamples, scale: float
) -> tuple[float, float]:
    try:
        result = paired_test(by_seed, fold, resamples)
    except InsufficientData:  # two forecasts that never differ have no interval
        return float("nan"), float("nan")
    return result.low / scale, result.high / scale
