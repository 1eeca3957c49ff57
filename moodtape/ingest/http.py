"""The one door to the network: one session, one policy, three kinds of failure.

    1. may the host be asked, and now            `hosts.py`, `breaker.py`
    2. wait until it may be asked again          spacing of each host, one request at a time
    3. ask, read at most so many bytes           `body.py`
    4. try again where that makes sense          `retry.py`
    5. say what went wrong                       CouldNotAsk, Refused, CouldNotRead

The policy lives in the session's adapter (`polite.py`), so a client library that takes a
session keeps to it as well.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import requests

from moodtape import __version__
from moodtape.config import HttpSection
from moodtape.errors import CouldNotAsk, CouldNotRead, NotThere, Refused, SourceFailed
from moodtape.ingest.base import Question
from moodtape.ingest.body import ACCEPT_ENCODING
from moodtape.ingest.hosts import Hosts, host_of, place_of
from moodtape.ingest.polite import PoliteAdapter, Timing
from moodtape.ingest.retry import http_date
from moodtape.ingest.session import CarefulSession
from moodtape.ingest.silence import why_silent
from moodtape.ingest.text import clean
from moodtape.ingest.together import in_order

__all__ = ["Answer", "Http", "Timing"]

SAID_UNDER = ("error", "msg", "message", "detail", "error_message", "status", "Err")
"""Where providers put the reason of a refusal."""
ANSWERED, TAKEN = (200, 304), range(200, 300)
"""Statuses of an answer to a question, and of a message that was taken."""


@dataclass(frozen=True)
class Answer:
    """What a provider answered, read to its end.

    place: where it came from in the end, without the query, which may hold a key.
    status: 200, or 304 where nothing has changed.
    headers: by lower-case name.
    fetched_at: when the last byte had come, by our clock.
    """

    place: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    fetched_at: datetime

    @property
    def server_time(self) -> datetime:
        """Return the provider's own time, where it says one that is not ahead of ours."""
        stated = http_date(self.headers.get("date"))
        return self.fetched_at if stated is None else min(stated, self.fetched_at)

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            CouldNotRead: it is cut short, or something else.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            kind = self.headers.get("content-type", "no type")[:60]
            raise CouldNotRead(
                f"{self.place} sent {len(self.body):,} bytes ({kind}) that are not whole JSON."
            ) from exc


class Http:
    """Asks providers by the policy of the config.

    Args:
        configured: addresses from the config; only these may lead to a private host.
    """

    def __init__(
        self, policy: HttpSection, configured: Iterable[str] = (), timing: Timing | None = None
    ) -> None:
        self.timing, self.policy = timing or Timing(), policy
        contact = f" (+{policy.contact})" if policy.contact else ""
        self._headers = {
            "User-Agent": f"moodtape/{__version__}{contact}", "Accept-Encoding": ACCEPT_ENCODING
        }  # fmt: skip
        self._adapter = PoliteAdapter(policy, Hosts(configured), self.timing)
        self.limits, self.halt = self._adapter.limits, self._adapter.halt

    def now(self) -> datetime:
        """Return the time by our clock."""
        return self.timing.now()

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer to one question, after retries.

        Raises:
            CouldNotAsk, Refused, CouldNotRead: see `moodtape.errors`.
        """
        return self._ask("GET", url, params=params, headers=headers)

    def post(self, url: str, body: bytes | str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a login, after retries; see `get`."""
        return self._ask("POST", url, data=body, headers=headers)

    def tell(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return what came back for a message; any success will do. See `get`."""
        return self._ask("POST", url, TAKEN, data=body, headers=headers)

    def get_all(self, questions: Sequence[Question]) -> Iterator[Answer | SourceFailed]:
        """Yield the answer to each question, or why there is none, in their order.

        Different hosts are asked at the same time, each by one request after the other.
        """
        jobs = [partial(self._try, question) for question in questions]
        hosts = [_lane(question.url) for question in questions]
        yield from in_order(jobs, hosts, self.policy.hosts_at_once, self.halt)

    def _try(self, question: Question) -> Answer | SourceFailed:
        try:
            return self.get(question.url, question.params, question.headers)
        except SourceFailed as failure:
            return failure

    def _session(self) -> requests.Session:
        """Return a session for one question: threads share the adapter and its connections only."""
        session = CarefulSession()
        session.max_redirects = self.policy.max_redirects
        session.headers.update(self._headers)
        for scheme in ("http://", "https://"):
            session.mount(scheme, self._adapter)
        return session

    def _ask(self, method: str, url: str, good: Container[int] = ANSWERED, **told: Any) -> Answer:
        place = place_of(url)
        try:
            response = self._session().request(method, url, stream=True, **told)
        except requests.TooManyRedirects as exc:
            raise Refused(f"{place} sends from one address to the next without end.") from exc
        except (requests.ConnectionError, requests.Timeout) as exc:
            raise CouldNotAsk(f"{place} gave no answer: {why_silent(exc)}.") from exc
        except (requests.RequestException, UnicodeError) as exc:
            raise Refused(f"{place} led nowhere: {type(exc).__name__}.") from exc
        if response.status_code not in good:
            kind = NotThere if response.status_code == 404 else Refused
            raise kind(_refusal(response))
        return Answer(
            place_of(response.url),
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            response.content,
            self.timing.now(),
        )


def _lane(url: str) -> str:
    try:
        return host_of(url)
    except Refused:
        return url


def _refusal(response: requests.Response) -> str:
    """Return what a provider answered instead of what it was asked for."""
    said = _said(response.content)
    asked = response.headers.get("retry-after", "")
    later = f" It asks to wait: {clean(asked, 40)}." if asked else ""
    words = f": {said}" if said else ""
    return f"{place_of(response.url)} answered {response.status_code}{words}.{later}"


def _said(body: bytes) -> str:
    """Return a provider's own words from a JSON refusal, where it has some."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    while isinstance(told, dict):
        words = (told.get(key) for key in SAID_UNDER)
        told = next((word for word in words if word and isinstance(word, str | dict)), "")
    return clean(told, 200).rstrip(".") if isinstance(told, str) else ""
