"""Bars of other venues as they are typed: by the environment, with the real clock, and stored."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from moodtape.cli import main
from moodtape.clock import floor_to, utc_now

HOUR = timedelta(hours=1)
VENUES = ("coinbase", "kraken", "coindesk")
Run = Callable[..., tuple[int, Any, str]]


class Exchanges:
    """All three venues on one server, with the same hours: each opens at 10 and closes at 11."""

    def __init__(self, loopback: Any, reply: Any) -> None:
        self.loopback, self.make = loopback, reply
        # An hour that has begun six minutes ago or more, whenever this runs.
        self.running = floor_to(utc_now() - timedelta(minutes=6), HOUR)
        self.missing: set[datetime] = set()
        loopback.answers |= {
            "/products/BTC-USD/candles": self.coinbase,
            "/0/public/OHLC": self.kraken,
            "/index/cc/v1/historical/hours": self.coindesk,
        }

    def reply(self, told: Any) -> Any:
        date = f"{self.running + timedelta(minutes=30):%a, %d %b %Y %H:%M:%S} GMT"
        return self.make(json.dumps(told).encode(), 200, {"date": date})

    def opens(self, since: datetime, until: datetime) -> list[datetime]:
        until = min(until, self.running)
        found = [since + hour * HOUR for hour in range((until - since) // HOUR + 1)]
        return [opened for opened in found if opened not in self.missing]

    def coinbase(self, asked: Any) -> Any:
        since, until = (datetime.fromisoformat(asked.query[key]) for key in ("start", "end"))
        rows = [[int(o.timestamp()), 9, 12, 10, 11, 2.5] for o in self.opens(since, until)]
        return self.reply(rows[::-1])

    def kraken(self, asked: Any) -> Any:
        since = max(_instant(asked.query["since"]) + HOUR, self.running - 719 * HOUR)
        opens = self.opens(since, self.running)
        rows = [[int(o.timestamp()), "10", "12", "9", "11", "10.5", "2.5", 7] for o in opens]
        last = int((self.running - HOUR).timestamp())
        result = {"XXBTZUSD": rows, "last": last}
        return self.reply({"error": [], "result": result})

    def coindesk(self, asked: Any) -> Any:
        until = _instant(asked.query["to_ts"])
        since = until - (int(asked.query["limit"]) - 1) * HOUR
        row = {"OPEN": 10, "HIGH": 12, "LOW": 9, "CLOSE": 11, "VOLUME": 2.5}
        rows = [
            {"TIMESTAMP": int(o.timestamp()), "TOTAL_INDEX_UPDATES": 1, **row}
            for o in self.opens(since, until)
        ]
        return self.reply({"Data": rows, "Err": {}})


def _instant(second: str) -> datetime:
    return datetime.fromtimestamp(int(second), UTC)


@pytest.fixture
def exchanges(loopback: Any, reply: Any) -> Exchanges:
    return Exchanges(loopback, reply)


@pytest.fixture
def run(
    exchanges: Exchanges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:  # fmt: skip
    def moodtape(venue: str, *arguments: str) -> tuple[int, Any, str]:
        monkeypatch.setenv("MOODTAPE__BARS__VENUE", venue)
        monkeypatch.setenv("MOODTAPE__BARS__FIRST_DAYS", "3")
        typed = ["moodtape", *arguments, "--json", "--project", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", typed)
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), json.loads(said.out), said.err

    (tmp_path / "moodtape.toml").write_text(
        '[market]\nsymbols = ["BTC"]\n[http]\nattempts = 1\nspacing_s = 0\n'
    )
    return moodtape


def stored(folder: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "moodtape.duckdb"), read_only=True) as connection:
        return connection.execute(
            'SELECT venue, quote, "interval", count(*), max(epoch(open_time)) FROM bar'
            " GROUP BY ALL ORDER BY venue"
        ).fetchall()


@pytest.mark.parametrize("venue", VENUES)
def test_a_venue_by_the_environment(
    venue: str, run: Run, exchanges: Exchanges, tmp_path: Path
) -> None:
    here = f"bars={exchanges.loopback.url}"
    code, told, err = run(venue, "ingest", "bars", "--base-url", here)
    assert code == 0, err
    newest = (exchanges.running - HOUR).timestamp()
    ((_, quote, interval, count, last),) = stored(tmp_path)
    assert (quote, interval, last) == ("USD", "1h", newest)
    assert told["new"] == count
    assert count in (71, 72), "three days, from the hour in which they begin"
    code, told, _ = run(venue, "ingest", "bars", "--base-url", here)
    assert (code, told["new"], told["corrected"]) == (0, 0, 0)
    _, told, _ = run(venue, "status")
    polls = {(p["collector"], p["stream"]): p["state"] for p in told["sources"]["polls"]}
    assert polls == {("bars", f"{venue} BTC/USD 1h"): "empty"}


def test_venues_lie_beside_each_other(run: Run, exchanges: Exchanges, tmp_path: Path) -> None:
    here = f"bars={exchanges.loopback.url}"
    for venue in VENUES:
        code, _, err = run(venue, "ingest", "bars", "--base-url", here)
        assert code == 0, err
    assert [row[0] for row in stored(tmp_path)] == sorted(VENUES)
    with duckdb.connect(str(tmp_path / "moodtape.duckdb"), read_only=True) as connection:
        ((position,),) = connection.execute("SELECT position FROM cursor").fetchall()
    assert set(json.loads(position)) == {f"{venue} BTC/USD 1h" for venue in VENUES}


def test_a_gap_is_asked_of_its_own_venue_alone(run: Run, exchanges: Exchanges) -> None:
    here = f"bars={exchanges.loopback.url}"
    exchanges.missing = {exchanges.running - 9 * HOUR}
    run("kraken", "ingest", "bars", "--base-url", here)
    exchanges.missing = set()
    run("coinbase", "ingest", "bars", "--base-url", here)
    asked = exchanges.loopback.asked
    asked.clear()
    code, told, _ = run("coinbase", "ingest", "--backfill", "--base-url", here)
    assert (code, asked) == (0, [])
    code, told, _ = run("kraken", "ingest", "bars", "--backfill", "--base-url", here)
    assert (code, told["new"], {question.path for question in asked}) == (0, 1, {"/0/public/OHLC"})


def test_a_gap_is_asked_for_in_its_own_currency_and_length(
    run: Run, exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"bars={exchanges.loopback.url}"
    exchanges.missing = {exchanges.running - 9 * HOUR}
    monkeypatch.setenv("MOODTAPE__BARS__QUOTE", "EUR")
    run("kraken", "ingest", "bars", "--base-url", here)
    exchanges.missing = set()
    monkeypatch.delenv("MOODTAPE__BARS__QUOTE")
    asked = exchanges.loopback.asked
    asked.clear()
    monkeypatch.setenv("MOODTAPE__MARKET__INTERVAL", "1d")
    code, _, _ = run("kraken", "ingest", "bars", "--backfill", "--base-url", here)
    assert (code, asked) == (0, []), "days do not fill a gap of hours"
    monkeypatch.delenv("MOODTAPE__MARKET__INTERVAL")
    code, told, _ = run("kraken", "ingest", "bars", "--backfill", "--base-url", here)
    assert (code, told["new"]) == (0, 1)
    assert [question.query["pair"] for question in asked] == ["XBTEUR"]


def test_a_wrong_address_is_a_refusal(run: Run, exchanges: Exchanges) -> None:
    here = f"bars={exchanges.loopback.url}/elsewhere"
    for venue in VENUES:
        code, told, _ = run(venue, "ingest", "bars", "--base-url", here)
        assert (code, told["new"]) == (5, 0), venue
