"""A sentiment model of transformers' form becomes a folder that ONNX Runtime scores with.

1. labels      its three classes are known by their names in `id2label`, never by their order
2. weights     safetensors, or a pickle through torch's loader of plain tensors alone
3. export      one head, columns in our order; compared with the model before it is kept
4. round       large weights become 8-bit integers; the arithmetic stays fp32 (`export.py`)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import util
from pathlib import Path
from typing import Any

from moodtape.errors import UnreadableFile, UsageError
from moodtape.nlp.base import LABELS
from moodtape.nlp.export import store_in_8_bits, to_onnx, write_folder
from moodtape.nlp.model_folder import MOST_TOKENS
from moodtape.nlp.onnx_scorer import make_session
from moodtape.nlp.tokens import encode, load_tokenizer

NAMES = {
    "negative": ("negative", "neg", "bearish", "bear"),
    "neutral": ("neutral", "neu", "none", "hold"),
    "positive": ("positive", "pos", "bullish", "bull"),
}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
LARGEST_DIFFERENCE = 1e-3
"""Between the logits of a model and of its export; more, and the export is refused."""

PROBES = (
    "Bitcoin soars to a new high as funds buy",
    "Exchange hacked, withdrawals halted, users fear for their coins",
    "The committee meets on Tuesday",
    "",
)


def label_order(names: Mapping[str, str] | None, place: str) -> list[int]:
    """Return where a model keeps negative, neutral and positive.

    >>> label_order({"0": "Bearish", "1": "Neutral", "2": "Bullish"}, "here")
    [0, 1, 2]
    >>> label_order({"0": "positive", "1": "negative", "2": "neutral"}, "here")
    [1, 2, 0]

    Raises:
        UsageError: the classes are not these three, or have no names.
    """
    told = {int(k): str(v).strip().lower() for k, v in (names or {}).items()}
    places = [[k for k, name in told.items() if name in NAMES[label]] for label in LABELS]
    if len(told) != len(LABELS) or any(len(found) != 1 for found in places):
        raise UsageError(
            f"{place} names its classes {list(told.values()) or 'not at all'}; expected one each"
            f" for {', '.join(LABELS)} (id2label in its config.json). It cannot be mapped."
        )
    return [found[0] for found in places]


def convert(source: Path, target: Path, name: str, trained_until: datetime | None) -> None:
    """Write the folder of a scorer from a folder of a transformers model.

    Args:
        source: config.json, the tokenizer's files, and weights; nothing in it is run.
        target: is made; model.onnx, tokenizer.json, model.json.
        name: under which scores are kept.
        trained_until: instant up to which the model may know what happened, if that is known.

    Raises:
        UsageError: the torch extra is missing, or the classes cannot be mapped.
        UnreadableFile: a file is missing, damaged, or would run code.
    """
    if any(util.find_spec(module) is None for module in ("torch", "onnxscript", "safetensors")):
        raise UsageError("Adding a model needs the 'torch' extra: pip install \"moodtape[torch]\"")
    config = read_config(source)
    order = label_order(config.get("id2label"), str(source))
    model = _model(source, order)
    tokenizer = _tokenizer(source)
    room = int(config.get("max_position_embeddings", MOST_TOKENS + 2)) - 2
    longest = min(MOST_TOKENS, room)
    proto = to_onnx(model, ("sentiment",))
    _require_equal(model, proto, _ids(tokenizer, longest))
    facts = {
        "name": name,
        "labels": list(LABELS),
        "kinds": [],
        "max_tokens": longest,
        "padding": int(config.get("pad_token_id") or 0),
        "trained_until": None if trained_until is None else trained_until.isoformat(),
    }
    write_folder(target, store_in_8_bits(proto), tokenizer, facts)


def read_config(source: Path) -> dict[str, Any]:
    """Return what `config.json` says."""
    path = source / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise UnreadableFile(f"{path} cannot be read: {type(exc).__name__}.") from exc
    if not isinstance(config, dict):
        raise UnreadableFile(f"{path} is no table of settings.")
    return config


def _model(source: Path, order: Sequence[int]) -> Any:
    """Return a torch module: ids and mask in, logits out in our order."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    made: Any = AutoModelForSequenceClassification
    inner = made.from_config(config, trust_remote_code=False, attn_implementation="eager")
    left_out = inner.load_state_dict(_weights(source), strict=False).missing_keys
    if left_out:
        raise UnreadableFile(
            f"{source}: the weights lack {len(left_out)} parts, {left_out[0]} for one;"
            " it is another kind of model than its config.json says."
        )

    class Ordered(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            self.register_buffer("order", torch.tensor(list(order)))

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            logits = self.inner(input_ids=input_ids, attention_mask=attention_mask).logits
            return logits.index_select(1, self.order)

    return Ordered().eval()


def _weights(source: Path) -> dict[str, Any]:
    """Return the tensors of a model's file by name; no code in it is run."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found = [source / name for name in WEIGHTS if (source / name).is_file()]
    if not found:
        raise UnreadableFile(f"{source} holds no weights: expected {' or '.join(WEIGHTS)}.")
    path = found[0]
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        raise UnreadableFile(f"{path} holds more than tensors and is not loaded.") from exc
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as exc:
        raise UnreadableFile(f"{path} cannot be read: {type(exc).__name__}.") from exc
    # Files of the first BERTs call the parts of a norm so.
    renamed = {"gamma": "weight", "beta": "bias"}
    return {
        ".".join(renamed.get(part, part) for part in key.split(".")): tensor
        for key, tensor in tensors.items()
    }


def _tokenizer(source: Path) -> str:
    from transformers import AutoTokenizer

    try:
        made = AutoTokenizer.from_pretrained(
            source, local_files_only=True, trust_remote_code=False, use_fast=True
        )
        return str(made.backend_tokenizer.to_str())
    except (OSError, ValueError, KeyError, AttributeError) as exc:
        raise UnreadableFile(
            f"{source} has no tokenizer that can be used ({type(exc).__name__});"
            " expected tokenizer.json, or the files it is made of."
        ) from exc


def _ids(tokenizer: str, longest: int) -> list[list[int]]:
    return encode(load_tokenizer(tokenizer, longest), PROBES)


def _require_equal(model: Any, proto: Any, ids: list[list[int]]) -> None:
    """Make sure that the export computes what the model does, before it is rounded."""
    import numpy as np
    import torch

    session = make_session(proto.SerializeToString())
    for row in ids:
        tokens = np.array([row], dtype=np.int64)
        mask = np.ones_like(tokens)
        (exported,) = session.run(["sentiment"], {"input_ids": tokens, "attention_mask": mask})
        with torch.no_grad():
            exact = model(torch.from_numpy(tokens), torch.from_numpy(mask)).numpy()
        difference = float(np.abs(exported - exact).max())
        if not difference <= LARGEST_DIFFERENCE:
            raise UsageError(
                f"The exported model answers otherwise than the model itself (logits differ by"
                f" {difference:.3g}). It is not kept."
            )
