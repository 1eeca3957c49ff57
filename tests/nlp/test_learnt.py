"""Which texts the bundled scorer learned from: the shipped file is that of the label tables."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from moodtape.ingest.text import clean, scored_text
from moodtape.nlp.learnt import TABLES, are_learnt, keys_of_tables, learnt_keys, main, text_key

LABELS = Path(__file__).parents[2] / "labels"
FILE = files("moodtape.nlp").joinpath("data", "learnt.bin")


def test_the_shipped_file_is_that_of_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--labels", str(LABELS), "--out", str(tmp_path / "made.bin")])
    assert (tmp_path / "made.bin").read_bytes() == FILE.read_bytes()
    assert "26,9" in capsys.readouterr().out
    assert len(FILE.read_bytes()) < 300_000
    assert {p.stem for p in LABELS.glob("*.parquet")} == set(TABLES), "no table is forgotten"


@pytest.mark.parametrize("table", TABLES)
def test_every_line_of_a_table_is_found_again(table: str) -> None:
    keys = learnt_keys("bundled@any-revision")
    assert keys is not None
    texts = pq.read_table(LABELS / f"{table}.parquet")["text"].to_pylist()
    assert are_learnt(texts, keys).all()
    assert not are_learnt([text + "?" for text in ("Never seen line", "Another")], keys).any()


def test_the_shipped_sample_is_all_of_it_learnt_as_it_is_stored() -> None:
    """As docs/scorer.md says; entities of its lines are characters by the time they are scored."""
    keys = learnt_keys("bundled@1")
    assert keys is not None
    sample = files("moodtape").joinpath("sample", "headlines_2025-05.parquet")
    with sample.open("rb") as file:
        titles = pq.read_table(file, columns=["title"])["title"].to_pylist()
    assert len(titles) > 3000
    assert are_learnt([clean(title, 300) for title in titles], keys).all()


def test_a_post_is_known_by_its_title_and_body(tmp_path: Path) -> None:
    title, body = "Sold it all at the top", "and here is why I think so. " * 40
    labelled = f"{title} | {body}"[:300]
    assert text_key(scored_text("reddit", title, body)) == text_key(labelled)
    assert text_key("VanEck&#39;s &apos;Onchain&apos; ETF") == text_key("VanEck's 'Onchain' ETF")
    assert text_key("Bitcoin  FALLS, again") == text_key("bitcoin falls again")
    assert text_key("bitcoin falls") != text_key("bitcoin rises")
    assert text_key("\N{ROCKET}") != text_key("\N{FIRE}"), "no letter at all"


def test_who_learned_from_what() -> None:
    nobody = learnt_keys("lexicon@1")
    assert nobody is not None
    assert not len(nobody)
    assert learnt_keys("hf:ProsusAI/finbert@0123") is None, "not known here"
    bundled = learnt_keys("bundled@x-torch-gpu-bf16")
    assert bundled is not None
    assert (np.diff(bundled.astype(object)) > 0).all()
    assert keys_of_tables(LABELS).dtype == np.uint64


def test_an_entity_of_thousands_of_digits_has_a_key() -> None:
    assert text_key(f"BTC &#{'9' * 5000};") == text_key("BTC")
