"""What a run leaves for those who watch: log, figures, messages to a real server."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from moodtape.backup import make_backup
from moodtape.errors import ConfigError, WarehouseLocked
from moodtape.nightly import steps
from moodtape.nightly.gauges import gauge_text
from moodtape.nightly.journal import Journal
from moodtape.nightly.lock import only_one
from moodtape.nightly.run import Order
from moodtape.nightly.watch import Standing
from moodtape.settings import describe, load_settings
from moodtape.storage.ledger import record_trials

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nightly.conftest import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INGEST = Order(only="ingest")


@dataclass
class Listener:
    """A server that is told things; `answers` by status, `to`: where it redirects."""

    url: str = ""
    status: int = 204
    to: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    told = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.heard.append(json.loads(body))
            self.send_response_only(told.status)
            if told.to:
                self.send_header("location", told.to)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/canary-7d1f"
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def lines(folder: Path, name: str = "moodtape.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "logs" / name).read_text().splitlines()]


def test_the_log_has_a_line_for_every_step_and_every_problem(ready: World) -> None:
    before = len(lines(ready.folder))
    ready.down.add("/feed")
    result = ready.run("tick")
    found = lines(ready.folder)[before:]
    assert {line["run_id"] for line in found} == {found[0]["run_id"]}
    assert {line["rhythm"] for line in found} == {"tick"}
    assert {line["slot"] for line in found} == {result.slot.isoformat()}
    events = [(line["event"], line.get("step"), line["level"]) for line in found]
    assert events == [
        ("run began", None, "info"),
        ("step began", "ingest", "info"), ("step ended", "ingest", "warning"),
        ("problem", "ingest", "warning"),
        ("step began", "score", "info"), ("step ended", "score", "info"),
        ("step began", "hours", "info"), ("step ended", "hours", "info"),
        ("step began", "settle", "info"), ("step ended", "settle", "info"),
        ("step began", "forecast", "info"), ("step ended", "forecast", "info"),
        ("run ended", None, "warning"),
    ]  # fmt: skip
    assert found[2]["counts"]["bars"] == {"state": "done", "new": 1}
    assert found[2]["seconds"] == result.steps[0].seconds
    assert re.match(r"news one \(refused\): http://.*/feed answered 503", found[3]["message"])
    assert found[-1]["exit_code"] == 5
    run_ids = {row[0] for row in _rows(ready, "SELECT run_id FROM step")}
    assert found[0]["run_id"] in run_ids, "the log and the warehouse name a run alike"


def _rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.warehouse.read() as connection:
        return connection.execute(sql).fetchall()


def test_a_run_that_breaks_off_is_told_with_its_reason(ready: World, listener: Listener) -> None:
    with (
        only_one(ready.folder / ".moodtape" / "tick.lock", "tick", 0),
        pytest.raises(WarehouseLocked) as caught,
    ):
        ready.run("tick", **{"storage.lock_wait_s": 0.1, "nightly.webhook": listener.url})
    last = lines(ready.folder)[-1]
    assert (last["event"], last["exit_code"], last["error"]) == (
        "run broke off", 6, "WarehouseLocked",
    )  # fmt: skip
    assert last["message"] == str(caught.value)
    (heard,) = listener.heard
    assert (heard["event"], heard["exit_code"]) == ("failure", 6)
    assert str(caught.value) in heard["text"]


def test_no_secret_of_an_address_comes_into_log_warehouse_or_message(
    ready: World, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(moment: steps.Moment) -> steps.Did:
        raise ConnectionError("GET https://me:canary-1@api.example/v1?key=canary-2 failed")

    monkeypatch.setitem(steps.TICK, "hours", broken)
    listener.status = 500
    result = ready.run("tick", Order(only="hours"), **{"nightly.webhook": listener.url})
    assert result.steps[0].error == (
        "Unexpected failure: ConnectionError: GET https://api.example/v1 failed"
    )
    (warning,) = result.warnings
    assert warning == "The webhook was not told: 127.0.0.1 answered 500."
    assert "canary" not in json.dumps(listener.heard)
    kept = [path for path in ready.folder.rglob("*") if path.is_file()]
    assert len(kept) > 8
    assert [path for path in kept if b"canary" in path.read_bytes()] == []


def test_the_log_goes_on_in_a_new_file_and_keeps_so_many(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    settings = load_settings(
        tmp_path, (), {"nightly.log_mib": 0.001, "nightly.log_files": 3}, environ={}
    )
    journal = Journal(settings, lambda: datetime(2026, 3, 1, tzinfo=UTC), {"run_id": "a"})
    for number in range(40):
        journal.note("step ended", number=number)
    names = sorted(path.name for path in (tmp_path / "logs").glob("moodtape*"))
    assert names == ["moodtape.jsonl", "moodtape.jsonl.1", "moodtape.jsonl.2"]
    kept = [line["number"] for name in reversed(names) for line in lines(tmp_path, name)]
    assert kept == list(range(kept[0], 40)), "whole lines, in order, the newest"
    assert all((tmp_path / "logs" / name).stat().st_size < 1100 for name in names)
    assert journal.trouble is None


def test_a_log_that_cannot_be_written_fails_no_run_and_is_told(ready: World) -> None:
    (ready.folder / "in the way").write_text("a file")
    result = ready.run("tick", Order(only="hours"), **{"nightly.log": "in the way/log.jsonl"})
    assert result.exit_code == 0
    (warning,) = result.warnings
    assert warning.startswith(f"The log {ready.folder}/in the way/log.jsonl cannot be written:")
    assert json.loads((ready.folder / "heartbeat.json").read_text())["warnings"] == [warning]
    quiet = ready.run("tick", Order(only="settle"), **{"nightly.log": "", "nightly.metrics": ""})
    assert quiet.warnings == ()


SAMPLE = re.compile(r'^(moodtape_[a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)+)\})? (\S+)$')


def samples(text: str) -> dict[str, float]:
    """Return samples by name and labels, as the format's grammar has them."""
    found, named = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            named.add(line.split()[2])
        elif not line.startswith("# HELP "):
            match = SAMPLE.match(line)
            assert match, line
            assert match[1] in named, "a sample comes after its type"
            found[line.rpartition(" ")[0]] = float(match[3])
    return found


