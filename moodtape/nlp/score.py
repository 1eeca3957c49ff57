"""Scores what is unscored, page by page; interrupted or run twice, the result is the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moodtape.nlp.base import KINDS, KindClassifier, Scorer
from moodtape.nlp.registry import scorer_id
from moodtape.records import SCALE
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules, refresh_hours
from moodtape.storage.scores import (
    EVERY,
    Which,
    register_scorer,
    store_scores,
    unscored_count,
    unscored_page,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAGE_TEXTS = 2_000
"""Texts held in memory, and lost at most, when the process is killed; fewer would pad more.
A scorer that is fast in large batches alone asks for larger pages by an attribute, `page_texts`."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScoreSummary:
    """What one scoring run did."""

    scorer: str
    scored: int
    hours: int
    seconds: float


def score_unscored(
    warehouse: Warehouse,
    scorer: Scorer,
    rules: HourRules,
    run_id: str,
    now: datetime,
    which: Which = EVERY,
    progress: Progress | None = None,
) -> ScoreSummary:
    """Score every text that this scorer has not scored, then remake the hours they touch.

    Args:
        warehouse: where the texts are; it is locked only while a page is stored.
        scorer: a function of the text alone.
        rules: how texts count in their hour.
        run_id: kept with the scores.
        now: kept with the scores.
        which: only these texts; all by default.
        progress: called with texts done and texts in all, at the beginning too.
    """
    started = time.monotonic()
    name = scorer_id(scorer)
    with warehouse.read() as connection:
        total = unscored_count(connection, name, which)
    done, size = 0, int(getattr(scorer, "page_texts", PAGE_TEXTS))
    if progress is not None and total:
        progress(done, total)
    while done < total:
        with warehouse.read() as connection:
            page = unscored_page(connection, name, which, size)
        if not page:
            break
        columns = score_page(scorer, [text for _, text in page])
        with warehouse.write() as connection:
            register_scorer(
                connection, name, scorer.name, scorer.revision, scorer.trained_until, now
            )
            store_scores(connection, name, [key for key, _ in page], columns, run_id, now)
        done += len(page)
        if progress is not None:
            progress(done, total)
    with warehouse.write() as connection:
        hours = refresh_hours(connection, rules)
    return ScoreSummary(name, done, hours, time.monotonic() - started)


def score_page(scorer: Scorer, texts: list[str]) -> dict[str, Any]:
    """Return stored columns for some texts: tone and, where the scorer can, kind."""
    if isinstance(scorer, KindClassifier):
        tones, kinds = scorer.score_and_classify(texts)
        best = kinds.argmax(axis=1)
        return {
            **_tone_columns(tones),
            "kind": [KINDS[i] for i in best],
            "probability": (kinds.max(axis=1).astype("float64") * SCALE).round().astype("int64"),
        }
    return _tone_columns(scorer.score(texts))


def _tone_columns(probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """Return whole millionths, none below zero, that add up to a million in each row.

    (n, 3) -> three columns of (n,).
    """
    import numpy as np

    scaled = np.round(probabilities.astype("float64") * SCALE).astype("int64")
    negative = scaled[:, 0]
    positive = np.minimum(scaled[:, 2], SCALE - negative)  # both may have been rounded up
    return {
        "p_negative": negative,
        "p_neutral": SCALE - negative - positive,
        "p_positive": positive,
    }
