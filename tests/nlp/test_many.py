"""Texts of Parquet files become Parquet files of scores: part by part, once, whole."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from moodtape.cli import app
from moodtape.errors import UnreadableFile, UsageError
from moodtape.nlp import many
from moodtape.nlp import parts as part_files
from moodtape.nlp.base import KINDS
from moodtape.nlp.many import FilesSummary, score_files
from moodtape.nlp.onnx_scorer import OnnxScorer
from moodtape.nlp.parts import plan_parts
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.nlp.score import score_page

TEXTS = [
    "Bitcoin soars to a new high", "", None, "Exchange hacked, withdrawals halted", "Markets flat",
    "Bitcoin soars to a new high", "Ether slides 9%", None, "XRP wins in court", "Fund sells BTC",
]  # fmt: skip
COLUMNS = ["row", "id", "p_negative", "p_neutral", "p_positive"]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "PART_ROWS", 3)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten texts in row groups of four, so that a part lies across two of them."""
    path = tmp_path / "texts.parquet"
    ids = [f"t{i}" for i in range(len(TEXTS))]
    pq.write_table(pa.table({"id": ids, "text": TEXTS}), path, row_group_size=4)
    return path


def parts(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def scores(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in parts(folder)])


def run(source: Path, out: Path, **more: Any) -> FilesSummary:
    return score_files([source], out, **({"scorer": "lexicon", "keep": ["id"]} | more))


def test_every_row_has_the_score_of_its_text(source: Path, tmp_path: Path) -> None:
    done = run(source, tmp_path / "out")
    assert (done.rows, done.rows_scored, done.parts, done.parts_scored) == (10, 10, 4, 4)
    scorer = load_scorer("lexicon")
    assert done.scorer == scorer_id(scorer)
    assert [path.name for path in parts(tmp_path / "out")] == [
        f"texts-{first:010d}.parquet" for first in (0, 3, 6, 9)
    ]
    table = scores(tmp_path / "out")
    assert table.column_names == COLUMNS
    assert table["row"].to_pylist() == list(range(10))
    assert table["id"].to_pylist() == [f"t{i}" for i in range(10)]
    for name in COLUMNS[2:]:
        expected = [int(score_page(scorer, [t])[name][0]) if t else None for t in TEXTS]
        assert table[name].to_pylist() == expected
        assert table.schema.field(name).type == pa.int32()


def test_equal_texts_of_a_part_are_scored_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(part_files, "PART_ROWS", 10)
    monkeypatch.setattr(
        many, "score_page", lambda scorer, texts: seen.extend(texts) or score_page(scorer, texts)
    )
    run(source, tmp_path / "out")
    assert seen == list(dict.fromkeys(text for text in TEXTS if text))


def test_the_bundled_scorer_tells_kinds_too(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out", scorer="bundled")
    table, scorer = scores(tmp_path / "out"), load_scorer("bundled")
    assert isinstance(scorer, OnnxScorer)
    assert table.column_names == [*COLUMNS, "kind", "probability"]
    for text, kind, positive in zip(
        TEXTS, table["kind"].to_pylist(), table["p_positive"].to_pylist(), strict=True
    ):
        if not text:
            assert (kind, positive) == (None, None)
            continue
        tones, kinds = scorer.score_and_classify([text])
        assert kind == KINDS[int(kinds[0].argmax())]
        assert abs(positive / 1e6 - tones[0, 2]) < 2e-6


def test_a_part_without_any_text_has_the_columns_of_the_others(
    tmp_path: Path, source: Path
) -> None:
    other = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"id": ["x"], "text": pa.array([None], pa.string())}), other)
    score_files([source, other], tmp_path / "out", "bundled", keep=["id"])
    schemas = {
        path.name: pq.read_schema(path).remove_metadata() for path in parts(tmp_path / "out")
    }
    assert schemas["empty-0000000000.parquet"] == schemas["texts-0000000000.parquet"]


def test_a_run_that_was_killed_goes_on_where_it_was(source: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(source, whole)

    def stop(done: int, total: int) -> None:
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, broken, progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in parts(broken)}
    assert len(kept) == 2
    said: list[tuple[int, int]] = []
    done = run(source, broken, progress=lambda done, total: said.append((done, total)))
    assert (done.rows_scored, done.parts_scored) == (4, 2)
    assert said == [(0, 4), (3, 4), (4, 4)]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "a part was scored again"
    assert [path.read_bytes() for path in parts(broken)] == [p.read_bytes() for p in parts(whole)]
    assert run(source, broken).parts_scored == 0


