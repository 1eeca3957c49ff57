"""Every reader of what others write, as `bench_fuzz.py` calls it: one input in, nothing out.

A collector is the real one, with a door that answers by the input; the rows of a share of them are
checked, staged and stored as well (fuzz_storing.py). A file is put where its reader looks for it.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fuzz_inputs as inputs
from fuzz_inputs import (
    NOON,
    Seed,
    changed,
    gz,
    mutated,
    packed,
    parquet,
    unpacked_member,
    within,
    zst,
)
from fuzz_storing import Batches, Imports
from pydantic import SecretStr

from moodtape.config import Config
from moodtape.errors import CouldNotAsk
from moodtape.ingest.base import Tools
from moodtape.ingest.http import Answer
from moodtape.ingest.venues import collector as bars_collector
from moodtape.records import Span

MOST_ANSWERS = 5
Parse = Callable[[random.Random, int], None]


@dataclass(frozen=True)
class Parser:
    """name: of what is read. parse: reads one input, made by the dice; told its number."""

    name: str
    parse: Parse


class Door:
    """Answers a question by what its address holds, changed; after a few, not at all.

    seeds: bodies by a part of the address. sound: addresses whose answers are not changed.
    """

    def __init__(self, seeds: Mapping[str, bytes], sound: tuple[str, ...] = ()) -> None:
        self.seeds, self.sound = seeds, sound
        self.dice, self.left = random.Random(), 0
        self.type = "application/json"

    def begin(self, dice: random.Random) -> None:
        """Answer by these dice from now on."""
        self.dice, self.left = dice, MOST_ANSWERS

    def get(self, url: str, params: Any = None, headers: Any = None) -> Answer:
        """Return a changed body."""
        sound = any(part in url for part in self.sound)
        self.left -= not sound
        if self.left < 0:
            raise CouldNotAsk(f"{url} gave no answer.")
        seed = next(body for part, body in self.seeds.items() if part in url)
        body = seed if sound else mutated(self.dice, seed)
        return Answer(url.partition("?")[0], 200, {"content-type": self.type}, body, NOON)

    def post(self, url: str, body: Any, headers: Any) -> Answer:
        """Return the answer to a login."""
        return self.get(url)

    def now(self) -> datetime:
        """Return the same instant always."""
        return NOON


def collected(
    folder: Path, config: Config, collector: Any, door: Door, cursor: str | None = None
) -> Parse:
    """Return what lets a collector collect once; its rows are staged or stored now and then."""
    rows = Batches(folder, collector.name, config)

    def parse(dice: random.Random, number: int) -> None:
        door.begin(dice)
        rows.take(list(collector.collect(cursor, NOON)), number)

    return parse


def collectors(folder: Path) -> Iterator[Parser]:
    """Yield every built-in collector."""
    from moodtape.ingest import blockchain, coingecko, indices, mempool, onchain, rss
    from moodtape.ingest.reddit_api import Credentials, SubredditApi
    from moodtape.ingest.reddit_feed import SubredditFeeds

    base = {"base_url": "http://127.0.0.1:9"}
    config = Config.model_validate(
        {
            "bars": {**base, "first_days": 1, "page": 10},
            "onchain": {**base, "metrics": ["TxCnt"]},
            "indices": base, "blockchain": {**base, "charts": ["n-transactions"]},
            "mempool": {**base, "first_days": 4}, "coingecko": {**base, "first_days": 1},
            "reddit": {**base, "subreddits": ["Bitcoin"]}, "x": base,
        }
    )  # fmt: skip

    def made(name: str, maker: Callable[[Tools], Any], seeds: dict[str, bytes]) -> Parser:
        door = Door(seeds)
        collector = maker(Tools(config, door, folder))
        return Parser(name, collected(folder, config, collector, door))

    feed = Door({"": inputs.RSS})
    feed.type = "application/rss+xml"
    news = rss.NewsFeeds([rss.FeedSource("one", "http://127.0.0.1:9/one", "x")], config.news, feed)
    yield Parser("news feed", collected(folder, config, news, feed))
    atom = Door({"": inputs.ATOM})
    atom.type = "application/atom+xml"
    yield Parser(
        "Reddit feed", collected(folder, config, SubredditFeeds(config.reddit, atom), atom)
    )
    door = Door({"access_token": inputs.TOKEN, "": inputs.LISTING}, ("access_token",))
    keys = Credentials(SecretStr("a"), SecretStr("b"))
    reddit = SubredditApi(config.reddit, door, keys)
    yield Parser("Reddit listing (praw)", collected(folder, config, reddit, door))
    yield Parser("X search (tweepy)", x_search(config, Door({"": inputs.TWEETS})))
    for venue, body in (
        ("binance", inputs.KLINES), ("coinbase", inputs.COINBASE), ("kraken", inputs.KRAKEN),
        ("coindesk", inputs.COINDESK),
    ):  # fmt: skip
        bars = config.bars.model_copy(update={"venue": venue})
        asked, door = config.model_copy(update={"bars": bars}), Door({"": body})
        yield Parser(
            f"bars of {venue}",
            collected(folder, asked, bars_collector(Tools(asked, door, folder)), door),
        )
    yield made("CoinGecko", coingecko.collector, {"": inputs.COINGECKO})
    yield made("Coin Metrics", onchain.collector, {"": inputs.COINMETRICS})
    yield made("Fear & Greed", indices.collector, {"": inputs.FEAR_GREED})
    yield made("blockchain.com", blockchain.collector, {"": inputs.CHART})
    yield made(
        "mempool.space", mempool.collector,
        {"hashrate": inputs.HASHRATE, "blocks": inputs.BLOCK_FEES, "": inputs.FEES},
    )  # fmt: skip
    yield from through_ccxt(folder)


def x_search(config: Config, door: Door) -> Parse:
    """Return what asks X once, without the ledger of what it costs."""
    from moodtape.ingest.twitter import XSearch

    @contextmanager
    def pay(*told: Any) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(units=0)

    tools = Tools(config, door, Path())
    search = XSearch(config.x, tools, SimpleNamespace(pay=pay), SecretStr("t"))  # type: ignore[arg-type]

    def parse(dice: random.Random, number: int) -> None:
        door.begin(dice)
        list(search.collect(None, NOON))

    return parse


def through_ccxt(folder: Path) -> Iterator[Parser]:
    """Yield what asks an exchange by ccxt, where that is installed."""
    try:
        import ccxt  # noqa: F401
    except ImportError:
        return
    from moodtape.ingest import funding

    base = {"base_url": "http://127.0.0.1:9", "first_days": 1}
    config = Config.model_validate({"bars": {**base, "venue": "ccxt:binance"}, "funding": base})
    for name, maker, body in (
        ("bars by ccxt", bars_collector, inputs.KLINES),
        ("funding by ccxt", funding.collector, inputs.FUNDING),
    ):
        markets = {"fapi/v1/exchangeInfo": inputs.PERPETUAL, "exchangeInfo": inputs.SPOT}
        door = Door({**markets, "": body}, ("exchangeInfo",))
        collector = maker(Tools(config, door, folder))
        yield Parser(name, collected(folder, config, collector, door))


def of_file(folder: Path, name: str, seed: Seed, read: Callable[[Path], Any]) -> Parse:
    """Return what writes an input to a file and reads it."""
    path = folder / name

    def parse(dice: random.Random, number: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(changed(dice, seed))
        read(path)

    return parse


def files(folder: Path) -> Iterator[Parser]:
    """Yield the importer, of each form and kind, up to rows that are staged or stored."""

    def of(name: str, seed: Seed, what: str) -> Parse:
        importer = Imports(folder, what)

        def parse(dice: random.Random, number: int) -> None:
            (folder / name).write_bytes(changed(dice, seed))
            importer.read(folder / name, number)

        return parse

    rows = b"[" + b",".join(inputs.JSONL_TEXTS.splitlines()) + b"]"
    for form, name, seed, what in (
        ("bars CSV", "btc_1h.csv", inputs.CSV_BARS, "bars"),
        ("metrics CSV", "metrics.csv", inputs.CSV_METRICS, "metrics"),
        ("texts CSV", "texts.csv", inputs.CSV_TEXTS, "documents"),
        ("texts JSONL", "texts.jsonl", inputs.JSONL_TEXTS, "documents"),
        ("texts gzip", "texts.jsonl.gz", within(inputs.JSONL_TEXTS, gz), "documents"),
        ("texts zstd", "texts.jsonl.zst", within(inputs.JSONL_TEXTS, zst), "documents"),
        ("texts Parquet", "texts.parquet", within(rows, parquet), "documents"),
    ):
        yield Parser(f"import of {form}", of(name, seed, what))


def bodies(folder: Path) -> Iterator[Parser]:
    """Yield readers of answers' bodies and texts."""
    from moodtape.ingest.body import CutShort, read_body
    from moodtape.ingest.dump_files import read_checksum
    from moodtape.ingest.klines import Series, read_klines
    from moodtape.ingest.retry import asked_wait
    from moodtape.ingest.zipped import only_member

    def archive(dice: random.Random, number: int) -> None:
        only_member(changed(dice, zipped), "x.csv", 2**20, "a place")

    def checksum(dice: random.Random, number: int) -> None:
        read_checksum(mutated(dice, told), "x.zip")
        headers = {name: mutated(dice, b"120").decode("latin-1") for name in HEADERS}
        asked_wait(429, headers, NOON)

    def klines(dice: random.Random, number: int) -> None:
        read_klines(mutated(dice, inputs.DUMP), series, day, day, "x.csv")

    def packed_body(dice: random.Random, number: int) -> None:
        encoding = dice.choice(("gzip", "deflate", "", "br"))
        body = changed(dice, gzipped)
        with suppress(CutShort):  # the door asks again
            read_body([body[:50], body[50:]], encoding, 2**20, "a place")

    zipped = within(inputs.DUMP, partial(packed, "x.csv"))
    gzipped = within(inputs.RSS, gz)
    told = hashlib.sha256(inputs.DUMP).hexdigest().encode() + b"  x.zip\n"
    series = Series("BTC", "binance", "USDT", "1h")
    day = Span(inputs.DAY, inputs.DAY + timedelta(days=1))
    yield Parser("ZIP archive", archive)
    yield Parser("checksum file and headers", checksum)
    yield Parser("bars of a dump", klines)
    yield Parser("packed body", packed_body)
    yield Parser("text", text_reader())


