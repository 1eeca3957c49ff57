"""Which hosts are left alone: a circuit breaker for each, which outlives the run.

    closed      asked as ever; `http.breaker_failures` failed requests in a row open it
    open        not asked for `http.breaker_rest_min`, twice as long each time, up to a day;
                a ban (418), or a longer `Retry-After` than we wait for, opens it at once,
                until the time that the host said
    half-open   that time is past: one request without retries closes it, or opens it again

A request failed when, after its retries, there was no answer, or one that may pass (408, 425,
429, 5xx). Below 400 the host answers well. Any other refusal (401, 403, 404, 451 ...) is about
a page, a key or a country: it neither counts nor closes.

Source: M. Nygard, "Release It!" (2007), chapter "Stability Patterns".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from moodtape.clock import iso
from moodtape.config import HttpSection
from moodtape.errors import LeftAlone
from moodtape.ingest.retry import WORTH_A_RETRY
from moodtape.storage.hosts import HostLimit

BANNED = 418
LONGEST_REST = timedelta(days=1)
LONGEST_BAN = timedelta(days=7)
"""What a host may ask for at most; a wrong header must not silence it for years."""

USED_UP = "its limit of requests is used up"


def after_answer(
    limit: HostLimit, status: int, asked_s: float | None, now: datetime, policy: HttpSection
) -> HostLimit:
    """Return how a host stands after an answer.

    asked_s: seconds that it asks to wait.
    """
    stated = None if asked_s is None else now + min(timedelta(seconds=asked_s), LONGEST_BAN)
    if status < 400:
        why = "" if stated is None else USED_UP
        return HostLimit(limit.host, free_at=stated, why=why)
    is_long = asked_s is not None and asked_s > policy.retry_after_limit_s
    if status == BANNED or is_long:
        why = "it bans us" if status == BANNED else "it asks for it"
        failed = replace(limit, failures=limit.failures + 1, free_at=stated, last_status=status)
        return _opened(failed, f"{why} ({status})", now, policy, stated)
    if status in WORTH_A_RETRY:
        failed = replace(limit, free_at=stated, last_status=status)
        return _failed(failed, f"it answered {status}", now, policy)
    return limit if stated is None else replace(limit, free_at=stated, last_status=status)


def after_silence(limit: HostLimit, why: str, now: datetime, policy: HttpSection) -> HostLimit:
    """Return how a host stands after a request without an answer."""
    return _failed(replace(limit, last_status=None), why, now, policy)


def _failed(limit: HostLimit, why: str, now: datetime, policy: HttpSection) -> HostLimit:
    """Return a host with one failure more; enough of them, or one on trial, open it."""
    failures = limit.failures + 1
    times = "a request" if failures == 1 else f"{failures} requests in a row"
    failed = replace(limit, failures=failures, why=f"{times} failed, the last: {why}")
    if limit.open_until is None and failures < policy.breaker_failures:
        return failed
    return _opened(failed, failed.why, now, policy, None)


def _opened(
    limit: HostLimit, why: str, now: datetime, policy: HttpSection, until: datetime | None
) -> HostLimit:
    """Return a host that is left alone until a time, or for its next rest."""
    first = timedelta(minutes=policy.breaker_rest_min)
    rest = min(first * 2 ** min(limit.rests, 20), max(first, LONGEST_REST))
    return replace(limit, rests=limit.rests + 1, open_until=until or now + rest, why=why)


class HostLimits:
    """How every host stands in this run; threads may ask at the same time."""

    def __init__(self, policy: HttpSection) -> None:
        self.policy = policy
        self._limits: dict[str, HostLimit] = {}
        self._improved: set[str] = set()
        self._keep: Callable[[HostLimit], None] = lambda limit: None
        self._turns: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def begin(self, known: Mapping[str, HostLimit], keep: Callable[[HostLimit], None]) -> None:
        """Go on from what earlier runs learned; `keep` stores what gets worse, at once."""
        self._limits, self._keep = dict(known), keep

    def turn(self, host: str) -> threading.Lock:
        """Return what is held while a host is asked: one request at a time."""
        with self._guard:
            return self._turns.setdefault(host, threading.Lock())

    def wait_s(self, host: str, now: datetime) -> float:
        """Return the seconds until a host may be asked.

        Raises:
            LeftAlone: it is left alone for longer than a run waits.
        """
        limit = self._of(host)
        if limit.open_until is not None and limit.open_until > now:
            raise LeftAlone(f"{host} is left alone until {iso(limit.open_until)}: {limit.why}.")
        wait = 0.0 if limit.free_at is None else (limit.free_at - now).total_seconds()
        if limit.free_at is not None and wait > self.policy.retry_after_limit_s:
            why = limit.why or "it asks for it"
            raise LeftAlone(f"{host} is left alone until {iso(limit.free_at)}: {why}.")
        return max(wait, 0.0)

    def attempts(self, host: str) -> int:
        """Return how many tries a request has: on trial, one."""
        return 1 if self._of(host).open_until is not None else self.policy.attempts

    def asked_to_wait(self, host: str, status: int, until: datetime) -> None:
        """Note that a host wants to be asked later, in this request or another."""
        self._put(replace(self._of(host), free_at=until, last_status=status))

    def answered(self, host: str, status: int, asked_s: float | None, now: datetime) -> None:
        """Note how a request was answered, after its retries."""
        self._put(after_answer(self._of(host), status, asked_s, now, self.policy))

    def silent(self, host: str, why: str, now: datetime) -> None:
        """Note that a request had no answer, after its retries."""
        self._put(after_silence(self._of(host), why, now, self.policy))

    def improved(self) -> list[HostLimit]:
        """Return hosts that answer again; they are stored when the run ends."""
        with self._guard:
            return [self._limits[host] for host in sorted(self._improved)]

    def _of(self, host: str) -> HostLimit:
        return self._limits.get(host) or HostLimit(host)

    def _put(self, limit: HostLimit) -> None:
        """Take in how a host stands; only who holds its turn does this."""
        if limit == self._of(limit.host):
            return
        with self._guard:
            self._limits[limit.host] = limit
            is_good = limit == HostLimit(limit.host)
            (self._improved.add if is_good else self._improved.discard)(limit.host)
        if not is_good:
            self._keep(limit)
