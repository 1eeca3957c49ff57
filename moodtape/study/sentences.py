"""The verdict as a sentence that says what is known, how surely, and what it rests on."""

from __future__ import annotations

import math

from moodtape.clock import format_duration, parse_duration
from moodtape.forecaster.answers import Answer
from moodtape.forecaster.verdict import CANNOT_TELL, DOES_NOT_HELP, HELPS, HURTS

_WHAT = {
    "return": "the return of",
    "direction": "the direction of",
    "volatility": "the volatility of",
}
LOSS_NAMES = {
    "return": "squared error over trailing variance",
    "direction": "Brier score",
    "volatility": "squared error of log volatility",
}


def sentence(answer: Answer, subject: str, interval: str) -> str:
    """Return one sentence for one answer."""
    ahead = format_duration(parse_duration(interval) * answer.horizon_bars)
    what = f"{_WHAT[answer.target]} {answer.symbol} {ahead} ahead"
    name, plural = ("on-chain metrics", True) if subject == "onchain" else ("sentiment", False)
    reasons = "; ".join(answer.verdict.reasons)
    word = answer.verdict.word
    if word == CANNOT_TELL:
        helps = "help" if plural else "helps"
        tail = f" ({reasons})" if reasons else ""
        return f"Cannot tell whether {name} {helps} forecast {what}: {_effect(answer)}{tail}."
    verb = {
        HELPS: "help" if plural else "helps",
        HURTS: "hurt" if plural else "hurts",
        DOES_NOT_HELP: "do not help" if plural else "does not help",
    }[word]
    if word == HURTS:
        return f"{_first(name)} {verb} the forecast of {what}: {_effect(answer)}."
    return f"{_first(name)} {verb} forecast {what}: {_effect(answer)}."


def _effect(answer: Answer) -> str:
    """Return the effect and its interval in words."""
    low, high = answer.interval
    if not all(map(math.isfinite, (answer.effect, low, high))):
        return "no effect could be measured"
    change = "lower" if answer.effect >= 0 else "higher"
    return (
        f"the loss is {_percent(abs(answer.effect))} {change} with it"
        f" (95 % interval of the gain {_percent(low, '+')} to {_percent(high, '+')})"
    )


def _percent(share: float, sign: str = "") -> str:
    """Return a share in percent, a minus as printers set it.

    >>> _percent(-0.0035, "+"), _percent(0.012)
    ('\u22120.35 %', '1.20 %')
    """
    return f"{share * 100:{sign}.2f} %".replace("-", "\N{MINUS SIGN}")


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
