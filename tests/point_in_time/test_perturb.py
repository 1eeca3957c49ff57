"""Another future: everything known after the cut is fair game, nothing known by it is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.loading import load_dataset
from moodtape.storage import perturb
from moodtape.storage.db import Warehouse
from moodtape.storage.perturb import Scratch

if TYPE_CHECKING:
    from tests.point_in_time.conftest import Study

START, HOUR = datetime(2025, 3, 1, tzinfo=UTC), timedelta(hours=1)
CUT = START + timedelta(hours=470, minutes=2)
BAR = ["symbol", "venue", "quote", "interval", "open_time"]
TEXT = ["source", "collection", "document_id"]


def table(warehouse: Warehouse, name: str, where: str = "true") -> pd.DataFrame:
    with warehouse.read() as connection:
        return connection.sql(f"SELECT * FROM {name} WHERE {where} ORDER BY ALL").df()


KNOWN = f"known_at <= TIMESTAMPTZ '{CUT.isoformat()}'"
LATER = f"known_at > TIMESTAMPTZ '{CUT.isoformat()}'"


@pytest.mark.parametrize("name", ["bar", "metric", "document", "mention"])
def test_rows_known_by_the_cut_stay(before: Scratch, after: Scratch, name: str) -> None:
    pd.testing.assert_frame_equal(table(before, name, KNOWN), table(after, name, KNOWN))


@pytest.mark.parametrize("name", ["score", "kind"])
def test_scores_of_texts_known_by_the_cut_stay(before: Scratch, after: Scratch, name: str) -> None:
    known = f"content_hash IN (SELECT content_hash FROM document WHERE {KNOWN})"
    pd.testing.assert_frame_equal(table(before, name, known), table(after, name, known))


def test_hours_over_by_the_cut_stay(before: Scratch, after: Scratch) -> None:
    over = f"hour + INTERVAL 1 HOUR <= TIMESTAMPTZ '{CUT.isoformat()}'"
    hours = table(before, "sentiment_hourly", over)
    assert len(hours) > 100
    pd.testing.assert_frame_equal(hours, table(after, "sentiment_hourly", over))


def test_the_copy_has_the_hours_of_the_original(study: Study, before: Scratch) -> None:
    pd.testing.assert_frame_equal(
        table(study.warehouse, "sentiment_hourly"), table(before, "sentiment_hourly")
    )


def test_what_became_of_bars(before: Scratch, after: Scratch) -> None:
    old, new = (table(w, "bar", LATER) for w in (before, after))
    both = old.merge(new, on=[*BAR, "known_at"], suffixes=("_old", ""))
    gone = set(old.open_time) - set(new.open_time)
    assert 0 < len(gone) < len(old) / 4, "some bars are deleted, most are not"
    assert old.open_time.max() == new.open_time.max(), "the last bar stays"
    assert (both.close != both.close_old).all(), "every close is another one"
    ratio = both.close / both.close_old
    assert ratio.max() > 100, "one is extremely high"
    assert ratio.min() < 0.01, "one is extremely low"
    assert both.volume.isna().any(), "some volumes are missing"
    assert (new.high >= new[["open", "close", "low"]].max(axis=1)).all()
    assert (new.low <= new[["open", "close", "high"]].min(axis=1)).all()
    assert (new.low > 0).all()
    corrected = new[new.close_time <= CUT]
    assert len(corrected) > 12, "bars known by the cut are corrected after it"
    assert corrected.close_time.max() > CUT - 2 * HOUR, "the newest among them"
    assert new.duplicated([*BAR, "close"]).any(), "some bars come twice"


def test_what_became_of_metrics(before: Scratch, after: Scratch) -> None:
    old, new = (table(w, "metric", LATER) for w in (before, after))
    key = ["provider", "symbol", "metric", "period_end"]
    both = old.merge(new, on=[*key, "known_at"], suffixes=("_old", ""))
    assert (both.value != both.value_old).all(), "every value is another one"
    restated = new[new.period_end <= CUT - timedelta(days=1)]
    assert len(restated) > 3, "periods known by the cut are restated after it"


def test_what_became_of_texts(before: Scratch, after: Scratch) -> None:
    old, new = (table(w, "document", LATER) for w in (before, after))
    both = old.merge(new, on=[*TEXT, "known_at"], suffixes=("_old", ""))
    assert len(both) < len(old), "some texts are deleted"
    assert (both.content_hash != both.content_hash_old).any(), "some have other words"
    assert (both.published_at < both.published_at_old).any(), "some were published earlier"
    assert (both.published_at == both.known_at).any(), "some were published when known"
    early = table(before, "document", KNOWN)
    assert both.repeat_key.isin(early.repeat_key.dropna()).any(), "some repeat old words"
    bands = set(early.bands.dropna().map(tuple))
    near = both[~both.repeat_key.isin(early.repeat_key) & both.bands.notna()]
    assert near.bands.map(tuple).isin(bands).any(), "some repeat them nearly"
    added = new.merge(old, on=TEXT, how="left", indicator=True)
    added = added[added._merge == "left_only"]
    known_before = added.merge(early[TEXT].drop_duplicates(), on=TEXT)
    assert len(known_before) > 20, "texts known by the cut are revised after it"
    assert (added.published_at_x < CUT).any(), "some published before the cut come after it"


def test_what_became_of_scores_and_reactions(before: Scratch, after: Scratch) -> None:
    later = f"content_hash NOT IN (SELECT content_hash FROM document WHERE {KNOWN})"
    old, new = (table(w, "score", later) for w in (before, before))
    new = table(after, "score", f"content_hash IN {tuple(old.content_hash)}")
    tone = new.p_positive - new.p_negative
    assert (tone.to_numpy() != (old.p_positive - old.p_negative).to_numpy()).mean() > 0.9
    reactions = table(after, "engagement")
    assert reactions.removed.any()
    assert not reactions.removed.all()
    assert reactions.source.nunique() == 2, "news had no reactions and have some now"
    assert 50 < len(reactions) < len(table(after, "document").drop_duplicates(TEXT)) / 2


def test_what_became_of_coverage(before: Scratch, after: Scratch) -> None:
    old, new = (table(w, "coverage") for w in (before, after))
    kept = new[new.collection.isin(old.collection)]
    assert (kept.covered_until >= CUT).all(), "no stretch that was watched is taken away"
    assert (kept.covered_until < old.covered_until.max()).any(), "crawls end elsewhere"
    assert (new[~new.collection.isin(old.collection)].covered_from >= CUT).all()


def test_every_column_feels_the_new_future(study: Study, before: Scratch, after: Scratch) -> None:
    def loaded(warehouse: Warehouse) -> Dataset:
        return load_dataset(warehouse, study.config, study.request)

    base, other = loaded(before), loaded(after)
    assert base.features.shape == other.features.shape
    later = base.decision_time > np.datetime64(CUT.replace(tzinfo=None), "us")
    same = (base.features == other.features) | (np.isnan(base.features) & np.isnan(other.features))
    changed = (~same[later]).mean(axis=0)
    blind = [c.name for c, share in zip(base.columns, changed, strict=True) if share == 0]
    clock_only = ["hour_sine", "hour_cosine", "week_sine", "week_cosine"]
    assert blind == [*clock_only, "onchain.missing"], "the study ends before a metric is too old"
    assert same[~later].all()


def test_draws_follow_from_the_seed_and_all_is_taken_back(before: Scratch, after: Scratch) -> None:
    names = ("bar", "metric", "document", "mention", "score", "coverage", "sentiment_hourly")
    stored = {name: table(before, name) for name in names}
    with before.another_future(CUT, 5):
        for name in names:
            pd.testing.assert_frame_equal(table(after, name), table(before, name), obj=name)
    with before.another_future(CUT, 6):
        assert not table(before, "bar").equals(table(after, "bar"))
    for name in names:
        pd.testing.assert_frame_equal(stored[name], table(before, name), obj=name)


def test_no_table_is_forgotten(before: Scratch) -> None:
    """A new table is an input, and then the audit must change its future; or it is listed here."""
    no_input = {
        *("migration", "meta", "run", "cursor", "quarantine", "tombstone", "trial"),
        "holdout",
        "simulation",
        *("forecast", "instrument", "scorer", "scored_text", "dirty_hour", "sentiment_hourly"),
        *(
            "suppressed",
            "spend",
            "host_limit",
            "repost",
            "recheck",
            "settlement",
            "step",
            "promotion",
            "drift",
        ),
    }
    with before.read() as connection:
        tables = connection.sql(
            "SELECT table_name FROM duckdb_tables() WHERE NOT temporary"
        ).fetchall()
    assert {name for (name,) in tables} == no_input | set(perturb.TABLES)