HEADERS = ("retry-after", "x-ratelimit-reset", "x-ratelimit-remaining")


def text_reader() -> Parse:
    """Return what does with a text all that is done with one."""
    from moodtape.ingest import text
    from moodtape.ingest.hosts import without_keys
    from moodtape.ingest.reddit_feed import written
    from moodtape.ingest.symbols import load_aliases
    from moodtape.nlp.lexicon import lexicon

    aliases, scorer = load_aliases(), lexicon(1)

    def parse(dice: random.Random, number: int) -> None:
        raw = mutated(dice, inputs.TEXT).decode("utf-8", "replace")
        cleaned = text.clean(raw, 2000)
        text.repeat_key(cleaned, 4)
        text.canonical_url(raw)
        text.content_hash(text.scored_text("reddit", cleaned, cleaned))
        aliases.mentions(cleaned, "")
        written(raw)
        without_keys(raw)
        scorer.score([cleaned])

    return parse


def own_files(folder: Path) -> Iterator[Parser]:
    """Yield readers of files that Moodtape writes and others may have changed."""
    import fsspec
    import numpy as np

    from moodtape.backup import verify
    from moodtape.config import NewsSection
    from moodtape.forecaster.arrays import read_arrays, write_arrays
    from moodtape.forecaster.served import Served
    from moodtape.ingest.raw import Beginning, RecordingDoor, ReplayingDoor, read_tape
    from moodtape.ingest.rss import choose_feeds
    from moodtape.nlp.evaluate import read_labelled
    from moodtape.nlp.model_folder import read_facts
    from moodtape.settings import load_settings
    from moodtape.signals import Signal, _checksum, read_signals, write_signals
    from moodtape.storage.parquet import _manifest
    from moodtape.study.plan import read_plan

    signal = Signal(
        symbol="BTC", interval="1h", horizon_bars=1, cutoff=NOON, decision_time=NOON,
        known_until=NOON, expires_at=NOON + inputs.HOUR, late=False, model="m", side=1, p_up=0.5,
        mean=0.0, quantiles={"0.5": 0.0}, volatility=0.1,
    )  # fmt: skip
    write_signals(folder / "whole.json", "market", [signal], NOON)
    signals = (folder / "whole.json").read_bytes()

    def checked(path: Path) -> None:
        """Read signals; half of the changed ones get a checksum that fits them."""
        try:
            values = json.loads(path.read_bytes())
            if isinstance(values, dict) and len(path.read_bytes()) % 2:
                values["checksum"] = _checksum({k: v for k, v in values.items() if k != "checksum"})
                path.write_text(json.dumps(values))
        except (ValueError, RecursionError):
            pass  # the reader itself has to refuse it
        read_signals(path, NOON, project="market", symbols=["BTC"])

    def replayed(path: Path) -> None:
        tape = read_tape(path)
        if tape is not None:
            ReplayingDoor(tape).get("http://a/b")

    door = Door({"": inputs.RSS}, ("",))
    recording = RecordingDoor(door, folder / "whole.jsonl")
    recording.begin(Beginning("r", "news", None, NOON))
    recording.get("http://a/b")
    write_arrays(folder / "whole.npz", {"a": np.arange(4.0)}, {"epochs": 3})
    whole = (folder / "whole.npz").read_bytes()

    def arrays(dice: random.Random) -> bytes:
        return mutated(dice, whole) if dice.random() < 0.5 else unpacked_member(dice, whole)

    (folder / "backup").mkdir()
    (folder / "backup" / "warehouse.duckdb").write_bytes(b"x")
    served = json.dumps(SERVED).encode()
    facts = json.dumps(FACTS).encode()
    manifest = json.dumps(
        {"schema_version": 1, "made_at": NOON.isoformat(), "tables": {"bar": {"rows": 1}},
         "files": {"warehouse.duckdb": {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}}}
    ).encode()  # fmt: skip
    export = json.dumps(
        {"schema_version": 1, "version": "0", "migrations": {}, "tables": {"bar": {"rows": 1}}}
    ).encode()
    plan = json.dumps({"family": ["BTC return_1"], "margin": 0.01, "folds": [["a", "b"]]}).encode()
    rows = json.dumps([{"text": "a", "label": "positive", "score": 0.5}]).encode()
    for name, file, seed, read in (
        ("signal file", "signals.json", signals, checked),
        ("kept answers", "tape.jsonl", (folder / "whole.jsonl").read_bytes(), replayed),
        ("served model's manifest", "served.json", served, lambda p: Served.read(p.parent)),
        ("scorer's manifest", "model.json", facts, lambda p: read_facts(p.parent)),
        ("backup's manifest", "backup/manifest.json", manifest, lambda p: verify(p.parent)),
        ("export's manifest", "export/manifest.json", export,
         lambda p: _manifest(fsspec.filesystem("file"), str(p.parent))),
        ("plan of a study", "plan.json", plan, read_plan),
        ("arrays of a run", "a.npz", arrays, read_arrays),
        ("config", "set/moodtape.toml", inputs.TOML,
         lambda p: load_settings(p.parent, environ={})),
        ("list of feeds", "feeds.toml", inputs.FEEDS,
         lambda p: choose_feeds(NewsSection(feeds=p.name), p.parent)),
        ("labelled texts", "labelled.parquet", within(rows, parquet), read_labelled),
    ):  # fmt: skip
        yield Parser(name, of_file(folder, file, seed, read))


SERVED = {
    "symbols": ["BTC"], "interval": "1h", "scorer": None, "streams": [], "metrics": [],
    "market": ["ret_1"], "subject": [], "columns": ["ret_1"], "lookback_bars": 4,
    "subject_lookback_bars": 4, "residuals": {"return_1": [-1.0, None, 1.0]},
    "scales": [{"key": "return_1", "name": "return", "horizon_bars": 1, "center": 0.0,
                "spread": 0.3}],
    "scaler": {"center": [[0.0]], "scale": [[0.01]]}, "trained_until": "2026-01-01T00:00:00+00:00",
    "odds": {"direction_1": [0.0, 1.0]},
}  # fmt: skip
FACTS = {
    "name": "m", "sha256": "0", "tokenizer_sha256": "0", "precision": "int8",
    "labels": ["negative", "neutral", "positive"], "kinds": [], "max_tokens": 128,
    "trained_until": "2026-01-01T00:00:00+00:00", "padding": 0,
}  # fmt: skip


def parsers(folder: Path) -> Iterator[Parser]:
    """Yield every parser; they write below the folder."""
    for group in (collectors, bodies, own_files, files):
        yield from group(folder)
