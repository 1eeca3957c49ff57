"""Runs made by hand: a small one whose numbers can be checked, and one of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.report.series import ReportSeries

START = pd.Timestamp("2025-05-02T00:00Z")
LOSS = {
    "direction": "Brier score",
    "return": "squared error over trailing variance",
    "volatility": "squared error of log volatility",
}
MARGIN = {"direction": 0.003, "return": 0.005, "volatility": 0.01}
NULL_LOSS = {"direction": 0.2496, "return": 1.087, "volatility": 0.2071}
Run = tuple[dict[str, Any], ReportSeries]


def answer(**changes: Any) -> dict[str, Any]:
    """Return one answer, whole, with some of its fields changed."""
    return {
        "symbol": "BTC",
        "target": "direction",
        "horizon_bars": 1,
        "forecaster": "network",
        "decides": True,
        "verdict": "cannot tell",
        "sentence": (
            "Cannot tell whether sentiment helps forecast the direction of BTC 1h ahead: the loss"
            " is 0.12% lower with it (95 % interval of the gain -0.35% to +0.58%) (a gain of 0.3%"
            " would not stand out from chance in this much data)."
        ),
        "reasons": ["a gain of 0.3% would not stand out from chance in this much data"],
        "loss": "Brier score",
        "effect": 0.0012,
        "interval": [-0.0035, 0.0058],
        "effect_echo": 0.0009,
        "interval_echo": [-0.0028, 0.0046],
        "p": {"null": 0.3052, "shift": 0.4416, "echo": 0.3871},
        "p_adjusted": 0.8832,
        "margin": 0.003,
        "minimum_detectable_effect": 0.006,
        "detectable": {
            "forecaster": "linear",
            "above": None,
            "draws": 20,
            "found": [
                {"size": 0.003, "found": 5, "tried": 10},
                {"size": 0.006, "found": 16, "tried": 17},
            ],
        },
        "positive_control": False,
        "planted": {"found": True, "effect": 0.0031, "interval": [0.0007, 0.0055]},
        "best_days_share": 0.62,
        "family_size": 3,
        "level": 0.025,
        "look": 1,
        "audit": "clean",
        "run": "20250525T0600-ablate-5f3c",
        "report": "report.html",
        "n": 1234,
        "blocks": 48.6,
        "losses": {
            "null": 0.25,
            "price": 0.2505,
            "price+sentiment": 0.2497,
            "shift": 0.24975,
            "echo": 0.2499,
            "planted": 0.2492,
            "persistence": 0.25,
            "base rate": 0.2499,
            "reversal": 0.249,
        },
        "effect_shift": 0.0002,
        "interval_shift": [-0.0041, 0.0045],
        "fold_effects": [
            {
                "fold": 1,
                "test_from": "2025-05-12T00:00:00+00:00",
                "test_until": "2025-05-17T00:00:00+00:00",
                "effect": -0.0021,
                "n": 600,
            },
            {
                "fold": 2,
                "test_from": "2025-05-17T00:00:00+00:00",
                "test_until": "2025-05-24T00:00:00+00:00",
                "effect": 0.0043,
                "n": 634,
            },
        ],
        "seed_effects": [0.0003, 0.0021, 0.0012],
        "dm": {"statistic": 0.5094, "p_value": 0.6105},
        **changes,
    }


def results(answers: Sequence[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return a whole run of some answers, with some of its fields changed."""
    return {
        "schema_version": 1,
        "command": "ablate",
        "warnings": [],
        "run": "20250525T0600-ablate-5f3c",
        "created_at": "2025-05-25T06:00:12+00:00",
        "question": {
            "subject": "sentiment",
            "symbols": list(dict.fromkeys(a["symbol"] for a in answers)) or ["BTC"],
            "interval": "1h",
            "since": "2025-05-02T00:00:00+00:00",
            "until": "2025-05-24T00:00:00+00:00",
            "as_of": "2025-05-25T06:00:00+00:00",
            "scorer": "moodtape-minilm",
            "forecaster": "network",
            "preset": "quick",
        },
        "results": list(answers),
        "arms": [
            {"name": "price", "groups": ["price", "calendar"], "treatment": "none", "columns": 31},
            {
                "name": "price+sentiment",
                "groups": ["price", "calendar", "sentiment"],
                "treatment": "as_is",
                "columns": 44,
            },
            {"name": "null", "groups": ["all"], "treatment": "constant", "columns": 44},
            {"name": "shift", "groups": ["all"], "treatment": "shift", "columns": 44},
            {"name": "echo", "groups": ["all"], "treatment": "echo", "columns": 44},
            {"name": "planted", "groups": ["all"], "treatment": "planted", "columns": 44},
        ],
        "baselines": ["persistence", "base rate", "reversal"],
        "folds": [
            {
                "number": 1,
                "train_from": "2025-05-02T00:00:00+00:00",
                "test_from": "2025-05-12T00:00:00+00:00",
                "test_until": "2025-05-17T00:00:00+00:00",
                "train": 170,
                "stop": 30,
                "calibrate": 24,
                "test": 600,
            },
            {
                "number": 2,
                "train_from": "2025-05-02T00:00:00+00:00",
                "test_from": "2025-05-17T00:00:00+00:00",
                "test_until": "2025-05-24T00:00:00+00:00",
                "train": 270,
                "stop": 50,
                "calibrate": 36,
                "test": 634,
            },
        ],
        "coverage": [
            {
                "source": "news",
                "collection": "headlines_2025-05",
                "texts": 4321,
                "first": "2025-05-02T06:10:00+00:00",
                "last": "2025-05-24T23:50:00+00:00",
                "state": "unknown",
                "backfilled_share": 1.0,
                "assumed_share": 0.034,
                "promotion_share": 0.021,
            },
        ],
        "kinds": None,
        "texts_used": 3987,
        "metrics": [],
        "caveats": [
            "All texts were back-filled from an archive; none was collected live.",
            "The bars have one gap: 2025-05-13 07:00 to 2025-05-15 11:00.",
        ],
        "calibration": calibration(),
        "importance": [
            {
                "symbol": "BTC",
                "target": "direction",
                "horizon_bars": 1,
                "n": 1234,
                "forecaster": "network",
                "model": "price+sentiment",
                "group": group,
                "value": value,
                "low": value - 0.002,
                "high": value + 0.003,
            }
            for group, value in (("price", 0.0121), ("sentiment", 0.0004))
        ],
        "clocks": clocks(),
        "months": [
            {
                "symbol": "BTC",
                "target": "direction",
                "horizon_bars": 1,
                "forecaster": "network",
                "month": month,
                "effect": effect,
                "n": 600,
            }
            for month, effect in (("2025-04", -0.0021), ("2025-05", 0.0043))
        ],
        "further": {
            "pairs": [
                {
                    "symbol": "BTC",
                    "target": "direction",
                    "horizon_bars": 1,
                    "forecaster": "network",
                    "giacomini_white": {"statistic": 1.31, "p": 0.52},
                    "clark_west": None,
                    "pesaran_timmermann": {"statistic": 0.44, "p": 0.33},
                    "n": 1234,
                },
            ],
            "tables": [
                {
                    "symbol": "BTC",
                    "target": "direction",
                    "horizon_bars": 1,
                    "models": ["persistence", "network price+sentiment", "reversal"],
                    "best": "reversal",
                    "benchmark": "persistence",
                    "spa_p": 0.21,
                    "mcs": ["persistence", "reversal"],
                    "mcs_size": 0.1,
                    "pbo": 0.38,
                    "n": 1234,
                },
            ],
        },
        "lead_lag": {
            "sentence": "Of 1 pairs of a text series and a price series, texts come before price"
            " in 0 and price comes before texts in 1.",
            "rows": [
                {
                    "symbol": "BTC",
                    "stream": "news",
                    "text": "tone",
                    "price": "return",
                    "leads": leads,
                    "lags": 6,
                    "statistic": statistic,
                    "p": p,
                    "p_adjusted": min(1.0, 2 * p),
                    "share": share,
                    "n": 520,
                }
                for leads, statistic, p, share in (
                    ("texts", 0.81, 0.56, 0.004),
                    ("price", 4.02, 0.0006, 0.021),
                )
            ],
        },
        "timing": [
            {
                "symbol": "BTC",
                "column": "news.tone_6h",
                "before": 0.112,
                "at": 0.013,
                "after": -0.004,
                "n": 519,
            },
        ],
        "holdout": {
            "since": "2025-05-20T00:00:00+00:00",
            "until": "2025-05-24T00:00:00+00:00",
            "opened": True,
            "spent": False,
            "sentence": "The newest fifth of the decisions, from 2025-05-20 00:00Z on, was held"
            " out, and opened at the end.",
            "results": [
                {
                    "symbol": "BTC",
                    "target": "direction",
                    "horizon_bars": 1,
                    "forecaster": "network",
                    "effect": 0.0008,
                    "interval": [-0.0061, 0.0077],
                    "upper": 0.0066,
                    "n": 96,
                },
            ],
        },
        "deviations": ["the number of looks at these data: 1 was planned, and 2 was done"],
        "audit": {"clean": True, "checked": 214, "cuts": ["2025-05-14T00:00:00+00:00"]},
        "provenance": {
            "version": "0.1.0",
            "python": "3.11.7",
            "config_hash": "9d3a5c0b7e11",
            "plan": "5ad0c1f2e3b4",
            "dataset": "1f44e0c29a7d",
            "seed": 7,
            "command": "moodtape ablate --symbol BTC --since 2025-05-02 --until 2025-05-24",
            "packages": {"keras": "3.15.0", "duckdb": "2.0.1"},
            "device": "cpu",
            "seconds": 142.0,
        },
        **changes,
    }


