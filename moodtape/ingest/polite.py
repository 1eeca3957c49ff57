"""What makes a `requests` session keep to the policy: bounds, retries, distance, allowed hosts."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from moodtape.clock import utc_now
from moodtape.config import HttpSection
from moodtape.errors import CouldNotAsk
from moodtape.ingest.body import CHUNK, CutShort, read_body
from moodtape.ingest.hosts import Hosts, place_of
from moodtape.ingest.retry import WORTH_A_RETRY, http_date, retry_after, wait_before


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
        super().__init__(max_retries=0)
        self.policy, self.hosts, self.timing = policy, hosts, timing
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
        """Return the answer with its body read, after as many tries as the policy allows."""
        url = request.url or ""
        self.hosts.require_allowed(url)
        if self.hosts.is_here(url):
            proxies = {}
        call = _Call(
            request, verify, cert, proxies, self.timing.monotonic() + self.policy.deadline_s
        )
        for attempt in range(self.policy.attempts):
            self._wait_for_turn(url)
            try:
                response: requests.Response | None = self._once(call)
                failure = None
            except (requests.ConnectionError, requests.Timeout) as exc:
                response, failure = None, exc
            wait = self._wait_after(attempt, response, failure, call.deadline)
            if wait is None:
                break
            self.timing.sleep(wait)
        if response is None:
            assert failure is not None
            raise failure
        return response

    def _once(self, call: _Call) -> requests.Response:
        """Ask once and read the body."""
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

    def _wait_after(
        self,
        attempt: int,
        response: requests.Response | None,
        failure: Exception | None,
        deadline: float,
    ) -> float | None:
        """Return the seconds to wait before another try, or None if there is none to be made."""
        if attempt + 1 >= self.policy.attempts or isinstance(failure, requests.exceptions.SSLError):
            return None
        asked = None
        if response is not None:
            if response.status_code not in WORTH_A_RETRY:
                return None
            asked = retry_after(
                response.headers.get("retry-after"),
                http_date(response.headers.get("date")) or self.timing.now(),
            )
            if (asked or 0) > self.policy.retry_after_limit_s:
                return None
        wait = wait_before(attempt, asked, self.policy, self.timing.uniform)
        return wait if self.timing.monotonic() + wait <= deadline else None

    def _wait_for_turn(self, url: str) -> None:
        """Keep the distance between requests to one host; this machine needs none."""
        if self.hosts.is_here(url):
            return
        host, now = urlsplit(url).netloc, self.timing.monotonic()
        wait = self._free_at.get(host, now) - now
        if wait > 0:
            self.timing.sleep(wait)
        self._free_at[host] = self.timing.monotonic() + self.policy.spacing_s


@dataclass(frozen=True)
class _Call:
    request: requests.PreparedRequest
    verify: Any
    cert: Any
    proxies: Any = field(repr=False)
    deadline: float = 0.0