def test_a_part_that_cannot_be_written_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(part_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run(source, tmp_path / "out")
    assert parts(tmp_path / "out") == []


@pytest.mark.parametrize(
    "change", [{"scorer": "bundled"}, {"keep": []}, {"column": "id", "keep": []}]
)
def test_a_folder_holds_the_scores_of_one_question(
    source: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    run(source, tmp_path / "out")
    before = [path.read_bytes() for path in parts(tmp_path / "out")]
    with pytest.raises(UsageError, match="holds other scores"):
        run(source, tmp_path / "out", **change)
    assert [path.read_bytes() for path in parts(tmp_path / "out")] == before


def test_a_file_that_changed_is_not_taken_for_the_old_one(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out")
    table = pq.read_table(source)
    pq.write_table(table.slice(0, 9), source)
    with pytest.raises(UsageError, match=r"another version of the file.*--out"):
        run(source, tmp_path / "out")


def test_what_cannot_be_scored_is_said_before_anything_is(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UnreadableFile, match=r"no column 'txt'.*Did you mean text\?"):
        run(source, out, column="txt")
    with pytest.raises(UsageError, match="'row' cannot be kept"):
        run(source, out, keep=["row"])
    with pytest.raises(UnreadableFile, match="cannot be read as Parquet"):
        run(tmp_path / "nothing.parquet", out)
    (tmp_path / "other.parquet").write_text("text\nBitcoin soars\n")
    with pytest.raises(UnreadableFile, match="cannot be read as Parquet"):
        run(tmp_path / "other.parquet", out)
    numbers = tmp_path / "numbers.parquet"
    pq.write_table(pa.table({"text": [1, 2]}), numbers)
    with pytest.raises(UnreadableFile, match="holds int64, expected text"):
        run(numbers, out, keep=[])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "texts.parquet").write_bytes(source.read_bytes())
    with pytest.raises(UsageError, match="Two files are called texts"):
        score_files([source, tmp_path / "b" / "texts.parquet"], out, "lexicon")
    assert parts(out) == []


def test_a_part_is_never_scored_by_another_revision(source: Path, tmp_path: Path) -> None:
    (part, *_) = plan_parts([source], tmp_path, "bundled@other", "text", ())
    with pytest.raises(UsageError, match="not bundled@other: install the same"):
        many.score_part(load_scorer("lexicon"), part)


def test_texts_as_a_dictionary_are_read(source: Path, tmp_path: Path) -> None:
    table = pq.read_table(source)
    coded = tmp_path / "coded.parquet"
    pq.write_table(table.set_column(1, "text", table["text"].dictionary_encode()), coded)
    run(coded, tmp_path / "coded")
    run(source, tmp_path / "plain")
    assert scores(tmp_path / "coded").equals(scores(tmp_path / "plain"))


def test_the_command_line_scores_files(source: Path, tmp_path: Path) -> None:
    words = ["models", "score-files", str(source), "--out", str(tmp_path / "out"),
             "--scorer", "lexicon", "--keep", "id", "--json"]  # fmt: skip
    first, second = (CliRunner().invoke(app, words, catch_exceptions=False) for _ in range(2))
    told = [json.loads(result.stdout) for result in (first, second)]
    assert [t["parts_scored"] for t in told] == [4, 0]
    assert (told[0]["command"], told[0]["rows"]) == ("models score-files", 10)
    run(source, tmp_path / "library")
    assert scores(tmp_path / "out").equals(scores(tmp_path / "library"))
    wrong = CliRunner().invoke(app, [*words, "--executor", "dask"])
    assert isinstance(wrong.exception, UsageError)


def test_ray_without_its_extra_says_so(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else found(name)
    )
    with pytest.raises(UsageError, match="needs the 'ray' extra"):
        run(source, tmp_path / "out", executor="ray")


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")  # ray warns about itself
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra")
def test_ray_gives_the_scores_of_a_local_run_bit_for_bit(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else a token is kept in the home folder
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1",
        object_store_memory=80 * 2**20,
    )  # fmt: skip
    try:
        more: dict[str, Any] = {"scorer": "bundled", "threads": 1}
        done = run(source, tmp_path / "ray", executor="ray", **more)
        assert (done.rows_scored, done.parts_scored) == (10, 4)
        assert run(source, tmp_path / "ray", executor="ray", **more).parts_scored == 0
        run(source, tmp_path / "local", **more)
        for one, other in zip(parts(tmp_path / "ray"), parts(tmp_path / "local"), strict=True):
            assert one.name == other.name
            assert one.read_bytes() == other.read_bytes()
        # What goes wrong in a worker is told as it would be here.
        (tmp_path / "gone").mkdir()
        (part, *_) = plan_parts([source], tmp_path / "gone", "bundled@other", "text", ())
        from moodtape.nlp.on_ray import score_on_ray

        with pytest.raises(UsageError, match="not bundled@other"):
            list(score_on_ray([part], "lexicon", 1))
        with pytest.raises(UsageError, match="no scorer 'lexikon'"):
            list(score_on_ray([part], "lexikon", 1))
        with pytest.raises(UsageError, match=r"3 cores.* has 2\. Choose fewer with --threads"):
            list(score_on_ray([part], "lexicon", 3))
    finally:
        ray.shutdown()
