"""The audit's outcome as people and programs read it, and where it cuts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moodtape.audit import AuditResult, Offender, audit
from moodtape.calendars import get_calendar
from moodtape.config import Config
from moodtape.errors import DataMissing
from moodtape.forecaster.dataset import Request
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.testing import START, store_market, synthetic_market

CUT = datetime(2025, 3, 20, 14, 2, tzinfo=UTC)
LEAK = Offender("news.tone_6h", CUT, timedelta(minutes=90))


def test_json_of_a_clean_audit() -> None:
    result = AuditResult(checked=12, cuts=(CUT,))
    assert result.clean
    assert json.loads(result.to_json()) == {
        "clean": True,
        "checked": 12,
        "cuts": ["2025-03-20T14:02:00+00:00"],
        "offenders": [],
    }
    assert result.sentence() == "No look-ahead: 12 numbers compared at 1 cut."


def test_json_of_look_ahead() -> None:
    blind = Offender("close", CUT)
    result = AuditResult(checked=1_200, cuts=(CUT, CUT), offenders=(LEAK, blind))
    assert not result.clean
    assert result.as_dict()["offenders"] == [
        {
            "column": "news.tone_6h",
            "row_time": "2025-03-20T14:02:00+00:00",
            "looked_ahead": "90min",
        },
        {"column": "close", "row_time": "2025-03-20T14:02:00+00:00", "looked_ahead": None},
    ]
    assert result.sentence() == (
        "Look-ahead in 2 columns. First: news.tone_6h at 2025-03-20 14:02Z depends on rows"
        " known 90min later."
    )
    assert str(blind) == "close at 2025-03-20 14:02Z depends on its future"


def test_two_symbols_on_the_public_synthetic_market(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "market": {"symbols": ["BTC", "ETH"]},
            "target": {"names": ["return"]},
            "network": {"lookback_bars": 12},
            "walk_forward": {"folds": 2, "min_train_rows": 60},
        }
    )
    warehouse = Warehouse(tmp_path / "moodtape.duckdb")
    market = synthetic_market(np.random.default_rng(3), 400, ("BTC", "ETH"))
    scorer = store_market(warehouse, tmp_path / "files", market, config)
    request = Request(("BTC", "ETH"), as_of=market.end + timedelta(days=2), scorer=scorer)
    told: list[str] = []
    result = audit(
        warehouse, config, request, HourRules(), tmp_path / "work", cuts=2, progress=told.append
    )
    assert result.clean, result.sentence()
    assert len(result.cuts) == 2
    assert len(told) == 3
    assert all(START < cut < market.end for cut in result.cuts)
    assert list((tmp_path / "work").iterdir()) == [], "scratch files vanish"
    again = audit(warehouse, config, request, HourRules(), tmp_path / "work", cuts=2)
    assert again == result, "the same seed cuts at the same instants"


def test_daily_bars_of_an_exchange_without_texts(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "market": {"symbols": ["SPY"], "interval": "1d", "calendar": "XNYS"},
            "target": {"names": ["return"]},
            "network": {"lookback_bars": 12},
            "walk_forward": {"folds": 2, "min_train_rows": 60, "embargo_bars": 2},
        }
    )
    sessions = get_calendar("XNYS").expected_opens(
        datetime(2022, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)
    )
    rng = np.random.default_rng(4)
    close = 400 * np.exp(np.cumsum(rng.standard_normal(len(sessions)) * 0.01))
    table = pd.DataFrame({"date": sessions, "close": close, "volume": 1e6})
    table["date"] = table["date"].dt.tz_localize("UTC")
    table["open"] = table["close"].shift(1, fill_value=400.0)
    table["high"] = table[["open", "close"]].max(axis=1) * 1.004
    table["low"] = table[["open", "close"]].min(axis=1) / 1.004
    table.to_parquet(tmp_path / "spy.parquet", index=False)
    warehouse = Warehouse(tmp_path / "moodtape.duckdb")
    said = ImportOptions("bars", symbol="SPY", interval="1d", venue="arca", quote="USD")
    now = datetime(2024, 2, 1, tzinfo=UTC)
    import_file(warehouse, tmp_path / "s", tmp_path / "spy.parquet", said, config, "import", now)
    request = Request(("SPY",), as_of=now, scorer=None)
    result = audit(warehouse, config, request, HourRules(), tmp_path / "work", cuts=3)
    assert result.clean, result.sentence()
    assert len(result.cuts) == 3


def test_an_empty_warehouse(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "moodtape.duckdb")
    request = Request(("BTC",), as_of=CUT, scorer=None)
    with pytest.raises(DataMissing, match="There is no warehouse"):
        audit(warehouse, Config(), request, HourRules(), tmp_path / "work")


def test_an_arm_with_texts_of_its_own_joins_the_audit_under_its_name() -> None:
    cut = datetime(2024, 1, 1, tzinfo=UTC)
    clean = AuditResult(10, (cut,))
    both = clean.with_arm("events", AuditResult(5, (cut,), (Offender("news.tone", cut),)))
    assert (both.checked, both.cuts, both.clean) == (15, (cut,), False)
    assert both.offenders[0].column == "events: news.tone"
    assert clean.with_arm("events", clean).clean
