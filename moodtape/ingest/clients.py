"""A `requests` session for client libraries whose requests go through the door.

praw and tweepy ask by a session that is handed to them. This one gives each request to the
door: so it keeps to the policy, is kept for a replay, and can be answered by one. What the
door raises goes through the library as it is.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter

from moodtape.errors import Refused, SourceFailed
from moodtape.ingest.base import Door

PASSED_HEADERS = ("content-type", "date")
"""Of an answer. Not its limits: the door keeps its distance, and libraries stumble over them."""


class DoorAdapter(BaseAdapter):
    """Sends a library's requests through the door.

    Args:
        instead_of: the library's own host, where it cannot be set; base_url takes its place.
        sent_headers: of the library's own, in lower case; the door sets the others.
    """

    def __init__(
        self,
        door: Door,
        sent_headers: tuple[str, ...],
        instead_of: str = "",
        base_url: str = "",
    ) -> None:
        super().__init__()
        self.door, self.sent_headers = door, sent_headers
        self.instead_of, self.base_url = instead_of, base_url.rstrip("/")
        self._not_let_in: SourceFailed | None = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Return the door's answer as the library knows it.

        Raises:
            CouldNotAsk, Refused, CouldNotRead: of the door; a login that failed stays failed.
        """
        url = request.url or ""
        if self.instead_of and url.startswith(self.instead_of):
            url = self.base_url + url.removeprefix(self.instead_of)
        place, _, query = url.partition("?")
        headers = {k: str(v) for k, v in request.headers.items() if k.lower() in self.sent_headers}
        if request.method == "POST":
            answer = self._log_in(place, request.body or b"", headers)
        else:
            params = dict(parse_qsl(query, keep_blank_values=True))
            answer = self.door.get(place, params, headers)
        if urlsplit(answer.place).path != urlsplit(place).path:
            raise Refused(f"{place} leads to another page: is there such a one?")
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, url, request
        response.headers.update({k: answer.headers.get(k, "") for k in PASSED_HEADERS})
        response.encoding, response.raw = "utf-8", io.BytesIO(answer.body)
        return response

    def _log_in(self, place: str, body: bytes | str, headers: Mapping[str, str]) -> Any:
        if self._not_let_in is not None:
            raise self._not_let_in
        try:
            return self.door.post(place, body, headers)
        except SourceFailed as failure:
            self._not_let_in = failure
            raise

    def close(self) -> None:
        """Do nothing: the door stays open."""


def client_session(adapter: DoorAdapter) -> requests.Session:
    """Return a session all of whose requests go through the door."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session
