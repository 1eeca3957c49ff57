"""The same scorer on torch, for GPUs: any model's folder, in bf16 and in large batches.

The tokenizer, the buckets of lengths and the softmax are those of `onnx_scorer.py`; the file's
graph is computed by `torch_graph.py`. A GPU rounds otherwise than a CPU, so its scores have a
revision of their own and are never mixed with the others. `docs/scorer.md` says how far both
agree. On a CPU it runs in fp32: too slow to be of use, and how it is tested without a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moodtape.errors import DataMissing, UsageError
from moodtape.nlp.model_folder import read_facts
from moodtape.nlp.onnx_scorer import OnnxScorer, ToneScorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH_TOKENS = {"gpu": 16_384, "cpu": 256}
"""Tokens of every batch, padding included: enough to fill a GPU, and at home in 4 GB of one."""

OR_CPU = "or make scores of the CPU, kept apart from a GPU's: --device cpu"

CHUNK_TEXTS = 16_384
"""Texts sorted by length together: batches of a bucket are large, and most of them full."""


def require_gpu() -> None:
    """Raise one clear line where torch is missing, or a GPU that it can use.

    Raises:
        UsageError: the extra is not installed.
        DataMissing: there is no GPU, or none that computes in bf16.
    """
    if util.find_spec("torch") is None:
        raise UsageError(
            f"Scoring on a GPU needs the 'torch' extra: pip install \"moodtape[torch]\"; {OR_CPU}"
        )
    import torch

    if not torch.cuda.is_available():
        raise DataMissing(
            f"No GPU is visible to torch {torch.__version__}. Install its driver and a torch that"
            f" is built for it (pytorch.org/get-started); {OR_CPU}"
        )
    if not torch.cuda.is_bf16_supported():
        raise DataMissing(
            f"The GPU {torch.cuda.get_device_name()} does not compute in bf16; {OR_CPU}"
        )


class TorchToneScorer(ToneScorer):
    """Scores texts by torch, a batch at a time; loaded on first use.

    Args:
        folder: holds model.onnx, tokenizer.json and model.json; the bundled one by default.
        device: `gpu`, or `cpu` for tests.
        bf16: matrix products take bf16 factors; by default on a GPU.
    """

    chunk_texts = CHUNK_TEXTS
    page_texts = CHUNK_TEXTS
    """Texts that are stored together; see `score.py`."""

    def __init__(
        self,
        folder: Path | None = None,
        device: Literal["cpu", "gpu"] = "gpu",
        bf16: bool | None = None,
    ) -> None:
        super().__init__(folder, threads=1)  # of batches: they queue for the one device
        self.device = device
        self.bf16 = device == "gpu" if bf16 is None else bf16

    @property
    def revision(self) -> str:
        """Hash of the model file, runtime, device and precision."""
        return f"{self.facts.sha256[:12]}-torch-{self.device}-{'bf16' if self.bf16 else 'f32'}"

    def batch_rows(self, tokens: int) -> int:
        """Return the rows of every batch of a bucket, whatever the company."""
        return BATCH_TOKENS[self.device] // tokens

    def _logits(self, heads: Sequence[str], inputs: Mapping[str, NDArray[np.int64]]) -> list[Any]:
        """Return the logits of each head as arrays, float32."""
        import torch

        given = {k: torch.from_numpy(v).to(self._session.device) for k, v in inputs.items()}
        with _whole_sums():
            return [logits.cpu().numpy() for logits in self._session.run(heads, given)]

    def _make_session(self, model: bytes) -> Any:
        """Return the graph, its weights on the device."""
        if self.device == "gpu":
            require_gpu()
        from moodtape.nlp.torch_graph import TorchGraph

        return TorchGraph(model, self.name, "cuda" if self.device == "gpu" else "cpu", self.bf16)


class TorchScorer(TorchToneScorer, OnnxScorer):
    """Scores and classifies texts by torch: the bundled two-head model, or a folder like it."""


def scorer_on_gpu(folder: Path) -> TorchToneScorer:
    """Return the scorer of a model's folder; it classifies kinds where the model does."""
    return (TorchScorer if read_facts(folder).kinds else TorchToneScorer)(folder)


@contextmanager
def _whole_sums() -> Iterator[None]:
    """Let products of bf16 factors add up in fp32 throughout, whatever the process prefers."""
    import torch

    matmul = torch.backends.cuda.matmul
    before = matmul.allow_bf16_reduced_precision_reduction
    matmul.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        matmul.allow_bf16_reduced_precision_reduction = before
