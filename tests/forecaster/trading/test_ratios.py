"""Ratios against an independent library, and figures from papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moodtape.forecaster.trading import ratios
from moodtape.forecaster.trading.closed_form import Trades, trades_of
from moodtape.forecaster.trading.luck import (
    deflated_sharpe,
    probabilistic_sharpe,
    random_sharpes,
    sharpe_difference,
    shuffled,
)

DAYS = 365


@pytest.fixture(params=range(3))
def daily(request: pytest.FixtureRequest) -> np.ndarray:
    rng = np.random.default_rng(request.param)
    returns = 0.001 + 0.02 * rng.standard_t(4, 500)
    returns[rng.random(500) < 0.3] = 0.0  # flat days count
    return returns


NAMES = {
    "total_return": "cum_returns_final",
    "yearly_return": "annual_return",
    "volatility": "annual_volatility",
    "sharpe": "sharpe_ratio",
    "sortino": "sortino_ratio",
    "calmar": "calmar_ratio",
    "max_drawdown": "max_drawdown",
}
BY_EMPYRICAL = {
    0: (
        0.34867427783,
        0.244033755108,
        0.367851276486,
        0.7774288113,
        1.13015950347,
        0.839039354612,
        -0.290848997448,
    ),
    1: (
        -0.264900657571,
        -0.201210026338,
        0.49457780536,
        -0.207022348347,
        -0.295652811073,
        -0.361747349926,
        -0.55621700167,
    ),
    2: (
        -0.446661756301,
        -0.350792988312,
        0.400174943738,
        -0.87825124592,
        -1.1730098039,
        -0.703795869508,
        -0.498430018575,
    ),
}
"""What empyrical-reloaded 0.7.1 makes of the three series, for machines that lack it."""


def ours(daily: np.ndarray) -> dict[str, float]:
    of_a_year = {
        name: getattr(ratios, name)(daily, DAYS)
        for name in NAMES
        if name not in ("total_return", "max_drawdown")
    }
    fall = ratios.max_drawdown(np.cumprod(1 + daily))
    return {"total_return": ratios.total_return(daily), **of_a_year, "max_drawdown": fall}


def test_they_equal_those_of_empyrical(daily: np.ndarray, request: pytest.FixtureRequest) -> None:
    seed = request.node.callspec.params["daily"]
    assert ours(daily) == pytest.approx(dict(zip(NAMES, BY_EMPYRICAL[seed], strict=True)))


def test_they_equal_those_of_empyrical_where_it_is_installed(
    daily: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    empyrical = pytest.importorskip("empyrical", reason="empyrical-reloaded is not installed")
    capsys.readouterr()  # it tells what else one could install
    theirs = {
        name: getattr(empyrical, function)(
            daily, **({} if name in ("total_return", "max_drawdown") else {"annualization": DAYS})
        )
        for name, function in NAMES.items()
    }
    assert ours(daily) == pytest.approx(theirs)


def test_what_is_not_defined_is_not_a_number() -> None:
    idle = np.zeros(30)
    for ratio in (ratios.sharpe, ratios.sortino, ratios.calmar):
        assert np.isnan(ratio(idle, DAYS))
    assert np.isnan(ratios.yearly_return(np.array([]), DAYS))
    assert np.isnan(ratios.break_even_bps(0.1, 0.0))
    assert ratios.break_even_bps(0.01, 20.0) == pytest.approx(5.0)


def test_the_papers_example_of_a_deflated_sharpe_ratio() -> None:
    """Bailey & Lopez de Prado (2014): yearly Sharpe 2.5 over five years, best of 100 tries."""
    spread, count = np.sqrt(0.5 / 250), 100
    from scipy.stats import norm

    euler = 0.5772156649
    best = spread * (
        (1 - euler) * norm.ppf(1 - 1 / count) + euler * norm.ppf(1 - 1 / (count * np.e))
    )
    assert best == pytest.approx(0.1132, abs=1e-4)
    found = probabilistic_sharpe(2.5 / np.sqrt(250), best, 1250, -3.0, 10.0)
    assert found == pytest.approx(0.9004, abs=1e-4)


def test_a_deflated_ratio_needs_ten_tries_and_falls_with_more_spread(daily: np.ndarray) -> None:
    assert deflated_sharpe(daily, [0.01] * 9) is None
    assert deflated_sharpe(np.zeros(100), [0.01] * 20) is None
    narrow, wide = (
        deflated_sharpe(daily, list(np.linspace(-spread, spread, 20))) for spread in (0.01, 0.1)
    )
    assert 0 < wide < narrow < 1


def test_random_strategies_hold_as_long_as_the_real_one() -> None:
    rng = np.random.default_rng(4)
    wanted = rng.choice([-1.0, 0.0, 1.0], 60).repeat(5)
    trades = trades_of(wanted, 0.0)

    def holdings(some: Trades) -> list[tuple[int, float]]:
        ends = np.append(some.bar[1:], 300)
        return sorted(
            (int(e - b), float(s))
            for b, e, s in zip(some.bar, ends, some.share, strict=True)
            if s != 0
        )

    orders = set()
    for _ in range(50):
        drawn = shuffled(trades, 300, rng)
        assert holdings(drawn) == holdings(trades)
        assert (np.diff(drawn.bar) > 0).all()
        assert drawn.bar[0] >= 0
        assert drawn.bar[-1] < 300
        orders.add(tuple(drawn.bar))
    assert len(orders) > 40


def test_a_strategy_that_knows_the_future_beats_the_random_ones(random_market: Any) -> None:
    rng = np.random.default_rng(5)
    market = random_market(rng, 2_000)
    foresight = np.where(market.close > market.open, 1.0, 0.0)
    trades = trades_of(foresight, 0.0)
    drawn = random_sharpes(market, trades, 0.0, 200, rng)
    from moodtape.forecaster.trading.closed_form import equity_path
    from moodtape.forecaster.trading.market import daily_returns

    own = ratios.sharpe(daily_returns(market, equity_path(market, foresight, 0.0, 0.0)), DAYS)
    assert (drawn < own).all()


def test_the_interval_of_a_sharpe_difference_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for world in range(200):
        rng = np.random.default_rng(world)
        common = rng.normal(size=300)
        ours = 0.001 + 0.01 * (common + 0.5 * rng.normal(size=300))
        theirs = 0.001 + 0.01 * (common + 0.5 * rng.normal(size=300))
        _, low, high = sharpe_difference(ours, theirs, DAYS, 400, rng)
        held += low <= 0 <= high
    assert 176 <= held <= 198  # 95 % of 200, four standard errors either way
