"""Transformer scorer on ONNX Runtime: the bundled two-head model, or any folder like it.

1. `model.json` says what the folder holds; the model file's hash must match it.
2. Each text becomes token ids and goes to the length bucket of its own token count.
3. Every bucket runs batches of one fixed shape, filled up with dummy rows: matrix kernels
   may round differently for another shape, so the shape must not depend on the company.
4. The 8-bit weights of the file become fp32 when the session is made; all arithmetic is fp32.
5. Logits go through a softmax; the temperatures are folded into the heads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.errors import DataMissing, UnreadableFile
from moodtape.nlp.base import KINDS, LABELS
from moodtape.nlp.calibration import softmax
from moodtape.nlp.tokens import encode, load_tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moodtape.nlp.base import Probabilities

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
FACTS_FILE = "model.json"

BUCKETS = (12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)
"""Token counts that texts are padded to; a text's own count alone decides which."""

BATCH_ROWS = 4
"""Rows of every batch, whatever the company: larger ones were measured no cheaper by text."""

CHUNK_TEXTS = 2_048
"""Texts sorted by length together; more would cost memory, fewer would pad more."""


@dataclass(frozen=True)
class ModelFacts:
    """What `model.json` says of the model beside it."""

    name: str
    sha256: str
    tokenizer_sha256: str
    precision: str
    labels: tuple[str, ...]
    kinds: tuple[str, ...]
    max_tokens: int
    trained_until: datetime | None


@dataclass(frozen=True)
class Scored:
    """A run of texts that were scored together: places in the input, and answers.

    Attributes:
        rows: (m,) places of the texts in the sequence that was given.
        sentiment: (m, 3).
        kinds: (m, 5).
    """

    rows: NDArray[np.int64]
    sentiment: Probabilities
    kinds: Probabilities


def bundled_folder() -> Path:
    """Return the folder of the model that comes with the package."""
    return Path(str(resources.files("moodtape.nlp").joinpath("data", "model")))


