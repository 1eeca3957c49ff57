"""Whether a difference in loss is more than luck.

The engine is a studentised stationary bootstrap of paired loss differences. Everything
else here is descriptive and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from moodtape.errors import InsufficientData
from moodtape.forecaster.threads import one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST = 30
HORIZONS_IN_BLOCK = 4.0


@dataclass(frozen=True)
class PairedResult:
    """A mean loss difference with its uncertainty.

    mean: of the differences; positive means the second forecast is better.
    standard_error: time and seed parts together.
    p_better: one-sided p-value of "the mean is zero or below".
    p_worse: one-sided p-value of "the mean is zero or above".
    low, high: two-sided 95 % interval.
    upper_95: one-sided 95 % upper bound.
    block: mean block length in rows; blocks: rows over block.
    """

    mean: float
    standard_error: float
    p_better: float
    p_worse: float
    low: float
    high: float
    upper_95: float
    block: float
    n: int

    @property
    def blocks(self) -> float:
        """Return the number of mean blocks in the sample."""
        return self.n / self.block


def shortest_block(horizon_bars: int, bars_per_day: float) -> float:
    """Return the least mean block in bars: a day, or four horizons where they are longer.

    Answers over h bars overlap, so that their correlation falls to nothing over h lags; blocks of
    mean length b see 1 - h / (3 b) of the variance that makes, about: 85 % at two horizons.
    """
    return max(HORIZONS_IN_BLOCK * horizon_bars, bars_per_day, 1.0)


def block_length(differences: Floats, horizon_bars: int, bars_per_day: float) -> float:
    """Return the mean block: Patton-Politis-White's or the shortest, whichever is longer.

    Source: Politis & White (2004); Patton, Politis & White (2009), by `arch`.
    """
    from arch.bootstrap import optimal_block_length

    shortest = shortest_block(horizon_bars, bars_per_day)
    if np.std(differences) == 0:
        return shortest
    with one_thread("blas"):  # hundreds of short products, each too small to be shared
        automatic = float(optimal_block_length(differences)["stationary"].iloc[0])
    return float(min(max(automatic, shortest), len(differences) / 2))


@dataclass(frozen=True)
class Resamples:
    """Blocks of a stationary bootstrap, drawn once and used for every pair of arms.

    block: mean length of a block.
    start, length: shape (draws, most blocks); a length of 0 fills a row's end.
    """

    n: int
    block: float
    start: NDArray[np.int64]
    length: NDArray[np.int64]

    @classmethod
    def draw(cls, n: int, block: float, draws: int, rng: np.random.Generator) -> Resamples:
        """Draw blocks of geometric length that wrap around the end.

        Source: Politis & Romano (1994), The stationary bootstrap.
        """
        most = int(np.ceil(n / block + 6 * np.sqrt(n / block) + 10))
        length = rng.geometric(min(1.0, 1 / block), size=(draws, most))
        ends = np.cumsum(length, axis=1)
        while (ends[:, -1] < n).any():
            length = np.hstack([length, rng.geometric(min(1.0, 1 / block), size=(draws, most))])
            ends = np.cumsum(length, axis=1)
        begins = ends - length
        length = np.clip(np.minimum(ends, n) - begins, 0, None)
        used = int((length > 0).sum(axis=1).max())
        start = rng.integers(0, n, size=(draws, length.shape[1]))
        return cls(n, block, start[:, :used], length[:, :used])

    def block_sums(self, values: Floats) -> Floats:
        """Return the sum of `values` over each block. (n,) -> (draws, blocks)"""
        mean = values.mean()
        centered = values - mean
        doubled = np.concatenate([[0.0], np.cumsum(np.concatenate([centered, centered]))])
        end, laps = self._ends
        sums = doubled[end]
        sums -= doubled[self.start]
        if laps is not None:
            sums += laps * centered.sum()
        sums += self.length * mean
        return np.asarray(sums)

    @cached_property
    def _ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Return where each block ends after its whole laps, and how many; None for no lap."""
        laps, rest = np.divmod(self.length, self.n)
        return self.start + rest, laps if laps.any() else None


def time_variance(differences: Floats, block: float) -> float:
    """Return the variance of the mean under the stationary bootstrap, in closed form.

    Source: Politis & Romano (1994), lemma 1.
    """
    n = len(differences)
    centered = differences - differences.mean()
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centered, size)
    autocovariance = np.fft.irfft(spectrum * np.conj(spectrum), size)[:n] / n
    lags = np.arange(1, n)
    keep = 1 - 1 / block
    weights = (1 - lags / n) * keep**lags + lags / n * keep ** (n - lags)
    variance = autocovariance[0] + 2 * np.sum(weights * autocovariance[1:])
    return float(max(variance, 0.0) / n)


