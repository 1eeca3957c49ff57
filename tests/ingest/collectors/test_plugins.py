"""Collectors of others: found, checked, and kept from harming anybody when they are broken."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import BarsSection, Config, IngestSection, OnchainSection
from moodtape.errors import PlugInBroken, UsageError
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.binance import BinanceBars, Pair
from moodtape.ingest.indices import collector as make_index
from moodtape.ingest.onchain import CoinMetrics
from moodtape.ingest.round import Plan
from moodtape.ingest.rss import collector as make_news
from moodtape.ingest.run import run_collectors
from moodtape.plugins import COLLECTORS, find, installed, load
from moodtape.records import Bar
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse
from moodtape.testing import check_collector

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Give a way to install a distribution with one module and one collector."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)

    def add(package: str, name: str, code: str) -> None:
        (folder / f"{package}.py").write_text(code)
        info = folder / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{COLLECTORS}]\n{name} = {package}:collector\n")

    yield add
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(folder)):
            del sys.modules[module]


def test_the_built_in_ones_are_installed_like_any_other() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    found = {
        e.name: e.value for e in distribution("moodtape").entry_points.select(group=COLLECTORS)
    }
    assert found == stated[COLLECTORS], "install again: make setup"
    # These are asked only where they are named.
    on_request = {"reddit", "x", "funding", "coingecko", "blockchain", "mempool", "dumps"}
    assert set(IngestSection().sources) == set(found) - on_request
    for name in found:
        assert callable(load(find(COLLECTORS, name)))


def example() -> str:
    """Return the collector of the page in `docs/`."""
    page = (ROOT / "docs" / "collectors.md").read_text()
    return str(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])


def charts(days: int) -> bytes:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    values = [
        {"x": int((start + timedelta(days=n)).timestamp()), "y": 400_000 + n} for n in range(days)
    ]
    return json.dumps({"status": "ok", "values": values}).encode()


def project(tmp_path: Path, loopback: Any, fake_time: Any, more: str = "") -> Plan:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "moodtape.toml").write_text(
        f'[http]\nattempts = 1\n[indices]\nbase_url = "{loopback.url}"\n{more}'
    )
    settings = load_settings(folder, environ={})
    return Plan(Warehouse(settings.warehouse), settings.staging, folder, settings.config,
                timing=fake_time.timing)  # fmt: skip


def test_the_example_of_the_page_works_as_written(
    install: Install, loopback: Any, reply: Any, fake_time: Any, tmp_path: Path
) -> None:
    install("my_charts", "charts", example())
    loopback.answers["/charts/n-transactions"] = reply(charts(30))
    more = f'[ingest]\nsources = ["charts"]\n[ingest.plugin.charts]\nbase_url = "{loopback.url}"\n'
    plan = project(tmp_path, loopback, fake_time, more)
    (result,) = run_collectors(plan, plan.config.ingest.sources)
    assert (result.state, result.counts.new, result.error) == ("done", 30, "")
    with plan.warehouse.read() as connection:
        found = connection.execute(
            "SELECT provider, metric, count(*), max(value) FROM metric GROUP BY ALL"
        ).fetchall()
    assert found == [("blockchain_com", "n-transactions", 30, 400_029.0)]
    loopback.answers["/charts/n-transactions"] = reply(b"<html>")
    (result,) = run_collectors(plan, ["charts"])
    assert (result.state, "not whole JSON" in result.error) == ("failed", True)


def test_the_example_passes_the_check(
    install: Install, loopback: Any, reply: Any, make_http: Any, tmp_path: Path
) -> None:
    install("my_charts", "charts", example())
    loopback.answers["/charts/n-transactions"] = reply(charts(30))
    tools = Tools(Config(), make_http(), tmp_path, settings={"base_url": loopback.url})
    make = load(find(COLLECTORS, "charts"))
    assert check_collector(lambda: make(tools), NOON, tmp_path).new == 30


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import no_such_module_here", "cannot be loaded (ModuleNotFoundError: No module named"),
        ("def collector(", "cannot be loaded (SyntaxError"),
        ("", "cannot be loaded (AttributeError"),
        ("def collector(tools): raise KeyError('token')", "cannot be made (KeyError: 'token')"),
        ("def collector(tools): return 7", "made a mistake: AttributeError: 'int' object has no"),
    ],
)
def test_a_broken_one_is_named_with_its_distribution_and_the_rest_go_on(
    code: str,
    told: str,
    install: Install,
    loopback: Any,
    reply: Any,
    fake_time: Any,
    tmp_path: Path,
) -> None:
    install("their_package", "theirs", code)
    day = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())
    index = json.dumps({"data": [{"value": "50", "timestamp": str(day)}]}).encode()
    loopback.answers["/fng/"] = reply(index)
    plan = project(tmp_path, loopback, fake_time)
    theirs, ours = run_collectors(plan, ["theirs", "indices"])
    assert (theirs.state, ours.state, ours.counts.new) == ("failed", "done", 1)
    assert told in theirs.error
    assert "their_package 1.2" in theirs.error


def test_a_broken_one_that_nobody_asks_for_is_not_loaded(install: Install) -> None:
    install("their_package", "theirs", "raise SystemExit('loaded')")
    assert "theirs" in installed(COLLECTORS)
    assert find(COLLECTORS, "news").value == "moodtape.ingest.rss:collector"


def test_two_distributions_with_one_name(install: Install) -> None:
    install("their_package", "news", "collector = None")
    with pytest.raises(
        UsageError, match=r"'news' is offered by moodtape .* and their_package 1\.2"
    ):
        find(COLLECTORS, "news")


def test_a_broken_import_keeps_its_cause(install: Install) -> None:
    install("their_package", "theirs", "1 / 0")
    with pytest.raises(PlugInBroken) as told:
        load(find(COLLECTORS, "theirs"))
    assert isinstance(told.value.__cause__, ZeroDivisionError)


def test_the_built_in_ones_pass_the_check(
    providers: Any, loopback: Any, make_http: Any, fake_time: Any, tmp_path: Path
) -> None:
    providers.publish("one", "a1", "Bitcoin rallies")
    providers.publish("two", "b1", "Ether falls")
    config = load_settings(providers.folder, environ={}).config
    http = make_http(attempts=1)
    tools = Tools(config, http, providers.folder)
    bars = BarsSection(base_url=loopback.url, page=5, first_days=1, grace_s=0)
    chain = OnchainSection(base_url=loopback.url, metrics=("TxCnt",))
    makers: dict[str, tuple[Callable[[], Any], int]] = {
        "news": (lambda: make_news(tools), 2),
        "bars": (lambda: BinanceBars([Pair("BTC", "USDT")], "1h", bars, http), 24),
        "onchain": (lambda: CoinMetrics(("BTC",), chain, http), 2),
        "indices": (lambda: make_index(tools), 2),
    }
    for name, (make, count) in makers.items():
        folder = tmp_path / name
        folder.mkdir()
        assert check_collector(make, NOON, folder, config).new == count, name


BARS = [
    Bar("BTC", "mine", "USD", "1h", NOON - n * HOUR, 10.0, 12.0, 9.0, 11.0) for n in range(6, 0, -1)
]


class Mine:
    """A collector in two batches, with room for mistakes."""

    name = "mine"

    def __init__(self, bars: list[Bar], cursors: tuple[Any, Any] = ("3", "6")) -> None:
        self.bars, self.cursors = bars, cursors

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Any]:
        start = int(cursor or 0)
        yield Batch(self.bars[start:3], self.cursors[0])
        yield Batch(self.bars[max(start, 3) :], self.cursors[1])


def test_the_check_lets_a_good_one_pass(tmp_path: Path) -> None:
    assert check_collector(lambda: Mine(BARS), NOON, tmp_path).new == 6


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Mine(BARS, ("5", "6")), r"after batch 1, the cursor '5' passes over 2 rows .* first: bar"),
        (Mine(BARS, ("3", 6)), "yields Batch"),
        (Mine([*BARS, replace(BARS[0], open_time=NOON)]), "1 rows are refused: {'bar is not over"),
        (Mine([*BARS, "a bar"]), "a row cannot be stored: a batch holds bars"),  # type: ignore[list-item]
    ],
)
def test_the_check_finds_a_broken_promise(made: Mine, told: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=told):
        check_collector(lambda: made, NOON, tmp_path)


def test_the_check_finds_keys_that_change(tmp_path: Path) -> None:
    turns = iter(range(100))

    def make() -> Mine:
        return Mine([replace(bar, venue=f"v{turn}") for turn in [next(turns)] for bar in BARS])

    with pytest.raises(AssertionError, match="read a second time, 6 rows are new"):
        check_collector(make, NOON, tmp_path)


def test_the_check_wants_a_name(tmp_path: Path) -> None:
    made = Mine(BARS)
    made.name = "my collector"
    with pytest.raises(AssertionError, match="name is a word, always the same; not 'my collector'"):
        check_collector(lambda: made, NOON, tmp_path)
