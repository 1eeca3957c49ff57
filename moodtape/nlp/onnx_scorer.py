"""Transformer scorer on ONNX Runtime: the bundled model, or any folder like it.

1. `model.json` says what the folder holds; the model file's hash must match it.
2. Each text becomes token ids and goes to the length bucket of its own token count.
3. Every bucket runs batches of one fixed shape, filled up with dummy rows: matrix kernels
   may round differently for another shape, so the shape must not depend on the company.
4. The 8-bit weights of the file become fp32 when the session is made; all arithmetic is fp32.
5. Each core runs whole batches: a batch that two share waits for the slower one at every step.
6. Logits go through a softmax; the temperatures are folded into the heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.nlp.base import LABELS
from moodtape.nlp.calibration import softmax
from moodtape.nlp.model_folder import (
    MODEL_FILE,
    TOKENIZER_FILE,
    ModelFacts,
    read_checked,
    read_facts,
)
from moodtape.nlp.tokens import encode, load_tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moodtape.nlp.base import Probabilities

    Batch = tuple[int, NDArray[np.int64]]

BUCKETS = (12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)
"""Token counts that texts are padded to; a text's own count alone decides which."""

BATCH_ROWS = 4
"""Rows of every batch, whatever the company: what more of them save is lost in filling them up."""

CHUNK_TEXTS = 2_048
"""Texts sorted by length together; more would cost memory, fewer would pad more."""


@dataclass(frozen=True)
class Scored:
    """A run of texts that were scored together: places in the input, and answers.

    Attributes:
        rows: (m,) places of the texts in the sequence that was given.
        sentiment: (m, 3).
        kinds: (m, 5), or (m, 0) of a model that knows none.
    """

    rows: NDArray[np.int64]
    sentiment: Probabilities
    kinds: Probabilities


def bundled_folder() -> Path:
    """Return the folder of the model that comes with the package."""
    return Path(str(resources.files("moodtape.nlp").joinpath("data", "model")))


