"""A server on this machine that answers by a script, and real clients that talk to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from moodtape.config import HttpSection
from moodtape.ingest.http import Http, Timing


@dataclass(frozen=True)
class Reply:
    """One answer. `hang_up`: close without a word. `cut`: promise more bytes than are sent."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    cut: int = 0


@dataclass(frozen=True)
class Asked:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


Script = Callable[[Asked], Reply]


class Loopback:
    """Answers each path by a reply, by a list of them in turn (the last one stays), or a function.

    With `instead_of_hosts`, a path begins with the host that it stands in for.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, Reply | list[Reply] | Script] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {k: v[-1] for k, v in parse_qs(parts.query, True).items()}
                headers = {k.lower(): v for k, v in self.headers.items()}
                asked = Asked(parts.path, query, headers)
                outer.asked.append(asked)
                self.reply(outer.reply_to(asked))

            def reply(self, reply: Reply) -> None:
                self.close_connection = True
                if reply.hang_up:
                    return
                self.send_response_only(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body) + reply.cut))
                self.send_header("connection", "close")
                self.end_headers()
                if reply.status != 304:
                    self.wfile.write(reply.body)

            def log_message(self, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass  # a client that hangs up on a body that is too large

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def reply_to(self, asked: Asked) -> Reply:
        answer = self.answers.get(asked.path, Reply(b"nothing here", 404))
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer if isinstance(answer, Reply) else answer(asked)


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    server = Loopback()
    thread = threading.Thread(target=server.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.server.shutdown()
    server.server.server_close()
    thread.join()


@dataclass
class FakeTime:
    """A clock that only sleeping moves, and dice that fall as they are told."""

    start: datetime = datetime(2026, 10, 1, 12, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    share: float = 1.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def monotonic(self) -> float:
        return sum(self.slept)

    def uniform(self, low: float, high: float) -> float:
        self.bounds.append(high)
        return low + self.share * (high - low)

    def now(self) -> datetime:
        from datetime import timedelta

        return self.start + timedelta(seconds=sum(self.slept))

    @property
    def timing(self) -> Timing:
        return Timing(self.sleep, self.monotonic, self.uniform, self.now)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def make_http(loopback: Loopback, fake_time: FakeTime) -> Callable[..., Http]:
    """Return a door by a policy given as keywords, to which the loopback server is known."""

    def make(*configured: str, **policy: Any) -> Http:
        addresses = configured or (loopback.url,)
        return Http(HttpSection(**policy), addresses, fake_time.timing)

    return make