def seed_variance(by_seed: Floats, fold: NDArray[np.int64]) -> tuple[float, int]:
    """Return the seeds' share of the variance of the mean, and its degrees of freedom.

    Args:
        by_seed: differences for each seed, shape (S, n).
        fold: fold of each row, shape (n,).
    """
    seeds, n = by_seed.shape
    if seeds < 2:
        return 0.0, 0
    total = 0.0
    numbers = np.unique(fold)
    for number in numbers:
        rows = fold == number
        means = by_seed[:, rows].mean(axis=1)
        total += (rows.sum() / n) ** 2 * float(np.var(means, ddof=1))
    return total / seeds, len(numbers) * (seeds - 1)


def paired_test(by_seed: Floats, fold: NDArray[np.int64], resamples: Resamples) -> PairedResult:
    """Test the mean of paired loss differences.

    Args:
        by_seed: differences for each seed in order of time, shape (S, n).
        fold: fold of each row, shape (n,).
        resamples: blocks drawn for these rows, the same for all arms.
    Raises:
        InsufficientData: fewer than 30 rows, or no variation.
    """
    from scipy import stats

    differences = by_seed.mean(axis=0)
    n = len(differences)
    require_variation(differences)
    mean = float(differences.mean())
    from_seeds, freedom = seed_variance(by_seed, fold)
    error = float(np.sqrt(time_variance(differences, resamples.block) + from_seeds))
    if error == 0:
        raise InsufficientData("The standard error is zero.")
    studentised = _studentised(differences, resamples)
    reference = stats.t(freedom) if freedom else stats.norm()
    statistic = mean / error

    def quantile(level: float) -> float:
        """Return the larger of the bootstrap's and the reference's quantile, in size."""
        drawn, known = float(np.quantile(studentised, level)), float(reference.ppf(level))
        return max(drawn, known) if level > 0.5 else min(drawn, known)

    p_better = max(_tail_share(studentised, statistic), float(reference.sf(statistic)))
    p_worse = max(_tail_share(-studentised, -statistic), float(reference.cdf(statistic)))
    return PairedResult(
        mean=mean,
        standard_error=error,
        p_better=p_better,
        p_worse=p_worse,
        low=mean - quantile(0.975) * error,
        high=mean - quantile(0.025) * error,
        upper_95=mean - quantile(0.05) * error,
        block=resamples.block,
        n=n,
    )


def require_variation(differences: Floats) -> None:
    """Make sure that a mean can be tested.

    Raises:
        InsufficientData: fewer than 30 rows, or no variation.
    """
    n = len(differences)
    if n < FEWEST:
        raise InsufficientData(f"{n} forecasts are too few; {FEWEST} are needed.")
    if np.std(differences) == 0:
        raise InsufficientData("The two forecasts never differ in loss.")


def _studentised(differences: Floats, resamples: Resamples) -> Floats:
    """Return (mean* - mean) / error* of each resample; blocks are its independent units."""
    sums = resamples.block_sums(differences)
    n = resamples.n
    means = sums.sum(axis=1) / n
    spread = ((sums - resamples.length * means[:, None]) ** 2).sum(axis=1)
    error = np.sqrt(spread) / n
    error = np.where(error > 0, error, np.inf)
    return np.asarray((means - differences.mean()) / error)


def _tail_share(draws: Floats, statistic: float) -> float:
    """Return the share of draws at or above the statistic, never zero (Davison & Hinkley 1997)."""
    return float((1 + np.sum(draws >= statistic)) / (1 + len(draws)))


@dataclass(frozen=True)
class DieboldMariano:
    """Result of the Diebold-Mariano test."""

    statistic: float
    p_value: float
    n: int


def diebold_mariano(loss_a: Floats, loss_b: Floats, horizon: int) -> DieboldMariano:
    """Test equal predictive accuracy of two forecasts, two-sided.

    Args:
        loss_a, loss_b: per-forecast losses, shape (n,), same order and unit.
        horizon: forecast horizon in bars; sets the lags of the variance.
    Raises:
        InsufficientData: fewer than 30 forecasts, or no variation.
    Source: Diebold & Mariano (1995); Harvey, Leybourne & Newbold (1997).
    """
    from scipy import stats

    differences = loss_a - loss_b
    n = len(differences)
    require_variation(differences)
    centered = differences - differences.mean()
    variance = float(np.mean(centered**2))
    for lag in range(1, horizon):
        weight = 1 - lag / horizon  # Bartlett, so that the sum cannot turn negative
        variance += 2 * weight * float(np.sum(centered[lag:] * centered[:-lag])) / n
    statistic = float(differences.mean() / np.sqrt(variance / n))
    correction = np.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic *= float(correction)
    return DieboldMariano(statistic, float(2 * stats.t(n - 1).sf(abs(statistic))), n)
