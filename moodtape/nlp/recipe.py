"""Every number and date that the bundled model's making depends on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from moodtape.nlp import base_weights
from moodtape.nlp.base import KINDS, LABELS
from moodtape.nlp.labels import PARTS
from moodtape.nlp.tokens import MAX_TOKENS, TEXT_VERSION

LABEL_MAKER_UNTIL = datetime(2026, 11, 22, tzinfo=UTC)
"""The label maker's knowledge cut-off is not known, so the day it made the labels stands for it."""


@dataclass(frozen=True)
class Recipe:
    """Every number that decides what the fine-tune gives.

    Attributes:
        layer_decay: each layer learns at this share of the rate of the one above.
        own_repeat: passes over our own labels for each pass over the finance tweets.
        class_power: a class weighs its frequency to the minus this power.
        average_decay: the running average keeps this share of itself at each step.
        parts: label sets that the model learns from, of `labels.PARTS`.
        without: sources whose crypto texts the model does not learn from.
        precision: of the matrix products in training: "fp32" or "bf16". Weights, sums and the
            dev split are fp32 either way.
    """

    epochs: int = 4
    steps: int | None = None
    seed: int = 1
    batch_size: int = 32
    learning_rate: float = 1.5e-4
    head_learning_rate: float = 6e-4
    layer_decay: float = 0.85
    frozen_layers: int = 1
    weight_decay: float = 0.01
    warmup_share: float = 0.08
    label_smoothing: float = 0.05
    dropout: float = 0.1
    own_repeat: int = 3
    kind_weight: float = 0.5
    class_power: float = 0.5
    average_decay: float = 0.998
    parts: tuple[str, ...] = PARTS
    without: tuple[str, ...] = ()
    precision: str = "bf16"

    def rate_at(self, step: int, total: int) -> float:
        """Return the share of the peak rate: linear warm-up, then linear to zero."""
        warmup = max(1, round(total * self.warmup_share))
        return min((step + 1) / warmup, max(0.0, (total - step) / max(1, total - warmup)))


def model_facts(recipe: Recipe, newest_text: datetime) -> dict[str, Any]:
    """Return what `model.json` says of a model made this way, before its measures and hashes."""
    return {
        "name": "bundled",
        "labels": list(LABELS),
        "kinds": list(KINDS),
        "max_tokens": MAX_TOKENS,
        "text_version": TEXT_VERSION,
        "trained_until": max(newest_text, LABEL_MAKER_UNTIL).isoformat(),
        "newest_text": newest_text.isoformat(),
        "label_maker_until": LABEL_MAKER_UNTIL.isoformat(),
        "base": {"model": base_weights.MODEL_NAME, "sha256": base_weights.SHA256},
        "licence": "Apache-2.0",
        "recipe": asdict(recipe),
    }
