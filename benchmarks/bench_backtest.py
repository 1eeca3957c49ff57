"""How long eight years of hourly bars take to trade on.

    python benchmarks/bench_backtest.py [--years 8]

One strategy event by event with stops and breaker, the same one in closed form, and the whole
assessment: rivals, cost curve, 1,000 random strategies, intervals.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from moodtape.config.trading import TradingSection
from moodtape.forecaster.trading.assess import Rule, assess
from moodtape.forecaster.trading.closed_form import equity_path
from moodtape.forecaster.trading.market import Market
from moodtape.forecaster.trading.simulate import simulate


def made_up(years: int) -> Market:
    """Return hourly bars of a random walk."""
    rng, bars = np.random.default_rng(0), years * 365 * 24
    opens = np.datetime64("2018-01-01T00:00", "us") + np.arange(bars) * np.timedelta64(1, "h")
    close = 100 * np.exp(np.cumsum(0.006 * rng.standard_t(4, bars)))
    first = np.append(100.0, close[:-1])
    high, low = np.maximum(first, close) * 1.002, np.minimum(first, close) * 0.998
    return Market(opens, opens + np.timedelta64(1, "h"), first, high, low, close, np.zeros(bars))


def timed(what: str, work: Callable[[], Any]) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    work()
    print(
        f"{what:42} {time.perf_counter() - started:7.2f} s {time.process_time() - cpu:7.2f} CPU s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast strategies are simulated.")
    parser.add_argument("--years", type=int, default=8)
    market = made_up(parser.parse_args().years)
    rng = np.random.default_rng(1)
    cutoffs = market.closes[400:-10]
    forecast = np.convolve(rng.normal(size=len(cutoffs)), np.ones(12) / 12, "same") * 0.01
    rule = Rule(cutoffs, "return", 1, np.timedelta64(120, "s"), shorts=True)
    wanted = np.append(np.zeros(len(market) - len(forecast)), np.sign(forecast))
    guarded = TradingSection(stop_loss=0.05, take_profit=0.1)
    print(f"{len(market):,} bars")
    timed("event by event, with stops and breaker", lambda: simulate(market, wanted, guarded))
    timed("in closed form, without them", lambda: equity_path(market, wanted, 0.001, 0.1))
    others = dict.fromkeys(("null", "persistence", "reversal"), -forecast)
    timed(
        "everything, with 1,000 random strategies",
        lambda: assess(market, rule, {"real": forecast, **others}, "real", guarded, rng),
    )


if __name__ == "__main__":
    main()