def read_facts(folder: Path) -> ModelFacts:
    """Return what `model.json` says; a missing or odd one raises a clear error."""
    try:
        text = (folder / FACTS_FILE).read_text("utf-8")
    except FileNotFoundError:
        raise DataMissing(
            f"No scorer model in {folder}: {FACTS_FILE} is missing. Reinstall moodtape, "
            "or make it: python -m moodtape.nlp.finetune"
        ) from None
    try:
        raw = json.loads(text)
        until = raw["trained_until"]
        facts = ModelFacts(
            name=str(raw["name"]),
            sha256=str(raw["sha256"]),
            tokenizer_sha256=str(raw["tokenizer_sha256"]),
            precision=str(raw["precision"]),
            labels=tuple(raw["labels"]),
            kinds=tuple(raw["kinds"]),
            max_tokens=int(raw["max_tokens"]),
            trained_until=None if until is None else datetime.fromisoformat(until),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnreadableFile(f"{folder / FACTS_FILE} cannot be read: {exc!r}.") from exc
    if facts.max_tokens > BUCKETS[-1]:
        raise UnreadableFile(
            f"{folder / FACTS_FILE}: max_tokens is {facts.max_tokens}, at most {BUCKETS[-1]} work."
        )
    if facts.labels != LABELS or facts.kinds != KINDS:
        raise UnreadableFile(
            f"{folder / FACTS_FILE}: expected labels {LABELS} and kinds {KINDS}, "
            f"received {facts.labels} and {facts.kinds}."
        )
    return facts


def read_checked(path: Path, sha256: str) -> bytes:
    """Return the bytes of a model's file after comparing their hash."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataMissing(f"{path} is missing. Reinstall moodtape.") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise UnreadableFile(
            f"{path} is damaged: sha256 {digest[:12]}, expected {sha256[:12]}. Reinstall moodtape."
        )
    return content


def make_session(model: bytes, threads: int) -> Any:
    """Return an ONNX session on the CPU that sleeps, not spins, while it waits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning pool burns the cores that a collector or a training run shares with us.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OnnxScorer:
    """Scores and classifies texts with one ONNX session; loaded on first use.

    Args:
        folder: holds model.onnx, tokenizer.json and model.json; the bundled one by default.
        threads: cores the session may use; the scores do not depend on it.
    """

    def __init__(self, folder: Path | None = None, threads: int = 2) -> None:
        self.folder = bundled_folder() if folder is None else Path(folder)
        self.threads = threads
        self.facts = read_facts(self.folder)
        self._session: Any = None
        self._tokenizer: Any = None
        self._filler: list[int] = []

    @property
    def name(self) -> str:
        """Name of the model, as its folder says."""
        return self.facts.name

    @property
    def revision(self) -> str:
        """Hash of the model file, runtime and precision."""
        return f"{self.facts.sha256[:12]}-onnxruntime-{self.facts.precision}"

    @property
    def trained_until(self) -> datetime | None:
        """Instant up to which the model may know what happened."""
        return self.facts.trained_until

    def score(self, texts: Sequence[str]) -> Probabilities:
        """Return P(negative), P(neutral), P(positive); (n, 3) float32, rows sum to 1."""
        return self.score_and_classify(texts)[0]

    def classify_kinds(self, texts: Sequence[str]) -> Probabilities:
        """Return one probability for each of `KINDS`; (n, 5) float32, rows sum to 1."""
        return self.score_and_classify(texts)[1]

    def score_and_classify(self, texts: Sequence[str]) -> tuple[Probabilities, Probabilities]:
        """Return sentiment (n, 3) and kinds (n, 5) from one pass over the texts."""
        import numpy as np

        sentiment = np.empty((len(texts), len(LABELS)), dtype=np.float32)
        kinds = np.empty((len(texts), len(KINDS)), dtype=np.float32)
        for part in self.score_iter(texts):
            sentiment[part.rows] = part.sentiment
            kinds[part.rows] = part.kinds
        return sentiment, kinds

    def score_iter(self, texts: Sequence[str]) -> Iterator[Scored]:
        """Yield answers batch by batch, short texts first in each chunk, for streaming callers."""
        import numpy as np

        self._load()
        for start in range(0, len(texts), CHUNK_TEXTS):
            ids = encode(self._tokenizer, texts[start : start + CHUNK_TEXTS])
            bucket = np.searchsorted(BUCKETS, [len(row) for row in ids])
            for place, tokens in enumerate(BUCKETS):
                inside = np.flatnonzero(bucket == place)
                for first in range(0, len(inside), BATCH_ROWS):
                    rows = inside[first : first + BATCH_ROWS]
                    sentiment, kinds = self._run([ids[i] for i in rows], tokens)
                    yield Scored(rows + start, sentiment, kinds)

    def _run(self, ids: list[list[int]], tokens: int) -> tuple[Probabilities, Probabilities]:
        """Return both heads' probabilities of one batch, run in the bucket's fixed shape."""
        import numpy as np

        input_ids = np.zeros((BATCH_ROWS, tokens), dtype=np.int64)
        mask = np.zeros((BATCH_ROWS, tokens), dtype=np.int64)
        for row, text_ids in enumerate([*ids, *[self._filler] * (BATCH_ROWS - len(ids))]):
            input_ids[row, : len(text_ids)] = text_ids
            mask[row, : len(text_ids)] = 1
        sentiment, kinds = self._session.run(
            ["sentiment", "kind"], {"input_ids": input_ids, "attention_mask": mask}
        )
        count = len(ids)
        return _shares(sentiment)[:count], _shares(kinds)[:count]

    def _load(self) -> None:
        """Make tokenizer and session once."""
        if self._session is not None:
            return
        facts = self.facts
        model = read_checked(self.folder / MODEL_FILE, facts.sha256)
        tokenizer = read_checked(self.folder / TOKENIZER_FILE, facts.tokenizer_sha256)
        self._tokenizer = load_tokenizer(tokenizer.decode("utf-8"), facts.max_tokens)
        self._filler = encode(self._tokenizer, [""])[0]
        self._session = make_session(model, self.threads)


def _shares(logits: Any) -> Probabilities:
    """Return probabilities as float32; the softmax itself runs in float64."""
    import numpy as np

    return softmax(logits.astype(np.float64)).astype(np.float32)
