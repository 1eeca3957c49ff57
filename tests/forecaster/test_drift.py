"""Monitors of drift on arrays: what moved is found, what did not is left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.drift.budget import INPUTS_SHARE, inputs_budget, skill_budgets
from moodtape.forecaster.drift.cusum import FEWEST_DAYS, Cusum, fit_cusum, sums
from moodtape.forecaster.drift.episodes import (
    QUARTER_DAYS,
    SILENT_DAYS,
    alarm_threshold,
    block_sums,
    episodes,
)
from moodtape.forecaster.drift.families import families_of, pooled
from moodtape.forecaster.drift.inputs import Days, Standard, fit_standard, measures
from moodtape.forecaster.drift.losses import thinned_losses
from moodtape.forecaster.drift.ruler import BINS, Ruler, daily_sums, day_of

START, HOUR = np.datetime64("2024-01-01", "us"), np.timedelta64(1, "h")
DAYS, AFTER = 365, 60


def hours(days: int) -> np.ndarray:
    return START + np.arange(24 * days) * HOUR


def rng(*numbers: int) -> np.random.Generator:
    return np.random.default_rng(list(numbers) or 1)


# Two whole weeks: the distance of a window from the reference, by hand.


def test_measures_by_hand() -> None:
    then = Days(np.array([[[60.0, 40.0]]]), np.array([[[10.0, 100.0]]]), np.array([[[20.0, 10.0]]]))
    now = Days(np.array([[[20.0, 80.0]]]), np.array([[[30.0, 100.0]]]), np.array([[[60.0, 10.0]]]))
    psi, ks, share, rate = measures(now, then)[0]
    p, q = np.array([20.5, 80.5]) / 101, np.array([60.5, 40.5]) / 101
    assert psi == pytest.approx(np.sqrt(np.sum((p - q) * np.log(p / q))))
    assert ks == pytest.approx(40 / 101)
    assert share == pytest.approx(0.2)
    assert rate == pytest.approx(np.log(3), abs=1e-3)


def test_measures_of_nothing_are_nothing() -> None:
    none = Days(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), np.zeros((1, 1, 2)))
    some = Days(np.ones((1, 1, 2)), np.ones((1, 1, 2)), np.ones((1, 1, 2)))
    assert measures(none, some).tolist() == [[0, 0, 0, 0]]


def test_many_windows_are_measured_as_each_alone() -> None:
    draws = rng(3)
    days = Days(*(draws.integers(1, 9, size=(300, 2, 2)).astype(float) for _ in range(3)))
    windows, total = days.windows(), days.summed()
    together = measures(windows, total.without(windows))
    one = measures(windows.part(200, 201), total.without(windows.part(200, 201)))
    np.testing.assert_allclose(together[200], one[0])


# The ruler.


def test_what_recurs_every_week_is_no_change_and_ties_share_a_bin() -> None:
    opened = hours(DAYS)
    weekly = np.sin(2 * np.pi * np.arange(len(opened)) / 168) * 10
    noise = rng(4).standard_normal(len(opened))
    counted = np.where(rng(5).uniform(size=len(opened)) < 0.97, 0.0, 1.0)
    values = np.column_stack([weekly + noise, counted])
    ruler = Ruler.fit(values, opened)
    assert ruler.usual.shape == (168, 2)
    counts = ruler.counts(values, opened, START, DAYS)
    assert counts.shape == (DAYS, 2, BINS)
    assert counts[:, 0].sum(axis=1).tolist() == [24.0] * DAYS
    share = counts[:, 0].sum(axis=0) / len(opened)
    assert share == pytest.approx(np.full(BINS, 1 / BINS), abs=0.003)
    assert (counts[:, 1].sum(axis=0) > 0).sum() == 1, "3 % are less than half a bin's due"


def test_days_are_those_of_utc_and_missing_values_are_left_out() -> None:
    opened, values = hours(3), np.arange(72.0)[:, None]
    values[25] = np.nan
    found = daily_sums(values, opened, START + 24 * HOUR, 1)
    assert found.tolist() == [[[float(sum(range(24, 48)) - 25), 23.0]]]
    assert day_of(opened[[0, 23, 24]], START).tolist() == [0, 0, 1]


# Inputs: planted breaks, and none.


def series(seed: int, days: int, half_life: float = 3) -> np.ndarray:
    from scipy.signal import lfilter

    decay = 0.5 ** (1 / half_life)
    shocks = rng(seed).standard_normal((24 * days, 6)) * np.sqrt(1 - decay**2)
    return np.asarray(lfilter([1.0], [1.0, -decay], shocks, axis=0))


def watched(
    seed: int, shift: float = 0, missing: float = 0, texts: float = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return families and monitors of each day after the training span, a break on the first."""
    days = DAYS + AFTER
    opened, values, draws = hours(days), series(seed, days), rng(seed, 1)
    after = np.arange(len(opened)) >= 24 * DAYS
    values[after, 2] += shift
    masks = (draws.uniform(size=(len(opened), 1)) < 0.05 + missing * after[:, None]).astype(float)
    waves = np.exp(0.3 * series(seed + 1, days, 24)[:, :1])
    counts = draws.poisson(3 * waves * np.where(after, texts, 1)[:, None]).astype(float)
    inside = ~after
    ruler = Ruler.fit(values[inside], opened[inside])
    every = Days(
        ruler.counts(values, opened, START, days), daily_sums(masks, opened, START, days),
        daily_sums(counts, opened, START, days),
    )  # fmt: skip
    standard = fit_standard(every.part(0, DAYS), ["market"] * 6, 0.75, rng(seed, 2))
    nights = every.part(DAYS - 13, days).windows()
    return standard.scores(nights), standard.monitors(nights)