def clocks() -> list[dict[str, Any]]:
    """Return the effect by the stored clock, the wishful one and two later ones."""
    gains = {0: 0.0012, None: 0.0214, 60: 0.0009, 1440: -0.0002}
    return [
        {
            "symbol": "BTC", "target": "direction", "horizon_bars": 1, "forecaster": "linear",
            "clock": "published_at" if minutes is None else "known_at", "delay_min": minutes,
            "effect": gain, "interval": [gain - 0.004, gain + 0.004],
            "over_known": None if minutes == 0 else gain - 0.0012,
            "over_known_interval": None if minutes == 0 else [gain - 0.004, gain + 0.002],
            "n": 1234,
        }
        for minutes, gain in gains.items()
    ]  # fmt: skip


def calibration() -> list[dict[str, Any]]:
    """Return how well a run's calibrated outputs kept their word."""
    asked = {"symbol": "BTC", "horizon_bars": 1, "model": "price+sentiment", "n": 1234}
    return [
        {
            **asked,
            "target": "return",
            "forecaster": "network",
            "intervals": {
                "90 %": {
                    "nominal": 0.9,
                    "coverage": {"value": 0.912, "low": 0.887, "high": 0.934},
                    "width": 0.0213,
                },
                "50 %": {
                    "nominal": 0.5,
                    "coverage": {"value": 0.561, "low": 0.523, "high": 0.598},
                    "width": 0.0061,
                },
            },
        },
        {
            **asked,
            "target": "direction",
            "forecaster": "network",
            "raw": {
                "brier": 0.2511,
                "error": 0.032,
                "bins": [[0.41, 0.48, 411], [0.5, 0.49, 411], [0.6, 0.52, 412]],
            },
            "calibrated": {
                "brier": 0.2497,
                "error": 0.011,
                "bins": [[0.47, 0.48, 411], [0.5, 0.49, 411], [0.53, 0.52, 412]],
            },
        },
    ]


