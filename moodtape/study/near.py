"""Which stored rows a study can see: the material of a scratch warehouse."""

from __future__ import annotations

from datetime import timedelta

from moodtape.calendars import get_calendar
from moodtape.clock import format_duration, parse_duration
from moodtape.config import Config
from moodtape.forecaster.dataset import Request
from moodtape.forecaster.features.chosen import chosen_features
from moodtape.forecaster.loading import peers_of
from moodtape.forecaster.reach import following, text_reach
from moodtape.records import Span
from moodtape.storage.perturb import Near

MARGIN = timedelta(days=30)
"""Texts so far from what a study can see are copied too: a leak may see more."""


def near_of(config: Config, request: Request) -> Near:
    """Return the rows that matter: bars up to the last answer, texts around the span."""
    assert request.span is not None
    interval = parse_duration(config.market.interval)
    calendar, until = get_calendar(config.market.calendar), request.span.until
    chosen = chosen_features(config)
    reach = text_reach(config, chosen, calendar, interval, request.span.since) + MARGIN
    reach += timedelta(hours=config.sentiment.repost_window_h)
    return Near(
        symbols=(*request.symbols, *peers_of(config, request.symbols)),
        interval=format_duration(interval),
        bars_until=following(max(config.target.horizons), calendar, interval, until),
        metrics=tuple(sorted({label.partition("@")[0] for label in request.metrics or ()})),
        scorer=request.scorer or "",
        texts=Span(request.span.since - reach, until + MARGIN),
        as_of=request.as_of,
    )
