from typing import Any

import numpy as np
import pytest

from moodtape.errors import InsufficientData
from moodtape.forecaster import stats

ONE_FOLD = np.zeros(1000, dtype=np.int64)


def autoregression(rng: np.random.Generator, count: int, memory: float) -> np.ndarray:
    series = rng.standard_normal(count)
    series[0] /= np.sqrt(1 - memory**2)
    for i in range(1, count):
        series[i] += memory * series[i - 1]
    return series


def indices(resamples: stats.Resamples, draw: int) -> np.ndarray:
    """Return the rows of one resample the slow way: block by block, wrapping around."""
    rows: list[int] = []
    for start, length in zip(resamples.start[draw], resamples.length[draw], strict=True):
        rows += [(start + step) % resamples.n for step in range(length)]
    return np.array(rows)


def test_block_sums_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(97) + 3
    resamples = stats.Resamples.draw(97, 9.0, 40, rng)
    sums = resamples.block_sums(values)
    for draw in range(40):
        rows = indices(resamples, draw)
        assert len(rows) == 97, "a resample has as many rows as the sample"
        assert sums[draw].sum() == pytest.approx(values[rows].sum())
        first = resamples.length[draw, 0]
        assert sums[draw, 0] == pytest.approx(values[rows[:first]].sum())


def test_studentised_means_against_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal(60)
    resamples = stats.Resamples.draw(60, 6.0, 30, rng)
    result = stats._studentised(values, resamples)
    for draw in range(30):
        rows = indices(resamples, draw)
        mean, spread, at = values[rows].mean(), 0.0, 0
        for length in resamples.length[draw]:
            block = values[rows[at : at + length]]
            spread += ((block - mean).sum()) ** 2
            at += length
        expected = (mean - values.mean()) / (np.sqrt(spread) / 60)
        assert result[draw] == pytest.approx(expected)


def test_blocks_have_geometric_lengths_and_begin_anywhere() -> None:
    resamples = stats.Resamples.draw(500, 10.0, 2000, np.random.default_rng(2))
    first = resamples.length[:, 0]
    assert first.mean() == pytest.approx(10, rel=0.06)
    assert (first == 1).mean() == pytest.approx(0.1, abs=0.02)
    assert resamples.start.min() == 0
    assert resamples.start.max() == 499
    assert stats.Resamples.draw(50, 1.0, 5, np.random.default_rng(0)).length.max() == 1


@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_the_closed_form_of_the_variance_against_simulation(memory: float) -> None:
    rng = np.random.default_rng(3)
    values = autoregression(rng, 400, memory)
    resamples = stats.Resamples.draw(400, 12.0, 20_000, rng)
    simulated = (resamples.block_sums(values).sum(axis=1) / 400).var()
    assert stats.time_variance(values, 12.0) == pytest.approx(simulated, rel=0.05)


def test_the_variance_with_blocks_of_one_row_is_that_of_the_plain_bootstrap() -> None:
    values = np.random.default_rng(4).standard_normal(200)
    assert stats.time_variance(values, 1.0) == pytest.approx(values.var() / 200)


def test_the_variance_against_arch() -> None:
    from arch.bootstrap import StationaryBootstrap

    values = autoregression(np.random.default_rng(5), 300, 0.4)
    bootstrap = StationaryBootstrap(8, values, seed=np.random.default_rng(6))
    means = bootstrap.apply(np.mean, 8000)
    assert stats.time_variance(values, 8.0) == pytest.approx(float(means.var()), rel=0.06)


def test_a_block_is_at_least_a_day_and_two_horizons_and_at_most_half_the_sample() -> None:
    white = np.random.default_rng(7).standard_normal(2000)
    assert stats.block_length(white, 1, 24) == 24
    assert stats.block_length(white, 24, 24) == 96
    assert stats.block_length(white, 1, 1) >= 4
    assert stats.block_length(white[:60], 24, 24) == 30
    slow = autoregression(np.random.default_rng(8), 2000, 0.97)
    assert stats.block_length(slow, 1, 24) > 40
    assert stats.block_length(np.zeros(100), 1, 24) == 24


def test_blocks_see_most_of_the_variance_of_answers_that_overlap() -> None:
    """Sums over a day of noise: the variance of their mean is known, 24 times that of one."""
    rng, seen = np.random.default_rng(12), []
    for _ in range(60):
        noise = rng.standard_normal(3000 + 23)
        answers = np.convolve(noise, np.ones(24), "valid") / np.sqrt(24)
        seen.append([
            stats.time_variance(answers, block) * len(answers) / 24
            for block in (stats.shortest_block(24, 24.0), 48.0)
        ])  # fmt: skip
    four, two = np.mean(seen, axis=0)
    assert four == pytest.approx(1 - 24 / (3 * 96), abs=0.05)
    assert two < 0.88, "two horizons leave out a seventh"


def test_seed_variance_by_hand() -> None:
    by_seed = np.array([[1.0, 1.0, 4.0, 4.0], [3.0, 3.0, 4.0, 6.0]])
    variance, freedom = stats.seed_variance(by_seed, np.array([0, 0, 1, 1]))
    first, second = np.var([1, 3], ddof=1), np.var([4, 5], ddof=1)
    assert variance == pytest.approx((0.25 * first + 0.25 * second) / 2)
    assert freedom == 2
    assert stats.seed_variance(by_seed[:1], np.zeros(4)) == (0.0, 0)


