"""Gradient-boosted trees on the last row of each window: what the linear forecaster sees, bent.

    1. fit       a tree at a time on the training rows, shallow and slow
    2. choose    how many trees, by the loss on `stop`; none at all where the first is no gain
    3. forecast  by that many

In a panel the number of the asset is a column, too, of which trees may part any from any.
Fits draw nothing, so the same rows give the same bits, on any number of threads.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.forecaster.target import answer_unit
from moodtape.forecaster.threads import one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.inputs import Inputs
    from moodtape.forecaster.splits import Fold
    from moodtape.forecaster.target import Target

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

TREES = 200
PATIENCE = 20
LEARNING_RATE = 0.05
LEAVES = 8
LEAF_SHARE = 0.01
"""A leaf holds at least this share of the training rows: a rarer pattern is noise here."""

SHRINKAGE = 10.0

MOST_SYMBOLS = 255
"""Of a column of categories."""


def fit_predict_boosting(
    dataset: Dataset, inputs: Inputs, fold: Fold, rows: Rows, *, seed: int = 0
) -> dict[str, Floats]:
    """Return forecasts at some rows for every target of the dataset.

    Args:
        inputs: scaled inputs of one arm, zero where missing.
        fold: train rows fit, stop rows choose the number of trees.
        rows: where to forecast, shape (m,).
        seed: the fit draws nothing, so every seed gives the same.
    Returns:
        By target key: mean log return, P(up) or log volatility, each shape (m,).
    """
    del seed
    x = np.hstack([inputs.market, inputs.subject])
    if panel := 1 < len(dataset.symbols) <= MOST_SYMBOLS:
        x = np.hstack([x, dataset.symbol[:, None]])
    with one_thread("openmp"):
        return {
            key: _fit_predict(dataset, target, x, fold, rows, panel)
            for key, target in dataset.targets.items()
        }


def _fit_predict(
    dataset: Dataset, target: Target, x: Floats, fold: Fold, rows: Rows, panel: bool
) -> Floats:
    """Return forecasts of one target at some rows. panel: the last column numbers the symbols."""
    unit = answer_unit(target.name, target.horizon_bars, dataset.trailing_variance)
    y = target.y / unit
    train = fold.train[~np.isnan(y[fold.train])]
    stop = fold.stop[~np.isnan(y[fold.stop])]
    is_direction = target.name == "direction"
    if is_direction and (len(np.unique(y[train])) < 2 or len(np.unique(y[stop])) < 2):
        return np.full(len(rows), y[train].mean())
    model = _model(is_direction, len(train), [x.shape[1] - 1] if panel else None)
    model.fit(x[train], y[train], X_val=x[stop], y_val=y[stop])
    trees = int(np.argmax(model.validation_score_))
    if trees == 0:
        return np.asarray(y[train].mean() * unit[rows])
    stages = model.staged_predict_proba(x[rows]) if is_direction else model.staged_predict(x[rows])
    chosen = next(islice(stages, trees - 1, None))
    return np.asarray((chosen[:, 1] if is_direction else chosen) * unit[rows])


def _model(is_direction: bool, count: int, categories: list[int] | None = None) -> Any:
    """Return trees yet to be fitted on `count` rows. categories: columns without an order."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if is_direction else HistGradientBoostingRegressor
    return kind(
        learning_rate=LEARNING_RATE, max_iter=TREES, max_leaf_nodes=LEAVES,
        min_samples_leaf=max(20, int(LEAF_SHARE * count)), l2_regularization=SHRINKAGE,
        categorical_features=categories, early_stopping=True, n_iter_no_change=PATIENCE,
        tol=0.0, random_state=0,
    )  # fmt: skip