def test_prometheus_finds_how_the_project_stands(ready: World) -> None:
    settings = load_settings(ready.folder, environ={})
    make_backup(settings, ready.warehouse, ready.now - HOUR)
    ready.down.add("/feed")
    ready.run("tick")
    found = samples((ready.folder / "moodtape.prom").read_text())
    now = ready.now.timestamp()
    step = "moodtape_step_last_success_timestamp_seconds"
    assert found[f'{step}{{rhythm="tick",step="settle"}}'] == now
    assert found[f'{step}{{rhythm="tick",step="ingest"}}'] == now - 3600
    assert found['moodtape_step_failures_total{rhythm="tick",step="ingest"}'] == 1
    source = '{collector="news",stream="one"}'
    assert found[f"moodtape_source_last_success_timestamp_seconds{source}"] == now - 3600
    assert found[f"moodtape_source_up{source}"] == 0
    assert found['moodtape_source_up{collector="bars",stream="BTCUSDT 1h"}'] == 1
    bars = '{symbol="BTC",venue="binance",quote="USDT",interval="1h"}'
    assert found[f"moodtape_bars_newest_timestamp_seconds{bars}"] == now - 180
    assert found["moodtape_model_trained_until_timestamp_seconds"] == now - 3 * 3600
    assert found["moodtape_backup_last_success_timestamp_seconds"] == now - 3600
    assert found["moodtape_overdue"] == 0
    assert found["moodtape_written_timestamp_seconds"] == now
    assert list(ready.folder.glob(".moodtape.prom*")) == [], "written at once"


def test_figures_that_are_missing_are_left_out_and_names_are_escaped() -> None:
    row = {"symbol": 'A"\\\n', "horizon_bars": 1, "target": "return", "n": 3, "skill": None,
           "low": float("nan"), "high": 0.25}  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("steps", "polls", "bars", "metrics", "texts", "quarantine")
    }
    text = gauge_text(Standing({**found, "skill": [row]}, None, ["late"]), [], ready_at())
    labels = r'{symbol="A\"\\\n",horizon_bars="1",target="return"}'
    read = samples(text)
    assert read[f"moodtape_live_skill_high_ratio{labels}"] == 0.25
    assert f"moodtape_live_skill_ratio{labels}" not in read
    assert f"moodtape_live_skill_low_ratio{labels} NaN" in text
    assert read["moodtape_overdue"] == 1
    assert "model_trained" not in text


def ready_at() -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC)


def test_a_failure_is_told_once_then_daily_and_its_end_once(
    ready: World, listener: Listener
) -> None:
    told = {"nightly.webhook": listener.url}
    ready.run("tick", Order(only="settle"), **told)
    assert listener.heard == [], "nothing has failed"
    ready.down.add("/feed")
    for _ in range(3):
        ready.run("tick", INGEST, **told)
        ready.now += HOUR
    (heard,) = listener.heard
    assert heard["project"] == "ready"
    assert (heard["product"], heard["schema_version"]) == ("moodtape", 1)
    assert (heard["event"], heard["rhythm"], heard["exit_code"]) == ("failure", "tick", 5)
    assert heard["text"].startswith(
        "ready: tick of 2026-03-01 04:00Z ended with 5: ingest (partial)"
    )
    assert "answered 503" in heard["problems"][0]
    ready.now += DAY
    ready.run("tick", INGEST, **told)
    assert [h["event"] for h in listener.heard] == ["failure", "failure"], "it lasts"
    ready.down.clear()
    for _ in range(2):
        ready.run("tick", INGEST, **told)
    assert [h["event"] for h in listener.heard[2:]] == ["recovery"]


