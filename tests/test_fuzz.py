"""What fuzzing found, by hand, and a short run of it: only Moodtape's own errors come out."""

from __future__ import annotations

import importlib
import io
import json
import logging
import math
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from moodtape.backup import Backup, list_backups, verify
from moodtape.config import Config, NewsSection
from moodtape.errors import ConfigError, CouldNotRead, UnreadableFile
from moodtape.forecaster.arrays import read_arrays, write_arrays
from moodtape.forecaster.runs import read_json
from moodtape.forecaster.served import Served
from moodtape.ingest.base import Batch, Tools
from moodtape.ingest.batches import stage_batch
from moodtape.ingest.documents import _engagement
from moodtape.ingest.feed import read_feed
from moodtape.ingest.files import read_chunks
from moodtape.ingest.http import Answer
from moodtape.ingest.klines import Series, read_klines
from moodtape.ingest.onchain import collector
from moodtape.ingest.raw import Beginning, ReplayingDoor, Tape, read_tape
from moodtape.ingest.rejects import Rejected
from moodtape.ingest.rss import choose_feeds
from moodtape.ingest.text import clean
from moodtape.nlp.lexicon import lexicon, probabilities
from moodtape.nlp.model_folder import read_facts
from moodtape.records import Document, Span
from moodtape.settings import load_settings
from moodtape.signals import _checksum, read_signals
from moodtape.storage.parquet import _manifest
from moodtape.storage.staging import staging
from moodtape.storage.traces import fold
from moodtape.study.plan import read_plan

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
DEEP = b"[" * 100_000


@pytest.mark.parametrize("number", ["99999999999", "xD800", "xFFFFFFFFF", "0"])
def test_an_item_with_a_character_that_is_none_costs_no_other_item(number: str) -> None:
    """Bare ampersands let feedparser fall back to its lenient reader, which broke at these."""
    item = "<item><guid>{}</guid><title>{}</title></item>"
    rows = item.format("a", f"odd & &#{number}; text") + item.format("b", "Bitcoin &#8364; up")
    feed = read_feed(f'<rss version="2.0"><channel>{rows}</channel></rss>'.encode(), "", "here")
    titles = [found.title for found in feed.items]
    assert len(titles) == 2
    assert "\ufffd" in titles[0]
    assert titles[1] == "Bitcoin \u20ac up"


def test_whatever_feedparser_stumbles_over_is_told_of_its_feed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import feedparser

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a mistake of the library")

    monkeypatch.setattr(feedparser, "parse", broken)
    with pytest.raises(CouldNotRead, match=r"here sent a feed that .* \(AssertionError\)"):
        read_feed(b"<rss>", "", "here")


def test_no_text_is_too_strong_for_the_word_list() -> None:
    assert probabilities(1e300)[2] == pytest.approx(1.0)
    assert probabilities(-1e300)[0] == pytest.approx(1.0)
    (scores,) = lexicon(1).score([" ".join(["very"] * 3000 + ["bullish"])])
    assert all(map(math.isfinite, scores))


