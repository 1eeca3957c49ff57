from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moodtape.errors import DataMissing, UsageError
from moodtape.nlp.calibration import cross_entropy, fit_temperature, softmax
from moodtape.nlp.labels import batches, read_examples
from moodtape.nlp.recipe import LABEL_MAKER_UNTIL, Recipe, model_facts

LABELS_FOLDER = Path(__file__).parents[2] / "labels"
HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "onnxscript", "safetensors"))


def test_soft_targets_share_a_disagreement(tmp_path: Path) -> None:
    own = pd.DataFrame(
        {
            "text": ["a", "b", "c"],
            "published_at": pd.to_datetime(["2025-05-01", "2025-06-01", "2025-07-01"], utc=True),
            "label": ["positive", "neutral", "neutral"],
            "first_label": ["positive", "neutral", "neutral"],
            "second_label": ["positive", "negative", "neutral"],
            "kind": ["event", "other", "recap"],
            "first_kind": ["event", "other", "recap"],
            "second_kind": ["event", "other", "recap"],
            "split": ["train", "train", "dev"],
        }
    )
    tweets = pd.DataFrame({"text": ["t"], "label": ["negative"], "split": ["train"]})
    own.to_parquet(tmp_path / "own_crypto.parquet")
    tweets.to_parquet(tmp_path / "twitter_financial.parquet")
    examples = read_examples(tmp_path, "train")
    assert examples.texts == ["a", "b", "t"]
    np.testing.assert_allclose(examples.sentiment, [[0, 0, 1], [1 / 3, 2 / 3, 0], [1, 0, 0]])
    np.testing.assert_allclose(examples.kind, [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    assert examples.own.tolist() == [True, True, False]
    assert examples.newest == pd.Timestamp("2025-06-01", tz="UTC")
    # own rows count twice: shares of the classes (2/3 + 1, 4/3, 2) / 5
    weights = examples.class_weights(power=1.0, own_repeat=2)
    shares = np.array([5 / 3, 4 / 3, 2]) / 5
    np.testing.assert_allclose(weights, (1 / shares) / 3)
    assert (weights * shares).sum() == pytest.approx(1)


def test_missing_labels_say_which() -> None:
    with pytest.raises(DataMissing, match="own_crypto"):
        read_examples(Path("nowhere"), "train")


def test_shipped_labels_are_what_their_card_says() -> None:
    train, dev = read_examples(LABELS_FOLDER, "train"), read_examples(LABELS_FOLDER, "dev")
    assert (int(train.own.sum()), int(dev.own.sum())) == (3500, 500)
    assert (int((~train.own).sum()), int((~dev.own).sum())) == (8105, 901)
    assert not set(train.texts) & set(dev.texts)
    own = pd.read_parquet(LABELS_FOLDER / "own_crypto.parquet")
    assert own["label"].value_counts().to_dict() == {
        "neutral": 2030,
        "positive": 1483,
        "negative": 487,
    }
    tweets = pd.read_parquet(LABELS_FOLDER / "twitter_financial.parquet")
    assert set(tweets["source"]) == {"twitter_financial"}
    assert set(tweets["licence"]) == {"MIT"}


def test_batches_hold_every_row_once_and_little_padding() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 60, 1000)
    parts = batches(lengths, rng.permutation(1000), 32, rng)
    assert sorted(np.concatenate(parts).tolist()) == list(range(1000))
    padded = sum(len(part) * lengths[part].max() for part in parts)
    assert padded < 1.1 * lengths.sum()


def test_rate_warms_up_and_falls_to_zero() -> None:
    recipe = Recipe(warmup_share=0.1)
    rates = [recipe.rate_at(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == 0.0


def test_temperature_is_found_again() -> None:
    rng = np.random.default_rng(1)
    calibrated = rng.normal(size=(20_000, 3)) * 2
    drawn = (softmax(calibrated).cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    target = np.eye(3)[drawn]
    assert fit_temperature(calibrated * 1.7, target) == pytest.approx(1.7, abs=0.06)
    assert fit_temperature(np.empty((0, 3)), np.empty((0, 3))) == 1.0
    assert cross_entropy(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])) == pytest.approx(
        np.log(2)
    )


def test_facts_date_the_model_by_its_youngest_knowledge() -> None:
    newest = pd.Timestamp("2025-10-08", tz="UTC").to_pydatetime()
    assert model_facts(Recipe(), newest)["trained_until"] == LABEL_MAKER_UNTIL.isoformat()
    later = pd.Timestamp("2027-01-01", tz="UTC").to_pydatetime()
    assert model_facts(Recipe(), later)["trained_until"] == later.isoformat()


@pytest.mark.skipif(HAS_TORCH, reason="the torch extra is installed")
def test_without_torch_one_line_says_what_to_install() -> None:
    from moodtape.nlp.finetune import main, require_torch

    with pytest.raises(UsageError, match=r'pip install "moodtape\[torch\]"'):
        require_torch()
    assert main(["--labels", "labels", "--out", "unused"]) == 2


@pytest.mark.torch
@pytest.mark.skipif(not HAS_TORCH, reason="needs the torch extra")
@pytest.mark.filterwarnings("ignore")  # torch and its exporter warn about themselves
def test_two_steps_export_and_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from moodtape.nlp.finetune import main
    from moodtape.nlp.onnx_scorer import OnnxScorer

    labels, out = tmp_path / "labels", tmp_path / "model"
    labels.mkdir()
    for name in ("own_crypto", "twitter_financial"):
        table = pd.read_parquet(LABELS_FOLDER / f"{name}.parquet")
        some = pd.concat([table[table["split"] == split].head(32) for split in ("train", "dev")])
        some.to_parquet(labels / f"{name}.parquet")
    runs = []
    for run in ("a", "b"):
        target = out / run
        assert main(["--labels", str(labels), "--out", str(target), "--steps", "2"]) == 0
        scorer = OnnxScorer(target)
        runs.append(scorer.score_and_classify(["Bitcoin soars", "Exchange hacked", ""]))
        facts = json.loads((target / "model.json").read_text("utf-8"))
        assert facts["recipe"]["steps"] == 2
        assert facts["bytes"] < 25_000_000
        assert b"site-packages" not in (target / "model.onnx").read_bytes()
    assert "loss=" in capsys.readouterr().err
    for first, second in zip(*runs, strict=True):
        np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-6)
        assert np.array_equal(first, second), "the same seed gave another model"
