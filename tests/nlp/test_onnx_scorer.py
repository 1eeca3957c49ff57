from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from moodtape.errors import DataMissing, UnreadableFile
from moodtape.nlp.base import KINDS, LABELS, KindClassifier, Scorer
from moodtape.nlp.onnx_scorer import (
    BATCH_ROWS,
    BUCKETS,
    CHUNK_TEXTS,
    OnnxScorer,
    bundled_folder,
    read_facts,
)

GOLDEN = Path(__file__).parent / "test_onnx_scorer" / "golden.json"


@pytest.fixture(scope="module")
def scorer() -> OnnxScorer:
    return OnnxScorer(threads=2)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """160 texts of 2 to 128 tokens: headlines, posts, pictures, links, empty and endless ones."""
    rng = random.Random(7)
    subjects = ["Bitcoin", "Ether", "$SOL", "The SEC", "A whale", "Binance", "XRP 🚀", "My bag"]
    verbs = ["soars to", "crashes below", "stalls at", "approves", "sues over", "lists", "burns"]
    objects = ["$104,500", "a new all-time high", "the ETF", "its lows 📉", "https://t.co/x1", "?"]
    made = ["", " ", "x", "😀" * 300, "word " * 400, "\x00\x01", "数字货币", "a | b | c"]
    while len(made) < 160:
        clauses = rng.randint(1, 12) if rng.random() < 0.3 else 1
        made.append(
            " and ".join(
                f"{rng.choice(subjects)} {rng.choice(verbs)} {rng.choice(objects)}"
                for _ in range(clauses)
            )
            + f" {rng.randint(0, 999)}"
        )
    return made


