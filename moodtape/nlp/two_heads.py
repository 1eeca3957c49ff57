"""The network that is fine-tuned: an encoder with a sentiment head and a kind head, in torch."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

from moodtape.errors import UsageError
from moodtape.nlp.base import KINDS, LABELS


def require_torch() -> None:
    """Raise one clear line when the extra that trains is not installed."""
    if any(util.find_spec(name) is None for name in ("torch", "onnxscript", "safetensors")):
        raise UsageError("Fine-tuning needs the 'torch' extra: pip install \"moodtape[torch]\"")


def build_model(folder: Path, dropout: float, plain_attention: bool = False) -> Any:
    """Return the encoder with two heads: ids and mask (batch, tokens) in, logits out.

    Args:
        plain_attention: as matrix products, not by a fused kernel. On a GPU those kernels add
            up in no fixed order; in bf16 on a CPU their backward pass is the slow one.
    """
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    # It would report the pooler, which is left out on purpose.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call, unused-ignore]

    encoder = AutoModel.from_pretrained(
        str(folder),
        add_pooling_layer=False,
        local_files_only=True,
        use_safetensors=True,
        attn_implementation="eager" if plain_attention else None,
    ).float()

    class TwoHeads(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            width = encoder.config.hidden_size
            self.dropout = torch.nn.Dropout(dropout)
            self.sentiment = torch.nn.Linear(width, len(LABELS))
            self.kind = torch.nn.Linear(width, len(KINDS))

        def forward(self, input_ids: Any, attention_mask: Any) -> tuple[Any, Any]:
            hidden = self.encoder(input_ids, attention_mask=attention_mask).last_hidden_state
            weights = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (batch, tokens, 1)
            pooled = self.dropout((hidden * weights).sum(1) / weights.sum(1))  # (batch, width)
            return self.sentiment(pooled), self.kind(pooled)

    return TwoHeads()


def pad(ids: list[list[int]], model: Any) -> tuple[Any, Any]:
    """Return ids and mask as tensors where the model is, (batch, longest)."""
    import torch

    width, filler = max(len(row) for row in ids), model.encoder.config.pad_token_id
    padded = torch.tensor([row + [filler] * (width - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    device = model.sentiment.weight.device
    return padded.to(device), mask.to(device)


def logits(model: Any, ids: list[list[int]], size: int = 64) -> tuple[Any, Any]:
    """Return the logits of both heads, (n, 3) and (n, 5) float64."""
    import numpy as np
    import torch

    model.eval()
    order = np.argsort([len(row) for row in ids], kind="stable")
    sentiment = np.empty((len(ids), len(LABELS)))
    kind = np.empty((len(ids), len(KINDS)))
    with torch.no_grad():
        for start in range(0, len(ids), size):
            rows = order[start : start + size]
            first, second = model(*pad([ids[i] for i in rows], model))
            sentiment[rows], kind[rows] = first.cpu().numpy(), second.cpu().numpy()
    return sentiment, kind
