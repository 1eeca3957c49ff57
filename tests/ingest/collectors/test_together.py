"""Hosts are asked at the same time, each by one request after the other; the order stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moodtape.config import HttpSection, NewsSection
from moodtape.ingest.base import Question, ask_all
from moodtape.ingest.http import Http
from moodtape.ingest.replay import replay_answers
from moodtape.ingest.round import Plan
from moodtape.ingest.rss import FeedSource, NewsFeeds
from moodtape.ingest.run import run_collectors
from moodtape.ingest.together import Halt, Stopped, in_order
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
PATIENCE_S = 20


def meet(*servers_and_paths: tuple[Any, str]) -> threading.Barrier:
    """Let each path be answered only when all of them are being asked."""
    barrier = threading.Barrier(len(servers_and_paths))
    for server, path in servers_and_paths:
        server.answers[path] = _after(barrier, server.answers[path])
    return barrier


def _after(barrier: threading.Barrier, answer: Any) -> Callable[[Any], Any]:
    def reply(asked: Any) -> Any:
        barrier.wait(PATIENCE_S)
        return answer(asked) if callable(answer) else answer

    return reply


class Counter:
    """Counts how many questions a server answers at once; each waits a moment for another."""

    def __init__(self, server: Any) -> None:
        self.most = self._now = 0
        self._lock, self._second = threading.Lock(), threading.Event()
        for path, answer in server.answers.items():
            server.answers[path] = self._counted(answer)

    def _counted(self, answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def reply(asked: Any) -> Any:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
            if self._now > 1:
                self._second.set()
            self._second.wait(0.05)
            with self._lock:
                self._now -= 1
            return answer(asked)

        return reply


def make_plan(providers: Any, fake_time: Any, **changes: Any) -> Plan:
    """Return a plan of the providers' project; `changes` are sections of its config."""
    settings = load_settings(providers.folder, environ={})
    updates = {
        name: getattr(settings.config, name).model_copy(update=values)
        for name, values in changes.items()
    }
    return Plan(
        Warehouse(settings.warehouse, lock_wait_s=5), settings.staging, providers.folder,
        settings.config.model_copy(update=updates), timing=fake_time.timing,
        answers=settings.answers,
    )  # fmt: skip


def test_sources_of_two_hosts_are_asked_at_the_same_time(
    providers: Any, make_loopback: Any, fake_time: Any
) -> None:
    other = make_loopback()
    other.answers["/fng/"] = providers.index
    meet((providers.loopback, "/v4/timeseries/asset-metrics"), (other, "/fng/"))
    plan = make_plan(providers, fake_time, indices={"base_url": other.url})
    results = run_collectors(plan, ["onchain", "indices"])
    assert [(r.source, r.state, r.counts.new) for r in results] == [
        ("onchain", "done", 2), ("indices", "done", 2)
    ]  # fmt: skip


def test_feeds_of_two_hosts_are_asked_at_the_same_time(
    providers: Any, make_loopback: Any, make_http: Any
) -> None:
    other = make_loopback()
    other.answers["/two"] = lambda asked: providers.feed("two")
    meet((providers.loopback, "/one"), (other, "/two"))
    http = make_http(providers.loopback.url, other.url, attempts=1)
    feeds = [
        FeedSource("one", f"{providers.loopback.url}/one", ""),
        FeedSource("two", f"{other.url}/two", ""),
    ]
    (batch,) = NewsFeeds(feeds, NewsSection(), http).collect(None, NOON)
    assert [(poll.stream, poll.state) for poll in batch.polls] == [
        ("one", "empty"),
        ("two", "empty"),
    ]


def test_a_host_is_never_asked_twice_at_once(providers: Any, fake_time: Any) -> None:
    counter = Counter(providers.loopback)
    results = run_collectors(
        make_plan(providers, fake_time), ["news", "bars", "onchain", "indices"]
    )
    assert [result.state for result in results] == ["done"] * 4
    assert len(providers.loopback.asked) == 7, "two feeds, three pages of bars, a metric, an index"
    assert counter.most == 1


def test_the_counter_sees_two_at_once(providers: Any, fake_time: Any) -> None:
    """Two doors know nothing of each other; this is what the test above would see."""
    counter = Counter(providers.loopback)
    doors = [Http(HttpSection(), [providers.loopback.url], fake_time.timing) for _ in range(2)]
    jobs = [lambda door=door: door.get(f"{providers.loopback.url}/one").status for door in doors]
    assert list(in_order(jobs, [0, 1], 2, Halt())) == [200, 200]
    assert counter.most == 2


