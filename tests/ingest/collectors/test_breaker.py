"""A host in trouble is left alone, for longer each time, by this run and by those after it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.cli import main
from moodtape.config import Config, HttpSection
from moodtape.errors import CouldNotAsk, LeftAlone, Refused, SourceFailed
from moodtape.ingest.breaker import LONGEST_BAN, after_answer, after_silence
from moodtape.ingest.http import Http, Timing
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.result import SourceResult
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.storage.db import Warehouse
from moodtape.storage.hosts import HostLimit
from moodtape.storage.summary import troubled_hosts

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Make = Callable[..., Http]


class Asker:
    """Asks one page of the loopback server, which fails as it is told."""

    def __init__(self, loopback: Any, http: Http) -> None:
        self.loopback, self.http = loopback, http

    def ask(self, times: int = 1) -> SourceFailed | None:
        """Ask so many times; return what came of the last."""
        failure: SourceFailed | None = None
        for _ in range(times):
            failure = None
            try:
                self.http.get(f"{self.loopback.url}/x")
            except SourceFailed as exc:
                failure = exc
        return failure


@pytest.fixture
def make_asker(loopback: Any, make_http: Make) -> Callable[..., Asker]:
    def make(*answers: Any, **policy: Any) -> Asker:
        loopback.answers["/x"] = list(answers)
        rules = {"attempts": 1, "breaker_failures": 3, "breaker_rest_min": 30, **policy}
        return Asker(loopback, make_http(**rules))

    return make


def test_failures_in_a_row_open_it(make_asker: Any, reply: Any, loopback: Any) -> None:
    asker = make_asker(reply(status=503))
    assert isinstance(asker.ask(3), Refused)
    failure = asker.ask()
    assert isinstance(failure, LeftAlone)
    host = loopback.url.removeprefix("http://")
    assert str(failure) == (
        f"{host} is left alone until 2026-10-01 12:30Z:"
        " 3 requests in a row failed, the last: it answered 503."
    )
    assert len(loopback.asked) == 3


def test_a_request_counts_once_whatever_its_retries(
    make_asker: Any, reply: Any, loopback: Any
) -> None:
    asker = make_asker(reply(status=503), attempts=4, backoff_s=0)
    assert isinstance(asker.ask(3), Refused)
    assert isinstance(asker.ask(), LeftAlone)
    assert len(loopback.asked) == 12


def test_an_answer_between_begins_the_count_anew(
    make_asker: Any, reply: Any, loopback: Any
) -> None:
    bad = reply(status=500)
    asker = make_asker(bad, bad, reply(b"good"), bad, bad, reply(status=304), bad, bad, bad)
    assert isinstance(asker.ask(9), Refused), "never three in a row before the last"
    assert isinstance(asker.ask(), LeftAlone)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 451])
def test_what_is_said_of_a_page_is_not_said_of_the_host(
    status: int, make_asker: Any, reply: Any, loopback: Any
) -> None:
    page, bad = reply(status=status), reply(status=500)
    asker = make_asker(*[page] * 5, bad, page, bad, page, bad)
    assert isinstance(asker.ask(10), Refused), "five pages are missing, and nothing is counted"
    assert isinstance(asker.ask(), LeftAlone), "nor did they end the count of three failures"


def test_one_trial_without_retries_decides(
    make_asker: Any, reply: Any, loopback: Any, fake_time: Any
) -> None:
    asker = make_asker(
        *[reply(status=503)] * 5, reply(b"good"), reply(status=503), reply(b"again"),
        attempts=2, backoff_s=0, breaker_failures=2,
    )  # fmt: skip
    asker.ask(2)
    assert len(loopback.asked) == 4
    fake_time.sleep(30 * 60)
    assert isinstance(asker.ask(), Refused)
    assert len(loopback.asked) == 5, "a single try"
    told = str(asker.ask())
    assert "until 2026-10-01 13:30Z: 3 requests in a row failed" in told, "twice as long"
    fake_time.sleep(60 * 60)
    assert asker.ask() is None
    assert asker.ask() is None, "it is asked as ever, with its retries"
    assert len(loopback.asked) == 8


def test_a_rest_doubles_up_to_a_day() -> None:
    policy = HttpSection(breaker_failures=2, breaker_rest_min=60)
    limit, now, rests = HostLimit("a.example"), NOON, []
    for _ in range(8):
        limit = after_silence(limit, "it hung up", now, policy)
        rests.append(None if limit.open_until is None else (limit.open_until - now) / HOUR)
        now = limit.open_until or now
    assert rests == [None, 1, 2, 4, 8, 16, 24, 24]
    assert after_answer(limit, 200, None, now, policy) == HostLimit("a.example")
    for _ in range(3000):
        limit = after_silence(limit, "it hung up", now, policy)
    assert limit.open_until == now + DAY


@pytest.mark.parametrize(
    ("header", "until"),
    [("7200", NOON + 2 * HOUR), ("Thu, 01 Oct 2026 15:00:00 GMT", NOON + 3 * HOUR),
     ("", NOON + HOUR / 2), ("soon", NOON + HOUR / 2), ("90", NOON + 1.5 * MINUTE),
     ("900000000", NOON + LONGEST_BAN)],
)  # fmt: skip
def test_a_ban_lasts_until_the_stated_time(
    header: str, until: datetime, make_asker: Any, reply: Any, loopback: Any, fake_time: Any
) -> None:
    asker = make_asker(reply(status=418, headers={"Retry-After": header}), reply(b"good"))
    assert isinstance(asker.ask(), Refused)
    fake_time.sleep((until - NOON).total_seconds() - 1)
    failure = asker.ask()
    assert isinstance(failure, LeftAlone)
    assert "it bans us (418)" in str(failure)
    fake_time.sleep(1)
    assert asker.ask() is None
    assert len(loopback.asked) == 2


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_long_wait_is_kept_by_every_later_request(
    status: int, make_asker: Any, reply: Any, loopback: Any, fake_time: Any
) -> None:
    asker = make_asker(reply(status=status, headers={"Retry-After": "3600"}), reply(b"good"))
    assert isinstance(asker.ask(), Refused)
    assert f"until 2026-10-01 13:00Z: it asks for it ({status})" in str(asker.ask())
    fake_time.sleep(3600)
    assert asker.ask() is None


def test_a_short_wait_is_waited_for_by_the_next_request(
    make_asker: Any, reply: Any, fake_time: Any
) -> None:
    asker = make_asker(reply(status=429, headers={"Retry-After": "45"}), reply(b"good"))
    assert isinstance(asker.ask(), Refused)
    assert fake_time.slept == []
    fake_time.sleep(5)
    assert asker.ask() is None
    assert fake_time.slept == [5, 40]


@pytest.mark.parametrize("status", [200, 404, 429])
def test_a_limit_that_is_used_up_is_waited_for(
    status: int, make_asker: Any, reply: Any, fake_time: Any
) -> None:
    """By the headers of Reddit and X; neither says `Retry-After`."""
    in_90_s = {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": f"{NOON.timestamp() + 90:.0f}",
               "Date": "Thu, 01 Oct 2026 12:00:00 GMT"}  # fmt: skip
    asker = make_asker(reply(status=status, headers=in_90_s), reply(b"good"), reply(b"good"))
    asker.ask()
    fake_time.sleep(10)
    assert asker.ask() is None
    assert asker.ask() is None
    assert fake_time.slept == [10, 80]


def test_a_limit_that_begins_anew_much_later_leaves_it_alone(
    make_asker: Any, reply: Any, fake_time: Any, loopback: Any
) -> None:
    used_up = {"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "600"}
    asker = make_asker(reply(b"good", headers=used_up), reply(b"good"))
    assert asker.ask() is None
    assert "until 2026-10-01 12:10Z: its limit of requests is used up." in str(asker.ask())
    fake_time.sleep(600)
    assert asker.ask() is None
    assert len(loopback.asked) == 2


@pytest.mark.parametrize(
    ("remaining", "reset"),
    [("1", "60"), ("0", "nan"), ("0", "soon"), ("0", ""), ("", "60"), ("0", "1790000000000"),
     ("0", "7200"), ("0", "inf")],
)  # fmt: skip
def test_a_limit_that_says_nothing_readable_asks_for_nothing(
    remaining: str, reset: str, make_asker: Any, reply: Any, fake_time: Any
) -> None:
    headers = {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    asker = make_asker(reply(b"good", headers=headers))
    asker.ask(2)
    assert fake_time.slept == []


def test_other_hosts_are_not_concerned(
    make_asker: Any, make_loopback: Any, make_http: Make, loopback: Any, reply: Any
) -> None:
    other = make_loopback()
    other.answers["/y"] = reply(b"good")
    http = make_http(loopback.url, other.url, attempts=1, breaker_failures=1)
    loopback.answers["/x"] = reply(status=500)
    for kind in (Refused, LeftAlone):
        with pytest.raises(kind):
            http.get(f"{loopback.url}/x")
        assert http.get(f"{other.url}/y").body == b"good"
    other.answers["/away"] = reply(status=302, headers={"Location": f"{loopback.url}/x"})
    with pytest.raises(LeftAlone):
        http.get(f"{other.url}/away")


def test_a_host_that_hangs_up_or_drips_is_silent(
    make_asker: Any, reply: Any, loopback: Any
) -> None:
    asker = make_asker(reply(hang_up=True), reply(b"half", cut=9), breaker_failures=2)
    assert type(asker.ask(2)) is CouldNotAsk
    assert "the last: it broke off in the middle" in str(asker.ask())
    loopback.answers["/x"] = reply(b"news")
    slow = Http(HttpSection(deadline_s=1e-9, breaker_failures=1), [loopback.url], Timing())
    assert "was still sending" in str(Asker(loopback, slow).ask())
    assert "it sends too slowly" in str(Asker(loopback, slow).ask())


def test_without_a_network_no_host_is_blamed(
    monkeypatch: pytest.MonkeyPatch, loopback: Any, fake_time: Any
) -> None:
    """A laptop that was off line for a day goes on at once when it is back."""

    def no_network(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    known, unknown = "http://mirror.example/x", "https://feeds.example/x"
    encrypted = loopback.url.replace("http:", "https:") + "/x"
    policy = HttpSection(attempts=1, breaker_failures=1, spacing_s=0)
    http = Http(policy, [known, encrypted], fake_time.timing)
    for url, why in [(known, "no such host, or no network"), (unknown, "cannot be looked up")]:
        for _ in range(2):
            with pytest.raises(CouldNotAsk, match=why) as told:
                http.get(url)
            assert not isinstance(told.value, LeftAlone)
    monkeypatch.undo()
    for _ in range(2):
        with pytest.raises(CouldNotAsk, match="its certificate is not good"):
            http.get(encrypted)


class Desk:
    """A project that asks for an index, and what is kept of its host."""

    def __init__(self, providers: Any, fake_time: Any) -> None:
        self.loopback, self.fake_time, self.folder = (
            providers.loopback, fake_time, providers.folder
        )  # fmt: skip
        self.good = providers.loopback.answers["/fng/"]
        config = Config(
            indices={"base_url": providers.loopback.url},  # type: ignore[arg-type]
            http={"attempts": 1, "breaker_failures": 2},  # type: ignore[arg-type]
        )
        self.plan = Plan(
            Warehouse(self.folder / "moodtape.duckdb"), self.folder / "staging", self.folder,
            config, timing=fake_time.timing, answers=self.folder / "answers",
        )  # fmt: skip

    def run(self, answer: Any = None, **more: Any) -> SourceResult:
        """Run once; the provider answers well unless it is told otherwise."""
        self.loopback.answers["/fng/"] = answer or self.good
        (result,) = run_collectors(replace(self.plan, **more), ["indices"])
        return result

    def kept(self) -> list[tuple[Any, ...]]:
        with self.plan.warehouse.read() as connection:
            return connection.execute(
                "SELECT failures, rests, open_until, last_status FROM host_limit"
            ).fetchall()

    def status(self) -> list[dict[str, Any]]:
        with self.plan.warehouse.read() as connection:
            return troubled_hosts(connection, self.fake_time.now())


@pytest.fixture
def desk(providers: Any, fake_time: Any) -> Desk:
    return Desk(providers, fake_time)


def test_failures_are_counted_across_runs(desk: Desk, reply: Any) -> None:
    desk.run(reply(status=503))
    assert desk.kept() == [(1, 0, None, 503)]
    assert desk.status()[0]["state"] == "failing"
    desk.run(reply(status=502))
    assert desk.kept() == [(2, 1, NOON + HOUR / 2, 502)]
    asked = len(desk.loopback.asked)
    result = desk.run()
    assert (result.state, [p.state for p in result.polls]) == ("failed", ["down"])
    (poll,) = result.polls
    host = desk.loopback.url.removeprefix("http://")
    assert poll.detail.startswith(f"{host} is left alone until 2026-10-01 12:30Z: 2 requests")
    assert len(desk.loopback.asked) == asked, "it was not asked"
    assert desk.status() == [
        {"host": host, "state": "resting", "failures": 2, "until": NOON + HOUR / 2,
         "last_status": 502, "why": "2 requests in a row failed, the last: it answered 502"}
    ]  # fmt: skip


def test_a_later_run_makes_the_trial(desk: Desk, reply: Any) -> None:
    for _ in range(2):
        desk.run(reply(status=503))
    desk.fake_time.sleep(30 * 60)
    assert desk.status()[0]["state"] == "on trial"
    desk.run(reply(hang_up=True))
    assert desk.kept() == [(3, 2, NOON + 1.5 * HOUR, None)], "open for an hour"
    desk.fake_time.sleep(60 * 60)
    assert desk.run().state == "done"
    assert desk.kept() == [(0, 0, None, None)]
    assert desk.status() == []


def test_a_ban_survives_the_process(desk: Desk, reply: Any) -> None:
    desk.run(reply(status=418, headers={"Retry-After": "3600"}))
    desk.fake_time.sleep(3599)
    assert [p.state for p in desk.run().polls] == ["down"]
    assert len(desk.loopback.asked) == 1
    desk.fake_time.sleep(1)
    assert desk.run().state == "done"
    assert desk.kept() == [(0, 0, None, None)]


def test_what_a_host_asks_for_is_stored_before_the_run_ends(desk: Desk, reply: Any) -> None:
    """A run that is killed while it waits has told the next one not to come before."""
    seen: list[Any] = []

    def second(asked: Any) -> Any:
        with desk.plan.warehouse.read() as connection:
            seen.extend(connection.execute("SELECT free_at, failures FROM host_limit").fetchall())
        return desk.good(asked)

    answers = [reply(status=429, headers={"Retry-After": "60"}), second]
    http = desk.plan.config.http.model_copy(update={"attempts": 2})
    config = desk.plan.config.model_copy(update={"http": http})
    result = desk.run(
        lambda asked: (first := answers.pop(0)) and (first(asked) if callable(first) else first),
        config=config,
    )
    assert result.state == "done"
    assert seen == [(NOON + MINUTE, 0)]
    assert desk.kept() == [(0, 0, None, None)]


def test_a_good_run_writes_nothing_of_its_hosts(desk: Desk, reply: Any) -> None:
    for _ in range(3):
        assert desk.run().state == "done"
    assert desk.kept() == []
    desk.run(reply(status=404))
    assert desk.kept() == []


def test_a_dry_run_reads_and_does_not_write(desk: Desk, reply: Any) -> None:
    desk.run(reply(status=503))
    desk.run(reply(status=503), dry_run=True)
    assert desk.kept() == [(1, 0, None, 503)]
    desk.run(reply(status=503))
    asked = len(desk.loopback.asked)
    assert [p.state for p in desk.run(dry_run=True).polls] == ["down"]
    assert len(desk.loopback.asked) == asked


def test_a_replay_neither_asks_nor_blames(desk: Desk, reply: Any) -> None:
    desk.run()
    for _ in range(3):
        desk.run(reply(status=503))
    before, asked = desk.kept(), len(desk.loopback.asked)
    (result,) = replay_answers(desk.plan, ["indices"])
    assert result.rows == 2, "what came before the host failed"
    assert (desk.kept(), len(desk.loopback.asked)) == (before, asked)
    desk.plan.warehouse.path.unlink()
    replay_answers(desk.plan, ["indices"])
    assert desk.kept() == []


def test_status_shows_hosts_that_rest(
    desk: Desk, reply: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def status(*arguments: str) -> str:
        line = ["moodtape", "status", *arguments, "--project", str(desk.folder)]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out

    desk.run()
    assert json.loads(status("--json"))["hosts"] == []
    assert "\nhosts\n" not in status()
    # Status goes by the real clock, so the host is told to be banned from now on.
    timing = replace(desk.fake_time.timing, now=lambda: datetime.now(UTC))
    desk.run(reply(status=418, headers={"Retry-After": "7200"}), timing=timing)
    host = desk.loopback.url.removeprefix("http://")
    (row,) = json.loads(status("--json"))["hosts"]
    assert (row["host"], row["state"], row["why"]) == (host, "resting", "it bans us (418)")
    _, _, table = status().partition("\nhosts\n")
    assert table.splitlines()[2].split()[:3] == [host, "resting", "1"]
