"""What makes a `requests` session keep to the policy: bounds, retries, distance, allowed hosts.

One request at a time for each host, whichever thread asks; hosts in trouble are left alone.
"""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from moodtape.clock import utc_now
from moodtape.config import HttpSection
from moodtape.errors import CouldNotAsk
from moodtape.ingest.body import CHUNK, CutShort, read_body
from moodtape.ingest.breaker import HostLimits
from moodtape.ingest.hosts import Hosts, host_of, place_of
from moodtape.ingest.our_clock import require_same_time
from moodtape.ingest.retry import WORTH_A_RETRY, asked_wait, http_date, wait_before
from moodtape.ingest.silence import is_its_own, why_silent
from moodtape.ingest.together import Halt

POOLS = 64
"""Hosts to which connections are kept."""


@dataclass(frozen=True)
class Timing:
    """Everything by which two runs differ; tests put their own in."""

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform
    now: Callable[[], datetime] = utc_now


class PoliteAdapter(HTTPAdapter):
    """Sends requests by the policy; what a `requests` session needs to keep to it."""

    def __init__(self, policy: HttpSection, hosts: Hosts, timing: Timing) -> None:
        super().__init__(pool_connections=POOLS, max_retries=0)
        self.policy, self.hosts, self.timing = policy, hosts, timing
        self.limits, self.halt = HostLimits(policy), Halt()
        self._at_once = threading.Semaphore(policy.hosts_at_once)
        self._free_at: dict[str, float] = {}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Return the answer with its body read, after as many tries as the policy allows.

        Raises:
            LeftAlone: the host is not asked for a while.
        """
        url = request.url or ""
        host = host_of(url)
        with self._turn(host):
            wait = self.limits.wait_s(host, self.timing.now())
            with self.halt.waiting():  # a name may have to be looked up
                self.hosts.require_allowed(url)
            self._sleep(wait)
            if self.hosts.is_here(url):
                proxies = {}
            deadline = self.timing.monotonic() + self.policy.deadline_s
            return self._ask(_Call(request, host, verify, cert, proxies, deadline))

    def _ask(self, call: _Call) -> requests.Response:
        """Ask until there is an answer or no sense in a further try, and note what came."""
        attempts = self.limits.attempts(call.host)
        for attempt in range(attempts):
            self._wait_for_turn(call.request.url or "")
            response: requests.Response | None = None
            failure: Exception | None = None
            try:
                response = self._once(call)
            except (requests.ConnectionError, requests.Timeout) as exc:
                failure = exc
            except CouldNotAsk:
                self.limits.silent(call.host, "it sends too slowly", self.timing.now())
                raise
            asked = self._asked_s(response)
            wait = None
            if attempt + 1 < attempts:
                wait = self._wait_after(attempt, response, failure, asked, call.deadline)
            if wait is None:
                break
            if response is not None and asked is not None:
                until = self.timing.now() + timedelta(seconds=asked)
                self.limits.asked_to_wait(call.host, response.status_code, until)
            self._sleep(wait)
        if response is None:
            assert failure is not None
            if is_its_own(failure):
                self.limits.silent(call.host, why_silent(failure), self.timing.now())
            raise failure
        self.limits.answered(call.host, response.status_code, asked, self.timing.now())
        if call.request.method == "GET":  # what is only told to somebody may be told at any time
            require_same_time(response, self.timing.now())
        return response

    @contextmanager
    def _turn(self, host: str) -> Iterator[None]:
        """Hold the turn of a host for the length of the block."""
        turn, held = self.limits.turn(host), False
        try:
            with self.halt.waiting():
                held = turn.acquire()
            yield
        finally:
            if held:
                turn.release()

    def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            with self.halt.waiting():
                self.timing.sleep(seconds)

    def _once(self, call: _Call) -> requests.Response:
        """Ask once and read the body."""
        with self.halt.waiting(), self._at_once:
            return self._send(call)

    def _send(self, call: _Call) -> requests.Response:
        timeouts = (self.policy.connect_timeout_s, self.policy.read_timeout_s)
        response = super().send(
            call.request, stream=True, timeout=timeouts, verify=call.verify, cert=call.cert,
            proxies=call.proxies,
        )  # fmt: skip
        raw, place = response.raw, place_of(call.request.url or "")
        limit = int(self.policy.body_limit_mib * 2**20)
        encoding = response.headers.pop("content-encoding", "")
        try:
            chunks = self._in_time(raw.stream(CHUNK, decode_content=False), call.deadline, place)
            body = read_body(chunks, encoding, limit, place)
        except ReadTimeoutError as exc:
            raise requests.ReadTimeout(exc, request=call.request) from exc
        except (HTTPError, OSError, CutShort) as exc:
            raise requests.ConnectionError(exc, request=call.request) from exc
        finally:
            raw.close()
        response.raw = io.BytesIO(body)
        return response

    def _in_time(self, chunks: Iterable[bytes], deadline: float, place: str) -> Iterator[bytes]:
        for chunk in chunks:
            if self.timing.monotonic() > deadline:
                raise CouldNotAsk(
                    f"{place} was still sending after {self.policy.deadline_s:g} s"
                    " (http.deadline_s)."
                )
            yield chunk

    def _asked_s(self, response: requests.Response | None) -> float | None:
        """Return the seconds that an answer asks to wait before the next request."""
        if response is None:
            return None
        sent_at = http_date(response.headers.get("date")) or self.timing.now()
        return asked_wait(response.status_code, response.headers, sent_at)

    def _wait_after(
        self,
        attempt: int,
        response: requests.Response | None,
        failure: Exception | None,
        asked: float | None,
        deadline: float,
    ) -> float | None:
        """Return the seconds to wait before another try, or None if there is none to be made."""
        if isinstance(failure, requests.exceptions.SSLError):
            return None
        if response is not None and response.status_code not in WORTH_A_RETRY:
            return None
        if (asked or 0) > self.policy.retry_after_limit_s:
            return None
        wait = wait_before(attempt, asked, self.policy, self.timing.uniform)
        return wait if self.timing.monotonic() + wait <= deadline else None

    def _wait_for_turn(self, url: str) -> None:
        """Keep the distance between requests to one host; this machine needs none."""
        if self.hosts.is_here(url):
            return
        host, now = host_of(url), self.timing.monotonic()
        self._sleep(self._free_at.get(host, now) - now)
        self._free_at[host] = self.timing.monotonic() + self.policy.spacing_s


@dataclass(frozen=True)
class _Call:
    request: requests.PreparedRequest
    host: str
    verify: Any
    cert: Any
    proxies: Any = field(repr=False)
    deadline: float = 0.0
