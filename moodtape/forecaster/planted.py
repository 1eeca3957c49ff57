"""The positive control `planted`: an effect of known size, put in where tone was.

    1. surprise   what prices do not tell of each answer, in unit variance on training rows
    2. copy       of the surprises of one horizon, blended so that each target gets its gain
    3. noise      as much as makes the gain of one who knows the blend what was asked for
    4. replace    one column of tone for each horizon

An instrument that does not find what was planted proves nothing by finding nothing. The
column looks ahead by construction: no arm that decides ever sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from moodtape.errors import ConfigError
from moodtape.forecaster.baselines import har
from moodtape.forecaster.seeds import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]


def planted(
    tone: Floats,
    dataset: Dataset,
    fold: Fold,
    gains: Mapping[str, float],
    seed: int,
    draw: int,
) -> Floats:
    """Return columns of tone with a noisy copy of the answers in place of some. (R, k)

    Args:
        tone: scaled columns, shape (R, k).
        fold: its training rows give the units of the surprises.
        gains: by target key, by what share of its loss an oracle improves; below 1 in sum.
            Targets of one horizon share a column, the shortest horizon the first.
        draw: number of the draw.
    Raises:
        ConfigError: more horizons than columns of tone, or gains that no column can bring.
    """
    horizons = sorted({dataset.targets[key].horizon_bars for key in gains})
    if len(horizons) > tone.shape[1]:
        raise ConfigError(
            f"target.horizons: an effect can be planted for {tone.shape[1]} horizons, one for"
            f" each column of tone, not for {len(horizons)}. Ask for fewer, or leave the arm"
            " `planted` out of ablation.arms."
        )
    result = tone.copy()
    for column, horizon in enumerate(horizons):
        keys = [key for key in gains if dataset.targets[key].horizon_bars == horizon]
        surprises = np.column_stack([surprise(dataset, fold, key) for key in keys])
        known = fold.train[~np.isnan(surprises[fold.train]).any(axis=1)]
        correlation = np.corrcoef(surprises[known].T).reshape(len(keys), -1)
        try:
            weights = blend(correlation, [gains[key] for key in keys])
        except ValueError as exc:
            raise ConfigError(
                f"verdict.margin: {exc}. Ask for smaller ones, or leave the arm `planted` out of"
                " ablation.arms."
            ) from exc
        rng = generator(seed, "planted", fold.number, horizon, draw)
        noise = overlapping(rng.standard_normal(len(tone)), dataset.symbol, horizon)
        copy = np.nan_to_num(surprises, nan=0.0) @ weights + noise
        result[:, column] = copy / copy[fold.train].std()
    return result


def surprise(dataset: Dataset, fold: Fold, key: str) -> Floats:
    """Return what prices do not tell of an answer, in units of its training rows. (R,)

    A return over its trailing deviation, a direction less its base rate, a log volatility
    less what HAR says of it; each of unit variance. NaN where the answer is not known.
    """
    target = dataset.targets[key]
    everything = np.arange(len(target.y))
    if target.name == "return":
        z = target.y / np.sqrt(dataset.trailing_variance * target.horizon_bars)
    elif target.name == "direction":
        z = target.y - np.nanmean(target.y[fold.train])
    else:
        train = fold.train[~np.isnan(target.y[fold.train])]
        z = target.y - har(dataset, train, target.y[train], everything)
    return np.asarray(z / np.sqrt(np.nanmean(z[fold.train] ** 2)))


def blend(correlation: Floats, gains: Sequence[float]) -> Floats:
    """Return weights of unit surprises, so that the copy with unit noise explains each gain.

    With weights w and correlation C the copy explains (C w)_j^2 / (1 + w' C w) of surprise j;
    set equal to gain g_j, C w = s sqrt(g) with s^2 = 1 / (1 - sqrt(g)' C^-1 sqrt(g)).

    >>> blend(np.eye(1), [0.5]).round(6).tolist()
    [1.0]
    """
    root = np.sqrt(np.asarray(gains, dtype=float))
    direction = np.linalg.lstsq(correlation, root, rcond=1e-6)[0]
    explained = float(root @ direction)
    if explained >= 1:
        raise ValueError(f"gains {list(gains)} are more than one copy can explain")
    return np.asarray(direction / np.sqrt(1 - explained))


def overlapping(noise: Floats, symbol: Rows, horizon: int) -> Floats:
    """Return noise that overlaps as answers over `horizon` bars do, of unit variance. (R,)

    White noise beside overlapping answers would tell more with each bar of a window.
    """
    if horizon == 1:
        return noise
    result = np.zeros_like(noise)
    for number in np.unique(symbol):
        own = symbol == number
        ahead = np.concatenate([noise[own], noise[own][: horizon - 1]])
        sums = np.concatenate([[0.0], np.cumsum(ahead)])
        result[own] = (sums[horizon:] - sums[:-horizon]) / np.sqrt(horizon)
    return result