def test_keeps_both_contracts(scorer: OnnxScorer) -> None:
    assert isinstance(scorer, Scorer)
    assert isinstance(scorer, KindClassifier)
    sentiment, kinds = scorer.score_and_classify(["Bitcoin soars", "", "Exchange hacked"])
    assert sentiment.shape == (3, len(LABELS))
    assert kinds.shape == (3, len(KINDS))
    assert sentiment.dtype == kinds.dtype == np.float32
    np.testing.assert_allclose(sentiment.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(kinds.sum(axis=1), 1, atol=1e-6)
    assert scorer.score([]).shape == (0, 3)
    assert scorer.classify_kinds([]).shape == (0, 5)


def test_score_is_a_function_of_its_text_alone(scorer: OnnxScorer, texts: list[str]) -> None:
    sentiment, kinds = scorer.score_and_classify(texts)
    assert np.isfinite(sentiment).all()
    rng = np.random.default_rng(3)
    for order in (rng.permutation(len(texts)), np.argsort([len(text) for text in texts])[::-1]):
        again, kinds_again = scorer.score_and_classify([texts[i] for i in order])
        assert np.array_equal(again, sentiment[order])
        assert np.array_equal(kinds_again, kinds[order])
    for company in (1, 3, 7):
        for start in range(0, 42, company):
            part = scorer.score(texts[start : start + company])
            assert np.array_equal(part, sentiment[start : start + company])


@pytest.mark.parametrize("threads", [1, 3, 4])
def test_score_does_not_depend_on_threads(
    scorer: OnnxScorer, texts: list[str], threads: int
) -> None:
    some, other = texts[:60], OnnxScorer(threads=threads)
    expected, kinds = scorer.score_and_classify(some)
    for order in (np.arange(60), np.random.default_rng(threads).permutation(60)):
        again, kinds_again = other.score_and_classify([some[i] for i in order])
        assert np.array_equal(again, expected[order])
        assert np.array_equal(kinds_again, kinds[order])


def test_a_caller_may_stop_listening(scorer: OnnxScorer, texts: list[str]) -> None:
    before = set(threading.enumerate())
    stream = scorer.score_iter(texts)
    next(stream)
    stream.close()
    assert set(threading.enumerate()) == before, "batches nobody waits for are still computed"


def test_an_error_in_a_batch_reaches_the_caller(
    texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = OnnxScorer(threads=2)
    scorer.score(texts[:1])

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(scorer, "_run", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        scorer.score(texts)


def test_a_long_text_is_cut_at_the_last_bucket(scorer: OnnxScorer) -> None:
    assert scorer.facts.max_tokens <= BUCKETS[-1]
    long = "bitcoin " * 500
    assert np.array_equal(scorer.score([long]), scorer.score([long + "crashes to zero"]))


def test_streaming_covers_every_text_once(scorer: OnnxScorer, texts: list[str]) -> None:
    parts = list(scorer.score_iter(texts))
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows.tolist()) == list(range(len(texts)))
    assert max(len(part.rows) for part in parts) <= BATCH_ROWS
    assert CHUNK_TEXTS % BATCH_ROWS == 0


def test_links_and_pictures_are_read_as_meant(scorer: OnnxScorer) -> None:
    plain, linked = scorer.score(["Bitcoin soars", "Bitcoin soars https://t.co/abc123"])
    assert np.array_equal(plain, linked)
    rocket, word = scorer.score(["Bitcoin 🚀", "Bitcoin rocket"])
    assert np.array_equal(rocket, word)


def test_golden_scores(scorer: OnnxScorer) -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert golden["revision"] == scorer.revision, "run tests/nlp/test_onnx_scorer/make_golden.py"
    sentiment, kinds = scorer.score_and_classify([row["text"] for row in golden["rows"]])
    expected = np.array([row["sentiment"] for row in golden["rows"]])
    np.testing.assert_allclose(sentiment, expected, atol=1e-4)
    expected = np.array([row["kinds"] for row in golden["rows"]])
    np.testing.assert_allclose(kinds, expected, atol=1e-4)
    assert [LABELS[i] for i in sentiment.argmax(axis=1)] == [row["label"] for row in golden["rows"]]
    assert [KINDS[i] for i in kinds.argmax(axis=1)] == [row["kind"] for row in golden["rows"]]


def test_revision_names_file_runtime_and_precision(scorer: OnnxScorer) -> None:
    digest = hashlib.sha256((bundled_folder() / "model.onnx").read_bytes()).hexdigest()
    assert scorer.revision == f"{digest[:12]}-onnxruntime-w8f32"
    assert scorer.name == "bundled"
    until = scorer.trained_until
    assert until is not None
    assert until.tzinfo is not None
    facts = json.loads((bundled_folder() / "model.json").read_text("utf-8"))
    parts = [facts["newest_text"], facts["label_maker_until"]]
    assert until == max(datetime.fromisoformat(part) for part in parts)


def test_weights_in_the_file_are_8_bit_and_small() -> None:
    import onnx
    from onnx import numpy_helper

    path = bundled_folder() / "model.onnx"
    assert path.stat().st_size <= 25_000_000
    graph = onnx.load(path).graph
    large = [t for t in graph.initializer if numpy_helper.to_array(t).size >= 10_000]
    scales = [t for t in graph.initializer if t.name.endswith(".scale")]
    whole = [t for t in large if t.data_type == onnx.TensorProto.INT8]
    assert len(whole) == len(scales) == 38  # six layers of six matrices, two embedding tables
    assert {t.name for t in large} - {t.name for t in whole} <= {t.name for t in scales}
    # Nothing may round activations: no quantised kernel is in the graph.
    names = {node.op_type for node in graph.node}
    assert not {name for name in names if "Quant" in name or "Integer" in name}


def test_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"model\.json is missing") as caught:
        OnnxScorer(tmp_path)
    assert caught.value.exit_code == 3
    facts = bundled_folder() / "model.json"
    (tmp_path / "model.json").write_bytes(facts.read_bytes())
    with pytest.raises(DataMissing, match=r"model\.onnx is missing"):
        OnnxScorer(tmp_path).score(["Bitcoin"])


def test_damaged_model_is_refused(tmp_path: Path) -> None:
    for name in ("model.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((bundled_folder() / name).read_bytes())
    whole = (bundled_folder() / "model.onnx").read_bytes()
    for damaged in (whole[:-1], b"", whole[:1000] + b"\x00" + whole[1001:]):
        (tmp_path / "model.onnx").write_bytes(damaged)
        with pytest.raises(UnreadableFile, match="is damaged: sha256") as caught:
            OnnxScorer(tmp_path).score(["Bitcoin"])
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["bearish", "neutral", "bullish"]}, "expected labels"),
        ({"max_tokens": 512}, "max_tokens is 512"),
        ({"trained_until": "soon"}, "cannot be read"),
    ],
)
def test_odd_facts_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    facts = json.loads((bundled_folder() / "model.json").read_text("utf-8"))
    (tmp_path / "model.json").write_text(json.dumps(facts | change))
    with pytest.raises(UnreadableFile, match=message):
        read_facts(tmp_path)


def test_importing_the_scorers_loads_nothing_heavy() -> None:
    code = (
        "import sys, moodtape.nlp.onnx_scorer, moodtape.nlp.lexicon, moodtape.nlp.evaluate;"
        "heavy = {'numpy', 'onnxruntime', 'tokenizers', 'torch', 'pandas', 'scipy'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
