"""Which failures are worth another try, and how long to wait before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from moodtape.config import HttpSection

WORTH_A_RETRY = frozenset({408, 425, 429, *range(500, 600)})
"""Statuses that may pass. A ban (418), a wrong key, a geo block or a missing page will not."""


def wait_before(
    attempt: int,
    asked_s: float | None,
    policy: HttpSection,
    uniform: Callable[[float, float], float],
) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 0).

    Full jitter: anything from nothing to a bound that doubles, so that many clients do
    not come back at once; never less than what the provider asked for.

    Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog (2015).
    """
    bound = min(policy.backoff_limit_s, policy.backoff_s * 2**attempt)
    return max(uniform(0, bound), asked_s or 0.0)


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for; None if it says nothing readable.

    >>> retry_after("120", datetime(2026, 1, 1, tzinfo=UTC))
    120.0
    >>> retry_after("Thu, 01 Jan 2026 00:00:30 GMT", datetime(2026, 1, 1, tzinfo=UTC))
    30.0
    """
    text = (header or "").strip()
    try:
        return max(float(text), 0.0) if float(text) < 1e9 else None
    except ValueError:
        date = http_date(text)
        return None if date is None else max((date - now).total_seconds(), 0.0)


LIMITS = ("x-ratelimit", "x-rate-limit", "ratelimit")
"""How providers begin the names of `...-remaining` and `...-reset`."""

LONGEST_WINDOW_S = 3600.0


def asked_wait(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that an answer asks to wait before the next request, or None.

    By `Retry-After` of a refusal, or by when the limit of requests begins anew, where none is
    left: in seconds, or as seconds since 1970. A limit that begins anew in more than an hour
    is told in some other unit, and says nothing.

    Args:
        headers: their names in any case, as `requests` has them.
        now: by the provider's clock.

    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> asked_wait(200, {"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "90"}, now)
    90.0
    >>> asked_wait(429, {"x-rate-limit-reset": "1767225630"}, now)
    30.0
    """
    asked = retry_after(headers.get("retry-after"), now) if status >= 400 else None
    if asked is not None:
        return asked
    for limit in LIMITS:
        left = _number(headers.get(f"{limit}-remaining"))
        reset = _number(headers.get(f"{limit}-reset"))
        is_used_up = status == 429 or (left is not None and left < 1)
        if reset is None or not is_used_up:
            continue
        wait = reset - now.timestamp() if reset > 1e9 else reset
        return max(wait, 0.0) if wait <= LONGEST_WINDOW_S else None
    return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number == number else None


def http_date(header: str | None) -> datetime | None:
    """Return the instant of an HTTP date, or None."""
    try:
        date = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
