"""`moodtape ingest` as it is typed, with the real clock and a server on this machine."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from moodtape.cli import main
from moodtape.clock import floor_to, utc_now
from moodtape.config import IngestSection
from moodtape.settings import load_settings

Run = Callable[..., Any]


@pytest.fixture
def providers(make_providers: Callable[..., Any]) -> Any:
    # The last bar of a provider that stood still then is over now, at whatever minute this runs.
    before = floor_to(utc_now(), timedelta(hours=1)) - timedelta(minutes=1)
    made = make_providers(lambda: before)
    made.publish("one", "a1", "Bitcoin rallies to a new high")
    made.publish("two", "b1", "Ether falls hard after the hack")
    return made


@pytest.fixture
def run(providers: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def moodtape(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(
            sys, "argv", ["moodtape", *arguments, "--project", str(providers.folder)]
        )
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return moodtape


def test_a_whole_run_without_a_key(run: Run) -> None:
    code, out, err = run("ingest")
    assert code == 0, err
    assert [line.split()[:4] for line in out.splitlines()] == [
        ["source", "state", "streams", "rows"], ["-" * 7, "-" * 5, "-" * 7, "-" * 4],
        ["news", "done", "2", "of"], ["bars", "done", "1", "of"], ["onchain", "done", "1", "of"],
        ["indices", "done", "1", "of"],
    ]  # fmt: skip
    assert "news + bars + onchain + indices (0 of 4 done)" in err
    assert "(3 of 4 done)" in err
    assert "There are new texts. Run: moodtape score" in err
    code, out, _ = run("ingest", "--json")
    told = json.loads(out)
    assert (code, told["new"], told["corrected"], told["dry_run"]) == (0, 0, 0, False)
    assert (told["schema_version"], told["command"], told["warnings"]) == (1, "ingest", [])
    assert {s["source"]: s["state"] for s in told["sources"]} == dict.fromkeys(
        ("news", "bars", "onchain", "indices"), "done"
    )
    code, out, _ = run("status", "--json")
    streams = {
        (p["collector"], p["stream"]): p["state"] for p in json.loads(out)["sources"]["polls"]
    }
    assert streams == {
        ("bars", "BTCUSDT 1h"): "empty", ("indices", "fear_greed"): "empty",
        ("news", "one"): "empty", ("news", "two"): "empty", ("onchain", "BTC"): "empty",
    }  # fmt: skip


def test_a_failed_feed_is_shown_and_ends_with_five(run: Run, providers: Any, reply: Any) -> None:
    providers.loopback.answers["/two"] = reply(b"<html>", 403)
    code, out, err = run("ingest", "news", "indices")
    assert code == 5
    assert "news two refused: " in out
    assert "/two answered 403." in out
    assert err.splitlines()[-1] == (
        "Not everything came: news (partial)."
        " What came is stored; the rest comes with the next run."
    )
    code, out, err = run("ingest", "news", "--json")
    assert (code, json.loads(out)["sources"][0]["state"]) == (5, "partial")


def test_a_stand_in_named_on_the_command_line(run: Run, providers: Any, reply: Any) -> None:
    base = providers.loopback.url
    (providers.folder / "moodtape.toml").write_text("[http]\nattempts = 1\n")
    providers.loopback.answers["/decrypt.co/feed"] = providers.loopback.answers["/one"]
    code, out, _ = run("ingest", "news", "indices", "--json", "--base-url", f"news={base}",
                       "--base-url", f"indices={base}/")  # fmt: skip
    told = json.loads(out)
    states = {s["stream"]: s["state"] for s in told["sources"][0]["streams"]}
    assert states.pop("decrypt") == "ok"
    assert set(states.values()) == {"refused"}, "the others are not there: 404"
    assert (code, told["sources"][1]["state"]) == (5, "done")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ingest", "nwes"), "There is no collector 'nwes'. Did you mean news?"),
        (("ingest", "--base-url", "news"), "write it as SOURCE=URL"),
        (("ingest", "--base-url", "bar=http://x"), "Did you mean bars?"),
        (("ingest", "--since", "soon"), "not an ISO date or time"),
        (("ingest", "--symbol", "btc"), "is not an asset in upper case"),
    ],
)
def test_wrong_usage_is_told(
    arguments: tuple[str, ...], message: str, run: Run, providers: Any
) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert message in err
    assert providers.loopback.asked == []


def test_a_dry_run(run: Run, providers: Any) -> None:
    code, out, err = run("ingest", "bars", "--dry-run")
    assert (code, "new" in out) == (0, False)
    assert "nothing was stored" in err
    assert not (providers.folder / "moodtape.duckdb").exists()


def test_since_and_until(run: Run, providers: Any) -> None:
    _, out, _ = run("ingest", "bars", "--since", "2025-03-01", "--until", "2025-03-03", "--json")
    assert json.loads(out)["new"] == 48


def test_a_first_run_as_the_page_says(
    run: Run, providers: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`init`, `ingest`, `score`, `status`; then there are bars, texts with scores, and metrics."""
    monkeypatch.setattr(sys, "argv", ["moodtape", "init", str(providers.folder / "mine")])
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, "moodtape ingest" in capsys.readouterr().out) == (0, True)
    settings = (providers.folder / "moodtape.toml").read_text()
    (providers.folder / "moodtape.toml").write_text(settings + '[sentiment]\nscorer = "lexicon"\n')
    for verb in ("ingest", "score"):
        code, _, err = run(verb)
        assert code == 0, err
    code, out, err = run("status")
    assert (code, "moodtape score" in err) == (0, False), "no text waits for a score"
    assert {"bars", "metrics", "texts", "polls", "scorers", "runs"} <= set(out.splitlines())


