"""Numbers and names as the reader sees them; a missing value is a dash."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moodtape.forecaster.verdict import CANNOT_TELL, DOES_NOT_HELP, HELPS, HURTS, WORDS

DASH = "–"
MINUS = "−"
SPACE = "\N{NO-BREAK SPACE}"

# Control characters, and those that turn the direction of the text around them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_SUBJECTS = {"sentiment": ("sentiment", False), "onchain": ("on-chain metrics", True)}
_MARKS: dict[str, str] = {HELPS: "▲", HURTS: "▼", DOES_NOT_HELP: "■", CANNOT_TELL: "○"}
_TREATMENTS = {
    "as_is": "as it was",
    "constant": "held constant",
    "shift": "taken from another time",
    "none": "left out",
}


def tidy(value: Any) -> Any:
    """Return a tree of values with unprintable characters made visible.

    >>> tidy({"a": ["b\\x00c", 1.5]})
    {'a': ['b\\ufffdc', 1.5]}
    """
    if isinstance(value, str):
        return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, Mapping):
        return {tidy(key): tidy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [tidy(item) for item in value]
    return value


def missing(value: Any) -> bool:
    """Return whether there is no number or text to show: None, NaN, infinite or empty."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None or value == ""


def shown(value: Any) -> str:
    """Return a text as it is, a missing one as a dash."""
    return DASH if missing(value) else str(value)


def signed_percent(share: float | None, places: int | None = None) -> str:
    """Return a share as percent with its sign.

    >>> signed_percent(0.003), signed_percent(-0.0012), signed_percent(0.0), signed_percent(None)
    ('+0.30\\xa0%', '−0.12\\xa0%', '0.00\\xa0%', '–')
    """
    if share is None or missing(share):
        return DASH
    percent = 100.0 * share
    if places is None:
        places = 2 if abs(percent) < 10 else 1
    digits = f"{abs(percent):,.{places}f}"
    sign = "" if float(digits.replace(",", "")) == 0 else "+" if percent > 0 else MINUS
    return f"{sign}{digits}{SPACE}%"


def percent(share: float | None) -> str:
    """Return a share of a whole as percent.

    >>> percent(0.123), percent(0.0004), percent(1), percent(None)
    ('12\\xa0%', '0.04\\xa0%', '100\\xa0%', '–')
    """
    if share is None or missing(share):
        return DASH
    value = 100.0 * share
    places = 0 if value >= 10 or value == 0 else 1 if value >= 1 else 2
    return f"{value:.{places}f}{SPACE}%"


def interval(ends: Sequence[float | None] | None) -> str:
    """Return the two ends of an interval of shares, in percent.

    >>> interval([-0.001, 0.004]), interval([None, 0.1]), interval(None)
    ('[−0.10, +0.40]\\xa0%', '–', '–')
    """
    if ends is None or any(missing(end) for end in ends):
        return DASH
    low, high = (signed_percent(end).removesuffix(f"{SPACE}%") for end in ends)
    return f"[{low},{SPACE}{high}]{SPACE}%".replace(f",{SPACE}", ", ")


def p_value(p: float | None) -> str:
    """Return a p-value with three places.

    >>> p_value(0.0314), p_value(0.0002), p_value(None)
    ('0.031', '<0.001', '–')
    """
    if p is None or missing(p):
        return DASH
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def count(n: float | None) -> str:
    """Return a count with its thousands apart.

    >>> count(12345), count(61.4), count(None)
    ('12,345', '61', '–')
    """
    return DASH if n is None or missing(n) else f"{n:,.0f}"


def number(value: float | None) -> str:
    """Return a number with four figures.

    >>> number(0.249812), number(123456.0), number(0.0), number(-0.00001234), number(None)
    ('0.2498', '123,500', '0', '−1.234e−05', '–')
    """
    if value is None or missing(value):
        return DASH
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1:
        text = f"{value:.{3 - math.floor(math.log10(abs(value)))}f}"
    elif 1 <= abs(value) < 1e9:
        text = f"{float(f'{value:.4g}'):,.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"
    else:
        text = f"{value:.4g}"
    return text.replace("-", MINUS)


def instant(value: Any) -> str:
    """Return an ISO time in UTC to the minute; anything else as it is.

    >>> instant("2025-05-02T06:30:00+00:00"), instant("soon"), instant(None)
    ('2025-05-02 06:30', 'soon', '–')
    """
    moment = _moment(value)
    return shown(value) if moment is None else moment.strftime("%Y-%m-%d %H:%M")


