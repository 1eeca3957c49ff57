from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moodtape.errors import DataMissing, UsageError
from moodtape.nlp.base import KINDS, LABELS
from moodtape.nlp.calibration import cross_entropy, fit_temperature, softmax
from moodtape.nlp.labels import FILES, PARTS, batches, read_examples
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
    tweets["source"] = "twitter_financial"
    own["source"] = ["news", "reddit", "news"]
    own.to_parquet(tmp_path / "own_crypto.parquet")
    tweets.to_parquet(tmp_path / "twitter_financial.parquet")
    parts = ("own", "tweets")
    examples = read_examples(tmp_path, "train", parts)
    assert examples.texts == ["a", "b", "t"]
    np.testing.assert_allclose(examples.sentiment, [[0, 0, 1], [1 / 3, 2 / 3, 0], [1, 0, 0]])
    np.testing.assert_allclose(examples.kind, [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    assert examples.own.tolist() == [True, True, False]
    assert examples.newest == pd.Timestamp("2025-06-01", tz="UTC")
    # own rows count twice: shares of the classes (2/3 + 1, 4/3, 2) / 5
    weights = examples.class_weights(power=1.0, own_repeat=2)
    shares = np.array([5 / 3, 4 / 3, 2]) / 5
    np.testing.assert_allclose(weights, np.tile((1 / shares) / 3, (3, 1)))
    assert (weights[0] * shares).sum() == pytest.approx(1)
    assert read_examples(tmp_path, "train", parts, without=("reddit",)).texts == ["a", "t"]

    taught = own.head(2).assign(text=["u", "v"], published_at=own["published_at"].max())
    for name, share in zip(
        (*LABELS, *KINDS), (0.2, 0.3, 0.5, 0.1, 0.2, 0.3, 0.2, 0.2), strict=True
    ):
        taught[name] = share
    taught.to_parquet(tmp_path / "taught.parquet")
    more = read_examples(tmp_path, "train", (*parts, "taught"))
    assert more.texts == ["a", "b", "t", "u", "v"]
    assert more.part.tolist() == ["own", "own", "tweets", "taught", "taught"]
    np.testing.assert_allclose(more.sentiment[3], [0.2, 0.3, 0.5])
    np.testing.assert_allclose(more.kind[4], [0.1, 0.2, 0.3, 0.2, 0.2])
    assert more.newest == pd.Timestamp("2025-07-01", tz="UTC"), "the model knows of taught texts"
    told = more.class_weights(power=1.0, own_repeat=2)
    np.testing.assert_allclose(told[:3], weights)
    np.testing.assert_allclose(told[3:], 1)
    assert read_examples(tmp_path, "dev", (*parts, "taught")).texts == ["c"], (
        "nothing is taught for measuring"
    )


def test_missing_labels_say_which() -> None:
    with pytest.raises(DataMissing, match="own_crypto"):
        read_examples(Path("nowhere"), "train")


def test_shipped_labels_are_what_their_card_says() -> None:
    train, dev = read_examples(LABELS_FOLDER, "train"), read_examples(LABELS_FOLDER, "dev")
    counted = [{part: int((split.part == part).sum()) for part in PARTS} for split in (train, dev)]
    assert counted == [
        {"own": 3500, "hard": 1102, "tweets": 8105, "taught": 12949},
        {"own": 500, "hard": 158, "tweets": 901, "taught": 0},
    ]
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


def test_taught_texts_are_older_than_what_the_model_is_measured_on() -> None:
    taught = pd.read_parquet(LABELS_FOLDER / "taught.parquet")
    own = pd.concat([pd.read_parquet(LABELS_FOLDER / FILES[part]) for part in ("own", "hard")])
    measured = own[own["split"] == "dev"].groupby("dataset")["published_at"].min()
    assert (taught["published_at"] < taught["dataset"].map(measured)).all()
    tweets = pd.read_parquet(LABELS_FOLDER / FILES["tweets"])
    assert not set(taught["text"]) & {*own["text"], *tweets["text"]}
    assert not taught["text"].duplicated().any()
    assert set(taught["licence"]) == {"MIT", "CC-BY-4.0 (SocialGrep)"}
    for names in (LABELS, KINDS):
        np.testing.assert_allclose(taught[list(names)].sum(axis=1), 1, atol=3e-4)


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

    labels, out = few_labels(tmp_path), tmp_path / "model"
    runs = []
    for run in ("a", "b"):
        target = out / run
        given = ["--labels", str(labels), "--out", str(target), "--steps", "2"]
        assert main([*given, "--precision", "bf16"]) == 0
        scorer = OnnxScorer(target)
        runs.append(scorer.score_and_classify(["Bitcoin soars", "Exchange hacked", ""]))
        facts = json.loads((target / "model.json").read_text("utf-8"))
        assert (facts["recipe"]["steps"], facts["recipe"]["precision"]) == (2, "bf16")
        assert facts["bytes"] < 25_000_000
        assert facts["equal_labels_to_fp32"]["texts"] == 96
        assert facts["equal_labels_to_fp32"]["share"] > 0.9
        assert b"site-packages" not in (target / "model.onnx").read_bytes()
    assert "loss=" in capsys.readouterr().err
    for first, second in zip(*runs, strict=True):
        np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-6)
        assert np.array_equal(first, second), "the same seed gave another model"


def few_labels(folder: Path) -> Path:
    """Return a folder of label tables with 32 rows of each split, and 16 taught texts."""
    labels = folder / "labels"
    labels.mkdir()
    for name in ("own_crypto", "own_crypto_hard", "twitter_financial"):
        table = pd.read_parquet(LABELS_FOLDER / f"{name}.parquet")
        some = pd.concat([table[table["split"] == split].head(32) for split in ("train", "dev")])
        some.to_parquet(labels / f"{name}.parquet")
    pd.read_parquet(LABELS_FOLDER / "taught.parquet").head(16).to_parquet(labels / "taught.parquet")
    return labels


@pytest.mark.torch
@pytest.mark.skipif(not HAS_TORCH, reason="needs the torch extra")
@pytest.mark.filterwarnings("ignore")
def test_a_teacher_answers_for_every_text(tmp_path: Path) -> None:
    """The base encoder stands in for the larger one: only its size differs."""
    from moodtape.nlp.base_weights import base_folder
    from moodtape.nlp.teacher import main

    labels, out = few_labels(tmp_path), tmp_path / "out" / "taught.parquet"
    given = ["--labels", str(labels), "--texts", str(labels / "taught.parquet")]
    more = ["--encoder", str(base_folder()), "--out", str(out), "--seeds", "1", "2", "--steps", "1"]
    assert main([*given, *more]) == 0
    before, after = pd.read_parquet(labels / "taught.parquet"), pd.read_parquet(out)
    assert list(after.columns) == list(before.columns)
    assert after["text"].tolist() == before["text"].tolist()
    np.testing.assert_allclose(after[list(LABELS)].sum(axis=1), 1, atol=3e-4)
    assert not np.allclose(after[list(LABELS)], before[list(LABELS)]), "it copied what was there"
