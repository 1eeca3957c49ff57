"""A `requests` session that takes no key to another host than the one it was meant for."""

from __future__ import annotations

import requests

TAKEN_ALONG = frozenset(
    {"accept", "accept-encoding", "connection", "host", "if-modified-since", "if-none-match",
     "user-agent"}
)  # fmt: skip
"""Headers that follow a redirect to another host. Any other may be a key."""


class CarefulSession(requests.Session):
    """Leaves headers behind where a redirect leads to another host.

    `requests` itself leaves only `Authorization` behind, and keys have headers of any name.
    """

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Take out of a redirected request what is not meant for its host."""
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
        before, after = response.request.url or "", prepared_request.url or ""
        if self.should_strip_auth(before, after):  # type: ignore[no-untyped-call]
            for name in list(prepared_request.headers):
                if name.lower() not in TAKEN_ALONG:
                    del prepared_request.headers[name]
