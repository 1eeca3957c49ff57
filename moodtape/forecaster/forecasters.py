"""Who may give the word of a study: the forecasters by name, and how often each is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from moodtape.config import Config, ForecasterName
from moodtape.forecaster.arms import PLACEBOS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moodtape.forecaster.arms import Arm
    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.inputs import Inputs
    from moodtape.forecaster.splits import Fold

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

NETWORK: ForecasterName = "network"
LINEAR: ForecasterName = "linear"
BOOSTING: ForecasterName = "boosting"

PLACEBO_DRAWS = 5
"""Draws of a placebo for a forecaster that has no seeds to vary it by."""


class FitPredict(Protocol):
    """Fits one cell of a study and forecasts some rows."""

    def __call__(
        self, dataset: Dataset, inputs: Inputs, fold: Fold, rows: Rows, *, seed: int
    ) -> Mapping[str, Floats]:
        """Return forecasts by target key, and `gate` if there is one, each as long as `rows`."""


Weights = Sequence[Any]
"""Of a network, one array a variable."""


@runtime_checkable
class GoesOn(Protocol):
    """Fits cells, and may begin where the fit of an earlier fold ended."""

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
        """Return forecasts as `FitPredict` does, and the weights that made them."""


@dataclass(frozen=True)
class Forecaster:
    """One way to fit and forecast.

    stochastic: a fit depends on its seed, so one alone proves little.
    open: returns what fits its cells under a config.
    """

    name: ForecasterName
    stochastic: bool
    open: Callable[[Config], FitPredict]

    def fits(self, arm: Arm, seeds: int) -> int:
        """Return how many fits an arm has in each fold: one a seed, or one a placebo draw.

        Args:
            seeds: of a stochastic forecaster.
        """
        if self.stochastic:
            return seeds
        return PLACEBO_DRAWS if arm.treatment in PLACEBOS else 1


def _network(config: Config) -> FitPredict:
    from moodtape.forecaster.device import prepare
    from moodtape.forecaster.train import NetworkForecaster

    return NetworkForecaster(config, prepare(config.training.device))


def _linear(config: Config) -> FitPredict:
    from moodtape.forecaster.linear import fit_predict_linear

    del config
    return fit_predict_linear


def _boosting(config: Config) -> FitPredict:
    from moodtape.forecaster.boosting import fit_predict_boosting

    del config
    return fit_predict_boosting


FORECASTERS: Mapping[str, Forecaster] = {
    each.name: each
    for each in (
        Forecaster(NETWORK, True, _network),
        Forecaster(LINEAR, False, _linear),
        Forecaster(BOOSTING, False, _boosting),
    )
}
