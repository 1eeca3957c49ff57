"""Every read takes `as_of`: what it returns does not depend on what became known later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.loading import load_dataset
from moodtape.storage import read
from moodtape.storage.db import Warehouse

if TYPE_CHECKING:
    from tests.point_in_time.conftest import Study

CUT = datetime(2025, 3, 1, tzinfo=UTC) + timedelta(hours=470, minutes=2)
SERIES = read.Series("BTC", "binance", "USDT", "1h")
SOURCES = ("news", "reddit")

Read = Callable[[Any, str, datetime], pd.DataFrame]
READS: dict[str, Read] = {
    "bar_versions": lambda c, _, as_of: read.bar_versions(c, SERIES, as_of),
    "metric_versions": lambda c, _, as_of: read.metric_versions(c, "BTC", ["AdrActCnt"], as_of),
    "hourly_sums": lambda c, s, as_of: read.hourly_sums(c, ["BTC", "MARKET"], s, SOURCES, as_of),
    "seen_hours": lambda c, s, as_of: read.seen_hours(c, s, SOURCES, as_of),
}


@pytest.mark.parametrize("name", READS)
def test_reads_as_of_the_cut(study: Study, before: Warehouse, after: Warehouse, name: str) -> None:
    def rows(warehouse: Warehouse, as_of: datetime) -> pd.DataFrame:
        with warehouse.read() as connection:
            return READS[name](connection, study.request.scorer or "", as_of)

    known = rows(before, CUT)
    assert len(known) > 15
    pd.testing.assert_frame_equal(known, rows(after, CUT))
    assert not rows(before, study.request.as_of).equals(rows(after, study.request.as_of))


def test_a_dataset_as_of_the_cut(study: Study, before: Warehouse, after: Warehouse) -> None:
    from dataclasses import replace

    request = replace(study.request, as_of=CUT)
    base, other = (load_dataset(w, study.config, request) for w in (before, after))
    assert base.fingerprint() == other.fingerprint()
    assert base.decision_time.max() <= np.datetime64(CUT.replace(tzinfo=None), "us")


def test_a_row_is_never_revised(study: Study, before: Warehouse) -> None:
    """What a decision saw then is what it is seen to have seen later."""
    from dataclasses import replace

    whole = load_dataset(before, study.config, study.request)
    then = load_dataset(
        before,
        study.config,
        replace(study.request, as_of=CUT, streams=whole.streams, metrics=whole.metrics),
    )
    rows = len(then.cutoff)
    np.testing.assert_array_equal(then.cutoff, whole.cutoff[:rows])
    for number, column in enumerate(whole.columns):
        np.testing.assert_array_equal(
            then.features[:, number], whole.features[:rows, number], err_msg=column.name
        )