def test_with_one_at_a_time_sources_follow_each_other(
    providers: Any, make_loopback: Any, fake_time: Any
) -> None:
    other = make_loopback()
    other.answers["/fng/"] = providers.index
    asked: list[str] = []
    for server in (providers.loopback, other):
        for path, answer in server.answers.items():
            server.answers[path] = lambda told, reply=answer: asked.append(told.path) or reply(told)
    plan = make_plan(
        providers, fake_time, indices={"base_url": other.url}, http={"hosts_at_once": 1}
    )
    run_collectors(plan, ["indices", "onchain", "news"])
    assert asked == ["/fng/", "/v4/timeseries/asset-metrics", "/one", "/two"]


@pytest.fixture
def slow_first_feed(providers: Any, make_loopback: Any, fake_time: Any) -> Plan:
    """Return a project whose first feed is answered five seconds after the second, elsewhere."""
    other, second_is_in = make_loopback(), threading.Event()
    first, second = providers.loopback.answers["/one"], providers.loopback.answers["/two"]

    def late(asked: Any) -> Any:
        assert second_is_in.wait(PATIENCE_S)
        fake_time.sleep(5)
        return first(asked)

    def third(asked: Any) -> Any:
        second_is_in.set()  # a host is asked again when its answer has come
        return second(asked)

    providers.publish("one", "a1", "Bitcoin rallies to a new high")
    providers.publish("two", "b1", "Ether falls hard after the hack")
    providers.loopback.answers["/one"] = late
    other.answers |= {"/two": second, "/three": third}
    places = {"one": providers.loopback.url, "two": other.url, "three": other.url}
    tables = [f'[{name}]\nurl = "{url}/{name}"\nabout = "x"\n' for name, url in places.items()]
    (providers.folder / "feeds.toml").write_text("".join(tables))
    return make_plan(providers, fake_time)


def content(warehouse: Warehouse) -> dict[str, list[Any]]:
    with warehouse.read() as connection:
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
            for name in ("document", "mention", "poll", "cursor", "coverage")
        }


def test_answers_are_kept_in_the_order_of_the_feeds(slow_first_feed: Plan) -> None:
    """Each text is known when it was fetched, and a replay makes the same rows."""
    plan = slow_first_feed
    (result,) = run_collectors(plan, ["news"])
    assert [(p.stream, p.polled_at) for p in result.polls[:2]] == [
        ("one", NOON + timedelta(seconds=5)), ("two", NOON)
    ]  # fmt: skip
    stored = content(plan.warehouse)
    with plan.warehouse.read() as connection:
        times = (
            "SELECT document_id, known_at, recorded_at >= known_at FROM document"
            " WHERE outlet <> 'three' ORDER BY 1"
        )
        assert connection.execute(times).fetchall() == [
            ("one:a1", NOON + timedelta(seconds=5), True), ("two:b1", NOON, True)
        ]  # fmt: skip
    (again,) = replay_answers(plan, ["news"])
    assert (again.counts.known, again.counts.new) == (3, 0)
    assert content(plan.warehouse) == stored
    plan.warehouse.path.unlink()
    replay_answers(plan, ["news"])
    assert content(plan.warehouse) == stored


def test_no_cookie_is_kept(loopback: Any, make_http: Any, reply: Any) -> None:
    """Threads share none, and nobody can tell one poll from another by them."""
    there = {"Location": "/in", "Set-Cookie": "seen=1; Path=/"}
    loopback.answers["/x"] = reply(status=302, headers=there)
    loopback.answers["/in"] = reply(b"in")
    http = make_http()
    for _ in range(2):
        assert http.get(f"{loopback.url}/x").body == b"in"
    cookies = [asked.headers.get("cookie") for asked in loopback.asked]
    assert cookies == [None] * 4


def test_a_door_that_knows_only_one_question_at_a_time(
    loopback: Any, make_http: Any, reply: Any
) -> None:
    loopback.answers["/x"] = reply(b"x")
    http = make_http(attempts=1)

    class Plain:
        get = http.get

    questions = [Question(f"{loopback.url}/x"), Question(f"{loopback.url}/none")]
    first, second = ask_all(Plain(), questions)  # type: ignore[arg-type]
    assert (first.body, str(second)[-13:]) == (b"x", "answered 404.")  # type: ignore[union-attr]


def test_results_come_in_their_order() -> None:
    first_may_end, order = threading.Event(), []

    def first() -> str:
        assert first_may_end.wait(PATIENCE_S)
        return "first"

    def second() -> str:
        order.append("second ran")
        return "second"

    def third() -> str:
        assert order == ["second ran"], "one lane is one after the other"
        first_may_end.set()
        return "third"

    lanes = ["a", "b", "b"]
    assert list(in_order([first, second, third], lanes, 2, Halt())) == ["first", "second", "third"]