def test_without_a_break_two_months_are_quiet() -> None:
    over = [int((watched(seed)[0].max(axis=1) > 1).any()) for seed in range(12)]
    # 0.75 alarms a quarter are allowed: half an alarm in sixty days.
    assert sum(over) <= 10


@pytest.mark.parametrize(
    ("breaks", "monitor"),
    [
        ({"shift": 1.0}, {2, 8}), ({"missing": 0.2}, {12}), ({"texts": 3.0}, {13}),
        ({"texts": 1 / 3}, {13}),
    ],
)  # fmt: skip
def test_a_break_is_found_in_two_weeks_where_it_is(
    breaks: dict[str, float], monitor: set[int]
) -> None:
    for seed in (20, 21, 22):
        scores, monitors = watched(seed, **breaks)
        assert scores[13].max() > 1, "the fortnight is over"
        assert int(monitors[13].argmax()) in monitor


def test_a_slow_series_is_held_to_less_than_a_quick_one() -> None:
    opened = hours(DAYS)
    values = np.column_stack([series(30, DAYS, 1)[:, 0], series(31, DAYS, 240)[:, 0]])
    ruler = Ruler.fit(values, opened)
    counts = ruler.counts(values, opened, START, DAYS)
    none = np.zeros((DAYS, 0, 2))
    standard = fit_standard(Days(counts, none, none), ["market"] * 2, 1.0, rng(6))
    quick, slow = standard.spread[2:]
    assert slow > 3 * quick


def test_the_same_seed_gives_the_same_threshold() -> None:
    nights = [rng(7).standard_normal(100), rng(8).standard_normal(80)]
    first, second = (alarm_threshold(nights, 0.5, rng(9)) for _ in range(2))
    assert first == second
    assert alarm_threshold(nights, 0.1, rng(9)) > first > alarm_threshold(nights, 4.0, rng(9))


# Episodes.


def test_an_episode_is_followed_by_a_week_of_silence() -> None:
    nights = np.zeros(30)
    nights[2:12] = [3, 5, 1, 1, 1, 1, 1, 1, 7, 1]
    began, excess = episodes(nights, 0.5)
    assert np.flatnonzero(began).tolist() == [2, 9], "and again seven nights later"
    assert excess[[2, 9]].tolist() == [4.5, 6.5]
    assert SILENT_DAYS == 7


