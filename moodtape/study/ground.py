"""What a study stands on, settled before any test row is read.

1. span       the user's, else that of the group under test, cut to the bars there are
2. scorer     its name and revision; every text of the span must have been scored
3. dataset    forecaster/loading.py, without the hold-out (forecaster/holdout.py)
4. arms       configs/ablation.toml and the user's own; those that read other texts, variants.py
5. folds      forecaster/splits.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.clock import floor_to, parse_duration, utc_now
from moodtape.config import Config
from moodtape.errors import DataMissing, UsageError
from moodtape.forecaster.arms import Arm, arms_of, tone_columns
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.features.base import ONCHAIN, SENTIMENT
from moodtape.forecaster.holdout import holdout_of
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.reach import reach_of
from moodtape.forecaster.splits import Fold, make_folds
from moodtape.nlp.in_use import scorer_in_use
from moodtape.nlp.registry import scorer_id
from moodtape.records import Span
from moodtape.settings import bundled_config
from moodtape.storage import read, summary
from moodtape.storage.db import Warehouse
from moodtape.study.variants import with_variants

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


@dataclass(frozen=True)
class Question:
    """What the user asked besides the config.

    subject: the group under test, `sentiment` or `onchain`.
    since, until: bounds of every decision, half-open; None means as far as the rows reach.
    as_of: only rows known by then; None means all there are.
    preset: name of the preset whose settings the config holds.
    whole: nothing is held out; for the model that is served, which learns from everything.
    """

    subject: str = SENTIMENT
    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    preset: str | None = None
    whole: bool = False


@dataclass(frozen=True)
class Ground:
    """A question with everything that its answer will be computed from.

    holdout: the newest decision times, which lie outside all this; None where there are too few.
    own_texts: by arm that reads other texts, under which config, and what is asked for.
    """

    config: Config
    question: Question
    request: Request
    dataset: Dataset
    arms: tuple[Arm, ...]
    folds: tuple[Fold, ...]
    trained_until: datetime | None
    notes: tuple[str, ...]
    holdout: Span | None = None
    own_texts: Mapping[str, tuple[Config, Request]] = field(default_factory=dict)

    @property
    def span(self) -> Span:
        """Return the bounds of every decision."""
        return self.dataset.span

    @property
    def fixed_request(self) -> Request:
        """Return the request with span and columns fixed to those that were found."""
        dataset = self.dataset
        return replace(
            self.request, span=dataset.span, streams=dataset.streams, metrics=dataset.metrics
        )


def settle_request(
    warehouse: Warehouse, config: Config, question: Question
) -> tuple[Request, datetime | None, tuple[str, ...]]:
    """Return what dataset the question needs, the scorer's age, and what was assumed.

    Raises:
        DataMissing: no bars, no rows of the group under test, or texts without a score.
    """
    in_use = scorer_in_use(warehouse, config.sentiment)
    name = scorer_id(in_use.scorer)
    as_of = question.as_of or utc_now()
    with warehouse.read() as connection:
        spans = _bar_spans(connection, config)
        span, notes = _settle_span(connection, config, question, spans)
        if SENTIMENT in config.features.groups:
            read.require_scored(
                connection, name, config.sentiment.sources, with_look_back(config, span),
                in_use.advice,
            )  # fmt: skip
            notes += (in_use.note,) if in_use.note else ()
    there = (s for s, own in spans.items() if own.since < span.until and own.until > span.since)
    symbols = tuple(there) or config.market.symbols
    if left_out := [s for s in spans if s not in symbols]:
        notes += (f"{', '.join(left_out)} had no bars in the span, and no part in the study",)
    return Request(symbols, as_of, name, span), in_use.scorer.trained_until, notes


def lay_ground(warehouse: Warehouse, config: Config, question: Question) -> Ground:
    """Return everything that a study computes on, under a config that names its subject.

    Raises:
        DataMissing: see `settle_request`; or too few decisions for the folds.
        UsageError: the subject has no columns in this config.
    """
    named = config.ablation.model_copy(update={"subject": question.subject})
    device = scorer_in_use(warehouse, config.sentiment).device  # `auto` is what it came to
    sentiment = config.sentiment.model_copy(update={"device": device})
    config = config.model_copy(update={"ablation": named, "sentiment": sentiment})
    request, trained_until, notes = settle_request(warehouse, config, question)
    dataset = load_dataset(warehouse, config, request)
    held = None if question.whole else holdout_of(dataset, config.network.lookback_bars)
    if held is not None:
        request = replace(request, span=Span(dataset.span.since, held.since))
        dataset = load_dataset(warehouse, config, request)
    _require_subject(dataset, config, question.subject)
    arms = arms_of(config, dataset, question.subject, bundled_config("ablation.toml"))
    own_texts = with_variants(
        warehouse, config, request, dataset, arms, with_look_back(config, dataset.span)
    )
    dataset, notes = own_texts.dataset, notes + own_texts.notes
    folds = make_folds(dataset, config.network.lookback_bars, config.walk_forward)
    notes += _untaught(dataset, folds, question.subject)
    return Ground(
        config, question, request, dataset, own_texts.arms, tuple(folds), trained_until, notes,
        held, own_texts.asked,
    )  # fmt: skip


def _untaught(dataset: Dataset, folds: Sequence[Fold], subject: str) -> tuple[str, ...]:
    """Return a note if folds train on no row that holds a value of the group under test."""
    values = dataset.features[:, tone_columns(dataset, subject)]
    told = np.flatnonzero(np.isfinite(values).any(axis=1))
    blind = sum(not np.isin(fold.train, told).any() for fold in folds)
    if not blind:
        return ()
    return (
        f"in {blind} of {len(folds)} folds no training decision comes after the first"
        f" {_rows_of(subject)}, so there was nothing to learn from: a later --since, or a smaller"
        " walk_forward.test_fraction, leaves more of them for training",
    )


def with_look_back(config: Config, span: Span) -> Span:
    """Return a span with what its first decision looks back on."""
    calendar, interval = (
        get_calendar(config.market.calendar),
        parse_duration(config.market.interval),
    )
    return Span(span.since - reach_of(config, calendar, interval, span.since), span.until)


def _bar_spans(connection: Connection, config: Config) -> dict[str, Span]:
    """Return from when to when each symbol of the config has bars."""
    market = config.market
    return {
        symbol: read.bar_span(connection, read.choose_series(
            connection, symbol, market.interval, market.venue.get(symbol), market.quote.get(symbol)
        ))
        for symbol in market.symbols
    }  # fmt: skip


def _settle_span(
    connection: Connection, config: Config, question: Question, spans: Mapping[str, Span]
) -> tuple[Span, tuple[str, ...]]:
    """Return the bounds of the study, cut to where there are bars."""
    market = config.market
    interval = parse_duration(market.interval)
    first = min(s.since for s in spans.values())
    last = max(s.until for s in spans.values()) + interval
    since, until = question.since, question.until
    notes: list[str] = []
    if since is None:
        reach = _subject_span(connection, config, question.subject)
        since = first
        if reach is not None and reach.since > first:
            since = floor_to(reach.since, interval)
            notes.append(f"the study begins with the first {_rows_of(question.subject)}")
        if until is None and reach is not None:
            last = min(last, reach.until + interval)
    until = min(until, last) if until is not None else last
    if since >= until:
        raise DataMissing(
            f"No {market.interval} bars of {', '.join(market.symbols)} between --since and --until:"
            f" they reach from {first:%Y-%m-%d} to {last:%Y-%m-%d}."
        )
    return Span(max(since, first), until), tuple(notes)


def _subject_span(connection: Connection, config: Config, subject: str) -> Span | None:
    if subject == ONCHAIN:
        return summary.metric_span(connection, config.market.symbols)
    return summary.text_span(connection, config.sentiment.sources)


def _rows_of(subject: str) -> str:
    return "metric value" if subject == ONCHAIN else "text"


def _require_subject(dataset: Dataset, config: Config, subject: str) -> None:
    if subject not in config.features.groups:
        raise UsageError(f"features.groups does not hold {subject}, so it cannot be put to a test.")
    if any(column.group == subject for column in dataset.columns):
        return
    what, command = {
        SENTIMENT: ("scored texts", "moodtape import documents FILE, then: moodtape score"),
        ONCHAIN: ("metrics named in features.metrics", "moodtape import metrics FILE"),
    }[subject]
    raise DataMissing(
        f"There are no {what} for {', '.join(dataset.symbols)} between"
        f" {dataset.span.since:%Y-%m-%d} and {dataset.span.until:%Y-%m-%d}. Run: {command}"
    )