def make_session(model: bytes) -> Any:
    """Return an ONNX session that computes in the thread that calls it; several may at once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class ToneScorer:
    """Scores texts with one ONNX session; loaded on first use.

    Args:
        folder: holds model.onnx, tokenizer.json and model.json; the bundled one by default.
        threads: batches run at once, one on each core; the scores do not depend on it.
    """

    chunk_texts = CHUNK_TEXTS
    """Texts sorted by length together."""

    def __init__(self, folder: Path | None = None, threads: int = 2) -> None:
        self.folder = bundled_folder() if folder is None else Path(folder)
        self.threads = threads
        self.facts: ModelFacts = read_facts(self.folder)
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
        return self._all(texts)[0]

    def _all(self, texts: Sequence[str]) -> tuple[Probabilities, Probabilities]:
        """Return sentiment (n, 3) and kinds (n, 5 or 0) from one pass over the texts."""
        import numpy as np

        sentiment = np.empty((len(texts), len(LABELS)), dtype=np.float32)
        kinds = np.empty((len(texts), len(self.facts.kinds)), dtype=np.float32)
        for part in self.score_iter(texts):
            sentiment[part.rows] = part.sentiment
            kinds[part.rows] = part.kinds
        return sentiment, kinds

    def score_iter(self, texts: Sequence[str]) -> Iterator[Scored]:
        """Yield answers batch by batch, short texts first in each chunk, for streaming callers."""
        self._load()
        for start in range(0, len(texts), self.chunk_texts):
            ids = encode(self._tokenizer, texts[start : start + self.chunk_texts])
            score = partial(self._score_batch, ids, start)
            yield from _at_once(score, list(_batches(ids, self.batch_rows)), self.threads)

    def _score_batch(self, ids: list[list[int]], start: int, batch: Batch) -> Scored:
        """Return the answers to the texts of one batch of a chunk that begins at `start`."""
        tokens, rows = batch
        return Scored(rows + start, *self._run([ids[i] for i in rows], tokens))

    def _run(self, ids: list[list[int]], tokens: int) -> tuple[Probabilities, Probabilities]:
        """Return both heads' probabilities of one batch, run in the bucket's fixed shape."""
        import numpy as np

        shape = (self.batch_rows(tokens), tokens)
        input_ids = np.full(shape, self.facts.padding, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, text_ids in enumerate([*ids, *[self._filler] * (shape[0] - len(ids))]):
            input_ids[row, : len(text_ids)] = text_ids
            mask[row, : len(text_ids)] = 1
        heads = ["sentiment", "kind"] if self.facts.kinds else ["sentiment"]
        answers = self._logits(heads, {"input_ids": input_ids, "attention_mask": mask})
        shares = [_shares(answer)[: len(ids)] for answer in answers]
        return shares[0], shares[1] if self.facts.kinds else np.empty((len(ids), 0), np.float32)

    def batch_rows(self, tokens: int) -> int:
        """Return the rows of every batch of a bucket, whatever the company."""
        return BATCH_ROWS

    def _logits(self, heads: Sequence[str], inputs: Mapping[str, NDArray[np.int64]]) -> list[Any]:
        """Return the logits of each head as arrays, float32."""
        answers: list[Any] = self._session.run(list(heads), dict(inputs))
        return answers

    def _make_session(self, model: bytes) -> Any:
        """Return what computes the model."""
        return make_session(model)

    def _load(self) -> None:
        """Make tokenizer and session once."""
        if self._session is not None:
            return
        facts = self.facts
        model = read_checked(self.folder / MODEL_FILE, facts.sha256)
        tokenizer = read_checked(self.folder / TOKENIZER_FILE, facts.tokenizer_sha256)
        self._tokenizer = load_tokenizer(tokenizer.decode("utf-8"), facts.max_tokens)
        self._filler = encode(self._tokenizer, [""])[0]
        self._session = self._make_session(model)


class OnnxScorer(ToneScorer):
    """Scores and classifies texts: the bundled two-head model, or a folder like it."""

    def classify_kinds(self, texts: Sequence[str]) -> Probabilities:
        """Return one probability for each of `KINDS`; (n, 5) float32, rows sum to 1."""
        return self._all(texts)[1]

    def score_and_classify(self, texts: Sequence[str]) -> tuple[Probabilities, Probabilities]:
        """Return sentiment (n, 3) and kinds (n, 5) from one pass over the texts."""
        return self._all(texts)


def bundled(threads: int) -> OnnxScorer:
    """Return the scorer that comes with the package."""
    return OnnxScorer(threads=threads)


def scorer_in(folder: Path, threads: int = 2) -> ToneScorer:
    """Return the scorer of a model's folder; it classifies kinds where the model does."""
    return (OnnxScorer if read_facts(folder).kinds else ToneScorer)(folder, threads)


def _batches(ids: list[list[int]], size_of: Callable[[int], int]) -> Iterator[Batch]:
    """Yield token count and places of the texts of each batch, short texts first."""
    import numpy as np

    bucket = np.searchsorted(BUCKETS, [len(row) for row in ids])
    for place, tokens in enumerate(BUCKETS):
        inside, size = np.flatnonzero(bucket == place), size_of(tokens)
        for first in range(0, len(inside), size):
            yield tokens, inside[first : first + size]


def _at_once(
    score: Callable[[Batch], Scored], batches: Sequence[Batch], threads: int
) -> Iterator[Scored]:
    """Yield the batches' answers in their order, so many batches computed at once."""
    if threads == 1 or len(batches) < 2:
        yield from map(score, batches)
        return
    with ThreadPoolExecutor(threads, "moodtape-score") as pool:
        yield from pool.map(score, batches)  # which forgets the rest when nobody listens


def _shares(logits: Any) -> Probabilities:
    """Return probabilities as float32; the softmax itself runs in float64."""
    import numpy as np

    return softmax(logits.astype(np.float64)).astype(np.float32)
