"""Models of a hub or a folder: names, conversion, and that nothing of theirs is run."""

from __future__ import annotations

import importlib.util
import json
import pickle
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.errors import CouldNotAsk, DataMissing, UnreadableFile, UsageError
from moodtape.nlp.base import KindClassifier, Scorer
from moodtape.nlp.check import check_scorer
from moodtape.nlp.convert import label_order
from moodtape.nlp.hub import add_model, added_models, find_model, models_folder
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.nlp.torch_scorer import TorchToneScorer

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "onnxscript", "safetensors"))
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "bitcoin", "soars", "falls", "hacked", "the", "?"]
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="needs the torch extra")
quiet = pytest.mark.filterwarnings("ignore")  # torch and its exporter warn about themselves


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ({"0": "positive", "1": "negative", "2": "neutral"}, [1, 2, 0]),
        ({"0": "Bearish", "1": "Neutral", "2": "Bullish"}, [0, 1, 2]),
        ({0: "NEU", 1: "POS", 2: "NEG"}, [2, 0, 1]),
    ],
)
def test_classes_are_known_by_their_names(names: dict[str, str], order: list[int]) -> None:
    assert label_order(names, "a model") == order


@pytest.mark.parametrize(
    "names",
    [
        None,
        {},
        {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
        {"0": "negative", "1": "positive"},
        {"0": "negative", "1": "bearish", "2": "positive"},
        {"0": "negative", "1": "neutral", "2": "positive", "3": "mixed"},
    ],
)
def test_classes_that_cannot_be_mapped_are_refused(names: dict[str, str] | None) -> None:
    with pytest.raises(UsageError, match=r"a model names its classes .* It cannot be mapped"):
        label_order(names, "a model")


def test_a_name_says_its_revision_and_offline_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="does not say which revision"):
        find_model("hf:ProsusAI/finbert")
    with pytest.raises(UsageError, match="does not say which revision"):
        load_scorer("hf:ProsusAI/finbert@main")
    with pytest.raises(
        DataMissing, match=f"run: moodtape models add hf:ProsusAI/finbert@{COMMIT}"
    ) as caught:
        load_scorer(f"hf:ProsusAI/finbert@{COMMIT}")
    assert caught.value.exit_code == 3
    assert added_models() == []


def test_a_name_cannot_lead_out_of_the_folder_of_models() -> None:
    for name in ("hf:../../etc@" + COMMIT, "local:../x@0123456789ab", "local:/etc@0123456789ab"):
        with pytest.raises(UsageError):
            find_model(name)
    with pytest.raises(DataMissing):  # dots are part of names; slashes become dashes
        find_model(f"hf:../..@{COMMIT}")
    assert not list(models_folder().parent.glob("*"))


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="is no folder"):
        add_model(str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="write hf:OWNER/NAME@REVISION"):
        add_model("hf:finbert")


def test_without_a_network_the_hub_is_named() -> None:
    with pytest.raises(CouldNotAsk, match=r"a/b@main cannot be fetched from http://127\.0\.0\.1"):
        add_model("hf:a/b@main", hub="http://127.0.0.1:9")


