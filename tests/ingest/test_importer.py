"""An import takes in all good rows of a file or none, once, and can be taken back whole."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from moodtape.config import Config
from moodtape.errors import UnreadableFile, UsageError
from moodtape.ingest import importer, recognise
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.records import ImportCounts
from moodtape.storage.db import Warehouse
from moodtape.storage.write import undo_run

BARS = "ts,open,high,low,close\n" + "".join(
    f"2025-06-01T{h:02d}:00Z,100,110,90,105\n" for h in range(5)
)
METRICS = "date,TxCnt,HashRate\n" + "".join(f"2025-06-0{d},{d},{d * 2}\n" for d in range(1, 6))
TEXTS = "id,published_at,title\n" + "".join(
    f"n{h},2025-06-01T{h:02d}:30Z,Bitcoin headline number {h} of the day\n" for h in range(5)
)
FILES = {"bars": BARS, "metrics": METRICS, "documents": TEXTS}


def contents(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, without the ledger of runs."""
    with warehouse.read() as connection:
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE table_name <> 'run' ORDER BY 1"
        ).fetchall()
        return {
            name: connection.execute(f'SELECT * FROM "{name}" ORDER BY ALL').fetchall()
            for (name,) in names
        }


def packed(text: str, ending: str, folder: Path) -> bytes:
    """Return a CSV's rows in another form."""
    if ending == "csv":
        return text.encode()
    if ending == "csv.gz":
        return gzip.compress(text.encode())
    if ending == "csv.zst":
        return zstandard.compress(text.encode())
    header, *lines = [line.split(",") for line in text.splitlines()]
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    if ending == "jsonl":
        return "\n".join(map(json.dumps, rows)).encode()
    pq.write_table(pa.Table.from_pylist(rows), folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


@pytest.mark.parametrize("what", list(FILES))
def test_every_form_of_a_file_gives_the_same_rows(what: Any, bring: Any, tmp_path: Path) -> None:
    bring(what, "btc_1h.csv", FILES[what], collection="c")
    first = contents(bring.warehouse)
    for ending in ("csv.gz", "csv.zst", "jsonl", "parquet"):
        content = packed(FILES[what], ending, tmp_path)
        result = bring(what, f"btc_1h.{ending}", content, collection="c")
        assert result.counts.known > 0
        assert contents(bring.warehouse) == first, ending


@pytest.mark.parametrize("what", list(FILES))
def test_a_second_import_changes_nothing(what: Any, bring: Any) -> None:
    bad = FILES[what] + "2099-01-01,broken\n"
    first = bring(what, "btc_1h.csv", bad).counts
    before = contents(bring.warehouse)
    second = bring(what, "btc_1h.csv").counts
    assert (second.new, second.corrected, second.known) == (0, 0, first.new)
    assert second.quarantined == first.quarantined == 1
    assert contents(bring.warehouse) == before


@pytest.mark.parametrize("step", ["store_quarantine", "finish_run"])
def test_a_failure_inside_the_merge_leaves_the_warehouse_as_it_was(
    bring: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    bring("documents", "old.csv", TEXTS)
    before = contents(bring.warehouse)
    with monkeypatch.context() as patch:
        patch.setattr(importer, step, _break)
        with pytest.raises(KeyboardInterrupt):
            bring("documents", "new.csv", TEXTS.replace("headline", "story"))
    assert contents(bring.warehouse) == before
    assert list((bring.folder / "staging").iterdir()) == []
    assert bring("documents", "new.csv").counts.new == 5


def test_a_failure_after_texts_and_before_their_marks_stores_neither(
    bring: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring("bars", "btc_1h.csv", BARS)
    before = contents(bring.warehouse)

    def half(connection: Any, *args: Any) -> ImportCounts:
        recognise_merge(connection, *args)
        raise KeyboardInterrupt

    recognise_merge = recognise.merge_documents
    monkeypatch.setattr(recognise, "merge_documents", half)
    with pytest.raises(KeyboardInterrupt):
        bring("documents", "new.csv", TEXTS)
    assert contents(bring.warehouse) == before


def _break(*_: Any) -> None:
    raise KeyboardInterrupt


def _import_and_hang(path: Path, folder: Path, reached: Any) -> None:
    def hang(*_: Any) -> None:
        reached.set()
        time.sleep(60)

    importer.store_quarantine = hang  # type: ignore[assignment]
    from datetime import UTC, datetime

    now = datetime(2025, 6, 30, tzinfo=UTC)
    warehouse = Warehouse(path)
    file, options = folder / "new.csv", ImportOptions("documents")
    import_file(warehouse, folder / "staging", file, options, Config(), "killed", now)


def test_a_killed_import_leaves_the_warehouse_as_it_was(bring: Any) -> None:
    bring("documents", "old.csv", TEXTS)
    before = contents(bring.warehouse)
    (bring.folder / "new.csv").write_text(TEXTS.replace("headline", "story"))
    spawn = multiprocessing.get_context("spawn")
    reached = spawn.Event()
    child = spawn.Process(
        target=_import_and_hang, args=(bring.warehouse.path, bring.folder, reached)
    )
    child.start()
    assert reached.wait(30), "the child never came to the merge"
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    assert contents(bring.warehouse) == before
    assert len(list((bring.folder / "staging").iterdir())) == 1, "a kill leaves its stage behind"
    assert bring("documents", "new.csv").counts.new == 5
    assert list((bring.folder / "staging").iterdir()) == [], "the next import sweeps it up"


def test_a_parquet_cut_in_half_stores_nothing(bring: Any) -> None:
    path = bring.folder / "btc_1h.parquet"
    times = np.arange("2025-01-01", "2025-05-01", dtype="datetime64[h]").astype("datetime64[us]")
    ones = np.ones(len(times))
    prices = dict.fromkeys(("open", "high", "low", "close"), ones)
    table = pa.table({"ts": pa.array(times, pa.timestamp("us", "UTC")), **prices})
    pq.write_table(table, path, row_group_size=500)
    assert bring("bars", path.name).counts.new == len(times)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    before = contents(bring.warehouse)
    with pytest.raises(UnreadableFile, match="is not a whole Parquet file"):
        bring("bars", path.name)
    assert contents(bring.warehouse) == before


def test_several_files_of_one_run_are_counted_together(bring: Any) -> None:
    for name, text in (("a.csv", TEXTS), ("b.csv", TEXTS.replace("headline", "story") + "x\n")):
        (bring.folder / name).write_text(text)
        path, options = bring.folder / name, ImportOptions("documents")
        import_file(
            bring.warehouse, bring.folder / "s", path, options, bring.config, "both", bring.now
        )
    ((command, status, counts),) = bring.rows("SELECT command, status, counts FROM run")
    assert (command, status) == ("import documents", "done")
    assert json.loads(counts) == {
        "new": 10,
        "known": 0,
        "corrected": 0,
        "quarantined": 1,
        "duplicate_in_file": 0,
        "reasons": {"has 1 columns, the header 3": 1},
    }


@pytest.mark.parametrize("what", list(FILES))
def test_undo_takes_back_everything_an_import_stored(what: Any, bring: Any, now: Any) -> None:
    bring("bars", "eth_1h.csv", BARS)
    before = contents(bring.warehouse)
    bring(what, "btc_1h.csv", FILES[what] + "2099-01-01,broken\n")
    with bring.warehouse.write() as connection:
        removed = undo_run(connection, "run-2", now)
    main = {"bars": "bar", "metrics": "metric", "documents": "document"}[what]
    assert removed[main] in (5, 10)
    assert removed["quarantine"] == 1
    after = contents(bring.warehouse)
    assert after.pop("dirty_hour") is not None
    before.pop("dirty_hour")
    assert after == before
    assert bring.rows("SELECT status FROM run WHERE run_id = 'run-2'") == [("undone",)]
    again = bring(what, "btc_1h.csv")
    assert again.counts.known == 0, "it can be imported again"


def test_undo_keeps_what_other_imports_still_need(bring: Any, now: Any) -> None:
    bring("bars", "btc_1h.csv", BARS)
    bring("bars", "btc_1h_more.csv", BARS.replace("2025-06-01", "2025-06-02"))
    bring("documents", "n.csv", TEXTS, collection="c")
    bring("documents", "m.csv", TEXTS.replace("n0", "m0").replace("n1", "m1"), collection="c")
    with bring.warehouse.write() as connection:
        undo_run(connection, "run-1", now)
        undo_run(connection, "run-3", now)
    assert bring.rows("SELECT count(*) FROM bar") == [(5,)]
    assert bring.rows("SELECT symbol FROM instrument") == [("BTC",)]
    assert bring.rows("SELECT count(*) FROM document") == [(2,)]
    assert bring.rows(
        "SELECT count(*) FROM document ANTI JOIN scored_text USING (content_hash)"
    ) == [(0,)]


def test_undo_refuses_what_is_no_import(bring: Any, now: Any) -> None:
    bring("bars", "btc_1h.csv", BARS)
    with bring.warehouse.write() as connection:
        with pytest.raises(UsageError, match=r"'nope' is not an import\. The latest .*: run-1\."):
            undo_run(connection, "nope", now)
        undo_run(connection, "run-1", now)
        with pytest.raises(UsageError, match="run-1 was undone before"):
            undo_run(connection, "run-1", now)


def test_a_settings_map_serves_every_kind_of_file(bring: Any) -> None:
    bring.config = Config.model_validate({"imports": {"map": {"title": "words", "close": "last"}}})
    bring("documents", "n.csv", TEXTS.replace("title", "words"))
    bring("bars", "btc_1h.csv", BARS.replace("close", "last"))
    assert bring.rows("SELECT count(title) FROM document") == [(5,)]
    assert bring.rows("SELECT count(close) FROM bar") == [(5,)]
