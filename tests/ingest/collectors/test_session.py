"""A key in a header of any name stays with the host that it was meant for."""

from __future__ import annotations

import threading
from typing import Any

import pytest

HEADERS = {"x-cg-demo-api-key": "canary-77aa", "Cookie": "a=canary-77aa", "If-None-Match": '"v1"'}


@pytest.fixture
def elsewhere(loopback: Any) -> Any:
    """Return a second server; another port is another host."""
    other = type(loopback)()
    thread = threading.Thread(target=other.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield other
    other.server.shutdown()
    other.server.server_close()
    thread.join()


def test_a_redirect_to_another_host_takes_no_key_along(
    loopback: Any, elsewhere: Any, make_http: Any, reply: Any
) -> None:
    loopback.answers["/x"] = reply(status=302, headers={"Location": f"{elsewhere.url}/y"})
    elsewhere.answers["/y"] = reply(b"here")
    door = make_http(loopback.url, elsewhere.url, contact="me@example.org")
    assert door.get(f"{loopback.url}/x", None, HEADERS).body == b"here"
    assert loopback.asked[0].headers["x-cg-demo-api-key"] == "canary-77aa"
    (asked,) = elsewhere.asked
    assert "canary" not in repr(asked)
    assert asked.headers["if-none-match"] == '"v1"', "a feed that moved is still asked politely"
    assert "me@example.org" in asked.headers["user-agent"]


def test_a_redirect_on_the_same_host_takes_all_along(
    loopback: Any, make_http: Any, reply: Any
) -> None:
    loopback.answers["/x"] = reply(status=302, headers={"Location": "/y"})
    loopback.answers["/y"] = reply(b"here")
    make_http().get(f"{loopback.url}/x", None, HEADERS)
    assert [a.headers["x-cg-demo-api-key"] for a in loopback.asked] == ["canary-77aa"] * 2