def test_a_secret_in_an_address_is_told_to_nobody(
    run: Run, providers: Any, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to the terminal, at debug neither, nor to the warehouse and what lies beside it."""
    monkeypatch.setenv("MOODTAPE_DEBUG", "1")
    host = providers.loopback.url.removeprefix("http://")
    base = f"http://user:canary-7d1f@{host}"
    refused = reply(b'{"msg": "no"}', 403)
    providers.loopback.answers |= {
        "/api/v3/klines": refused, "/fng/": reply(hang_up=True),
        "/v4/timeseries/asset-metrics": reply(b"cut"), "/one": refused, "/two": refused,
    }  # fmt: skip
    feeds = providers.folder / "feeds.toml"
    feeds.write_text(feeds.read_text().replace("http://", "http://user:canary-7d1f@"))
    stand_ins = [f"--base-url={s}={base}" for s in ("bars", "onchain", "indices")]
    for flags in ([], ["--json"]):
        code, out, err = run("ingest", *flags, *stand_ins)
        assert code == 5
        assert "canary" not in out + err
    feeds.unlink()
    (providers.folder / "moodtape.toml").unlink()
    kept = [path for path in providers.folder.rglob("*") if path.is_file()]
    assert kept
    assert [path for path in kept if b"canary" in path.read_bytes()] == []
    assert "authorization" in providers.loopback.asked[0].headers, "but it was used"


def test_rows_are_made_again_from_kept_answers(run: Run, providers: Any) -> None:
    _, out, _ = run("ingest", "--json")
    first = json.loads(out)
    (providers.folder / "moodtape.duckdb").unlink()
    asked = len(providers.loopback.asked)
    code, out, err = run("ingest", "--replay", "--json")
    assert code == 0, err
    assert json.loads(out)["new"] == first["new"]
    assert len(providers.loopback.asked) == asked
    code, _, err = run("ingest", "--replay", "--since", "2025-01-01")
    assert (code, "exclude each other" in err) == (2, True)


def test_gaps_are_shown_and_filled(run: Run, providers: Any) -> None:
    run("ingest", "bars")
    code, out, _ = run("status", "--gaps")
    assert (code, out.splitlines()[-1]) == (0, "none")
    with duckdb.connect(str(providers.folder / "moodtape.duckdb")) as connection:
        connection.execute(
            "DELETE FROM bar WHERE open_time IN"
            " (SELECT open_time FROM bar ORDER BY open_time LIMIT 2 OFFSET 5)"
        )
    code, out, _ = run("status", "--gaps")
    assert out.splitlines()[-1].split()[:4] == ["bars", "binance", "BTC/USDT", "1h"]
    (gap,) = json.loads(run("status", "--gaps", "--json")[1])["gaps"]
    assert (gap["kind"], gap["symbol"], gap["missing"]) == ("bars", "BTC", 2)
    code, out, _ = run("ingest", "--backfill", "--json")
    assert (code, json.loads(out)["new"]) == (0, 2)
    code, out, _ = run("ingest", "--backfill")
    assert (code, out.strip()) == (0, "Nothing is missing between what is stored.")


def test_what_init_writes_is_valid_also_where_it_is_commented_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["moodtape", "init", str(tmp_path), "--symbol", "ETH"])
    with pytest.raises(SystemExit):
        main()
    path = tmp_path / "moodtape.toml"
    assert load_settings(tmp_path, environ={}).config.ingest.sources == IngestSection().sources
    path.write_text(re.sub(r"^# (\w+ = )", r"\1", path.read_text(), flags=re.MULTILINE))
    config = load_settings(tmp_path, environ={}).config
    assert (config.http.contact, config.news.collection) == ("you@example.org", "my_feeds")
    assert (config.market.symbols, config.bars.first_days) == (("ETH",), 365)
