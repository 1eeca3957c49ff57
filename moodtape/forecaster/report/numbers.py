"""Numbers, times and names as the reader sees them; a missing value is a dash."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

DASH = "–"
MINUS = "−"
SPACE = "\N{NO-BREAK SPACE}"

# Control characters, and those that turn the direction of the text around them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


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


def share(value: float | None) -> str:
    """Return a share as percent with one place, however large.

    >>> share(0.9123), share(0.5), share(None)
    ('91.2\\xa0%', '50.0\\xa0%', '–')
    """
    return DASH if value is None or missing(value) else f"{100.0 * value:.1f}{SPACE}%"


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


def ratio(value: float | None) -> str:
    """Return a ratio with two places.

    >>> ratio(1.237), ratio(-0.5), ratio(None)
    ('1.24', '−0.50', '–')
    """
    return DASH if value is None or missing(value) else f"{value:.2f}".replace("-", MINUS)


def short(value: float) -> str:
    """Return a number of a setting as it was typed.

    >>> short(10.0), short(0.25)
    ('10', '0.25')
    """
    return f"{value:g}".replace("-", MINUS)


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
    known = moment(value)
    return shown(value) if known is None else known.strftime("%Y-%m-%d %H:%M")


def day(value: Any) -> str:
    """Return an ISO time's day in UTC, with the hour where it is not midnight.

    >>> day("2025-05-02T00:00:00Z"), day("2025-05-02T06:00:00Z")
    ('2025-05-02', '2025-05-02 06:00')
    """
    return instant(value).removesuffix(" 00:00")


def moment(value: Any) -> datetime | None:
    """Return a time or an ISO text as UTC, a naive one read as UTC; None for anything else."""
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


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
