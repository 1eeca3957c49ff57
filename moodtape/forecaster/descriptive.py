"""Further tests of the field, for those who ask for them; they describe and decide nothing.

Clark-West, Giacomini-White and Pesaran-Timmermann have no package and are short; SPA and the
model confidence set are those of `arch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.stats import require_variation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Score = Callable[[NDArray[np.bool_]], Floats]

SIZE = 0.1
"""Of the model confidence set: the true best is left out of it so often at most."""

PARTS = 10
"""Into which the tested time is cut to learn what choosing by the past is worth."""


@dataclass(frozen=True)
class Statistic:
    """A statistic with its p-value."""

    value: float
    p: float


def clark_west(y: Floats, null: Floats, real: Floats, horizon: int) -> Statistic:
    """Test that a nested linear model's forecasts (n,) add nothing in population, one-sided.

    Not a test of accuracy: the larger model's noise is taken off its squared error first.

    Raises:
        InsufficientData: fewer than 30 forecasts, or no variation.
    Source: Clark & West (2007), eq. 3.2; Bartlett weights over `horizon` - 1 lags.
    """
    from scipy import stats

    adjusted = (y - null) ** 2 - (y - real) ** 2 + (null - real) ** 2
    require_variation(adjusted)
    error = float(np.sqrt(_long_run(adjusted[:, None], horizon)[0, 0] / len(adjusted)))
    statistic = float(adjusted.mean()) / error
    return Statistic(statistic, float(stats.norm.sf(statistic)))


def giacomini_white(null: Floats, real: Floats, horizon: int) -> Statistic:
    """Test that nobody could have told which of two losses (n,) would be lower, two-sided.

    The instruments are a constant and the last difference known at the decision. It is meant
    for forecasters fitted on windows of fixed length; on growing ones it is approximate.

    Raises:
        InsufficientData: fewer than 30 forecasts, or no variation.
    Source: Giacomini & White (2006), theorem 1 and, for horizons above one, theorem 3.
    """
    from scipy import stats

    difference = null - real
    require_variation(difference)
    now, known = difference[horizon:], difference[:-horizon]
    scale = difference.std()
    moments = np.column_stack([now, now * known / scale])
    mean = moments.mean(axis=0)
    spread = _long_run(moments, horizon, centred=False)
    statistic = float(len(moments) * mean @ np.linalg.solve(spread, mean))
    return Statistic(statistic, float(stats.chi2(2).sf(statistic)))


def pesaran_timmermann(up: Floats, p_up: Floats) -> Statistic | None:
    """Test that calls of a direction (n,) are no better than chance; None if one is always called.

    Source: Pesaran & Timmermann (1992), one-sided.
    """
    from scipy import stats

    rose, called = up > 0.5, p_up > 0.5
    n, share, share_called = len(rose), rose.mean(), called.mean()
    if share in (0, 1) or share_called in (0, 1):
        return None
    chance = share * share_called + (1 - share) * (1 - share_called)
    of_hits = chance * (1 - chance) / n
    of_chance = (
        (2 * share - 1) ** 2 * share_called * (1 - share_called) / n
        + (2 * share_called - 1) ** 2 * share * (1 - share) / n
        + 4 * share * share_called * (1 - share) * (1 - share_called) / n**2
    )
    if of_hits <= of_chance:
        return None
    statistic = float(((rose == called).mean() - chance) / np.sqrt(of_hits - of_chance))
    return Statistic(statistic, float(stats.norm.sf(statistic)))


def superior_ability(
    benchmark: Floats, losses: Mapping[str, Floats], block: int, draws: int, seed: int
) -> float:
    """Return the p-value that no model has a lower loss than the benchmark's, choosing included.

    Source: Hansen (2005), consistent, by `arch`.
    """
    from arch.bootstrap import SPA

    test = SPA(benchmark, np.column_stack(list(losses.values())), block, draws, seed=seed)
    test.compute()
    return float(test.pvalues["consistent"])


def confidence_set(
    losses: Mapping[str, Floats], block: int, draws: int, seed: int
) -> tuple[str, ...]:
    """Return the models of which none can be told from the best, at 10 %.

    Source: Hansen, Lunde & Nason (2011), maximum statistic, by `arch`.
    """
    from arch.bootstrap import MCS

    names = list(losses)
    matrix = np.column_stack([losses[name] for name in names])
    test = MCS(matrix, SIZE, draws, block, method="max", seed=seed)
    test.compute()
    included = {int(str(place)) for place in test.included}
    return tuple(name for place, name in enumerate(names) if place in included)


def overfitting(losses: Mapping[str, Floats], parts: int = PARTS) -> float:
    """Return how often the best model of one half of the time is below the median in the other."""
    cut = np.array_split(np.column_stack(list(losses.values())), parts)
    sums = np.stack([part.sum(axis=0) for part in cut])
    rows = np.array([len(part) for part in cut])
    return luck_of_the_best(lambda half: -sums[half].sum(axis=0) / rows[half].sum(), parts)


def luck_of_the_best(score: Score, parts: int = PARTS) -> float:
    """Return how often the best candidate of one half is below the median in the other.

    Over every way to choose half of the parts. Near zero: what was best stays good. Half and
    more: choosing the winner of a table like this one is worth nothing.

    Source: Bailey, Borwein, Lopez de Prado & Zhu (2017), combinatorially symmetric.

    Args:
        score: of every candidate (k,) on some of the parts (parts,); larger is better.
        parts: into which the time is cut; even.
    """
    below = []
    for chosen in combinations(range(parts), parts // 2):
        half = np.isin(np.arange(parts), chosen)
        outside = score(~half)
        best = outside[int(score(half).argmax())]
        worse, equal = (outside < best).sum(), (outside == best).sum() - 1
        rank = (worse + 0.5 * equal + 1) / (len(outside) + 1)  # near one: still the best
        below.append(rank <= 0.5)
    return float(np.mean(below))


def _long_run(values: Floats, horizon: int, centred: bool = True) -> Floats:
    """Return the long-run covariance of some columns, Bartlett over `horizon` - 1 lags. (k, k)"""
    n = len(values)
    moved = values - values.mean(axis=0) if centred else values
    found = moved.T @ moved / n
    for lag in range(1, horizon):
        cross = moved[lag:].T @ moved[:-lag] / n
        found += (1 - lag / horizon) * (cross + cross.T)
    return np.asarray(found)