def test_the_first_failure_ends_it_at_once() -> None:
    """Nobody waits for a job that is stuck when another one has failed."""
    stuck, begun, halt, ran = threading.Event(), threading.Event(), Halt(), []

    def waits() -> None:
        with halt.waiting():
            begun.set()
            stuck.wait(PATIENCE_S)
        ran.append("went on")

    def fails() -> None:
        assert begun.wait(PATIENCE_S)
        raise KeyError("x")

    jobs = [waits, fails, lambda: ran.append("begun after the failure")]
    with pytest.raises(KeyError):
        list(in_order(jobs, ["a", "b", "b"], 2, halt))
    halt.stop()
    assert not stuck.is_set()
    stuck.set()
    join_workers()
    assert ran == [], "a thread does not come back from its wait into a run that is over"


def test_who_stops_a_run_waits_for_those_at_work() -> None:
    halt, working, may_end, order = Halt(), threading.Event(), threading.Event(), []

    def store() -> None:
        with halt.working():
            working.set()
            assert may_end.wait(PATIENCE_S)
            order.append("stored")
            with pytest.raises(Stopped), halt.waiting():
                order.append("asked again")

    thread = threading.Thread(target=store)
    thread.start()
    assert working.wait(PATIENCE_S)
    threading.Timer(0.05, may_end.set).start()
    halt.stop()
    assert order == ["stored"]
    thread.join()


def test_nothing_goes_on_behind_a_run_that_was_stopped(
    providers: Any, make_loopback: Any, fake_time: Any
) -> None:
    """One source waits for its host when the run is interrupted; what comes then is not stored."""
    other, is_asked, let_go = make_loopback(), threading.Event(), threading.Event()

    def silent(asked: Any) -> Any:
        is_asked.set()
        let_go.wait(PATIENCE_S)
        return providers.index(asked)

    def interrupt(done: int, total: int, what: str) -> None:
        if what.endswith(" rows"):
            assert is_asked.wait(PATIENCE_S)
            raise KeyboardInterrupt

    other.answers["/fng/"] = silent
    plan = make_plan(providers, fake_time, indices={"base_url": other.url})
    with pytest.raises(KeyboardInterrupt):
        run_collectors(plan, ["onchain", "indices"], interrupt)
    let_go.set()
    join_workers()
    with plan.warehouse.read() as connection:
        found = connection.execute("SELECT collector FROM cursor").fetchall()
    assert found == [("onchain",)]


def join_workers() -> None:
    for thread in threading.enumerate():
        if thread.daemon and thread.name.endswith("(work)"):
            thread.join(PATIENCE_S)


def test_ctrl_c_stops_a_run_that_waits_for_two_hosts(providers: Any, make_loopback: Any) -> None:
    """Both hosts keep silent until the process has ended: it waits for neither."""
    other, let_go = make_loopback(), threading.Event()
    both_are_asked = threading.Barrier(3)

    def silent(asked: Any) -> Any:
        both_are_asked.wait(PATIENCE_S)
        let_go.wait(PATIENCE_S)
        return providers.index(asked)

    providers.loopback.answers["/v4/timeseries/asset-metrics"] = silent
    other.answers["/fng/"] = silent
    command = [
        *(sys.executable, "-m", "moodtape", "ingest", "onchain", "indices"),
        *("--base-url", f"indices={other.url}", "--project", str(providers.folder)),
    ]
    # A shell starts jobs in the background deaf to Ctrl-C, and their children would be, too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    signal.signal(signal.SIGINT, before)
    try:
        both_are_asked.wait(PATIENCE_S)
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        let_go.set()
        _, err = process.communicate()
        sys.stderr.write(err)
    assert process.returncode == 130, err
    assert "Interrupted. Nothing is half-stored" in err
    with Warehouse(providers.folder / "moodtape.duckdb", lock_wait_s=0).read() as connection:
        assert connection.execute("SELECT status FROM run").fetchall() == [("started",)]


def test_twenty_feeds_keep_to_their_hosts(make_loopback: Any, fake_time: Any, reply: Any) -> None:
    """One request for each feed, and at most one at a time to each of four hosts."""
    servers = [make_loopback() for _ in range(4)]
    feeds, counters = [], []
    for server in servers:
        for number in range(5):
            empty = reply(b"<rss version='2.0'><channel></channel></rss>")
            server.answers[f"/{number}"] = lambda asked, empty=empty: empty
            feeds.append(FeedSource(f"f{len(feeds)}", f"{server.url}/{number}", ""))
        counters.append(Counter(server))
    http = Http(HttpSection(), [server.url for server in servers], fake_time.timing)
    (batch,) = NewsFeeds(feeds, NewsSection(), http).collect(None, NOON)
    assert [poll.stream for poll in batch.polls] == [feed.name for feed in feeds]
    assert [len(server.asked) for server in servers] == [5] * 4
    assert [counter.most for counter in counters] == [1] * 4