def test_a_message_that_is_not_taken_comes_again(ready: World, listener: Listener) -> None:
    told = {"nightly.webhook": listener.url}
    ready.down.add("/feed")
    listener.status = 500
    assert len(ready.run("tick", INGEST, **told).warnings) == 1
    problems = [line["message"] for line in lines(ready.folder) if line["event"] == "problem"]
    assert problems[-1].startswith("The webhook was not told")
    listener.status, tried = 200, len(listener.heard)
    again = ready.run("tick", INGEST, **told)
    assert (again.exit_code, again.warnings) == (5, ())
    assert len(listener.heard) == tried + 1


def test_a_redirect_is_not_followed(ready: World, listener: Listener) -> None:
    ready.down.add("/feed")
    listener.status, listener.to = 307, f"{ready.url}/feed"
    ready.asked.clear()
    (warning,) = ready.run("tick", INGEST, **{"nightly.webhook": listener.url}).warnings
    assert "from one address to the next" in warning
    assert "canary" not in warning
    assert ready.asked.count("/feed") == 1, "the collector's own question"
    assert len(listener.heard) == 1


def test_a_changed_verdict_is_told(ready: World, listener: Listener) -> None:
    told, settle = {"nightly.webhook": listener.url}, Order(only="settle")

    def study(word: str, days: int, config: str = "a") -> None:
        trial = {
            "config_hash": config, "symbol": "BTC", "target": "direction", "horizon_bars": 1,
            "forecaster": "network", "test_from": ready.now, "test_until": ready.now + days * DAY,
            "verdict": word,
        }  # fmt: skip
        with ready.warehouse.write() as connection:
            record_trials(connection, [trial], "run", ready.now + days * HOUR)

    study("cannot tell", 1)
    ready.run("tick", settle, **told)
    study("cannot tell", 2)
    study("evaluated", 3)
    ready.run("tick", settle, **told)
    assert listener.heard == [], "a first word, and the same one again, are no change"
    study("helps", 4)
    ready.run("tick", settle, **told)
    ready.run("tick", settle, **told)
    (heard,) = listener.heard
    assert heard["event"] == "verdict"
    assert (heard["question"], heard["before"], heard["verdict"]) == (
        "BTC direction 1 network", "cannot tell", "helps",
    )  # fmt: skip
    assert heard["text"] == (
        "ready: the verdict on BTC direction 1 network was 'cannot tell' and is 'helps'"
    )


def test_the_address_is_shown_to_nobody(tmp_path: Path) -> None:
    secret = {"MOODTAPE__NIGHTLY__WEBHOOK": "https://hooks.example/canary"}
    settings = load_settings(tmp_path, environ=secret)
    assert settings.config.nightly.webhook.get_secret_value().endswith("canary")
    assert "canary" not in repr(settings) + json.dumps(settings.config.model_dump(mode="json"))
    assert "canary" not in str([str(row["value"]) for row in describe(settings)])
    with pytest.raises(ConfigError, match=r"begins with https://.*got a secret") as caught:
        load_settings(tmp_path, (), {"nightly.webhook": "canary"}, environ={})
    assert "canary" not in str(caught.value)


def test_a_webhook_in_a_file_of_keys_that_others_can_read_is_refused(
    ready: World, listener: Listener
) -> None:
    keys = ready.folder / ".env"
    keys.write_text(f"MOODTAPE__NIGHTLY__WEBHOOK={listener.url}\n")
    keys.chmod(0o644)
    ready.down.add("/feed")
    (warning,) = ready.run("tick", INGEST).warnings
    assert "can be read by others (mode 0644). Run: chmod 600" in warning
    keys.chmod(0o600)
    assert ready.run("tick", INGEST).warnings == ()
    assert len(listener.heard) == 1


def test_the_verb_tells_what_could_not_be_told(
    ready: World, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODTAPE__NIGHTLY__LOG", "moodtape.toml/log")
    where = ("--only", "settle", "--project", ready.folder)
    done = run("tick", *where)
    assert done.code == 0
    assert done.err.splitlines()[-1].startswith("The log ")
    assert json.loads(run("tick", "--json", *where).out)["warnings"][0].startswith("The log ")