def test_seeds_widen_the_interval() -> None:
    rng = np.random.default_rng(9)
    shared = rng.standard_normal(1000)
    resamples = stats.Resamples.draw(1000, 24.0, 500, rng)
    fold = np.repeat([0, 1], 500)
    alike = stats.paired_test(np.stack([shared] * 3), fold, resamples)
    apart = stats.paired_test(shared + np.array([[-0.2], [0.0], [0.2]]), fold, resamples)
    assert apart.mean == pytest.approx(alike.mean)
    assert apart.standard_error > alike.standard_error
    assert apart.high - apart.low > 1.2 * (alike.high - alike.low)


def test_a_clear_gain_and_a_clear_loss() -> None:
    rng = np.random.default_rng(10)
    gain = (0.3 + rng.standard_normal(1000))[None, :]
    resamples = stats.Resamples.draw(1000, 24.0, 1000, rng)
    better = stats.paired_test(gain, ONE_FOLD, resamples)
    worse = stats.paired_test(-gain, ONE_FOLD, resamples)
    assert better.p_better < 0.005 < 0.99 < better.p_worse
    assert worse.p_worse < 0.005 < 0.99 < worse.p_better
    assert 0 < better.low < better.mean < better.upper_95 < better.high
    assert better.blocks == pytest.approx(1000 / 24)


def test_a_p_value_is_never_zero() -> None:
    assert stats._tail_share(np.zeros(99), 5.0) == pytest.approx(0.01)
    assert stats._tail_share(np.array([1.0, 2.0, 3.0]), 2.0) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("values", "why"), [(np.ones(20), "20 forecasts are too few"), (np.ones(40), "never differ")]
)
def test_no_test_without_data(values: np.ndarray, why: str) -> None:
    resamples = stats.Resamples.draw(len(values), 2.0, 10, np.random.default_rng(0))
    with pytest.raises(InsufficientData, match=why):
        stats.paired_test(values[None, :], np.zeros(len(values)), resamples)
    with pytest.raises(InsufficientData, match=why):
        stats.diebold_mariano(values, 0 * values, 1)


def cover(memory: float, heavy: bool, worlds: int, count: int) -> float:
    """Return how often the interval holds the true mean, which is zero."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(worlds):
        values = autoregression(rng, count, memory)
        if heavy:
            values = values * np.sqrt(3 / rng.chisquare(4, count))
        block = stats.block_length(values, 1, 24)
        resamples = stats.Resamples.draw(count, block, 300, rng)
        result = stats.paired_test(values[None, :], ONE_FOLD[:count], resamples)
        held += result.low <= 0 <= result.high
    return held / worlds


@pytest.mark.parametrize(("memory", "heavy"), [(0.0, True), (0.5, False)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(
    memory: float, heavy: bool
) -> None:
    assert 0.90 <= cover(memory, heavy, worlds=150, count=1000) <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize(
    ("memory", "heavy"), [(0.0, False), (0.0, True), (0.5, True), (0.9, False)]
)
def test_coverage_with_more_worlds(memory: float, heavy: bool) -> None:
    assert 0.93 <= cover(memory, heavy, worlds=1000, count=1000) <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("draws", [3, 5])
def test_a_placebo_of_few_draws_is_not_beaten_too_often(draws: int) -> None:
    """Draws are worth as unequally as chance in time: docs/decisions/0007 has the table."""
    rng, count, folds = np.random.default_rng(15), 1000, 4
    fold = np.repeat(np.arange(folds), count // folds)
    resamples = stats.Resamples.draw(count, 24.0, 500, rng)
    beaten = 0
    for _ in range(1000):
        worth = rng.standard_normal((draws, folds)) * np.sqrt(folds / count)
        fits = 0.3 * rng.standard_normal((draws, count))
        by_draw = rng.standard_normal(count) + worth[:, fold] + fits
        beaten += stats.paired_test(by_draw, fold, resamples).p_better < 0.025
    assert beaten <= 35, "2.5 % and two standard errors"


def test_diebold_mariano_against_the_formula_by_a_loop() -> None:
    rng = np.random.default_rng(12)
    a, b, horizon = rng.chisquare(1, 120), rng.chisquare(1, 120) * 0.8, 4
    result = stats.diebold_mariano(a, b, horizon)
    d = a - b
    mean = sum(d) / 120
    variance = 0.0
    for lag in range(-horizon + 1, horizon):
        covariance = (
            sum((d[t] - mean) * (d[t - abs(lag)] - mean) for t in range(abs(lag), 120)) / 120
        )
        variance += (1 - abs(lag) / horizon) * covariance
    statistic = mean / np.sqrt(variance / 120)
    statistic *= np.sqrt((120 + 1 - 2 * horizon + horizon * (horizon - 1) / 120) / 120)
    assert result.statistic == pytest.approx(statistic)
    assert result.n == 120


@pytest.mark.parametrize("horizon", [1, 6])
def test_diebold_mariano_against_statsmodels(horizon: int) -> None:
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(13)
    a, b = rng.chisquare(1, 200), rng.chisquare(1, 200)
    d = a - b
    options: dict[str, Any] = {"maxlags": horizon - 1, "use_correction": False}
    fit = OLS(d, np.ones(200)).fit(cov_type="HAC", cov_kwds=options)
    correction = np.sqrt((201 - 2 * horizon + horizon * (horizon - 1) / 200) / 200)
    result = stats.diebold_mariano(a, b, horizon)
    assert result.statistic == pytest.approx(float(fit.tvalues[0]) * correction)


def test_diebold_mariano_turns_its_sign_with_its_arguments() -> None:
    rng = np.random.default_rng(14)
    a, b = rng.chisquare(1, 100), rng.chisquare(1, 100) + 1
    one, other = stats.diebold_mariano(a, b, 2), stats.diebold_mariano(b, a, 2)
    assert one.statistic == pytest.approx(-other.statistic)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.statistic < 0 < 0.05 > one.p_value, "the second forecast is worse"
