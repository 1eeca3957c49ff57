"""The same study without the texts that its scorer learned from.

1. texts      those near the study that are among the scorer's own, by their keys
2. dataset    the study's own functions, on hours without their scores
3. forecasts  with what is left and with it held constant, on the study's folds and seeds

A scorer knows the texts that it learned from, and their labels were made by a reader who may
have known what came next. An effect, never a word. Hours that those texts alone showed to be
watched count as watched and quiet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.forecaster.loading import load_variants
from moodtape.nlp.learnt import are_learnt, learnt_keys
from moodtape.storage import read
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.hours import refresh_hours
from moodtape.storage.perturb import Scratch, open_scratch
from moodtape.study.clocks import Bench
from moodtape.study.effects import effect_rows
from moodtape.study.ground import Ground
from moodtape.study.near import near_of

if TYPE_CHECKING:
    from moodtape.forecaster.dataset import Dataset


@dataclass(frozen=True)
class Learnt:
    """What is left of a study without the texts that its scorer learned from.

    texts, learnt: different texts of the study's time, and how many of them it learned from;
        `learnt` is None where nobody knows.
    rows: the effect without them, by question and forecaster; empty where none or all are.
    """

    texts: int = 0
    learnt: int | None = 0
    rows: Sequence[Mapping[str, Any]] = ()

    @property
    def sentence(self) -> str | None:
        """Return what a reader must know; None where there is nothing to say.

        >>> Learnt(90, 30).sentence
        'The scorer learned from 30 of the 90 different texts of this study.'
        """
        if self.learnt is None:
            return "From which texts the scorer learned is not known here."
        if not self.learnt:
            return None
        if self.learnt == self.texts:
            return (
                f"The scorer learned from all {self.texts:,} different texts of this study: without"
                " them nothing is left."
            )
        share = f"{self.learnt:,} of the {self.texts:,} different texts of this study"
        return f"The scorer learned from {share}."


def without_learnt(ground: Ground, bench: Bench, forecasters: Sequence[str]) -> Learnt:
    """Return the effects of some forecasters without the texts that the scorer learned from.

    Nothing is stored.
    """
    if not ground.dataset.streams:
        return Learnt()
    keys = learnt_keys(ground.request.scorer or "")
    if keys is None or not len(keys):
        return Learnt(learnt=None if keys is None else 0)
    hashes, inside = _texts(ground, bench, keys)
    count = int(inside.sum())
    found = Learnt(count, int((inside & hashes.learnt).sum()))
    if not found.learnt or found.learnt == count:
        return found
    bench.tell("without the texts that the scorer learned from")
    dataset = _dataset(ground, bench, hashes.names[hashes.learnt].tolist())
    return replace(found, rows=effect_rows(ground, dataset, forecasters, "learnt"))


@dataclass(frozen=True)
class _Texts:
    """Content hashes of the texts near a study, and which of them the scorer learned from."""

    names: Any
    learnt: Any


def _texts(ground: Ground, bench: Bench, keys: Any) -> tuple[_Texts, Any]:
    """Return the texts that matter to a study, and which of them are of its own time."""
    near, config = near_of(ground.config, ground.fixed_request), ground.config
    with bench.warehouse.read() as connection:
        rows = connection.execute(
            """
            SELECT content_hash, text, bool_or(known_at >= $since AND known_at < $until)
            FROM document JOIN scored_text USING (content_hash)
            WHERE
                text <> '' AND list_contains($sources, source) AND known_at <= $as_of
                AND known_at >= $first AND known_at < $last
            GROUP BY content_hash, text ORDER BY content_hash
            """,
            {
                "since": ground.span.since, "until": ground.span.until, "as_of": near.as_of,
                "sources": list(config.sentiment.sources),
                "first": near.texts.since, "last": near.texts.until,
            },
        ).fetchall()  # fmt: skip
    inside = np.array([row[2] for row in rows], dtype=bool)
    learnt = are_learnt([row[1] for row in rows], keys)
    return _Texts(np.array([row[0] for row in rows], dtype=object), learnt), inside


def _dataset(ground: Ground, bench: Bench, hashes: list[str]) -> Dataset:
    request = ground.fixed_request
    near = near_of(ground.config, request)
    sources, scorer = ground.config.sentiment.sources, request.scorer or ""
    with bench.warehouse.read() as connection:
        seen = read.seen_hours(connection, scorer, sources, request.as_of)
    bench.workdir.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="learnt-", dir=bench.workdir) as spill,
        open_scratch(bench.warehouse, near, bench.rules, Path(spill)) as scratch,
    ):
        _drop(scratch, hashes)
        kept = [lambda texts: replace(texts, seen=seen)]
        (dataset,) = load_variants(scratch, ground.config, request, kept)
    return dataset


def _drop(scratch: Scratch, hashes: list[str]) -> None:
    """Take the scores of some texts out of the scratch warehouse, and make its hours again."""
    scratch.session.execute(
        "DELETE FROM score WHERE content_hash IN (SELECT unnest(?::VARCHAR[]))", [hashes]
    )
    mark_all_hours(scratch.session)
    refresh_hours(scratch.session, scratch.rules)


def learnt_results(found: Learnt) -> dict[str, Any]:
    """Return what `results.json` says of the texts that the scorer learned from."""
    return {
        "texts": found.texts,
        "learnt": found.learnt,
        "sentence": found.sentence,
        "rows": list(found.rows),
    }
