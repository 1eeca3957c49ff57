"""Which failures are worth another try, and how long to wait before it."""

from __future__ import annotations

from collections.abc import Callable
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


def http_date(header: str | None) -> datetime | None:
    """Return the instant of an HTTP date, or None."""
    try:
        date = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