def test_no_episode_begins_where_blocks_meet() -> None:
    nights = np.zeros(30)
    nights[8:16] = 2.0
    sums_ = block_sums(*episodes(nights, 1.0), 10)
    assert sums_.shape == (21, 2)
    assert sums_[[0, 5, 6, 9, 15]].tolist() == [[1, 1], [1, 1], [2, 2], [1, 1], [1, 1]]
    assert sums_[16:].sum() == 0, "the eighth night of a run is told again, no other is"


# Families.


def test_a_family_is_the_mean_of_its_four_largest_and_a_share_stands_alone() -> None:
    families = families_of(["market", "scores", "market"], 2)
    assert families.tolist() == [0, 1, 0, 0, 1, 0, 2, 2]
    z = np.array([[1.0, 5.0, 2.0, 3.0, 7.0, -4.0, 0.5, 6.0]])
    assert pooled(z, families, 6).tolist() == [[0.5, 6.0, 6.0]]
    many = np.arange(8.0)[None]
    assert pooled(many, families_of(["market"] * 4, 0), 8).tolist() == [[5.5]]


def test_a_family_of_few_is_not_drowned_by_one_of_many() -> None:
    """The same shift in one of two series is found beside twenty noisy ones as without them."""
    days, opened = DAYS + 14, hours(DAYS + 14)
    values = np.hstack([series(60 + n, days) for n in range(4)])
    values[24 * DAYS :, 22] += 1.0
    ruler = Ruler.fit(values[: 24 * DAYS], opened[: 24 * DAYS])
    counts, none = ruler.counts(values, opened, START, days), np.zeros((days, 0, 2))
    for first in (0, 20):
        every = Days(counts[:, first:], none, none)
        kinds = ["market"] * (22 - first) + ["scores"] * 2
        standard = fit_standard(every.part(0, DAYS), kinds, 0.8, rng(12))
        night = every.part(DAYS, days).summed()
        assert standard.scores(night)[0, -1] > 1
        assert int(standard.monitors(night)[0].argmax()) % (24 - first) == 22 - first


def test_nights_that_follow_each_other_alike_raise_as_many_alarms_as_are_allowed() -> None:
    def nights(seed: int, count: int) -> np.ndarray:
        noise = rng(seed).standard_normal(count + 13)
        return np.convolve(noise, np.ones(14) / np.sqrt(14), "valid")

    alarms, quarters = 0.0, 0.0
    for seed in range(40):
        level = alarm_threshold([nights(1000 + seed, 365)], 0.5, rng(seed))
        alarms += episodes(nights(seed, 2000), level)[0].sum()
        quarters += 2000 / QUARTER_DAYS
    assert 0.2 < alarms / quarters < 0.8


# Losses.


def test_the_sum_by_hand() -> None:
    steps = np.array([[0.6, -2.0, 0.3, 0.4, -0.1]])
    np.testing.assert_allclose(sums(steps)[0], [0.5, 0.0, 0.2, 0.5, 0.3])


