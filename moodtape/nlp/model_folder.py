"""A folder that holds a scorer's model, and what `model.json` in it says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from moodtape.errors import DataMissing, UnreadableFile
from moodtape.nlp.base import KINDS, LABELS

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
FACTS_FILE = "model.json"

MOST_TOKENS = 128
"""More are never read of a text."""


@dataclass(frozen=True)
class ModelFacts:
    """What `model.json` says of the model beside it.

    kinds: empty where the model only knows tones.
    padding: the token id that fills up a row.
    """

    name: str
    sha256: str
    tokenizer_sha256: str
    precision: str
    labels: tuple[str, ...]
    kinds: tuple[str, ...]
    max_tokens: int
    trained_until: datetime | None
    padding: int = 0


def read_facts(folder: Path) -> ModelFacts:
    """Return what `model.json` says; a missing or odd one raises a clear error."""
    try:
        text = (folder / FACTS_FILE).read_bytes()
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
            padding=int(raw.get("padding", 0)),
        )
    except (
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
    ) as exc:  # fmt: skip
        raise UnreadableFile(f"{folder / FACTS_FILE} cannot be read: {exc!r}.") from exc
    if facts.max_tokens > MOST_TOKENS:
        raise UnreadableFile(
            f"{folder / FACTS_FILE}: max_tokens is {facts.max_tokens}, at most {MOST_TOKENS} work."
        )
    if facts.labels != LABELS or facts.kinds not in ((), KINDS):
        raise UnreadableFile(
            f"{folder / FACTS_FILE}: expected labels {LABELS} and kinds {KINDS} or none, "
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
