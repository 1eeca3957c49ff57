"""The scorer on torch: the same answers as ONNX Runtime's, and plain words where it cannot run."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moodtape.errors import DataMissing, UsageError
from moodtape.nlp import torch_scorer
from moodtape.nlp.base import KindClassifier, Scorer
from moodtape.nlp.check import PLAIN, check_scorer
from moodtape.nlp.onnx_scorer import BUCKETS, OnnxScorer
from moodtape.nlp.registry import load_scorer, runs_on_gpu, scorer_id
from moodtape.nlp.torch_scorer import TorchScorer, require_gpu

LABELS_FOLDER = Path(__file__).parents[2] / "labels"
GOLDEN = Path(__file__).parent / "test_onnx_scorer" / "golden.json"
HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="needs the torch extra")

FP32, BF16 = 1e-4, 0.03
"""How far a probability may be from ONNX Runtime's, as docs/scorer.md says."""


def has_gpu() -> bool:
    if not HAS_TORCH:
        return False
    import torch

    return bool(torch.cuda.is_available())


needs_gpu = pytest.mark.skipif(not has_gpu(), reason="needs a GPU and torch")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Return golden texts, and labelled ones that the model did not learn from."""
    own = pd.read_parquet(LABELS_FOLDER / "own_crypto.parquet")
    tweets = pd.read_parquet(LABELS_FOLDER / "twitter_financial.parquet")
    golden = [row["text"] for row in json.loads(GOLDEN.read_text("utf-8"))["rows"]]
    held_out = [rows[rows["split"] == "dev"]["text"][::9] for rows in (own, tweets)]
    return [*golden, *held_out[0], *held_out[1]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch compute on one core: its threads spin while they wait for one another."""
    if not HAS_TORCH:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def compare(scorer: TorchScorer, texts: list[str], tolerance: float, labels: float) -> None:
    """Require that probabilities are near ONNX Runtime's, and that so many labels are equal."""
    answers = zip(
        OnnxScorer().score_and_classify(texts), scorer.score_and_classify(texts), strict=True
    )
    for expected, found in answers:
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=tolerance)
        assert np.mean(found.argmax(axis=1) == expected.argmax(axis=1)) >= labels


@needs_torch
@pytest.mark.torch
def test_fp32_gives_the_answers_of_onnx_runtime(texts: list[str]) -> None:
    compare(TorchScorer(device="cpu"), texts, FP32, 0.995)


@needs_torch
@pytest.mark.torch
def test_bf16_gives_nearly_the_answers_of_onnx_runtime(texts: list[str]) -> None:
    compare(TorchScorer(device="cpu", bf16=True), texts[::4], BF16, 0.99)


@needs_torch
@pytest.mark.torch
def test_a_score_is_a_function_of_its_text_alone() -> None:
    check_scorer(lambda: TorchScorer(device="cpu"), PLAIN[:3])


@needs_gpu
@pytest.mark.gpu
@pytest.mark.torch
def test_a_gpu_keeps_what_every_scorer_promises(texts: list[str]) -> None:
    check_scorer(lambda: load_scorer("bundled", device="gpu"), texts)
    scorer = load_scorer("bundled", device="gpu")
    assert isinstance(scorer, TorchScorer)
    compare(scorer, texts, BF16, 0.99)


def test_what_it_is_called_needs_neither_torch_nor_a_gpu() -> None:
    scorer, cpu = load_scorer("bundled", device="gpu"), load_scorer("bundled")
    assert isinstance(scorer, Scorer)
    assert isinstance(scorer, KindClassifier)
    digest = cpu.revision.partition("-")[0]
    assert scorer_id(scorer) == f"bundled@{digest}-torch-gpu-bf16"
    assert TorchScorer(device="cpu").revision == f"{digest}-torch-cpu-f32"
    assert scorer.trained_until == cpu.trained_until


def test_batches_have_one_shape_a_bucket_and_some_rows_in_each() -> None:
    for device in ("cpu", "gpu"):
        scorer = TorchScorer(device=device)
        assert all(scorer.batch_rows(tokens) >= 1 for tokens in BUCKETS)
    assert scorer.batch_rows(BUCKETS[-1]) * BUCKETS[-1] == torch_scorer.BATCH_TOKENS["gpu"]


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_scorer.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "moodtape\[torch\]"') as caught:
        load_scorer("bundled", device="gpu").score(["Bitcoin soars"])
    assert caught.value.exit_code == 2


@needs_torch
@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_without_a_gpu_it_offers_the_cpu() -> None:
    with pytest.raises(DataMissing, match=r"No GPU is visible to torch .* --device cpu") as caught:
        load_scorer("bundled", device="gpu").score(["Bitcoin soars"])
    assert caught.value.exit_code == 3
    with pytest.raises(DataMissing):
        require_gpu()


def test_a_scorer_without_a_gpu_is_refused_by_name() -> None:
    assert not runs_on_gpu("lexicon")
    with pytest.raises(UsageError, match="'lexicon' runs on the CPU alone"):
        load_scorer("lexicon", device="gpu")
    with pytest.raises(UsageError, match="Did you mean lexicon"):
        load_scorer("lexikon", device="gpu")
    missing = "hf:ProsusAI/finbert@" + "a" * 40
    with pytest.raises(DataMissing, match=f"run: moodtape models add {missing}"):
        load_scorer(missing, device="gpu")