def losses(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the model's and two persistences' squared errors of hourly log volatility."""
    draws = rng(seed).standard_normal((3, count))
    shared = draws[0]
    loss = (shared + 0.2 * draws[1]) ** 2
    references = np.column_stack([(shared + 0.4 * draws[2]) ** 2, (shared - 0.2 * draws[1]) ** 2])
    return loss, references


def test_losses_that_grow_by_a_fifth_are_found_in_two_weeks() -> None:
    found = 0
    for seed in range(10):
        loss, references = losses(seed, 24 * 194)
        before = slice(0, 24 * 180)
        fitted = fit_cusum(loss[before], references[before], 24, 0.125, rng(seed))
        path = fitted.path(1.2 * loss[24 * 180 :], references[24 * 180 :])
        found += bool((path >= fitted.threshold).any())
    assert found >= 9


def test_losses_that_do_not_grow_raise_few_alarms() -> None:
    over = 0
    for seed in range(20):
        loss, references = losses(100 + seed, 24 * 271)
        before = slice(0, 24 * 180)
        fitted = fit_cusum(loss[before], references[before], 24, 0.25, rng(seed))
        path = fitted.path(loss[24 * 180 :], references[24 * 180 :])
        over += bool((path >= fitted.threshold).any())
    assert over <= 9, "a quarter of an alarm a quarter is allowed: five, and the luck of twenty"


def test_a_sum_begins_again_with_the_forecasts_it_is_given() -> None:
    fitted = Cusum(np.array([0.0]), 0.0, 1.0, 5.0)
    none = np.zeros((4, 1))
    whole = fitted.path(np.array([1.0, 1.0, 1.0, 1.0]), none)
    again = fitted.path(np.array([1.0, 1.0]), none[:2])
    np.testing.assert_allclose(whole[:2], again)


def live_table(count: int, horizon: int, symbols: tuple[str, ...] = ("BTC",)) -> pd.DataFrame:
    cutoff = pd.DatetimeIndex(START + np.arange(count) * HOUR, tz="UTC")
    parts = [
        pd.DataFrame(
            {
                "symbol": symbol, "interval": "1h", "horizon_bars": horizon, "cutoff": cutoff,
                "due_at": cutoff + horizon * pd.Timedelta(hours=1), "model_run": "m",
                "mean": 0.0, "p_up": 0.6, "volatility": 0.01, "log_return": 0.01,
                "realised": np.exp(0.01 * (number + 1) * np.arange(count)),
                "trailing_variance": 1e-4, "volatility_before": 0.02,
            }
        )
        for number, symbol in enumerate(symbols)
    ]  # fmt: skip
    return pd.concat(parts)


def test_answers_that_overlap_are_thinned_and_symbols_averaged() -> None:
    found = thinned_losses(live_table(48, 6, ("BTC", "ETH")), "1h")
    direction = found["direction", 6]
    assert len(direction.loss) == 8
    assert np.diff(direction.cutoff).tolist() == [6 * HOUR] * 7
    assert (direction.due - direction.cutoff).tolist() == [6 * HOUR] * 8
    assert direction.per_day == 4
    assert direction.loss == pytest.approx(0.16)
    assert direction.between(START, START + 12 * HOUR).cutoff.tolist() == [START, START + 6 * HOUR]


def test_the_last_day_says_only_what_was_answered_at_the_cut_off() -> None:
    table = live_table(60, 6)
    before = thinned_losses(table, "1h")["volatility", 6]
    later = table["cutoff"] > table["cutoff"].iloc[40]
    table.loc[later, "realised"] = 9.0
    after = thinned_losses(table, "1h")["volatility", 6]
    known = before.due <= (START + 40 * HOUR)
    np.testing.assert_array_equal(before.references[known], after.references[known])
    assert (before.references[~known] != after.references[~known]).any()


def test_false_alarms_are_divided_among_all() -> None:
    parts = skill_budgets(1.0, [("volatility", 1), ("return", 1), ("direction", 1)])
    assert inputs_budget(1.0) + sum(parts.values()) == pytest.approx(1.0)
    assert inputs_budget(1.0) == INPUTS_SHARE
    assert parts["volatility", 1] == 2 * parts["return", 1]
    assert FEWEST_DAYS == 42


def test_a_span_without_any_change_has_a_standard() -> None:
    still = Days(np.ones((120, 1, 3)), np.ones((120, 1, 2)), np.ones((120, 1, 2)))
    standard = fit_standard(still, ["scores"], 1.0, rng(11))
    assert isinstance(standard, Standard)
    assert standard.scores(still.part(0, 14).summed()).max() < 1
    odd = Days(np.ones((1, 1, 3)) * 14, np.array([[[14.0, 28.0]]]), np.ones((1, 1, 2)) * 14)
    assert standard.scores(odd).tolist()[0][1] > 1, "half of it is missing"
