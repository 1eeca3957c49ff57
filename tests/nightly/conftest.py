"""A world of bars and headlines on a server of this machine, whose clock the test moves."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from moodtape.cli import main
from moodtape.forecaster.dataset import Request
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.scaling import Scaler
from moodtape.forecaster.served import Served
from moodtape.forecaster.train import TargetScale
from moodtape.ingest.polite import Timing
from moodtape.nightly.run import Order, RhythmResult, run_rhythm
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse
from moodtape.study.project import warehouse_of

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
LOOKBACK = 4
SETTINGS = """
[http]
attempts = 1
[ingest]
sources = ["bars", "news"]
[news]
feeds = "feeds.toml"
[bars]
base_url = "{url}"
first_days = 5
grace_s = 0
[sentiment]
scorer = "lexicon"
half_lives_h = [6.0]
[features]
groups = ["price", "calendar"]
[network]
lookback_bars = 4
[nightly]
retrain_days = 0
{more}
"""
NOTHING_SPECIAL = Order()
WORDS = ("Bitcoin soars on inflows", "Bitcoin crashes as exchange is hacked", "Bitcoin waits")


@dataclass
class World:
    """What a market and a newspaper say at each instant; `down` paths answer 503.

    says_time: their answers carry the time, which is `now` whatever our own clock says.
    """

    folder: Path
    now: datetime = START
    down: set[str] = field(default_factory=set)
    restated: dict[datetime, tuple[datetime, float]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""
    says_time: bool = False

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(path)
        if path in self.down:
            return 503, b"out of order"
        if path == "/feed":
            return 200, self._feed()
        return 200, json.dumps(self._klines(query)).encode()

    def close(self, opened: datetime) -> float:
        """Return the close of a bar, which another one takes the place of from some time on."""
        since, value = self.restated.get(opened, (None, 0.0))
        if since is not None and self.now >= since:
            return value
        hour = (opened - START) // HOUR
        return 100 * float(np.exp(0.02 * np.sin(hour * 0.7) + 0.01 * np.cos(hour * 2.3)))

    def _klines(self, query: dict[str, str]) -> list[list[Any]]:
        rows, opened = [], datetime.fromtimestamp(int(query["startTime"]) / 1000, UTC)
        while opened <= self.now and len(rows) < int(query["limit"]):
            before, close = self.close(opened - HOUR), self.close(opened)
            low, high = min(before, close) * 0.998, max(before, close) * 1.002
            millis = int(opened.timestamp() * 1000)
            rows.append([millis, str(before), str(high), str(low), str(close), "1.5", 0, "150", 3,
                         "1", "1", "0"])  # fmt: skip
            opened += HOUR
        return rows

    def _feed(self) -> bytes:
        items = ""
        last = (self.now - 10 * MINUTE - START) // HOUR
        for hour in range(last, last - 30, -1):
            at = format_datetime(START + hour * HOUR + 10 * MINUTE)
            title = f"{WORDS[hour % 3]}, says report {hour}"
            items += (
                f"<item><guid>n{hour}</guid><title>{title}</title><pubDate>{at}</pubDate></item>"
            )
        return f'<rss version="2.0"><channel>{items}</channel></rss>'.encode()

    @property
    def warehouse(self) -> Warehouse:
        return warehouse_of(load_settings(self.folder, environ={}))

    @property
    def timing(self) -> Timing:
        return Timing(sleep=lambda s: None, monotonic=lambda: 0.0, now=lambda: self.now)

    def run(self, rhythm: Any, order: Order = NOTHING_SPECIAL, **settings: Any) -> RhythmResult:
        chosen = load_settings(self.folder, (), settings, environ={})
        return run_rhythm(chosen, rhythm, order, lambda: self.now, self.timing)

    def serve_model(
        self, trained_until: datetime, name: str = "20260101T000000Z-aaaaaa", gain: float = 1.0
    ) -> Path:
        """Put a model into use whose outputs follow the last return; `gain` scales the mean."""
        settings = load_settings(self.folder, environ={})
        request = Request(("BTC",), self.now, None, streams=(), metrics=())
        dataset = load_dataset(self.warehouse, settings.config, request)
        names = tuple(c.name for c in dataset.columns)
        folder = settings.runs / name
        folder.mkdir(parents=True)
        Served(
            symbols=("BTC",), interval="1h", scorer=None, streams=(), metrics=(),
            market=("ret_1", "bar_range"), subject=(), columns=names, lookback_bars=LOOKBACK,
            subject_lookback_bars=4,
            scales=(
                TargetScale("return_1", "return", 1, 0.0, 0.3 * gain),
                TargetScale("direction_1", "direction", 1, 0.0, 1.0),
                TargetScale("volatility_1", "volatility", 1, -5.0, 0.1),
            ),
            residuals={"return_1": (-2.0, -1.0, 0.0, 1.0, 2.0)},
            scaler=Scaler(np.zeros((1, len(names))), np.full((1, len(names)), 0.01)),
            trained_until=trained_until.isoformat(),
        ).write(folder)  # fmt: skip
        onnx.save(last_value_network(2), folder / "model.onnx")
        return folder


def last_value_network(columns: int) -> onnx.ModelProto:
    """Return a network whose outputs follow the first market column of the last bar."""
    window = helper.make_tensor_value_info("market", TensorProto.FLOAT, ["n", LOOKBACK, columns])
    names = ("return_1", "direction_1", "volatility_1")
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 1]) for n in names]
    nodes = [
        helper.make_node("Gather", ["market", "last"], ["row"], axis=1),
        helper.make_node("Gather", ["row", "first"], ["return_1"], axis=1),
        helper.make_node("Sigmoid", ["return_1"], ["direction_1"]),
        helper.make_node("Identity", ["return_1"], ["volatility_1"]),
    ]
    picks = [
        helper.make_tensor("last", TensorProto.INT64, [], [LOOKBACK - 1]),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
    ]
    graph = helper.make_graph(nodes, "last value", [window], outputs, picks)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@dataclass(frozen=True)
class Said:
    """What a command left at the terminal."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Return a function that runs `moodtape ARGUMENTS` here and returns code, out and err."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["moodtape", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Said(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def build() -> Iterator[Callable[..., World]]:
    """Return what begins a world in a folder: its server and its settings."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def make(folder: Path, more: str = "", of: type[World] = World) -> World:
        world = of(folder)
        world.folder.mkdir(exist_ok=True)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
                status, body = world.answer(parts.path, query)
                self.send_response_only(status)
                self.send_header("content-length", str(len(body)))
                if world.says_time:
                    self.send_header("date", format_datetime(world.now, usegmt=True))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        running.append((server, thread))
        world.url = f"http://127.0.0.1:{server.server_address[1]}"
        (world.folder / "feeds.toml").write_text(f'[one]\nurl = "{world.url}/feed"\nabout = "x"\n')
        (world.folder / "moodtape.toml").write_text(SETTINGS.format(url=world.url, more=more))
        return world

    yield make
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def make_world(build: Callable[..., World], tmp_path: Path) -> Callable[..., World]:
    """Return what begins a world with a project of its own: `make_world("name", more="")`."""
    return lambda name="project", more="": build(tmp_path / name, more)


@pytest.fixture(scope="session")
def prepared(build: Callable[..., World], tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a world at 04:03 whose model has made its first forecast an hour before."""
    world = build(tmp_path_factory.mktemp("prepared") / "project")
    world.now += 3 * HOUR + 3 * MINUTE
    world.run("tick")
    world.serve_model(world.now - 2 * HOUR)
    world.run("tick", Order(only="forecast"))
    world.now += HOUR
    return world


@pytest.fixture
def make_ready(
    build: Callable[..., World], prepared: World, tmp_path: Path
) -> Callable[..., World]:
    """Return what goes on from a copy of the prepared world: `make_ready("name")`."""

    def make(name: str = "ready", more: str = "") -> World:
        shutil.copytree(prepared.folder, tmp_path / name)
        world = build(tmp_path / name, more)
        world.now = prepared.now
        return world

    return make


@pytest.fixture
def ready(make_ready: Callable[..., World]) -> World:
    return make_ready()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