def small_series() -> ReportSeries:
    """Return six bars with a gap of a day, two texts' hours and four losses."""
    bars = START + pd.to_timedelta([1, 2, 3, 28, 29, 30], unit="h")
    hours = START + pd.to_timedelta([0, 28], unit="h")
    cutoffs = START + pd.to_timedelta([240, 241, 360, 361], unit="h")
    gated = START + pd.to_timedelta([240, 241, 242, 360, 362], unit="h")
    return ReportSeries(
        price=pd.DataFrame(
            {"symbol": "BTC", "time": bars, "close": [96000.0, 96500, 96250, 95000, 95500, 97000]}
        ),
        tone=pd.DataFrame(
            {"symbol": "BTC", "stream": "news", "time": hours, "tone": [0.25, -0.5], "n": [3, 1]}
        ),
        losses=pd.DataFrame(
            {
                "symbol": "BTC",
                "target": "direction",
                "horizon_bars": 1,
                "forecaster": "network",
                "time": cutoffs,
                "fold": [1, 1, 2, 2],
                "difference_null": [0.001, -0.0005, 0.0004, 0.0003],
                "difference_shift": [0.0005, -0.0003, 0.0, np.nan],
            }
        ),
        gate=pd.DataFrame({"symbol": "BTC", "time": gated, "gate": [0.4, 0.5, 0.45, 0.7, 0.6]}),
    )


