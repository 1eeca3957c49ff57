"""How far before a decision rows can matter, and how far after it answers can lie."""

from __future__ import annotations

from datetime import datetime, timedelta

from moodtape.calendars import Calendar
from moodtape.clock import from_datetime64
from moodtape.config import Config
from moodtape.forecaster.features.chosen import Chosen, chosen_features
from moodtape.forecaster.features.onchain import LEVEL_DAYS
from moodtape.forecaster.features.sentiment import KERNEL_HALF_LIVES
from moodtape.forecaster.miss import miss_reach
from moodtape.forecaster.texts import WEEK_HOURS

LONGEST_REACH = timedelta(days=40 * 365)


def reach_of(config: Config, calendar: Calendar, interval: timedelta, since: datetime) -> timedelta:
    """Return how far before the first decision rows can matter."""
    chosen, fill = chosen_features(config), config.features.fill_limit_bars
    month = round(timedelta(days=LEVEL_DAYS) / interval)
    bars = max(month, chosen.lookback_bars) + config.network.lookback_bars + fill
    if "volatility" in config.target.names:
        bars = max(bars, miss_reach(max(config.target.horizons)))
    texts = text_reach(config, chosen, calendar, interval, since)
    return max(lasting(bars + 1, calendar, interval, since), texts) + timedelta(days=1)


def text_reach(
    config: Config, chosen: Chosen, calendar: Calendar, interval: timedelta, since: datetime
) -> timedelta:
    """Return how far before the first decision texts can matter: of all rows of its window."""
    window = config.network.sentiment_lookback_bars + config.features.fill_limit_bars
    rows = lasting(window + chosen.text_lookback_bars + 1, calendar, interval, since)
    half_life = timedelta(hours=KERNEL_HALF_LIVES * max(config.sentiment.half_lives_h))
    hours = timedelta(hours=max(WEEK_HOURS, chosen.lookback_hours + 1))
    return max(half_life, hours) + rows


def lasting(bars: int, calendar: Calendar, interval: timedelta, until: datetime) -> timedelta:
    """Return how long the last `bars` bars of a calendar before an instant took."""
    length = bars * interval
    while True:
        opens = calendar.expected_opens(until - length, until, interval)
        if len(opens) >= bars:
            return until - from_datetime64(opens[-bars])
        if length > LONGEST_REACH:
            return length
        length *= 2


def following(bars: int, calendar: Calendar, interval: timedelta, since: datetime) -> datetime:
    """Return when the bar opens that has `bars` bars between itself and an instant."""
    length = (bars + 1) * interval
    while True:
        opens = calendar.expected_opens(since, since + length, interval)
        if len(opens) > bars:
            return from_datetime64(opens[bars])
        if length > LONGEST_REACH:
            return since + length
        length *= 2
