"""Whether the forecaster that gives the word beats its rivals, in sentences and figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from moodtape.forecaster.baselines import HAR
from moodtape.forecaster.rivals import Rivalry, rivalries
from moodtape.study.ablate import Outcome
from moodtape.study.ground import Ground
from moodtape.study.sentences import WHAT, ahead, percent

_NAMES = {"network": "the network", "linear": "the linear forecaster"}
_BLIND = {"ridge", "logistic", "boosting", "ARIMA"}
"""Baselines that need it said that they see no text, since forecasters of their kind do."""


def rival_results(ground: Ground, outcome: Outcome) -> dict[str, Any]:
    """Return `{sentences, rows}`: one sentence a question, and the pairs they rest on."""
    found = rivalries(outcome.studies, ground.dataset, ground.config)
    market = ground.config.market
    return {
        "sentences": list(sentences(found, ground.dataset.interval, market.calendar)),
        "rows": [
            {**asdict(row), "interval": list(row.interval), "beats": row.beats} for row in found
        ],
    }


def sentences(found: Sequence[Rivalry], interval: str, calendar: str = "24/7") -> Iterator[str]:
    """Yield for each question whether the first forecaster beats all its rivals.

    For volatility also whether any forecaster beats HAR.
    """
    questions = dict.fromkeys((row.symbol, row.target, row.horizon_bars) for row in found)
    for question in questions:
        symbol, target, bars = question
        rows = [r for r in found if (r.symbol, r.target, r.horizon_bars) == question]
        where = f"{WHAT[target]} {symbol} {ahead(bars, interval, calendar)} ahead"
        yield _against_all([r for r in rows if r.forecaster == rows[0].forecaster], where)
        if target == "volatility":
            yield _against_har([r for r in rows if r.rival == HAR], where)


def _against_all(rows: Sequence[Rivalry], where: str) -> str:
    """Return what is to be said of one forecaster against all its rivals."""
    unbeaten = [row for row in rows if not row.beats]
    hardest = min(unbeaten or rows, key=lambda row: row.rival_loss)
    who = _first(_named(hardest.forecaster))
    if not unbeaten:
        said = f"{who} beats every rival and baseline at"
        return f"{said} {where}: against {_rival(hardest)}, the best of them, {_gain(hardest)}."
    verb = "is worse than" if hardest.loses else "does not beat"
    return f"{who} {verb} {_rival(hardest)} at {where}: {_gain(hardest)}."


def _against_har(rows: Sequence[Rivalry], where: str) -> str:
    """Return whether any forecaster beats HAR."""
    best = min(rows, key=lambda row: row.loss)
    beating = [_named(row.forecaster) for row in rows if row.beats]
    if not beating:
        which = "" if len(rows) == 1 else f" of {_named(best.forecaster)}, the best of them,"
        return f"No forecaster beats HAR at {where}: {_gain(best, which)}."
    best = min((row for row in rows if row.beats), key=lambda row: row.loss)
    which = "" if len(beating) == 1 else f" of {_named(best.forecaster)}"
    verb = "beats" if len(beating) == 1 else "beat"
    return f"{_first(' and '.join(beating))} {verb} HAR at {where}: {_gain(best, which)}."


def _gain(row: Rivalry, of: str = "") -> str:
    low, high = row.interval
    loss = f"the loss{of}" if of else "its loss"
    change = "lower" if row.gain >= 0 else "higher"
    told = f"{loss} is {percent(abs(row.gain))} {change}"
    if not all(map(math.isfinite, row.interval)):
        return told
    return f"{told} (95 % interval of the gain {percent(low, '+')} to {percent(high, '+')})"


def _named(forecaster: str) -> str:
    return _NAMES.get(forecaster, forecaster)


def _rival(row: Rivalry) -> str:
    if row.fitted:
        return _named(row.rival)
    if row.rival in _BLIND:
        return f"{row.rival} without texts"
    return f"the {row.rival}" if row.rival == "base rate" else row.rival


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
