"""The gain over null of one question in one study, with its interval: an effect, no word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moodtape.config import Config
from moodtape.errors import InsufficientData
from moodtape.forecaster.ablation import Rules, Study, run_study
from moodtape.forecaster.arms import NULL, real_arm
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.evidence import Losses, interval_of, mean_loss, paired, target_losses
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.shift import usual_bars
from moodtape.forecaster.stats import FEWEST, PairedResult, Resamples, block_length, paired_test

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moodtape.study.ground import Ground

    Floats = NDArray[np.float64]


def effect_row(
    study: Study, dataset: Dataset, config: Config, symbol: int, key: str, purpose: str
) -> dict[str, Any]:
    """Return `forecaster`, `effect`, `interval`, `upper` (one-sided 95 % bound) and `n`.

    As shares of null's loss; None where no test was possible.

    Args:
        symbol, key: number of the symbol and key of the target.
        purpose: names the stream of resamples.
    """
    losses = target_losses(study, dataset, symbol, key)
    gain, null = gain_of(losses, study), mean_loss(losses.by_arm[NULL])
    result = tested(gain, losses, resamples_of(gain, dataset, config, symbol, key, purpose))
    return {
        "forecaster": study.forecaster,
        "effect": mean_loss(gain) / null,
        "interval": list(interval_of(result, null)),
        "upper": None if result is None else result.upper_95 / null,
        "n": len(losses.fold),
    }


def effect_rows(
    ground: Ground, dataset: Dataset, forecasters: Sequence[str], purpose: str
) -> list[dict[str, Any]]:
    """Return `effect_row` of every question and some forecasters, on a study's folds and seeds.

    Each is fitted again, with the group under test as it is in `dataset` and with it held
    constant.

    Args:
        dataset: the study's, with other values in the columns of the group.
    """
    arms = [next(arm for arm in ground.arms if arm.name == NULL), real_arm(ground.arms)]
    rows = []
    for forecaster in forecasters:
        study = run_study(
            dataset, ground.folds, arms, ground.config, forecaster, rules=Rules({}, {})
        )
        for number, symbol in enumerate(dataset.symbols):
            for key, target in dataset.targets.items():
                asked = {"symbol": symbol, "target": target.name}
                row = effect_row(study, dataset, ground.config, number, key, purpose)
                rows.append({**asked, "horizon_bars": target.horizon_bars, **row})
    return rows


def gain_of(losses: Losses, study: Study) -> Floats:
    """Return null's losses less those of the arm in question, seed by seed. (S, n)"""
    return paired(losses.by_arm[NULL], losses.by_arm[study.real])


def resamples_of(
    gain: Floats, dataset: Dataset, config: Config, symbol: int, key: str, purpose: str
) -> Resamples | None:
    """Return resamples of the rows of a gain (S, n); None where there are too few."""
    n = gain.shape[1]
    if n < FEWEST:
        return None
    per_day = usual_bars(dataset, "D")
    block = block_length(gain.mean(axis=0), dataset.targets[key].horizon_bars, per_day)
    rng = generator(config.seed, purpose, dataset.symbols[symbol], key)
    return Resamples.draw(n, block, config.verdict.draws, rng)


def tested(by_seed: Floats, losses: Losses, resamples: Resamples | None) -> PairedResult | None:
    """Return the test of a mean difference; None where none is possible."""
    if resamples is None:
        return None
    try:
        return paired_test(by_seed, losses.fold, resamples)
    except InsufficientData:  # forecasts that never differ have no interval
        return None
