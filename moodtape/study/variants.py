"""Arms that read other texts than the study: of some kinds alone, or scored by another scorer.

1. ask       the study's own request, with another scorer or other kinds of text
2. read      the same bars, columns and rows, by the function that reads the study's
3. keep      their features beside the study's own, by the name of the arm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.loading import load_dataset
from moodtape.nlp.in_use import scorer_in_use
from moodtape.nlp.registry import scorer_id
from moodtape.storage import read
from moodtape.storage.db import Warehouse

if TYPE_CHECKING:
    from moodtape.records import Span


@dataclass(frozen=True)
class OwnTexts:
    """A study with the features of every arm's own texts.

    arms: those that are left. asked: by arm, under which config its texts are read, and what is
        asked for; the audit asks the same. notes: what was left out.
    """

    dataset: Dataset
    arms: tuple[Arm, ...]
    asked: Mapping[str, tuple[Config, Request]]
    notes: tuple[str, ...]


def with_variants(
    warehouse: Warehouse,
    config: Config,
    request: Request,
    dataset: Dataset,
    arms: Sequence[Arm],
    looked_at: Span,
) -> OwnTexts:
    """Return the dataset with the features of every arm's own texts.

    An arm of kinds that no text is of is left out, and a note says so.

    Args:
        looked_at: the span of the texts that a decision can see.
    Raises:
        DataMissing: texts have not been scored by the scorer of an arm.
        UsageError: an arm's scorer is none.
    """
    fixed = replace(request, span=dataset.span, streams=dataset.streams, metrics=dataset.metrics)
    variants, asked, kept, notes = {}, {}, [], []
    for arm in arms:
        if arm.own_texts:
            other, own = _asked(warehouse, config, fixed, arm, looked_at)
            found = load_dataset(warehouse, other, own)
            if not _has_texts(found):
                kinds = " or ".join(arm.kinds)
                notes.append(f"no text is of the kind {kinds}: the arm {arm.name} is left out")
                continue
            variants[arm.name], asked[arm.name] = found.features, (other, own)
        kept.append(arm)
    return OwnTexts(replace(dataset, variants=variants), tuple(kept), asked, tuple(notes))


def _asked(
    warehouse: Warehouse, config: Config, request: Request, arm: Arm, looked_at: Span
) -> tuple[Config, Request]:
    """Return under which config an arm's texts are read, and what is asked for."""
    changed = {"kinds": arm.kinds} if arm.kinds else {}
    if arm.scorer is not None:
        section = config.sentiment.model_copy(update={"scorer": arm.scorer, "device": "auto"})
        in_use = scorer_in_use(warehouse, section)
        request = replace(request, scorer=scorer_id(in_use.scorer))
        with warehouse.read() as connection:
            read.require_scored(
                connection, str(request.scorer), config.sentiment.sources, looked_at,
                in_use.advice, f"moodtape score --scorer {arm.scorer}",
            )  # fmt: skip
    sentiment = config.sentiment.model_copy(update=changed)
    return config.model_copy(update={"sentiment": sentiment}), request


def _has_texts(dataset: Dataset) -> bool:
    """Say whether any row has tone, which only a text brings."""
    return bool(np.isfinite(dataset.features[:, dataset.polarity]).any())
