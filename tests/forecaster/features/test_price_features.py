"""Every price feature against a slow definition of its own."""

from collections.abc import Callable

import numpy as np
import pytest

from moodtape.forecaster.features import chosen  # noqa: F401  registers
from moodtape.forecaster.features.base import PRICE, REGISTRY, compute_all, features_of

NAN = np.nan
Inputs = dict[str, np.ndarray]


def span(x: np.ndarray, i: int, steps: int, share: float = 0.8) -> np.ndarray | None:
    """Return the values that are there among the last `steps`, None if they are too few."""
    if i < 0:
        return None
    there = x[max(0, i - steps + 1) : i + 1]
    there = there[~np.isnan(there)]
    return there if len(there) >= max(1, share * steps) else None


def change(x: np.ndarray, i: int, steps: int) -> float:
    return np.log(x[i] / x[i - steps]) if i >= steps else NAN


def variance(b: Inputs, i: int) -> float:
    move = np.log(b["close"][i] / b["open"][i])
    return 0.5 * np.log(b["high"][i] / b["low"][i]) ** 2 - (2 * np.log(2) - 1) * move**2


def log_variance(b: Inputs, i: int, steps: int, share: float = 0.8) -> float:
    every = np.array([variance(b, k) for k in range(max(0, i - steps + 1), i + 1)])
    there = every[~np.isnan(every)]
    return np.log(max(there.mean(), 1e-8)) if len(there) >= share * steps else NAN


def location(b: Inputs, i: int) -> float:
    return (2 * b["close"][i] - b["high"][i] - b["low"][i]) / (b["high"][i] - b["low"][i])


def gap(x: np.ndarray, i: int, steps: int) -> float:
    there = span(x, i, steps)
    return NAN if there is None else np.log(x[i] / there.mean())


def realised(x: np.ndarray, i: int, steps: int, share: float = 0.8) -> float:
    every = np.array([change(x, k, 1) ** 2 for k in range(max(0, i - steps + 1), i + 1)])
    there = every[~np.isnan(every)]
    return np.log(max(there.mean(), 1e-8)) if len(there) >= share * steps else NAN


def parkinson(b: Inputs, i: int) -> float:
    there = span(np.log(b["high"] / b["low"]), i, 24)
    return NAN if there is None else np.log((there**2).mean() / (4 * np.log(2)))


def width(x: np.ndarray, i: int) -> float:
    there = span(x, i, 20)
    return NAN if there is None else 4 * there.std() / there.mean()


def score(x: np.ndarray, i: int) -> float:
    there = span(np.log(x), i, 168, 0.5)
    return NAN if there is None else np.clip((np.log(x[i]) - there.mean()) / there.std(), -8, 8)


def imbalance(b: Inputs, i: int, steps: int) -> float:
    rows = slice(max(0, i - steps + 1), i + 1)
    volume, taken = b["volume"][rows], b["taker_buy_volume"][rows]
    known = ~np.isnan(volume) & ~np.isnan(taken)
    if not known.any():
        return NAN
    return np.clip(2 * taken[known].sum() / volume[known].sum() - 1, -1, 1)


def bollinger(x: np.ndarray, i: int) -> float:
    there = span(x, i, 20)
    return NAN if there is None else (x[i] - there.mean()) / there.std()


def place(x: np.ndarray, i: int) -> float:
    there = span(x, i, 72)
    return NAN if there is None else (x[i] - there.min()) / (there.max() - there.min())


def surprise(x: np.ndarray, i: int) -> float:
    there = span(x, i, 48)
    return NAN if there is None else np.log(x[i] / there.mean())


def trend(x: np.ndarray, i: int) -> float:
    fast, slow = span(x, i, 12), span(x, i, 168, 0.5)
    return NAN if fast is None or slow is None else np.log(fast.mean() / slow.mean())


