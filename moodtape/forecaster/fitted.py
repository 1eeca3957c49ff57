"""Baselines that are fitted: regression, trees and ARIMA on everything but the texts.

They see the columns of every group except sentiment and the group under test, as a
fold's forecasters see them, and learn from the same training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.arima import arima
from moodtape.forecaster.features.base import SENTIMENT
from moodtape.forecaster.forecasters import BOOSTING, FORECASTERS, LINEAR, FitPredict
from moodtape.forecaster.inputs import Inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

RIDGE, LOGISTIC, TREES, ARIMA = "ridge", "logistic", "boosting", "ARIMA"


def text_free(dataset: Dataset, scaled: Floats, config: Config) -> Inputs:
    """Return the columns of every group but sentiment and the one under test, as a market.

    Args:
        scaled: the features as the fold's forecasters see them, shape (R, F).
    """
    unseen = {SENTIMENT, config.ablation.subject}
    market = scaled[:, [i for i, c in enumerate(dataset.columns) if c.group not in unseen]]
    return Inputs(market, np.zeros((len(scaled), 0)))


def open_baseline(name: str, config: Config) -> FitPredict:
    """Return what fits a baseline and forecasts; it reads the market alone.

    Args:
        name: one of `ablation.baselines`.
    """
    if name == "arima":
        return _arima
    return FORECASTERS[LINEAR if name == "ridge" else BOOSTING].open(config)


def _arima(
    dataset: Dataset, inputs: Inputs, fold: Fold, rows: Rows, *, seed: int
) -> Mapping[str, Floats]:
    """Fit ARIMA, which reads the past of prices alone and draws nothing."""
    del inputs, seed
    return arima(dataset, fold, rows)


def called(name: str, target: str) -> str:
    """Return what tables call a baseline's forecasts of a target.

    ridge, logistic: the linear forecaster, logistic for direction; boosting: its trees;
    ARIMA: of each symbol's own past alone.
    """
    if name == "ridge":
        return LOGISTIC if target == "direction" else RIDGE
    return ARIMA if name == "arima" else TREES
