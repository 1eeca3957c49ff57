"""Text becomes token ids: the base tokenizer plus what headlines and posts need.

Everything happens in the normalizer of `tokenizer.json`, so that one file
decides what the model reads, in training and in scoring alike.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MAX_TOKENS = 128
"""A longer text is cut here; the rest is not read."""

TEXT_VERSION = 1
"""Raised with every change of the replacements below."""

_LINK = r"https?://\S+"
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&#x200B;": " ", "&nbsp;": " "}

# The base vocabulary has no pictures: each would become the same unknown token.
_PICTURES = {
    "\U0001f680": "rocket", "\U0001f315": "moon", "\U0001f319": "moon", "\U0001f4c8": "rising",
    "\U0001f4c9": "falling", "\U0001f525": "fire", "\U0001f48e": "diamond", "\U0001f64c": "hands",
    "\U0001f602": "laughing", "\U0001f923": "laughing", "\U0001f62d": "crying",
    "\U0001f622": "crying", "\U0001f631": "shocked", "\U0001f921": "clown", "\U0001f480": "dead",
    "\U0001f402": "bull", "\U0001f43b": "bear", "\U0001fa78": "blood", "\U0001f534": "red",
    "\U0001f7e2": "green", "\u2705": "yes", "\U0001f6a8": "alert", "\u26a0": "warning",
    "\U0001f4b0": "money", "\U0001f911": "money", "\U0001f440": "eyes", "\U0001f389": "party",
    "\U0001f44d": "good", "\U0001f44e": "bad", "\U0001f621": "angry", "\U0001f4aa": "strong",
}  # fmt: skip


def tokenizer_json(base: Path) -> str:
    """Return the base tokenizer with our normalizer, without padding or truncation."""
    config: dict[str, Any] = json.loads(base.read_text("utf-8"))
    steps: list[dict[str, Any]] = [_replace({"Regex": _LINK}, " ")]
    steps += [_replace({"String": old}, new) for old, new in _ENTITIES.items()]
    steps += [_replace({"String": old}, f" {new} ") for old, new in _PICTURES.items()]
    config["normalizer"] = {"type": "Sequence", "normalizers": [*steps, config["normalizer"]]}
    config["truncation"] = config["padding"] = None
    return json.dumps(config, ensure_ascii=False, separators=(",", ":"))


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def load_tokenizer(text: str, max_tokens: int = MAX_TOKENS) -> Any:
    """Return a tokenizer that cuts at `max_tokens` and does not pad."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, its first and last special token included."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