def large_run(
    symbols: Sequence[str],
    targets: Sequence[str] = ("direction", "return", "volatility"),
    horizons: Sequence[int] = (1,),
    forecasters: Sequence[str] = ("network", "linear"),
    days: int = 90,
    streams: Sequence[str] = ("news", "reddit"),
    seed: int = 0,
) -> Run:
    """Return a run of any size with made-up numbers that hang together."""
    draw = np.random.default_rng(seed)
    cutoffs = START + pd.to_timedelta(np.arange(24 * days), unit="h")
    test = slice(24 * days // 3, None)
    fold = np.repeat(np.arange(1, 5), len(cutoffs[test]) // 4 + 1)[: len(cutoffs[test])]
    answers, losses, price, tone, gate = [], [], [], [], []
    for symbol in symbols:
        walk = 100 * np.exp(np.cumsum(draw.normal(0, 0.006, len(cutoffs))))
        price.append(pd.DataFrame({"symbol": symbol, "time": cutoffs, "close": walk}))
        open_share = 0.5 + 0.3 * np.sin(np.arange(len(fold)) / 50)
        gate.append(pd.DataFrame({"symbol": symbol, "time": cutoffs[test], "gate": open_share}))
        for stream in streams:
            n = draw.poisson(2 + 2 * np.sin(np.arange(len(cutoffs)) / 24 * 2 * np.pi) ** 2)
            mean = np.tanh(0.25 * draw.normal(0, 1, len(cutoffs)) + 0.1)
            tone.append(
                pd.DataFrame(
                    {"symbol": symbol, "stream": stream, "time": cutoffs, "tone": mean, "n": n}
                )
            )
        for name in forecasters:
            for target in targets:
                for horizon in horizons:
                    null = NULL_LOSS[target]
                    size = MARGIN[target] * draw.normal(0, 1.0)
                    each = draw.normal(size * null, null * MARGIN[target] * 12, len(fold))
                    placebo = draw.normal(0.6 * size * null, null * MARGIN[target] * 12, len(fold))
                    effect, shift = each.mean() / null, placebo.mean() / null
                    half = 2 * each.std() / null / np.sqrt(len(each))
                    word = (
                        "helps"
                        if effect - half > MARGIN[target] / 2
                        else "hurts"
                        if effect + half < -MARGIN[target] / 2
                        else "does not help"
                        if effect + half < MARGIN[target]
                        else "cannot tell"
                    )
                    answers.append(
                        answer(
                            symbol=symbol,
                            target=target,
                            horizon_bars=horizon,
                            forecaster=name,
                            decides=name == forecasters[0],
                            verdict=word,
                            sentence=f"{word}: {target} of {symbol}, {horizon} h ahead, {name}.",
                            loss=LOSS[target],
                            effect=float(effect),
                            interval=[float(effect - half), float(effect + half)],
                            effect_shift=float(shift),
                            interval_shift=[float(shift - half), float(shift + half)],
                            effect_echo=float(shift / 2),
                            interval_echo=[float(shift / 2 - half), float(shift / 2 + half)],
                            margin=MARGIN[target],
                            n=len(fold),
                            family_size=len(symbols) * len(targets) * len(horizons),
                            losses={
                                "null": null,
                                "price": null * 1.001,
                                "price+sentiment": null * (1 - effect),
                                "shift": null * (1 - effect + shift),
                                "echo": null * (1 - effect + shift / 2),
                                "planted": null * (1 - MARGIN[target]),
                                "persistence": null * (1.35 if target == "volatility" else 1.0015),
                                "base rate": null * 1.0007,
                                **({} if target == "volatility" else {"reversal": null * 0.9991}),
                                **({"HAR": null * 1.04} if target == "volatility" else {}),
                            },
                            fold_effects=[
                                {
                                    "fold": f,
                                    "test_from": str(cutoffs[test][fold == f][0]),
                                    "test_until": str(cutoffs[test][fold == f][-1]),
                                    "effect": float(each[fold == f].mean() / null),
                                    "n": int((fold == f).sum()),
                                }
                                for f in range(1, 5)
                            ],
                            seed_effects=[float(effect + d) for d in draw.normal(0, half / 3, 3)]
                            if name == "network"
                            else [float(effect)],
                        )
                    )
                    losses.append(
                        pd.DataFrame(
                            {
                                "symbol": symbol,
                                "target": target,
                                "horizon_bars": horizon,
                                "forecaster": name,
                                "time": cutoffs[test],
                                "fold": fold,
                                "difference_null": each,
                                "difference_shift": placebo,
                            }
                        )
                    )
    run = results(
        answers,
        baselines=["persistence", "base rate", "reversal", "HAR"],
        folds=[
            {
                "number": f,
                "train_from": str(cutoffs[0]),
                "test_from": str(cutoffs[test][fold == f][0]),
                "test_until": str(cutoffs[test][fold == f][-1]),
                "train": 400 + 300 * f,
                "stop": 100,
                "calibrate": 80,
                "test": int((fold == f).sum()),
            }
            for f in range(1, 5)
        ],
        coverage=[
            {
                "source": stream,
                "collection": f"{stream}-archive",
                "texts": 10_000 * (i + 1),
                "first": str(cutoffs[24 * i]),
                "last": str(cutoffs[-1 - 24 * i]),
                "state": "unknown",
                "backfilled_share": 1.0,
                "assumed_share": 0.034,
            }
            for i, stream in enumerate(streams)
        ],
        calibration=[],
        importance=[],
        kinds={"event": 1203, "recap": 4410, "forecast": 820, "promotion": 77, "other": 2004},
    )
    series = ReportSeries(
        pd.concat(price), pd.concat(tone) if tone else small_series().tone[:0],
        pd.concat(losses), pd.concat(gate),
    )  # fmt: skip
    return run, series


@pytest.fixture
def small() -> Run:
    return results([answer()]), small_series()


@pytest.fixture
def large() -> Callable[..., Run]:
    return large_run