@pytest.mark.parametrize("header", [b"a,b\xff,c\n", b"a,b\rc,d\n"])
def test_a_header_that_cannot_be_read_is_told(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_bytes(header + b"1,2,3\n")
    with pytest.raises(UnreadableFile, match=r"its first line, which names the columns, is not"):
        list(read_chunks(path))


def test_a_number_of_many_digits_sets_a_bar_of_a_dump_aside() -> None:
    day = datetime(2026, 10, 1, tzinfo=UTC)
    micros = [int(day.timestamp()) * 10**6 + n * 3600 * 10**6 for n in range(20)]
    lines = [f"{at},10,12,9,11,5.5,{at + 3600 * 10**6 - 1},55,7,2,2,0" for at in micros]
    lines[3] = lines[3].replace(",7,2,2,0", f",{'9' * 400},2,2,0")
    span = Span(day, day.replace(day=2))
    series = Series("BTC", "binance", "USDT", "1h")
    table, rejected = read_klines("\n".join(lines).encode(), series, span, span, "x.csv")
    assert len(table) == 19
    assert len(rejected) == 1


def write(folder: Path, name: str, body: bytes | dict[str, Any] | list[Any]) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return path


def test_a_file_of_our_own_that_was_changed_is_told(tmp_path: Path) -> None:
    for body in (DEEP, b"\xff"):
        with pytest.raises(UnreadableFile):
            read_json(write(tmp_path, "x.json", body))
    for body in (DEEP, b"[]", b"\xff", b"null"):
        with pytest.raises(UnreadableFile):
            read_facts(write(tmp_path, "model.json", body).parent)
    for values in ({"scaler": {}, "scales": []}, {"scaler": 1}, {"scaler": [], "residuals": "a"}):
        with pytest.raises(UnreadableFile):
            Served.read(write(tmp_path, "served.json", values).parent)


def test_a_number_too_large_in_a_scorers_manifest_is_told(tmp_path: Path) -> None:
    facts = {"name": "m", "sha256": "0", "tokenizer_sha256": "0", "precision": "int8",
             "labels": ["negative", "neutral", "positive"], "kinds": [], "max_tokens": 128,
             "trained_until": None}  # fmt: skip
    assert read_facts(write(tmp_path, "model.json", facts).parent).padding == 0
    for name in ("padding", "max_tokens"):
        with pytest.raises(UnreadableFile, match=r"model\.json cannot be read"):
            read_facts(write(tmp_path, "model.json", {**facts, name: math.inf}).parent)


@pytest.mark.parametrize("value", ["[" * 3000, "9" * 5000])
def test_a_setting_of_many_levels_or_digits_is_told(value: str, tmp_path: Path) -> None:
    write(tmp_path, "moodtape.toml", f"seed = {value}".encode())
    with pytest.raises(ConfigError, match=r"moodtape\.toml is not valid TOML"):
        load_settings(tmp_path, environ={})
    write(tmp_path, "feeds.toml", f"[one]\nurl = {value}".encode())
    with pytest.raises(ConfigError, match=r"feeds\.toml is no list of feeds"):
        choose_feeds(NewsSection(feeds="feeds.toml"), tmp_path)


def test_a_signal_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    whole = {"product": "moodtape signals", "schema_version": 1, "project": "market"}
    fields = {
        "symbol": "BTC", "interval": "1h", "horizon_bars": 1, "cutoff": NOON.isoformat(),
        "decision_time": NOON.isoformat(), "known_until": NOON.isoformat(),
        "expires_at": NOON.replace(hour=13).isoformat(), "late": False, "model": "m", "side": 1,
        "p_up": 0.5, "mean": 0.0, "quantiles": None, "volatility": 0.1,
    }  # fmt: skip
    read = [{**whole, "signals": [fields]}]
    wrong: list[dict[str, Any]] = [
        whole, {**whole, "signals": 5}, {**whole, "signals": [5]}, {**whole, "project": None},
        *({**whole, "signals": [{**fields, name: value}]}
          for name, value in (("cutoff", 5), ("cutoff", "today"), ("symbol", []),
                              ("expires_at", "2026-10-01T13:00:00"))),
    ]  # fmt: skip
    for body in (*read, *wrong):
        path = write(tmp_path, "signals.json", {**body, "checksum": _checksum(body)})
        if body in read:
            assert len(read_signals(path, NOON, symbols=["BTC"])) == 1
            continue
        with pytest.raises(UnreadableFile):
            read_signals(path, NOON, symbols=["BTC"])


def test_a_plan_or_an_export_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be read as a plan"):
        read_plan(write(tmp_path, "plan.json", DEEP))
    export = {"schema_version": 1, "version": "0", "migrations": {}, "tables": {"bar": {"rows": 1}}}
    files, address = fsspec.filesystem("file"), str(tmp_path / "out")
    write(tmp_path, "out/manifest.json", export)
    assert _manifest(files, address) == export
    for tables in (5, ["bar"], {"bar": 1}, {"bar": {}}, None):
        write(tmp_path, "out/manifest.json", {**export, "tables": tables})
        with pytest.raises(UnreadableFile, match="is damaged"):
            _manifest(files, address)
    write(tmp_path, "out/manifest.json", DEEP)
    with pytest.raises(UnreadableFile, match="holds no export"):
        _manifest(files, address)


def test_kept_answers_that_were_damaged_are_told(tmp_path: Path) -> None:
    head = {"version": "1", "run_id": "r", "collector": "news", "cursor": None,
            "now": NOON.isoformat(), "since": None, "until": None}  # fmt: skip
    for broken in (b"[]", b"{}", DEEP, b"\xff", json.dumps({**head, "now": "2026-10-01"}).encode(),
                   json.dumps({**head, "more": 1}).encode()):  # fmt: skip
        assert read_tape(write(tmp_path, "tape.jsonl", broken + b"\n")) is None
    line = {"asked": "a", "at": NOON.isoformat(), "place": "p", "status": 200, "headers": {},
            "sha256": "", "body": "H4sI"}  # fmt: skip
    for change in ({"body": 5}, {"body": "%"}, {"at": 5}, {"body": None}, {"failure": 5}):
        door = ReplayingDoor(Tape(Beginning("r", "news", None, NOON), [{**line, **change}]))
        with pytest.raises(CouldNotRead, match=r"damaged|not what came then"):
            door._next("a")
    rows = json.dumps(head).encode() + b"\n[]\n" + json.dumps(line).encode() + b"\n"
    tape = read_tape(write(tmp_path, "tape.jsonl", rows))
    assert tape is not None
    assert list(tape.exchanges) == [], "read up to the first line that is none"


def test_a_backup_with_a_manifest_of_another_shape_bars_no_other(tmp_path: Path) -> None:
    manifest = {"schema_version": 1, "made_at": NOON.isoformat(), "tables": {"bar": {"rows": 1}},
                "files": {"warehouse.duckdb": {"bytes": 1, "sha256": "0"}}}  # fmt: skip
    settings = load_settings(tmp_path, environ={})
    name = "backups/20261001T120000Z/manifest.json"
    (tmp_path / "backups").mkdir()
    for change in ({"tables": 5}, {"tables": {"bar": {}}}, {"files": []}, {"made_at": 5},
                   {"tables": {"bar": {"rows": math.inf}}},
                   {"files": {"x": {"bytes": 1}}}):  # fmt: skip
        path = write(tmp_path, name, {**manifest, **change})
        with pytest.raises(UnreadableFile, match="damaged"):
            verify(path.parent)
        assert list_backups(settings)[0].damage is not None
    path = write(
        tmp_path, name, {**manifest, "files": {"x" * 300: manifest["files"]["warehouse.duckdb"]}}
    )
    with pytest.raises(UnreadableFile, match="is gone"):
        verify(path.parent)
    write(tmp_path, name, manifest)
    assert list_backups(settings) == [
        Backup(tmp_path / "backups" / "20261001T120000Z", NOON.isoformat(), 1, 1)
    ]


def test_an_encrypted_or_cut_file_of_arrays_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"a": np.arange(3.0)}, {"n": 1})
    whole = bytearray(path.read_bytes())
    assert read_arrays(path) is not None
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as archive:
        offset = archive.infolist()[0].header_offset
    whole[whole.index(b"PK\x01\x02") + 8] |= 0x41
    whole[offset + 6] |= 0x41
    for damaged in (bytes(whole), bytes(whole[:-40]), b"", b"PK"):
        path.write_bytes(damaged)
        assert read_arrays(path) is None


