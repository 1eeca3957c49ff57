"""Texts deleted before the scorer read them: their hours are unwatched, and it is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.audit import audit
from moodtape.config import Config
from moodtape.forecaster.texts import MOST_LOST
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.storage import read
from moodtape.storage.db import Warehouse
from moodtape.storage.forget import Request, find_texts, forget_texts
from moodtape.storage.hours import HourRules, mark_all_hours, refresh_hours
from moodtape.storage.scores import register_scorer
from moodtape.storage.write import Merge
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.study.lost import lost_caveat, lost_texts

OTHER = scorer_id(load_scorer("bundled"))
NOW = datetime(2024, 3, 1, tzinfo=UTC)
RULES = HourRules(timedelta(hours=6))
HOUR = timedelta(hours=1)


def forget(warehouse: Warehouse, ids: tuple[str, ...]) -> None:
    with warehouse.write() as connection:
        request = Request(ids=ids)
        found = find_texts(connection, request)
        assert found.texts == len(ids)
        forget_texts(connection, request, found, Merge("forget", NOW))


def score_what_is_left(warehouse: Warehouse) -> None:
    """Leave what another scorer would that comes later: it reads no text that is gone."""
    name, _, revision = OTHER.partition("@")
    with warehouse.write() as connection:
        register_scorer(connection, OTHER, name, revision, None, NOW)
        connection.execute(
            "INSERT INTO score BY NAME SELECT * REPLACE (? AS scorer) FROM score"
            " SEMI JOIN (SELECT content_hash FROM scored_text WHERE text <> '') AS t"
            " USING (content_hash) WHERE scorer LIKE 'lexicon@%'",
            [OTHER],
        )
        mark_all_hours(connection)
        refresh_hours(connection, RULES)


def texts_by_hour(warehouse: Warehouse) -> dict[datetime, list[str]]:
    with warehouse.read() as connection:
        rows = connection.execute(
            "SELECT date_trunc('hour', known_at), list(document_id ORDER BY document_id)"
            " FROM document GROUP BY 1 ORDER BY 1"
        ).fetchall()
    return dict(rows)


@pytest.fixture
def mine(warehouse: Warehouse, tmp_path: Path) -> Warehouse:
    made = Warehouse(tmp_path / "moodtape.duckdb")
    shutil.copy(warehouse.path, made.path)
    return made


@pytest.fixture
def bundled(make_config: Callable[..., Config]) -> Config:
    return make_config(
        sentiment={"scorer": "bundled", "device": "cpu", "half_lives_h": [6.0]},
        target={"names": ["return"]},
    )


def column(ground: Ground, name: str) -> Any:
    names = [c.name for c in ground.dataset.columns]
    return ground.dataset.features[:, names.index(name)]


def row_of(ground: Ground, hour: datetime) -> int:
    end = np.datetime64((hour + HOUR).replace(tzinfo=None), "us")
    return int(np.flatnonzero(ground.dataset.cutoff == end)[0])


def test_an_hour_of_which_too_much_is_lost_is_unwatched(mine: Warehouse, bundled: Config) -> None:
    hours = texts_by_hour(mine)
    gone = [hour for hour, ids in hours.items() if len(ids) == 4][1:4]
    forget(mine, tuple(hours[hour][0] for hour in gone))
    score_what_is_left(mine)
    ground = lay_ground(mine, bundled, Question())
    for hour in gone:
        at = row_of(ground, hour)
        assert column(ground, "news.observed")[at] == 0
        assert np.isnan(column(ground, "news.tone_last")[at])
        assert np.isnan(column(ground, "news.count_last")[at])
    quiet = [row_of(ground, hour) for hour in hours if hour not in gone and len(hours[hour]) == 4]
    assert column(ground, "news.observed")[quiet].all()
    with mine.read() as connection:
        assert lost_texts(connection, ground) == {"lost": 3, "masked_hours": 3}


def test_a_text_that_was_scored_before_is_not_lost(
    mine: Warehouse, warehouse: Warehouse, config: Config
) -> None:
    """Its score stays, so the hours are the same, and so is the study."""
    hours = texts_by_hour(mine)
    forget(mine, tuple(ids[0] for ids in list(hours.values())[10:40]))
    ground = lay_ground(mine, config, Question())
    before = lay_ground(warehouse, config, Question())
    assert ground.dataset.fingerprint() == before.dataset.fingerprint()
    with mine.read() as connection:
        assert lost_texts(connection, ground) == {"lost": 0, "masked_hours": 0}


def test_one_of_very_many_leaves_the_hour(mine: Warehouse, bundled: Config) -> None:
    hour, ids = next((h, ids) for h, ids in texts_by_hour(mine).items() if len(ids) == 3)
    forget(mine, (ids[0],))
    score_what_is_left(mine)
    needed = int(1 / MOST_LOST)
    with mine.write() as connection:  # as if the hour had brought that many
        connection.execute(
            "UPDATE sentiment_hourly SET n = ? WHERE scorer = ? AND hour = ?",
            [needed - 1, OTHER, hour],
        )
    ground = lay_ground(mine, bundled, Question())
    assert column(ground, "news.observed")[row_of(ground, hour)] == 1
    with mine.read() as connection:
        assert lost_texts(connection, ground) == {"lost": 1, "masked_hours": 0}


def test_what_is_read_as_of_an_instant_ends_there(mine: Warehouse) -> None:
    hours = texts_by_hour(mine)
    gone = list(hours)[20:40]
    forget(mine, tuple(hours[hour][0] for hour in gone))
    score_what_is_left(mine)

    def read_as_of(as_of: datetime) -> list[datetime]:
        with mine.read() as connection:
            found = read.forgotten_hours(connection, ["BTC"], OTHER, ["news"], as_of)
        return [hour.to_pydatetime() for hour in found["hour"]]

    assert read_as_of(NOW) == gone
    assert read_as_of(gone[7] + HOUR) == gone[:8], "the hour must be over"


def test_the_audit_of_such_a_study_is_clean(
    mine: Warehouse, bundled: Config, tmp_path: Path
) -> None:
    hours = texts_by_hour(mine)
    forget(mine, tuple(ids[0] for ids in list(hours.values())[::7]))
    score_what_is_left(mine)
    ground = lay_ground(mine, bundled, Question())
    assert (column(ground, "news.observed") == 0).sum() > 20
    found = audit(mine, ground.config, ground.fixed_request, RULES, tmp_path / "audit", cuts=2)
    assert found.clean, found.sentence()


def test_an_earlier_hour_does_not_hang_on_a_later_deletion(
    mine: Warehouse, warehouse: Warehouse, bundled: Config, tmp_path: Path
) -> None:
    other = Warehouse(tmp_path / "other.duckdb")
    shutil.copy(mine.path, other.path)
    hours = texts_by_hour(mine)
    times = list(hours)
    forget(other, tuple(hours[hour][0] for hour in times[300:]))
    for made in (mine, other):
        score_what_is_left(made)
    base, changed = (lay_ground(made, bundled, Question()) for made in (mine, other))
    before = base.dataset.cutoff <= np.datetime64(times[300].replace(tzinfo=None), "us")
    np.testing.assert_array_equal(base.dataset.features[before], changed.dataset.features[before])
    assert not np.array_equal(
        np.nan_to_num(base.dataset.features[~before]),
        np.nan_to_num(changed.dataset.features[~before]),
    )


def test_it_is_said() -> None:
    told = lost_caveat({"lost": 12, "masked_hours": 4}, 800)
    assert told is not None
    assert told.startswith("12 texts (1.5%) were deleted before the scorer read them; 4 hours")
