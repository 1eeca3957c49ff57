"""The same study with the word list for a scorer: beside every `helps`, for it was never trained.

1. texts      those near the study, scored by the word list in a scratch warehouse
2. dataset    the study's own functions, on the word list's hours
3. forecasts  with these texts and with them held constant, on the study's folds and seeds
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.loading import load_dataset
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.registry import scorer_id
from moodtape.nlp.score import score_page
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import refresh_hours
from moodtape.storage.perturb import Scratch, open_scratch
from moodtape.storage.scores import store_scores
from moodtape.study.clocks import Bench
from moodtape.study.effects import effect_rows
from moodtape.study.ground import Ground
from moodtape.study.near import near_of

PAGE = 5_000


def word_list_rows(ground: Ground, bench: Bench, forecasters: list[str]) -> list[dict[str, Any]]:
    """Return the effect of texts that the word list scored, by question and forecaster.

    Nothing is stored. Empty where the study's own scorer is the word list.
    """
    name = scorer_id(LexiconScorer())
    if not forecasters or not ground.dataset.streams or ground.request.scorer == name:
        return []
    bench.tell("texts by the word list")
    dataset = _dataset(ground, bench, name)
    return effect_rows(ground, dataset, forecasters, "word list")


def _dataset(ground: Ground, bench: Bench, scorer: str) -> Dataset:
    request = replace(ground.fixed_request, scorer=scorer)
    near = near_of(ground.config, request)
    bench.workdir.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="words-", dir=bench.workdir) as spill,
        open_scratch(bench.warehouse, near, bench.rules, Path(spill)) as scratch,
    ):
        _score(bench.warehouse, scratch, scorer, near.as_of)
        return load_dataset(scratch, ground.config, request)


def _score(warehouse: Warehouse, scratch: Scratch, scorer: str, now: Any) -> None:
    """Score every text of the scratch warehouse, and make its hours again."""
    hashes = scratch.session.sql("SELECT DISTINCT content_hash FROM document").to_arrow_table()
    with warehouse.read() as connection:
        connection.register("near_hash", hashes)
        texts = connection.execute(
            "SELECT content_hash, text FROM scored_text SEMI JOIN near_hash USING (content_hash)"
            " WHERE text <> '' ORDER BY content_hash"
        ).fetchall()
        connection.unregister("near_hash")
    own = LexiconScorer()
    for start in range(0, len(texts), PAGE):
        page = texts[start : start + PAGE]
        columns = score_page(own, [text for _, text in page])
        store_scores(scratch.session, scorer, [key for key, _ in page], columns, "words", now)
    refresh_hours(scratch.session, scratch.rules)