def day(value: Any) -> str:
    """Return an ISO time's day in UTC, with the hour where it is not midnight.

    >>> day("2025-05-02T00:00:00Z"), day("2025-05-02T06:00:00Z")
    ('2025-05-02', '2025-05-02 06:00')
    """
    return instant(value).removesuffix(" 00:00")


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
    else:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def duration(seconds: float | None) -> str:
    """Return a length of time a person would say.

    >>> duration(42.4), duration(200), duration(7500), duration(None)
    ('42 s', '3 min 20 s', '2 h 5 min', '–')
    """
    if seconds is None or missing(seconds):
        return DASH
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def horizon(interval_text: str, bars: int) -> str:
    """Return how far ahead a forecast looks.

    >>> horizon("1h", 24), horizon("15m", 4), horizon("1d", 5), horizon("tick", 3)
    ('24\xa0h', '60\xa0min', '5\xa0d', '3\xa0bars')
    """
    match = re.fullmatch(r"(\d+)(min|m|h|d|w)", interval_text)
    if match is None:
        return f"{bars}{SPACE}bars"
    unit = {"m": "min"}.get(match[2], match[2])
    return f"{int(match[1]) * bars}{SPACE}{unit}"


def subject(question: Mapping[str, Any]) -> str:
    """Return what is under test, in words."""
    return _subject(question)[0]


def _subject(question: Mapping[str, Any]) -> tuple[str, bool]:
    name = str(question["subject"])
    return _SUBJECTS.get(name, (name, False))


def symbols_phrase(symbols: Sequence[str]) -> str:
    """Return a few symbols by name, many by number.

    >>> symbols_phrase(["BTC", "ETH", "SOL"]), symbols_phrase(list("ABCDE"))
    ('BTC, ETH and SOL', '5 symbols')
    """
    if len(symbols) > 4:
        return f"{len(symbols)} symbols"
    if len(symbols) < 2:
        return "".join(symbols) or "no symbol"
    return f"{', '.join(symbols[:-1])} and {symbols[-1]}"


def headline(question: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdict of a run in one sentence.

    Args:
        answers: those that decide; a single one speaks for itself.
    """
    if not answers:
        return "No question was answered."
    if len(answers) == 1:
        return sentence(str(answers[0]["sentence"] or answers[0]["verdict"]))
    name, plural = _subject(question)
    tally = Counter(str(answer["verdict"]) for answer in answers)
    of = symbols_phrase(question["symbols"])
    if set(tally) == {CANNOT_TELL}:
        return (
            f"Cannot tell whether {name} {'help' if plural else 'helps'} forecast {of}:"
            f" {'both' if len(answers) == 2 else f'all {len(answers)}'} questions stay open."
        )
    parts = [f"{_verb(word, plural)} in {tally[word]}" for word in WORDS[:3] if tally[word]]
    sides = [f"for {tally[CANNOT_TELL]} nobody can tell"] if tally[CANNOT_TELL] else []
    unsaid = len(answers) - sum(tally[word] for word in WORDS)
    if unsaid:
        sides.append(f"{unsaid} {'has' if unsaid == 1 else 'have'} no verdict")
    said = [f"{name} {_and(parts)}", *sides] if parts else sides
    return f"Of {len(answers)} questions on {of}, {'; '.join(said)}."


def sentence(text: str) -> str:
    """Return a text with a capital at its start.

    >>> sentence("cannot tell")
    'Cannot tell'
    """
    return text[:1].upper() + text[1:]


def _verb(word: str, plural: bool) -> str:
    if not plural:
        return word
    many: dict[str, str] = {HELPS: "help", HURTS: "hurt", DOES_NOT_HELP: "do not help"}
    return many.get(word, word)


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def mark(word: str) -> str:
    """Return the sign that stands before a verdict's word, so that colour is not needed."""
    return _MARKS.get(word, "·")


def word_class(word: str) -> str:
    """Return the style of a verdict's word; any other text gets the plain one.

    >>> word_class("does not help"), word_class("<b>")
    ('does-not-help', 'plain')
    """
    return word.replace(" ", "-") if word in WORDS else "plain"


def treatment(name: str) -> str:
    """Return what an arm does to the subject's inputs, in words."""
    return _TREATMENTS.get(name, name)
