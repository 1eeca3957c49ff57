"""Worlds of hourly bars, texts and forecasts, with nothing broken or one thing from a day on.

Volatility clusters at two speeds and by the hour of the day, returns have fat tails, texts come in
waves, their tone wanders, and feeds fail now and then. The columns are made by the functions that
a forecast's own are made by. Losses are those of a volatility forecast (regression on the
volatility of a bar, a day and a week), of a return's and of a direction's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.signal import lfilter

from moodtape.config import Config
from moodtape.forecaster.baselines import nearest_variance_bars
from moodtape.forecaster.features.base import compute_all
from moodtape.forecaster.features.chosen import chosen_features
from moodtape.forecaster.features.onchain import metric_features
from moodtape.forecaster.scaling import MIDDLE_HALF
from moodtape.forecaster.target import trailing_variance
from moodtape.forecaster.texts import WEEK_HOURS, hourly_rate

START = np.datetime64("2023-01-02", "us")
HOUR = np.timedelta64(1, "h")
OWN_DAYS = 40
"""Days before the first one that features look back on."""

CHOSEN = chosen_features(Config())
TEXTS_AN_HOUR = 3.0


@dataclass(frozen=True)
class Break:
    """What breaks, by how much, from which day on."""

    kind: str = "none"
    size: float = 0.0
    day: int = 10**6
    input: str = ""


@dataclass(frozen=True)
class Simulated:
    """An hourly world without its first days, as arrays; see `forecaster.drift`.

    columns: (T, J), missing: (T, K), texts: (T, 1), NaN where nobody watched.
    scores: (D, 2, B), counts of tones and of entropies by day.
    losses: by target, the model's and persistence's, each (T,) and NaN without.
    """

    open_time: Any
    names: tuple[str, ...]
    columns: Any
    missing_names: tuple[str, ...]
    missing: Any
    texts: Any
    scores: Any
    losses: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def wander(rng: np.random.Generator, count: int, half_life: float, spread: float) -> Any:
    """Return a stationary autoregression of this half-life in steps. -> (count,)"""
    decay = 0.5 ** (1 / half_life)
    shocks = rng.standard_normal(count) * spread * np.sqrt(1 - decay**2)
    shocks[0] = rng.standard_normal() * spread
    return lfilter([1.0], [1.0, -decay], shocks)


def robust_spread(values: Any) -> float:
    low, high = np.nanquantile(values, (0.25, 0.75))
    return float(high - low) / MIDDLE_HALF


def simulate(rng: np.random.Generator, days: int, broken: Break, fit_days: int) -> Simulated:
    """Return a world of so many days, whose forecasts learn from the first `fit_days`."""
    hours = (OWN_DAYS + days) * 24
    hour = np.arange(hours)
    after = hour >= (OWN_DAYS + broken.day) * 24
    clock = 2 * np.pi * (hour % 24) / 24
    slow, quick = wander(rng, hours, 20 * 24, 0.35), wander(rng, hours, 12, 0.3)
    log_vol = np.log(0.005) + slow + quick + 0.2 * np.sin(clock)
    bars = _bars(rng, log_vol, after, broken)
    price = compute_all(CHOSEN.price, bars)
    hourly, tone, entropy = _texts(rng, clock, after, broken)
    sentiment = np.empty((hours, len(CHOSEN.texts)))
    for step in ("hour", "bar"):
        places = [i for i, f in enumerate(CHOSEN.texts) if f.step == step]
        sentiment[:, places] = compute_all([CHOSEN.texts[i] for i in places], hourly)
    metric = _metric(rng, hours, after, broken)
    keep = slice(OWN_DAYS * 24, None)
    names = (
        *(f.name for f in CHOSEN.price), *(f"news.{f.name}" for f in CHOSEN.texts),
        *(f"metric.{n}" for n in ("level", "change")),
    )  # fmt: skip
    scores = np.stack([_by_day(hour, hourly["n"], values) for values in (tone, entropy)], axis=1)
    return Simulated(
        (START + hour * HOUR)[keep],
        names,
        np.hstack([price, sentiment, metric])[keep],
        ("price.missing", "news.missing"),
        np.column_stack([np.isnan(p).mean(axis=1) for p in (price, sentiment)])[keep],
        hourly["n"][keep, None],
        scores[OWN_DAYS:],
        _losses(rng, bars, after, broken, keep, fit_days),
    )


def _bars(rng: np.random.Generator, log_vol: Any, after: Any, broken: Break) -> dict[str, Any]:
    hours = len(log_vol)
    shift = broken.size * after if broken.kind == "mean" else np.zeros(hours)
    if broken.input == "range":
        # A range's spread is that of its logarithm: size robust deviations of the hourly one.
        log_vol = log_vol + shift * robust_spread(log_vol + 0.3 * rng.standard_normal(hours))
    steps = rng.standard_t(5, (hours, 12)) / np.sqrt(5 / 3) / np.sqrt(12)
    walk = np.cumsum(steps * np.exp(log_vol)[:, None], axis=1)
    if broken.input == "return":
        walk += (shift * robust_spread(walk[:, -1]))[:, None] * np.arange(1, 13) / 12
    close = np.cumsum(walk[:, -1])
    begin = close - walk[:, -1]
    high = begin + np.maximum(walk.max(axis=1), 0)
    low = begin + np.minimum(walk.min(axis=1), 0)
    noise = wander(rng, hours, 6, 0.35) + 0.35 * rng.standard_normal(hours)
    log_volume = 0.7 * (log_vol - np.log(0.005)) + wander(rng, hours, 10 * 24, 0.25) + noise
    if broken.input == "volume":
        log_volume = log_volume + shift * robust_spread(log_volume)
    volume = 100 * np.exp(log_volume)
    taker = 1 / (1 + np.exp(-0.4 * rng.standard_normal(hours) - 20 * walk[:, -1]))
    exp = {"open": begin, "high": high, "low": low, "close": close}
    return {n: 100 * np.exp(v) for n, v in exp.items()} | {
        "volume": volume, "taker_buy_volume": volume * taker,
    }  # fmt: skip


def _texts(
    rng: np.random.Generator, clock: Any, after: Any, broken: Break
) -> tuple[dict[str, Any], Any, Any]:
    """Return hourly sums of texts, and the tone and entropy of every text by hour."""
    hours = len(clock)
    waves = wander(rng, hours, 24, 0.3) + wander(rng, hours, 10 * 24, 0.15)
    rate = TEXTS_AN_HOUR * np.exp(waves + 0.5 * np.sin(clock + 1))
    if broken.kind == "texts":
        rate = rate * np.where(after, broken.size, 1.0)
    n = rng.poisson(rate)
    mood = wander(rng, hours, 18, 0.12) + wander(rng, hours, 5 * 24, 0.05)
    owner = np.repeat(np.arange(hours), n)
    tone = mood[owner] + 0.4 * rng.standard_normal(len(owner))
    sums = np.bincount(owner, tone, hours)
    if broken.input == "tone":
        last = sums / np.where(n > 0, n, np.nan)
        tone = tone + (broken.size * robust_spread(last) * after)[owner]
    tone = np.clip(tone, -1, 1)
    doubt = np.clip(1.0986 * (1 - tone**2) + 0.1 * rng.standard_normal(len(owner)), 0, 1.0986)
    watched = _watched(rng, hours)
    if broken.kind == "missing":
        dark = _runs(rng, hours, 6, broken.size)
        watched &= ~(dark & after)
    reposts = rng.poisson(0.2 * rate)
    columns = {
        "n": n, "n_stale": np.zeros(hours), "n_repost": reposts,
        "sum_tone": np.bincount(owner, tone, hours),
        "sum_tone_squared": np.bincount(owner, tone**2, hours), "collections": np.ones(hours),
    }  # fmt: skip
    hourly = {k: np.where(watched, v, np.nan) for k, v in columns.items()}
    hourly["watched"] = watched.astype(float)
    hourly["usual"] = hourly_rate(hourly["n"], 1.0, WEEK_HOURS)
    return hourly, (owner, tone / 2 + 0.5), (owner, doubt / 1.0987)


def _watched(rng: np.random.Generator, hours: int) -> Any:
    """Return hours that were watched: three outages a month, of four hours on average."""
    return ~_runs(rng, hours, 4, 3 * 4 / 730)


def _runs(rng: np.random.Generator, hours: int, mean: float, share: float) -> Any:
    """Return hours in runs of geometric length that make up a share of all."""
    found = np.zeros(hours, dtype=bool)
    starts = np.flatnonzero(rng.uniform(size=hours) < -np.log(1 - share) / mean)
    for start, length in zip(starts, rng.geometric(1 / mean, len(starts)), strict=True):
        found[start : start + length] = True
    return found


def _metric(rng: np.random.Generator, hours: int, after: Any, broken: Break) -> Any:
    daily = np.exp(wander(rng, hours // 24 + 1, 5, 0.15))
    value = np.repeat(daily, 24)[:hours]
    value = np.concatenate([np.full(6, value[0]), value[:-6]])
    age = ((np.arange(hours) - 6) % 24 + 6) / 24
    features = metric_features("m", 24, 7)[:2]
    return compute_all(features, {"m.value": value, "m.age_d": age})


def _by_day(hour: Any, n: Any, texts: tuple[Any, Any]) -> Any:
    owner, values = texts
    seen = ~np.isnan(n[owner])
    bins = np.minimum((values[seen] * 20).astype(int), 19)
    days = len(hour) // 24
    return np.bincount(owner[seen] // 24 * 20 + bins, minlength=days * 20).reshape(days, 20)


def _losses(
    rng: np.random.Generator, bars: dict[str, Any], after: Any, broken: Break, keep: slice,
    fit_days: int,
) -> dict[str, tuple[Any, Any]]:  # fmt: skip
    names = [f.name for f in CHOSEN.price]
    price = compute_all(CHOSEN.price, bars)
    x = np.column_stack(
        [np.ones(len(price))]
        + [0.5 * price[:, names.index(f"log_variance_{b}")] for b in (1, 24, 168)]
    )
    y = np.append(0.5 * price[1:, names.index("log_variance_1")], np.nan)
    fit = slice(8 * 24, (OWN_DAYS + fit_days) * 24)
    weights = np.linalg.lstsq(x[fit], y[fit], rcond=None)[0]
    before = 0.5 * price[:, names.index(f"log_variance_{nearest_variance_bars(1)}")]
    volatility = (y - x @ weights) ** 2
    change = np.append(np.diff(np.log(bars["close"])), np.nan)
    scale = trailing_variance(bars["close"])
    mean = 0.05 * np.sqrt(scale) * wander(rng, len(y), 6, 1.0)
    chance = np.clip(0.5 + 0.03 * wander(rng, len(y), 6, 1.0), 0.01, 0.99)
    up = (change > 0).astype(float)
    worse = {k: np.where(after & (broken.kind == k), 1 + broken.size, 1.0)
             for k in ("volatility", "return", "direction")}  # fmt: skip
    return {
        "volatility": (volatility[keep] * worse["volatility"][keep],
                       np.column_stack([(y - before) ** 2, (y - x[:, 2]) ** 2])[keep]),
        "return": (((change - mean) ** 2 / scale)[keep] * worse["return"][keep],
                   (change**2 / scale)[keep, None]),
        "direction": ((up - chance)[keep] ** 2 * worse["direction"][keep],
                      np.where(np.isnan(change), np.nan, 0.25)[keep, None]),
    }  # fmt: skip
