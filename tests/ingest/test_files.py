"""Files of every kind are read in bounded chunks; broken ones cost only what is broken."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from moodtape.errors import UnreadableFile
from moodtape.ingest import delimited, files
from moodtape.ingest.files import Chunk, Rejected, read_chunks

Write = Callable[[str, str | bytes], Path]

PLAIN = "a,b\n1,x\n2,y\n3,z\n"
ROWS = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}, {"a": "3", "b": "z"}]
JSONL = '{"a":"1","b":"x"}\n\n{"a":"2","b":"y"}\n{"a":"3","b":"z"}\n'


def rows_of(chunks: list[Chunk]) -> list[dict[str, Any]]:
    return [row for chunk in chunks for row in chunk.table.to_dict("records")]


def rejected_of(chunks: list[Chunk]) -> list[Rejected]:
    return [r for chunk in chunks for r in chunk.rejected]


def read(path: Path) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    chunks = list(read_chunks(path))
    return rows_of(chunks), [(r.place, r.reason) for r in rejected_of(chunks)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", PLAIN.encode()),
        ("t.csv", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("t.csv", PLAIN.replace("\n", "\r\n").encode()),
        ("t.csv", PLAIN.replace(",", ";").encode()),
        ("t.tsv", PLAIN.replace(",", "\t").encode()),
        ("t.txt", PLAIN.encode()),
        ("t.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)),
        ("t.csv.zst", zstandard.compress(PLAIN.encode())),
        ("t.csv.zst", zstandard.compress(b"a,b\n1,x\n") + zstandard.compress(b"2,y\n3,z\n")),
        ("no-ending-but-packed", gzip.compress(PLAIN.encode(), mtime=0)),
        ("t.jsonl", JSONL.encode()),
        ("t.ndjson.gz", gzip.compress(JSONL.encode(), mtime=0)),
        ("t.jsonl.zst", zstandard.compress(JSONL.encode())),
    ],
)
def test_the_same_rows_come_from_every_form(write: Write, name: str, content: bytes) -> None:
    rows, rejected = read(write(name, content))
    assert rows == ROWS
    assert rejected == []


def test_parquet_keeps_types_and_counts_lines_from_one(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    ids = [1_600_000_000_000_000_001, None, 3]
    pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), "t": ["x", None, "z"]}), path)
    (chunk,) = read_chunks(path)
    assert list(chunk.table.index) == [1, 2, 3]
    assert chunk.table["id"].tolist() == ids, "a null beside it must not round a long id"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, "does not exist"),
        ("t.csv", b"", r"is empty \(0 bytes\)"),
        ("t.parquet", b"", r"is empty \(0 bytes\)"),
        ("t.csv", b"\n\n", "no header line"),
        ("t.csv", b"a,a\n1,2\n", "names a column twice"),
        ("t.csv.gz", gzip.compress(PLAIN.encode() * 9000, mtime=0)[:-40], "cut short or damaged"),
        ("t.csv.gz", b"\x1f\x8bnonsense that is no gzip", "cut short or damaged"),
        ("t.csv.zst", zstandard.compress(PLAIN.encode() * 9000)[:-4], "the last zstd frame"),
        ("t.csv.zst", zstandard.compress(PLAIN.encode())[:5] + b"xxxxxxx", "cut short or damaged"),
        ("t.csv.zip", b"PK\x03\x04rest", "is a zip archive or a spreadsheet; unpack it"),
        ("t.csv", PLAIN.encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        ("t.parquet", b"PAR1 and then nothing", "not a whole Parquet file"),
        ("t.parquet", b"a,b\n1,2\n", "not a whole Parquet file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(
    write: Write, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name if content is None else write(name, content)
    with pytest.raises(UnreadableFile, match=message) as caught:
        list(read_chunks(path))
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_parquet_cut_in_half_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": np.arange(10_000.0)}), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableFile, match=r"t\.parquet is not a whole Parquet file .* Fetch it"):
        list(read_chunks(path))


def test_rows_of_another_width_are_set_aside_with_their_line(write: Write) -> None:
    rows, rejected = read(write("t.csv", "a,b\n1,x\n2\n3,z,9\n4,w\n"))
    assert [r["a"] for r in rows] == ["1", "4"]
    assert rejected == [
        ("line 3", "has 1 columns, the header 2"),
        ("line 4", "has 3 columns, the header 2"),
    ]


def test_quoted_fields_may_hold_commas_quotes_and_line_ends(write: Write) -> None:
    rows, rejected = read(write("t.csv", 'a,b\n1,"x, ""y""\nand z"\n2,w\n'))
    assert rows == [{"a": "1", "b": 'x, "y"\nand z'}, {"a": "2", "b": "w"}]
    assert rejected == []


@pytest.mark.parametrize("column", ["first", "last"])
def test_a_quote_that_is_never_closed_costs_its_own_line_only(write: Write, column: str) -> None:
    broken = '"2,y' if column == "first" else '2,"y'
    rows, rejected = read(write("t.csv", f"a,b\n1,x\n{broken}\n3,z\n4,w\n"))
    assert [r["a"] for r in rows] == ["1", "3", "4"]
    assert rejected == [("line 3", "a quote is never closed")]


def test_two_open_quotes_far_apart_cost_two_lines(write: Write) -> None:
    rows, rejected = read(write("t.csv", 'a,b\n1,x\n"2,y\n3,z\n"4,w\n5,v\n'))
    assert [r["a"] for r in rows] == ["1", "3", "5"]
    assert [place for place, _ in rejected] == ["line 3", "line 5"]


def test_a_last_line_cut_inside_its_text_is_set_aside(write: Write) -> None:
    rows, rejected = read(write("t.csv", 'a,b\n1,x\n2,"the end is mis'))
    assert [r["a"] for r in rows] == ["1"]
    assert rejected == [("line 3", "a quote is never closed")]


def test_invalid_utf8_costs_its_row_in_csv_jsonl_and_parquet(write: Write, tmp_path: Path) -> None:
    csv = read(write("t.csv", b"a,b\n1,x\n2,\xff\xfe\n3,z\n"))
    jsonl = read(write("t.jsonl", b'{"a":"1"}\n{"a":"\xff"}\n{"a":"3"}\n'))
    offsets = pa.py_buffer(np.array([0, 1, 3, 4], dtype=np.int32).tobytes())
    broken = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"1\xff\xfe3")])
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": broken, "n": [1, 2, 3]}), path)
    parquet = read(path)
    for rows, rejected, line in ((*csv, 3), (*jsonl, 2), (*parquet, 2)):
        assert [r["a"] for r in rows] == ["1", "3"]
        assert rejected == [(f"line {line}", "invalid UTF-8")]


def test_a_half_character_is_dropped_and_its_row_kept(write: Write) -> None:
    rows, rejected = read(write("t.jsonl", '{"a":"to the moon \\ud83d"}\n{"a":"\\ud83d\\ude80"}\n'))
    assert [r["a"] for r in rows] == ["to the moon ", "\N{ROCKET}"]
    assert rejected == []


def test_lines_that_are_no_json_objects_are_set_aside(write: Write) -> None:
    text = '{"a":"1"}\n{"a":\n[1]\n"x"\n{"a":"5"}\n'
    rows, rejected = read(write("t.jsonl", text))
    assert [r["a"] for r in rows] == ["1", "5"]
    assert rejected == [
        ("line 2", "not JSON"),
        ("line 3", "not a JSON object"),
        ("line 4", "not a JSON object"),
    ]


def test_a_line_over_the_cap_is_skipped_and_counted(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "MAX_LINE_BYTES", 100)
    long = "y" * 1000
    rows, rejected = read(write("t.csv", f"a,b\n1,x\n2,{long}\n3,z\n"))
    assert [r["a"] for r in rows] == ["1", "3"]
    assert [place for place, _ in rejected] == ["line 3"]
    rows, rejected = read(write("t.jsonl", f'{{"a":"1"}}\n{{"a":"{long}"}}\n{{"a":"3"}}\n'))
    assert [r["a"] for r in rows] == ["1", "3"]
    assert [place for place, _ in rejected] == ["line 2"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_fat_rows_make_small_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 10_000)
    texts = [f"{i:02d}" + "x" * 4_000 for i in range(12)]
    path = tmp_path / f"t.{ending}"
    if ending == "csv":
        path.write_text("a\n" + "\n".join(texts))
    elif ending == "jsonl":
        path.write_text("\n".join(json.dumps({"a": t}) for t in texts))
    else:
        table = pa.table({"a": texts})
        pq.write_table(table, path, compression="none", use_dictionary=False)
    chunks = list(read_chunks(path))
    assert [r["a"] for r in rows_of(chunks)] == texts
    assert max(len(c.table) for c in chunks) <= 3


def test_progress_ends_at_the_size_of_the_file(write: Write) -> None:
    path = write("t.csv.gz", gzip.compress(PLAIN.encode(), mtime=0))
    seen: list[tuple[int, int]] = []
    list(read_chunks(path, lambda done, total: seen.append((done, total))))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
