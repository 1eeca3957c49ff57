"""The verdict as a sentence that says what is known, how surely, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from moodtape.clock import format_duration, parse_duration
from moodtape.forecaster.answers import Answer
from moodtape.forecaster.claims import ATTENTION
from moodtape.forecaster.verdict import CANNOT_TELL, DOES_NOT_HELP, HELPS, HURTS

WHAT = {
    "return": "the return of",
    "direction": "the direction of",
    "volatility": "the volatility of",
}
LOSS_NAMES = {
    "return": "squared error over trailing variance",
    "direction": "Brier score",
    "volatility": "squared error of log volatility",
}

_SUBJECTS = {"onchain": ("on-chain metrics", True), ATTENTION: ("the number of texts", False)}


def sentence(
    answer: Answer,
    subject: str,
    interval: str,
    calendar: str = "24/7",
    look: int = 1,
    beside: Sequence[str] = (),
) -> str:
    """Return one sentence for one answer.

    Args:
        subject: what is under test: a group of features, or `attention`.
        look: number of this look at these data; a second one is said.
        beside: what a `helps` must say besides.
    """
    what = _what(answer, interval, calendar)
    name, plural = _named(subject)
    effect = _effect(answer, "them" if plural else "it")
    word = answer.verdict.word
    if word == CANNOT_TELL:
        helps = "help" if plural else "helps"
        notes = (*answer.verdict.reasons, *_seen(answer), *_look(look))
        tail = f" ({'; '.join(notes)})" if notes else ""
        return f"Cannot tell whether {name} {helps} forecast {what}: {effect}{tail}."
    verb = _verb(word, plural)
    notes = (*_notes(answer), *(beside if word == HELPS else ()), *_look(look))
    tail = f" ({'; '.join(notes)})" if notes else ""
    if word == HURTS:
        return f"{_first(name)} {verb} the forecast of {what}: {effect}{tail}."
    return f"{_first(name)} {verb} forecast {what}: {effect}{tail}."


def standing(
    answer: Answer, subject: str, interval: str, calendar: str, word: str, said_at: datetime,
    next_look: datetime,
) -> str:  # fmt: skip
    """Return the sentence of a word that was said before and stands until the next look."""
    what = _what(answer, interval, calendar)
    name, plural = _named(subject)
    if word == CANNOT_TELL:
        lead = f"Cannot tell whether {name} {'help' if plural else 'helps'} forecast {what}"
    elif word == HURTS:
        lead = f"{_first(name)} {_verb(word, plural)} the forecast of {what}"
    else:
        lead = f"{_first(name)} {_verb(word, plural)} forecast {what}"
    return (
        f"{lead}, as said on {said_at:%Y-%m-%d}: the tested time has not grown by a quarter since,"
        f" so this is no new look (the next is due about {next_look:%Y-%m-%d})."
    )


def _what(answer: Answer, interval: str, calendar: str) -> str:
    when = ahead(answer.horizon_bars, interval, calendar)
    return f"{WHAT[answer.target]} {answer.symbol} {when} ahead"


def _named(subject: str) -> tuple[str, bool]:
    """Return what is under test in words, and whether these are plural."""
    return _SUBJECTS.get(subject, ("sentiment", False))


def _verb(word: str, plural: bool) -> str:
    verbs: dict[str, str] = {
        HELPS: "help" if plural else "helps",
        HURTS: "hurt" if plural else "hurts",
        DOES_NOT_HELP: "do not help" if plural else "does not help",
    }
    return verbs[word]


def _notes(answer: Answer) -> tuple[str, ...]:
    """Return what must be said beside a word that claims something."""
    if answer.verdict.word == DOES_NOT_HELP:
        margin = percent(answer.evidence.margin)
        return (f"a gain of {margin} can be ruled out, and one planted on purpose was found",)
    young = answer.evidence.young
    if answer.verdict.word == HELPS and young is not None and not young.enough:
        return ("the scorer may have read the future",)
    return ()


def _seen(answer: Answer) -> tuple[str, ...]:
    """Return the smallest effect that would have been found, in words."""
    detectable = answer.detectable
    if detectable is None:
        return ()
    if detectable.smallest is None:
        return (f"not even a gain of {percent(detectable.largest)} would have been found",)
    return (f"the smallest gain that would have been found is {percent(detectable.smallest)}",)


def _look(look: int) -> tuple[str, ...]:
    """Return that these data were looked at before.

    >>> _look(1), _look(2), _look(11), _look(23)
    ((), ('2nd look at these data',), ('11th look at these data',), ('23rd look at these data',))
    """
    if look == 1:
        return ()
    ending = (
        "th" if look % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(look % 10, "th")
    )
    return (f"{look}{ending} look at these data",)


def ahead(bars: int, interval: str, calendar: str) -> str:
    """Return how far a forecast looks; an exchange that closes counts in bars.

    >>> ahead(5, "1h", "24/7"), ahead(5, "1d", "XNYS"), ahead(1, "1d", "XNYS")
    ('5h', '5 bars', '1d')
    """
    if calendar != "24/7" and bars > 1:
        return f"{bars} bars"
    return format_duration(parse_duration(interval) * bars)


def _effect(answer: Answer, subject: str) -> str:
    """Return the effect and its interval in words."""
    low, high = answer.interval
    if not all(map(math.isfinite, (answer.effect, low, high))):
        return "no effect could be measured"
    change = "lower" if answer.effect >= 0 else "higher"
    same = is_nothing(answer.effect)
    loss = (
        f"the same with {subject}"
        if same
        else f"{percent(abs(answer.effect))} {change} with {subject}"
    )
    if is_nothing(low) and is_nothing(high):
        return f"the loss is {loss} (95 % interval of the gain within 0.01 % of nothing)"
    interval = f"{percent(low, '+')} to {percent(high, '+')}"
    return f"the loss is {loss} (95 % interval of the gain {interval})"


def is_nothing(share: float) -> bool:
    """Say whether two decimals of a percent are zeros.

    >>> is_nothing(-0.00004), is_nothing(0.0001)
    (True, False)
    """
    return f"{abs(share) * 100:.2f}" == "0.00"


def percent(share: float, sign: str = "") -> str:
    """Return a share in percent, a minus as printers set it.

    >>> percent(-0.0035, "+"), percent(0.012), percent(-0.00001, "+")
    ('\u22120.35 %', '1.20 %', '0.00 %')
    """
    if is_nothing(share):
        return "0.00 %"
    return f"{share * 100:{sign}.2f} %".replace("-", "\N{MINUS SIGN}")


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
