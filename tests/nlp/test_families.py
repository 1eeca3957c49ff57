"""Encoders of the kinds that users add: exported, rounded, and the same on either runtime."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from moodtape.nlp.export import store_in_8_bits, to_onnx
from moodtape.nlp.onnx_scorer import make_session
from moodtape.nlp.torch_graph import TorchGraph

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "onnxscript"))
SIZES = {
    "vocab_size": 1200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 140,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": SIZES,
    "Roberta": SIZES,
    "XLMRoberta": SIZES,
    "MPNet": SIZES,
    "Electra": SIZES | {"embedding_size": 32},
    "Albert": SIZES | {"embedding_size": 16},
    "DistilBert": {"vocab_size": 1200, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "DebertaV2": SIZES
    | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
}


def exported(family: str) -> bytes:
    """Return the ONNX file of a small model with random weights."""
    import torch
    import transformers

    torch.manual_seed(1)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family], num_labels=3)
    made: Any = transformers.AutoModelForSequenceClassification
    inner = made.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in inner.parameters():
            if parameter.ndim == 2:
                parameter *= 4  # else every text gets about the same answer

    class Logits(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.inner(input_ids=input_ids, attention_mask=attention_mask).logits

    content: bytes = store_in_8_bits(to_onnx(Logits(), ("sentiment",))).SerializeToString()
    return content


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.skipif(not HAS_TORCH, reason="needs the torch extra")
@pytest.mark.filterwarnings("ignore")  # torch and its exporter warn about themselves
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_answers_alike_and_never_waits_for_the_device(family: str) -> None:
    import torch

    content = exported(family)
    session, graph = make_session(content), TorchGraph(content, family)
    rng, spread = np.random.default_rng(0), 0.0
    for rows, tokens in ((4, 12), (3, 40), (4, 12), (2, 128)):
        ids, mask = rng.integers(5, 1000, (rows, tokens)), np.ones((rows, tokens), dtype=np.int64)
        ids[0, tokens // 2 :] = mask[0, tokens // 2 :] = 0
        given = {"input_ids": ids, "attention_mask": mask}
        (expected,) = session.run(["sentiment"], given)
        (found,) = graph.run(["sentiment"], {k: torch.from_numpy(v) for k, v in given.items()})
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)
        spread = max(spread, float(np.ptp(expected, axis=0).max()))
    assert spread > 1e-3, "the answers say nothing"
    nowhere = torch.ones((4, 12), dtype=torch.int64, device="meta")
    shapes = TorchGraph(content, family, "meta").run(
        ["sentiment"], {"input_ids": nowhere, "attention_mask": nowhere}
    )
    assert tuple(shapes[0].shape) == (4, 3)
