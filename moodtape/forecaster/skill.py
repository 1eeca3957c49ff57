"""How good the forecasts were that were made in time, against persistence.

The interval is a confidence sequence: it holds at all times at once, so that whoever looks
every night, and acts when it leaves zero, is wrong as seldom as one who looks once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import parse_duration
from moodtape.forecaster.metrics import deciding_loss
from moodtape.forecaster.stats import FEWEST, block_length, time_variance

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST_BLOCKS = 10
ALPHA = 0.05
TIGHTEST_AT = 500
"""Number of forecasts at which the sequence is tightest: three weeks of hourly ones."""


def live_skill(live: pd.DataFrame) -> list[dict[str, Any]]:
    """Return skill against persistence by symbol, horizon and target.

    Keys: symbol, interval, horizon_bars, target, n, skill, low, high (None with too few),
    loss, loss_persistence, since, until (first and last cut-off).

    Args:
        live: from `storage.settlements.live_forecasts`.
    """
    found = []
    for key, part in live.groupby(["symbol", "interval", "horizon_bars"], sort=True):
        symbol, interval, horizon = str(key[0]), str(key[1]), int(str(key[2]))
        bars_per_day = parse_duration("1d") / parse_duration(interval)
        for target, (every, persistence) in target_losses(part, horizon).items():
            usable = np.isfinite(every) & np.isfinite(persistence)
            if not usable.any():
                continue
            loss, reference, cutoff = every[usable], persistence[usable], part["cutoff"][usable]
            low, high = skill_interval(loss, reference, horizon, bars_per_day)
            found.append(
                {
                    "symbol": symbol, "interval": interval, "horizon_bars": horizon,
                    "target": target, "n": len(loss),
                    "skill": _skill(loss, reference), "low": low, "high": high,
                    "loss": float(loss.mean()), "loss_persistence": float(reference.mean()),
                    "since": cutoff.min().to_pydatetime(), "until": cutoff.max().to_pydatetime(),
                }
            )  # fmt: skip
    return found


def target_losses(part: pd.DataFrame, horizon_bars: int) -> dict[str, tuple[Floats, Floats]]:
    """Return, by target, each row's loss and persistence's; NaN where there is none. 2 x (n,)

    part: forecasts of one symbol and horizon with their answers.
    """
    columns = {
        name: part[name].to_numpy("float64", na_value=np.nan)
        for name in (
            *("mean", "p_up", "volatility", "log_return", "realised", "trailing_variance"),
            "volatility_before",
        )
    }
    change, scale = columns["log_return"], columns["trailing_variance"]
    up = np.where(change == 0, np.nan, (change > 0).astype(float))
    with np.errstate(divide="ignore"):
        logs = {n: np.log(columns[n]) for n in ("volatility", "realised", "volatility_before")}
    cases = {
        "return": (change, columns["mean"], np.zeros(len(part))),
        "direction": (up, columns["p_up"], np.full(len(part), 0.5)),
        "volatility": (logs["realised"], logs["volatility"], logs["volatility_before"]),
    }
    return {
        target: (
            deciding_loss(target, y, forecast, scale, horizon_bars),
            deciding_loss(target, y, persistence, scale, horizon_bars),
        )
        for target, (y, forecast, persistence) in cases.items()
    }


def _skill(loss: Floats, reference: Floats) -> float | None:
    total = float(reference.mean())
    return float(1 - loss.mean() / total) if total > 0 else None


def skill_interval(
    loss: Floats, reference: Floats, horizon_bars: int, bars_per_day: float
) -> tuple[float | None, float | None]:
    """Return a 95 % confidence sequence of the skill at this number of forecasts.

    Overlapping horizons and calm and wild days make losses alike for a while, so the variance
    is that of blocks. None with fewer than 30 forecasts or ten blocks.

    Args:
        loss, reference: per forecast in order of time, shape (n,).
    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit
        theory and asymptotic confidence sequences, theorem 2.2 and equation 10.
    """
    n, mean = len(loss), float(reference.mean())
    if n < FEWEST or mean <= 0:
        return None, None
    skill = 1 - float(loss.mean()) / mean
    # The ratio of two means moves with this row by row (delta method).
    influence = ((1 - skill) * reference - loss) / mean
    block = block_length(influence, horizon_bars, bars_per_day)
    if n / block < FEWEST_BLOCKS:
        return None, None
    variance = n * time_variance(influence, block)
    width = sequence_width(n, variance)
    return skill - width, skill + width


def sequence_width(n: int, variance: float, alpha: float = ALPHA) -> float:
    """Return half the width of a confidence sequence of a mean after `n` values.

    >>> sequence_width(500, 1.0) < 2 * 1.96 / 500**0.5 < sequence_width(100, 1.0)
    True
    """
    log = -2 * np.log(alpha)
    rho2 = (log + np.log(log) + 1) / TIGHTEST_AT
    grown = n * rho2 + 1
    return float(np.sqrt(variance * 2 * grown / (n**2 * rho2) * np.log(np.sqrt(grown) / alpha)))