def small_model(folder: Path, weights: str = "safetensors", **config: Any) -> Any:
    """Write a tiny BERT with its classes in FinBERT's order; return the torch model."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(3)
    told = {0: "positive", 1: "negative", 2: "neutral"}
    settings = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, id2label=told,
        label2id={v: k for k, v in told.items()},
    )  # fmt: skip
    model = BertForSequenceClassification(settings).eval()
    with torch.no_grad():
        model.classifier.weight *= 40  # else every answer is a third
    folder.mkdir(parents=True)
    plain = json.loads(settings.to_json_string(use_diff=False)) | config
    plain["architectures"] = ["BertForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(plain))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    if weights == "safetensors":
        save_file(state, folder / "model.safetensors")
    else:
        torch.save(state, folder / "pytorch_model.bin")
    return model


def exact(model: Any, ids: list[int]) -> Any:
    """Return negative, neutral, positive by torch itself."""
    import torch

    with torch.no_grad():
        row = torch.softmax(model(torch.tensor([ids])).logits.double(), 1).numpy()[0]
    return row[[1, 2, 0]]


@needs_torch
@pytest.mark.torch
@quiet
@pytest.mark.parametrize("weights", ["safetensors", "pickle"])
def test_a_folder_becomes_a_scorer(tmp_path: Path, weights: str) -> None:
    model = small_model(tmp_path / "mine", weights)
    until = datetime(2024, 1, 1, tzinfo=UTC)
    name = add_model(str(tmp_path / "mine"), until)
    scorer = load_scorer(name)
    assert isinstance(scorer, Scorer)
    assert not isinstance(scorer, KindClassifier)
    assert scorer.trained_until == until
    assert scorer_id(scorer).startswith(f"{name}@")
    scores = scorer.score(["bitcoin soars", "the bitcoin hacked ?"])
    np.testing.assert_allclose(scores[0], exact(model, [2, 4, 5, 3]), atol=0.02)
    np.testing.assert_allclose(scores[1], exact(model, [2, 8, 4, 7, 9, 3]), atol=0.02)
    assert np.ptp(scores) > 0.2, "the answers say nothing about the order of the classes"
    on_torch = TorchToneScorer(find_model(name).folder, device="cpu")
    np.testing.assert_allclose(on_torch.score(["bitcoin soars"]), scores[:1], atol=1e-4)
    on_gpu = load_scorer(name, device="gpu")
    assert not isinstance(on_gpu, KindClassifier)
    assert scorer_id(on_gpu).endswith("-torch-gpu-bf16")
    check_scorer(lambda: load_scorer(name))
    assert add_model(str(tmp_path / "mine")) == name, "added twice, it is the same"
    assert [facts.name for facts in added_models()] == [name]


@needs_torch
@pytest.mark.torch
@quiet
def test_a_pickle_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    small_model(tmp_path / "mine", "pickle")
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (trap,))

    (tmp_path / "mine" / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Trap()}))
    with pytest.raises(UnreadableFile, match="holds more than tensors"):
        add_model(str(tmp_path / "mine"))
    assert not trap.exists()
    assert added_models() == []


@needs_torch
@pytest.mark.torch
@quiet
def test_what_does_not_fit_together_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    small_model(tmp_path / "cut")
    content = (tmp_path / "cut" / "model.safetensors").read_bytes()
    (tmp_path / "cut" / "model.safetensors").write_bytes(content[:1000])
    with pytest.raises(UnreadableFile, match="cannot be read"):
        add_model(str(tmp_path / "cut"))
    small_model(tmp_path / "nameless", id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"})
    with pytest.raises(UsageError, match="cannot be mapped"):
        add_model(str(tmp_path / "nameless"))
    small_model(tmp_path / "other", num_hidden_layers=3)
    with pytest.raises(UnreadableFile, match="the weights lack"):
        add_model(str(tmp_path / "other"))
    small_model(tmp_path / "empty")
    (tmp_path / "empty" / "model.safetensors").unlink()
    with pytest.raises(UnreadableFile, match="holds no weights"):
        add_model(str(tmp_path / "empty"))
    assert not list(models_folder().glob("*")), "something half-made was left"


class Hub(BaseHTTPRequestHandler):
    """Answers as a hub does for one repository, of which it counts the files it gave."""

    folder: Path
    given: list[str]
    cut: str

    def do_GET(self) -> None:
        """Answer as a hub does."""
        path = self.path.partition("?")[0]
        files = sorted(p.name for p in self.folder.iterdir())
        if path in ("/api/models/a/b/revision/main", f"/api/models/a/b/revision/{COMMIT}"):
            told = {"id": "a/b", "sha": COMMIT, "siblings": [{"rfilename": f} for f in files]}
            return self._send(json.dumps(told).encode())
        prefix = f"/a/b/resolve/{COMMIT}/"
        if path.startswith(prefix) and path.removeprefix(prefix) in files:
            name = path.removeprefix(prefix)
            self.given.append(name)
            return self._send((self.folder / name).read_bytes())
        self.send_error(404)
        return None

    def _send(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        cut = bool(self.cut) and self.path.endswith(self.cut)
        self.wfile.write(content[: len(content) // 2] if cut else content)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    Hub.folder, Hub.given, Hub.cut = tmp_path / "served", [], ""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@needs_torch
@pytest.mark.torch
@quiet
def test_a_model_of_a_hub_is_fetched_once_and_pinned(tmp_path: Path, hub: str) -> None:
    small_model(tmp_path / "served")
    (tmp_path / "served" / "README.md").write_text("not wanted")
    name = add_model("hf:a/b@main", hub=hub)
    assert name == f"hf:a/b@{COMMIT}"
    assert sorted(Hub.given) == [
        "config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt",
    ]  # fmt: skip
    assert find_model(name).score(["bitcoin falls"]).shape == (1, 3)
    assert find_model(name).trained_until is None
    Hub.given.clear()
    assert add_model("hf:a/b@main", hub=hub) == name
    assert not Hub.given, "fetched again"


@needs_torch
@pytest.mark.torch
@quiet
def test_classes_are_looked_at_before_the_weights_are_fetched(tmp_path: Path, hub: str) -> None:
    small_model(tmp_path / "served", id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"})
    with pytest.raises(UsageError, match="cannot be mapped"):
        add_model("hf:a/b@main", hub=hub)
    assert Hub.given == ["config.json"]
    with pytest.raises(CouldNotAsk, match="a/c@main cannot be fetched"):
        add_model("hf:a/c@main", hub=hub)


@needs_torch
@pytest.mark.torch
@quiet
def test_a_download_cut_short_is_no_model(tmp_path: Path, hub: str) -> None:
    small_model(tmp_path / "served")
    Hub.cut = "model.safetensors"
    with pytest.raises(CouldNotAsk, match=r"model\.safetensors cannot be fetched"):
        add_model("hf:a/b@main", hub=hub)
    assert not list(models_folder().glob("*"))