SLOW: dict[str, Callable[[Inputs, int], float]] = {
    "ret_1": lambda b, i: change(b["close"], i, 1),
    "ret_1_lag_1": lambda b, i: change(b["close"], i - 1, 1),
    "ret_1_lag_2": lambda b, i: change(b["close"], i - 2, 1),
    "ret_4": lambda b, i: change(b["close"], i, 4),
    "ret_12": lambda b, i: change(b["close"], i, 12),
    "ret_24": lambda b, i: change(b["close"], i, 24),
    "ret_72": lambda b, i: change(b["close"], i, 72),
    "ret_168": lambda b, i: change(b["close"], i, 168),
    "realised_24": lambda b, i: realised(b["close"], i, 24),
    "realised_168": lambda b, i: realised(b["close"], i, 168, 0.5),
    "parkinson_24": parkinson,
    "gap_to_mean_168": lambda b, i: gap(b["close"], i, 168),
    "bollinger_width_20": lambda b, i: width(b["close"], i),
    "volume_score": lambda b, i: score(b["volume"], i),
    "taker_imbalance": lambda b, i: imbalance(b, i, 1),
    "taker_imbalance_24": lambda b, i: imbalance(b, i, 24),
    "bar_range": lambda b, i: np.log(b["high"][i] / b["low"][i]),
    "close_location": location,
    "log_variance_1": lambda b, i: np.log(max(variance(b, i), 1e-8)) if b["open"][i] > 0 else NAN,
    "log_variance_6": lambda b, i: log_variance(b, i, 6),
    "log_variance_24": lambda b, i: log_variance(b, i, 24),
    "log_variance_168": lambda b, i: log_variance(b, i, 168, 0.5),
    "gap_to_mean_12": lambda b, i: gap(b["close"], i, 12),
    "gap_to_mean_48": lambda b, i: gap(b["close"], i, 48),
    "bollinger_20": lambda b, i: bollinger(b["close"], i),
    "place_in_range_72": lambda b, i: place(b["close"], i),
    "volume_surprise": lambda b, i: surprise(b["volume"], i),
    "volume_trend": lambda b, i: trend(b["volume"], i),
}
RECURSIVE = {"rsi_14", "macd_gap", "macd_histogram", "atr_14"}


def test_every_price_feature_has_a_second_opinion() -> None:
    assert {f.name for f in features_of(PRICE)} == set(SLOW) | RECURSIVE


@pytest.mark.parametrize("name", SLOW)
def test_against_a_plain_loop(name: str, bars: Inputs) -> None:
    fast = compute_all([REGISTRY[name]], bars)[:, 0]
    slow = np.array([SLOW[name](bars, i) for i in range(len(fast))])
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-12)
    assert np.isnan(fast).sum() < 350, "most of it is there"


def recursive(x: np.ndarray, decay: float) -> np.ndarray:
    """Return the decayed mean as textbooks write it: each value from the one before."""
    result = np.empty(len(x))
    result[0] = x[0]
    for i in range(1, len(x)):
        result[i] = decay * result[i - 1] + (1 - decay) * x[i]
    return result


def test_rsi_against_wilders_recursion(whole_bars: Inputs) -> None:
    move = np.diff(whole_bars["close"])
    up, down = recursive(np.maximum(move, 0), 13 / 14), recursive(np.maximum(-move, 0), 13 / 14)
    expected = up / (up + down)  # 1 - 1 / (1 + up / down)
    found = compute_all([REGISTRY["rsi_14"]], whole_bars)[1:, 0]
    np.testing.assert_allclose(found[400:], expected[400:], atol=1e-10)


def test_macd_against_the_recursion(whole_bars: Inputs) -> None:
    close = whole_bars["close"]
    expected = (recursive(close, 11 / 13) - recursive(close, 25 / 27)) / close
    found = compute_all([REGISTRY["macd_gap"]], whole_bars)[:, 0]
    np.testing.assert_allclose(found[400:], expected[400:], atol=1e-10)


def test_atr_against_wilders_recursion(whole_bars: Inputs) -> None:
    high, low, close = (whole_bars[k] for k in ("high", "low", "close"))
    ranges = np.array(
        [
            max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
            for i in range(1, len(close))
        ]
    )
    expected = recursive(ranges, 13 / 14) / close[1:]
    found = compute_all([REGISTRY["atr_14"]], whole_bars)[1:, 0]
    np.testing.assert_allclose(found[400:], expected[400:], rtol=1e-9)


def test_a_price_that_stands_still_gives_no_infinity() -> None:
    flat = {name: np.full(400, 5.0) for name in ("open", "high", "low", "close")}
    flat["volume"] = flat["taker_buy_volume"] = np.zeros(400)
    found = dict(zip(SLOW, compute_all([REGISTRY[n] for n in SLOW], flat)[-1], strict=True))
    assert found["ret_24"] == found["close_location"] == found["volume_surprise"] == 0
    assert found["log_variance_24"] == pytest.approx(np.log(1e-8))
    assert np.isnan(found["bollinger_20"])
    assert found["bollinger_width_20"] == found["volume_score"] == 0
    assert np.isnan(found["taker_imbalance"]), "nothing was traded"
    assert compute_all([REGISTRY["rsi_14"]], flat)[-1, 0] == 0.5


def test_taker_imbalance_is_missing_where_the_venue_does_not_tell(whole_bars: Inputs) -> None:
    silent = {**whole_bars, "taker_buy_volume": np.full(700, NAN)}
    names = ("taker_imbalance", "taker_imbalance_24")
    assert np.isnan(compute_all([REGISTRY[n] for n in names], silent)).all()
    half = np.where(np.arange(700) < 680, NAN, whole_bars["taker_buy_volume"])
    found = compute_all([REGISTRY["taker_imbalance_24"]], {**whole_bars, "taker_buy_volume": half})
    bought, traded = half[680:].sum(), whole_bars["volume"][680:].sum()
    assert found[699, 0] == pytest.approx(min(2 * bought / traded - 1, 1))
