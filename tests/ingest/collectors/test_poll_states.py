"""Why an hour has no text is told to the model: five reasons, five different rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.dataset import Request
from moodtape.forecaster.loading import load_dataset
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.score import score_unscored
from moodtape.records import Span
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_each_reason_makes_another_row(
    providers: Any, loopback: Any, fake_time: Any, reply: Any
) -> None:
    settings = load_settings(providers.folder, environ={})
    config = settings.config.model_copy(
        update={
            "sentiment": settings.config.sentiment.model_copy(update={"scorer": "lexicon"}),
            "features": settings.config.features.model_copy(
                update={"groups": ("price", "sentiment")}
            ),
        }
    )
    warehouse = Warehouse(settings.warehouse, lock_wait_s=5)
    plan = Plan(warehouse, settings.staging, providers.folder, config, timing=fake_time.timing)
    feeds = {path: loopback.answers[path] for path in ("/one", "/two")}

    def poll(answer: Any = None) -> None:
        """Poll both feeds half past an hour, by the server's usual answer or another."""
        fake_time.slept.append(HOUR.total_seconds())
        for path in feeds:
            loopback.answers[path] = answer or feeds[path]
        run_collectors(plan, ["news"])

    fake_time.slept.append(1800)
    for feed in ("one", "two"):
        providers.publish(feed, f"{feed}1", "Bitcoin rallies")
    run_collectors(plan, ["news"])  # 12:30
    for feed in ("one", "two"):
        providers.publish(feed, f"{feed}2", "Bitcoin falls")
    poll()  # 13:30, something new
    poll()  # 14:30, nothing new
    poll()  # 15:30, nothing new
    poll(reply(hang_up=True))  # 16:30
    poll(reply(b"go away", 403))  # 17:30
    poll(reply(b"<html>one moment please</html>"))  # 18:30
    for feed in ("one", "two"):
        providers.texts[feed] = []
        providers.publish(feed, f"{feed}9", "Ether falls")
    poll()  # 19:30, all that the feed showed before is gone
    fake_time.slept.append(3600)
    run_collectors(replace(plan, since=NOON - 12 * HOUR), ["bars"])
    done = score_unscored(warehouse, LexiconScorer(), HourRules(), "score", fake_time.now())
    rows = rows_by_hour(warehouse, config, done.scorer, fake_time.now())
    count, watched = "news.count_last", "news.observed"
    states = ("down", "refused", "unreadable", "capped")
    told = {hour: {s: row[f"news_polls.{s}"] for s in states} for hour, row in rows.items()}
    nothing = dict.fromkeys(states, 0.0)
    assert (rows[13][watched], rows[13][count] > 0, told[13]) == (1, True, nothing)
    assert (rows[14][watched], rows[14][count], told[14]) == (1, 0, nothing), "no posts"
    assert told[16] == nothing | {"down": 1}
    assert told[17] == nothing | {"refused": 1}
    assert told[18] == nothing | {"unreadable": 1}
    assert told[19] == nothing | {"capped": 1}
    assert {rows[hour][watched] for hour in (16, 17, 18)} == {0}
    assert told[11] == nothing, "nobody had asked"
    assert rows[11][watched] == 0


def rows_by_hour(
    warehouse: Warehouse, config: Config, scorer: str, now: datetime
) -> dict[int, dict[str, float]]:
    """Return the row of the decision that closes each hour of the day."""
    request = Request(("BTC",), now, scorer, Span(NOON - 2 * HOUR, now))
    dataset = load_dataset(warehouse, config, request)
    assert dataset.streams == ("news", "news_market", "news_polls")
    hours = dataset.cutoff.astype("datetime64[h]").astype(int) % 24 - 1
    names = [column.name for column in dataset.columns]
    return {
        int(hour): dict(zip(names, np.round(row, 9).tolist(), strict=True))
        for hour, row in zip(hours, dataset.features, strict=True)
    }
