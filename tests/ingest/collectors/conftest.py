"""A server on this machine that answers by a script, and real clients that talk to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
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
    method: str = "GET"
    body: bytes = b""


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
                body = self.rfile.read(int(headers.get("content-length", 0)))
                asked = Asked(parts.path, query, headers, self.command, body)
                outer.asked.append(asked)
                self.reply(outer.reply_to(asked))

            def do_POST(self) -> None:
                self.do_GET()

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
def make_loopback() -> Iterator[Callable[[], Loopback]]:
    """Return what starts a server; each one is a host of its own."""
    running: list[tuple[Loopback, threading.Thread]] = []

    def make() -> Loopback:
        server = Loopback()
        thread = threading.Thread(target=server.server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        running.append((server, thread))
        return server

    yield make
    for server, thread in running:
        server.server.shutdown()
        server.server.server_close()
        thread.join()


@pytest.fixture
def loopback(make_loopback: Callable[[], Loopback]) -> Loopback:
    return make_loopback()


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


HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Providers:
    """The four keyless sources on one loopback server, with feeds `one` and `two`.

    Bars and metrics reach back two days from `now()`; texts are what `publish` was told.
    """

    def __init__(self, loopback: Loopback, folder: Path, now: Callable[[], datetime]) -> None:
        self.loopback, self.folder, self.now = loopback, folder, now
        self.texts: dict[str, list[tuple[str, str, datetime]]] = {"one": [], "two": []}
        self.closes: dict[datetime, float] = {}
        loopback.answers |= {
            "/api/v3/klines": self.klines,
            "/v4/timeseries/asset-metrics": self.metrics,
            "/fng/": self.index,
            "/one": lambda asked: self.feed("one"),
            "/two": lambda asked: self.feed("two"),
        }
        tables = [f'[{n}]\nurl = "{loopback.url}/{n}"\nabout = "x"\n' for n in self.texts]
        (folder / "feeds.toml").write_text("".join(tables))
        (folder / "moodtape.toml").write_text(
            f'''
            [http]
            attempts = 1
            [news]
            feeds = "feeds.toml"
            [bars]
            base_url = "{loopback.url}"
            first_days = 1
            page = 10
            grace_s = 0
            [onchain]
            base_url = "{loopback.url}"
            metrics = ["TxCnt"]
            [indices]
            base_url = "{loopback.url}"
            '''
        )

    def publish(self, feed: str, guid: str, title: str, hours_ago: float = 0.5) -> None:
        """Let a feed show a text, newest first."""
        at = self.now() - hours_ago * HOUR
        kept = [text for text in self.texts[feed] if text[0] != guid]
        self.texts[feed] = [(guid, title, at), *kept]

    def feed(self, name: str) -> Reply:
        items = "".join(
            f"<item><guid>{guid}</guid><title>{title}</title>"
            f"<pubDate>{format_datetime(at)}</pubDate></item>"
            for guid, title, at in self.texts[name]
        )
        return Reply(f'<rss version="2.0"><channel>{items}</channel></rss>'.encode())

    def klines(self, asked: Asked) -> Reply:
        now, rows = self.now(), []
        start = datetime.fromtimestamp(int(asked.query["startTime"]) / 1000, UTC)
        while start <= now and len(rows) < int(asked.query["limit"]):
            close = self.closes.get(start, 100.0 + start.hour)
            millis = int(start.timestamp() * 1000)
            rows.append([millis, "100", "130", "90", str(close), "1.5", 0, "150", 3, "1", "1", "0"])
            start += HOUR
        return Reply(json.dumps(rows).encode())

    def metrics(self, asked: Asked) -> Reply:
        day = self.now().replace(hour=0, minute=0, second=0, microsecond=0)
        rows = [
            {
                "asset": "btc",
                "time": f"{day - n * DAY:%Y-%m-%dT00:00:00.000000000Z}",
                "TxCnt": str(n),
            }
            for n in (3, 2)
        ]
        return Reply(json.dumps({"data": rows}).encode())

    def index(self, asked: Asked) -> Reply:
        day = self.now().replace(hour=0, minute=0, second=0, microsecond=0)
        rows = [
            {"value": str(50 + n), "timestamp": str(int((day - n * DAY).timestamp()))}
            for n in range(2)
        ]
        return Reply(json.dumps({"data": rows}).encode())


@pytest.fixture
def make_providers(loopback: Loopback, tmp_path: Path) -> Callable[..., Providers]:
    def make(now: Callable[[], datetime]) -> Providers:
        folder = tmp_path / "project"
        folder.mkdir()
        return Providers(loopback, folder, now)

    return make


@pytest.fixture
def providers(make_providers: Callable[..., Providers], fake_time: FakeTime) -> Providers:
    return make_providers(fake_time.now)