def test_arrays_with_a_broken_description_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"a": np.arange(3.0)}, {"n": 1})
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    for damaged in (b"{'descr': (((", b"{'descr': '\\x', "):
        with zipfile.ZipFile(path, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, part[:10] + damaged.ljust(len(part) - 10))
        assert read_arrays(path) is None


def test_reactions_beyond_any_number_are_left_out() -> None:
    assert _engagement({"likes": 10**400, "comments": "3"}) == {
        "likes": None, "comments": 3, "reposts": None, "removed": None,
    }  # fmt: skip


def test_an_entity_of_thousands_of_digits_is_a_lost_character() -> None:
    assert clean(f"up &#{'9' * 5000}; &#65;", 2000) == "up \ufffd A"
    assert fold(f"up &amp;#{'9' * 5000};") == "up \ufffd"


def test_half_a_character_costs_no_row(tmp_path: Path) -> None:
    rows = [
        Document("reddit", "live", f"t3_{n}", NOON, NOON, title, "", link, "", "ann")
        for n, (title, link) in enumerate((("Bitcoin \ud800 up", "a"), ("Bitcoin down", "\udfff")))
    ]
    batch = Batch(tuple(rows), "c", (), (Rejected("t3_\ud800", "no name", ""),))
    with staging(tmp_path) as stage:
        stage_batch(stage, "reddit", batch, Config(), NOON)
        stage.close()
        assert stage.rows["document"] == 2
        (place,) = pq.read_table(stage.path("quarantine"))["place"].to_pylist()
    assert place == "t3_\ufffd"


def test_a_value_beyond_any_number_is_set_aside_alone() -> None:
    class Page:
        def get(self, *asked: Any) -> Answer:
            body = json.loads(json.dumps(PAGE))
            body["data"][0]["TxCnt"] = 10**400
            return Answer("here", 200, {}, json.dumps(body).encode(), NOON)

        def now(self) -> datetime:
            return NOON

    config = Config.model_validate({"onchain": {"metrics": ["TxCnt"]}})
    (batch, *_) = collector(Tools(config, Page(), Path())).collect(None, NOON)
    assert [len(batch.rows), len(batch.rejected)] == [1, 1]


PAGE = {"data": [{"asset": "btc", "time": f"2026-09-2{n}T00:00:00.000000000Z", "TxCnt": "12"}
                 for n in (6, 7)]}  # fmt: skip


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("bench_fuzz")
    logging.disable(logging.NOTSET)


def test_only_our_own_errors_come_out_of_any_reader(fuzz: Any, tmp_path: Path) -> None:
    """A few of the inputs that `benchmarks/bench_fuzz.py` gives to each; see docs."""
    logging.disable(logging.CRITICAL)
    crashes = {}
    for parser in fuzz.parsers(tmp_path):
        course = fuzz.Course()
        fuzz.fuzz(parser, course, 20, lambda: False)
        assert course.inputs == 20
        crashes |= {(parser.name, where): found for where, found in course.crashes.items()}
    assert crashes == {}


def test_the_fuzzer_finds_what_is_planted(fuzz: Any) -> None:
    def reads(dice: Any, number: int) -> None:
        if number == 3:
            raise KeyError("planted")
        raise CouldNotRead("refused") if number % 2 else UnreadableFile("refused")

    course = fuzz.Course()
    fuzz.fuzz(fuzz.Parser("x", reads), course, 6, lambda: False)
    assert (course.inputs, course.refused) == (6, 5)
    ((where, examples),) = course.crashes.items()
    assert where.startswith("KeyError in test_fuzz.py")
    assert examples == ["3: 'planted'"]
