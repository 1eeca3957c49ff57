"""A collected metric reaches a decision if it was fetched by then, and a second later it does not.

Kept answers stand in for the network: what a collector makes of them is stored and joined as in
a study. The decision under test is that of 2025-03-13 12:00, made two minutes later.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from moodtape.config import BlockchainSection, CoinGeckoSection, MempoolSection
from moodtape.forecaster.loading import load_dataset
from moodtape.ingest.base import Collector, Door
from moodtape.ingest.blockchain import BlockchainCharts
from moodtape.ingest.coingecko import CoinGecko
from moodtape.ingest.mempool import Mempool
from moodtape.ingest.raw import Beginning, ReplayingDoor, Tape, question
from moodtape.ingest.round import Plan, keep_batch
from moodtape.storage import db, read
from moodtape.storage.db import Warehouse
from moodtape.storage.write import Merge

if TYPE_CHECKING:
    from tests.point_in_time.conftest import Study

CUTOFF = datetime(2025, 3, 13, 12, tzinfo=UTC)
DECIDED = CUTOFF + timedelta(minutes=2)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
URL = "http://127.0.0.1:9"

Exchange = tuple[str, dict[str, Any] | None, Any]


@dataclass(frozen=True)
class Case:
    """One metric. end: of its newest period. places: to which the cursor has come before."""

    label: str
    end: datetime
    make: Callable[[Door], Collector]
    places: dict[str, datetime]
    exchanges: Callable[[datetime], list[Exchange]]


def of_coingecko(at: datetime) -> list[Exchange]:
    hours = [[int((CUTOFF - n * HOUR).timestamp() * 1000), 1.0 + n] for n in (3, 2, 1, 0)]
    query = {
        "vs_currency": "usd", "precision": "full",
        "from": int((at - 3 * DAY).timestamp()), "to": int(at.timestamp()),
    }  # fmt: skip
    told = {"prices": hours, "total_volumes": hours, "market_caps": hours}
    return [("/api/v3/coins/bitcoin/market_chart/range", query, told)]


def of_blockchain(at: datetime) -> list[Exchange]:
    midnight = CUTOFF - 12 * HOUR
    days = [{"x": int((midnight - n * DAY).timestamp()), "y": 1.0 + n} for n in (3, 2, 1, 0)]
    query = {"timespan": "9days", "start": "2025-03-05", "format": "json", "sampled": "false"}
    return [("/charts/hash-rate", query, {"status": "ok", "period": "day", "values": days})]


def of_mempool(at: datetime) -> list[Exchange]:
    midnight = CUTOFF - 12 * HOUR
    days = [
        {"timestamp": int((midnight - n * DAY).timestamp()), "avgHashrate": 10**20 + n}
        for n in (2, 1, 0)
    ]
    first = int((midnight - 2 * DAY).timestamp())
    blocks = [
        {"timestamp": first + 600 * n, "avgHeight": 1000 + n, "avgFees": 7} for n in range(2 * 144)
    ]
    return [
        ("/api/v1/mining/hashrate/1m", None, {"hashrates": days}),
        ("/api/v1/mining/blocks/fees/3d", None, blocks),
        ("/api/v1/fees/precise", None, {"fastestFee": 3.5, "halfHourFee": 2, "hourFee": 1}),
    ]


def chart_of(door: Door) -> Collector:
    return BlockchainCharts(
        BlockchainSection(base_url=URL, charts=("hash-rate",), first_days=8), door
    )


def coin_of(door: Door) -> Collector:
    return CoinGecko({"BTC": "bitcoin"}, CoinGeckoSection(base_url=URL, first_days=1), door)


def node_of(door: Door) -> Collector:
    return Mempool(MempoolSection(base_url=URL, first_days=8), door)


NIGHT = CUTOFF - 12 * HOUR
OF_NODE = {"hashrate": NIGHT - DAY, "block fees": NIGHT - DAY, "fees": CUTOFF - HOUR}
CASES = [
    Case(
        "price_usd@coingecko", CUTOFF - HOUR, coin_of, {"BTC usd": CUTOFF - 2 * HOUR}, of_coingecko
    ),
    Case("hash-rate@blockchain_com", NIGHT, chart_of, {"hash-rate": NIGHT - DAY}, of_blockchain),
    Case("hashrate_hs@mempool", NIGHT, node_of, OF_NODE, of_mempool),
    Case("fees_per_block_sat@mempool_fees", NIGHT, node_of, OF_NODE, of_mempool),
    Case("fee_fastest_sat_vb@mempool_fees", DECIDED, node_of, OF_NODE, of_mempool),
]


def door_of(case: Case, at: datetime) -> ReplayingDoor:
    """Return a door whose answers were all fetched at one instant."""
    lines = []
    for path, query, told in case.exchanges(at):
        body = json.dumps(told).encode()
        lines.append(
            {
                "asked": question(URL + path, query), "at": at.isoformat(), "place": URL + path,
                "status": 200, "headers": {}, "sha256": hashlib.sha256(body).hexdigest(),
                "body": base64.b64encode(gzip.compress(body)).decode(),
            }
        )  # fmt: skip
    return ReplayingDoor(Tape(Beginning("kept", "kept", None, at), lines))


@pytest.fixture
def warehouse(study: Study, tmp_path: Path) -> Warehouse:
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(study.warehouse.path, copy)
    return Warehouse(copy)


def collect(case: Case, warehouse: Warehouse, study: Study, at: datetime, live: bool) -> None:
    """Store what a collector makes of answers that were fetched at one instant."""
    plan = Plan(warehouse, warehouse.path.parent / "staging", study.workdir, study.config)
    places = {stream: end.isoformat() for stream, end in case.places.items()}
    cursor = json.dumps(places) if live else None
    for batch in case.make(door_of(case, at)).collect(cursor, at):
        assert batch.polls[0].state == "ok", batch.polls[0].detail
        keep_batch(plan, "kept", batch, Merge("kept", at))


def ages(case: Case, warehouse: Warehouse, study: Study) -> dict[datetime, float]:
    """Return how old the newest value was that each decision saw, in days; 1 is too old or none."""
    features = study.config.features.model_copy(
        update={"metrics": (case.label.partition("@")[0],), "metric_max_age_d": 7.0}
    )
    config = study.config.model_copy(update={"features": features})
    made = load_dataset(warehouse, config, replace(study.request, metrics=(case.label,)))
    column = [c.name for c in made.columns].index(f"{case.label}.age")
    decided = [t.astype(datetime).replace(tzinfo=UTC) for t in made.decision_time]
    return dict(zip(decided, 7 * made.features[:, column], strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_fetched_by_then_it_is_seen_and_a_second_later_it_is_not(
    case: Case, warehouse: Warehouse, study: Study, tmp_path: Path
) -> None:
    late = Warehouse(tmp_path / "late.duckdb")
    shutil.copyfile(warehouse.path, late.path)
    collect(case, warehouse, study, DECIDED, live=True)
    collect(case, late, study, DECIDED + SECOND, live=True)
    seen, missed = ages(case, warehouse, study), ages(case, late, study)
    assert seen[DECIDED] == pytest.approx((DECIDED - case.end) / DAY)
    assert missed[DECIDED] == 7, "nothing was known yet"
    assert missed[DECIDED + HOUR] == pytest.approx((DECIDED + HOUR - case.end) / DAY)


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: case.label)
def test_fetched_later_it_was_known_after_its_lag(
    case: Case, warehouse: Warehouse, study: Study
) -> None:
    lag = {"coingecko": 1, "blockchain_com": 12, "mempool": 2, "mempool_fees": 2}
    known = case.end + lag[case.label.partition("@")[2]] * HOUR
    collect(case, warehouse, study, DECIDED, live=False)
    seen = ages(case, warehouse, study)
    first = min(at for at in seen if at >= known)
    assert seen[first] == pytest.approx((first - case.end) / DAY)
    assert seen[first - HOUR] > (first - HOUR - case.end) / DAY, "an older value, or none"


def test_the_audit_names_each_that_is_joined_a_second_early(
    warehouse: Warehouse, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in CASES[:3]:
        collect(case, warehouse, study, DECIDED + SECOND, live=True)
    names = tuple(case.label.partition("@")[0] for case in CASES)
    features = study.config.features.model_copy(update={"metrics": names})
    config = study.config.model_copy(update={"features": features})
    with_them = replace(study, warehouse=warehouse, config=config)
    clean = with_them.audit(cuts=(DECIDED,))
    assert clean.clean, clean.sentence()
    honest = db.query

    def early(asked: str) -> str:
        text = honest(asked)
        if asked != "metrics_as_of":
            return text
        plant = "(SELECT * REPLACE (known_at - INTERVAL 1 SECOND AS known_at) FROM metric)"
        changed = text.replace("FROM metric\n", f"FROM {plant}\n")
        assert changed != text, "the plant does not fit metrics_as_of.sql any more"
        return changed

    monkeypatch.setattr(read, "query", early)
    result = with_them.audit(cuts=(DECIDED,))
    named = {offender.column.rpartition(".")[0] for offender in result.offenders}
    # A first reading of fees alone moves none of its columns but the age.
    assert {case.label for case in CASES[:4]} <= named
