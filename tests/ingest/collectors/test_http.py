"""One policy for every request, seen from a server that misbehaves."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from moodtape.config import HttpSection
from moodtape.errors import ClockInDoubt, CouldNotAsk, CouldNotRead, Refused, SourceFailed
from moodtape.ingest.hosts import Hosts
from moodtape.ingest.http import Http
from moodtape.ingest.retry import retry_after, wait_before

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
Make = Callable[..., Http]


def test_an_answer_is_whole_and_stamped_by_our_clock(
    loopback: Any, make_http: Make, reply: Any
) -> None:
    loopback.answers["/x"] = reply(b'{"a": 1}', headers={"ETag": '"7"', "Content-Type": "text/x"})
    http = make_http(contact="me@desk.example")
    answer = http.get(f"{loopback.url}/x", {"key": "secret"}, {"If-None-Match": '"6"'})
    assert (answer.status, answer.json(), answer.headers["etag"]) == (200, {"a": 1}, '"7"')
    assert answer.fetched_at == NOON
    assert answer.place == f"{loopback.url}/x"
    (asked,) = loopback.asked
    assert asked.headers["user-agent"].startswith("moodtape/")
    assert asked.headers["user-agent"].endswith("(+me@desk.example)")
    assert asked.headers["if-none-match"] == '"6"'
    assert asked.query == {"key": "secret"}


def test_not_modified_is_an_answer(loopback: Any, make_http: Make, reply: Any) -> None:
    loopback.answers["/x"] = reply(status=304)
    answer = make_http().get(f"{loopback.url}/x")
    assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(
    status: int, loopback: Any, make_http: Make, reply: Any, fake_time: Any
) -> None:
    loopback.answers["/x"] = [reply(status=status), reply(status=status), reply(b"good")]
    assert make_http(backoff_s=1).get(f"{loopback.url}/x").body == b"good"
    assert fake_time.slept == [1, 2]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 418, 451])
def test_what_will_not_pass_is_asked_once(
    status: int, loopback: Any, make_http: Make, reply: Any, fake_time: Any
) -> None:
    loopback.answers["/x"] = reply(b'{"code": -1, "msg": "Not <b>here</b> now."}', status)
    with pytest.raises(Refused, match=rf"/x answered {status}: Not here now\.$"):
        make_http().get(f"{loopback.url}/x")
    assert len(loopback.asked) == 1
    assert fake_time.slept == []


def test_waits_are_fully_jittered_and_bounded(
    loopback: Any, make_http: Make, reply: Any, fake_time: Any
) -> None:
    loopback.answers["/x"] = reply(status=503)
    fake_time.share = 0.25
    with pytest.raises(Refused, match="answered 503"):
        make_http(attempts=6, backoff_s=2, backoff_limit_s=10).get(f"{loopback.url}/x")
    assert fake_time.bounds == [2, 4, 8, 10, 10]
    assert fake_time.slept == [0.5, 1, 2, 2.5, 2.5]
    assert len(loopback.asked) == 6


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("-5", 0), ("Thu, 01 Oct 2026 12:00:09 GMT", 9), ("soon", None),
     ("", None), ("Thu, 01 Oct 2026 11:00:00 GMT", 0), ("nan", None), ("1e300", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after(header, NOON) == seconds


def test_retry_after_is_the_least_wait(
    loopback: Any, make_http: Make, reply: Any, fake_time: Any
) -> None:
    date = {"Retry-After": "Thu, 01 Oct 2026 12:00:40 GMT", "Date": "Thu, 01 Oct 2026 12:00:10 GMT"}
    loopback.answers["/x"] = [
        reply(status=429, headers={"Retry-After": "20"}), reply(status=429, headers=date), reply(),
    ]  # fmt: skip
    make_http().get(f"{loopback.url}/x")
    assert fake_time.slept == [20, 30], "a date counts from the server's own"


def test_a_long_retry_after_is_left_for_another_run(
    loopback: Any, make_http: Make, reply: Any, fake_time: Any
) -> None:
    loopback.answers["/x"] = reply(status=429, headers={"Retry-After": "3600"})
    with pytest.raises(Refused, match=r"answered 429\. It asks to wait: 3600\."):
        make_http().get(f"{loopback.url}/x")
    assert fake_time.slept == []


def test_the_deadline_ends_the_retries(
    loopback: Any, make_http: Make, reply: Any, fake_time: Any
) -> None:
    loopback.answers["/x"] = reply(status=500)
    with pytest.raises(Refused):
        make_http(deadline_s=5, attempts=10).get(f"{loopback.url}/x")
    assert fake_time.slept == [1, 2], "another 4 s would end after 5 s"


def test_a_broken_connection_is_tried_again(
    loopback: Any, make_http: Make, reply: Any, fake_time: Any
) -> None:
    loopback.answers["/x"] = [reply(hang_up=True), reply(b"half", cut=10), reply(b"whole")]
    assert make_http().get(f"{loopback.url}/x").body == b"whole"
    assert len(fake_time.slept) == 2


def test_no_answer_is_no_refusal(loopback: Any, make_http: Make, reply: Any) -> None:
    loopback.answers["/x"] = reply(b"half", cut=10)
    with pytest.raises(CouldNotAsk, match=r"/x gave no answer: it broke off in the middle\."):
        make_http(attempts=2).get(f"{loopback.url}/x", {"key": "secret"})
    assert len(loopback.asked) == 2


def test_a_closed_port_and_a_silent_one() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(CouldNotAsk, match="nothing listens there"):
            Http(HttpSection(attempts=1), [url]).get(f"{url}/?key=secret")
        closed.listen()
        policy = HttpSection(attempts=1, read_timeout_s=0.05)
        with pytest.raises(CouldNotAsk, match="it took too long") as told:
            Http(policy, [url]).get(f"{url}/?key=secret")
        assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress),
     ("deflate", lambda data: zlib.compress(data)[2:-4]),
     ("gzip", lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:]) + b"\0\0")],
)  # fmt: skip
def test_packed_bodies_are_unpacked(
    name: str, pack: Any, loopback: Any, make_http: Make, reply: Any
) -> None:
    text = b"news, news, news" * 5000
    loopback.answers["/x"] = reply(pack(text), headers={"Content-Encoding": name})
    assert make_http().get(f"{loopback.url}/x").body == text


def test_a_bomb_does_not_go_off(loopback: Any, make_http: Make, reply: Any) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 60_000
    loopback.answers["/x"] = reply(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(CouldNotRead, match=r"/x sent more than 2 MiB \(http\.body_limit_mib\)"):
        make_http(body_limit_mib=2).get(f"{loopback.url}/x")
    assert len(loopback.asked) == 1, "asking again would bring it again"


def test_a_plain_body_has_a_limit_too(loopback: Any, make_http: Make, reply: Any) -> None:
    loopback.answers["/x"] = reply(b"x" * 70_000)
    with pytest.raises(CouldNotRead, match=r"more than 0\.0625 MiB"):
        make_http(body_limit_mib=0.0625).get(f"{loopback.url}/x")


def test_what_is_packed_otherwise_than_it_says(loopback: Any, make_http: Make, reply: Any) -> None:
    loopback.answers["/plain"] = reply(b"plain text", headers={"Content-Encoding": "gzip"})
    loopback.answers["/zstd"] = reply(b"x", headers={"Content-Encoding": "zstd"})
    loopback.answers["/cut"] = reply(
        gzip.compress(b"news" * 900)[:-12], headers={"Content-Encoding": "gzip"}
    )
    http = make_http(attempts=2)
    with pytest.raises(CouldNotRead, match="a body that is not gzip"):
        http.get(f"{loopback.url}/plain")
    with pytest.raises(CouldNotRead, match="packed by 'zstd', which was not asked for"):
        http.get(f"{loopback.url}/zstd")
    with pytest.raises(CouldNotAsk, match="broke off in the middle"):
        http.get(f"{loopback.url}/cut")


def test_json_that_is_none(loopback: Any, make_http: Make, reply: Any) -> None:
    for body in (b'[[1, "2"', b"<html>", b"", b"[" * 100_000):
        loopback.answers["/x"] = reply(body, headers={"Content-Type": "text/html"})
        with pytest.raises(CouldNotRead, match=r"bytes \(text/html\) that are not whole JSON"):
            make_http().get(f"{loopback.url}/x").json()


def test_redirects_are_followed_to_configured_hosts_only(
    loopback: Any, make_http: Make, reply: Any
) -> None:
    loopback.answers["/old"] = reply(status=301, headers={"Location": "/new"})
    loopback.answers["/new"] = reply(b"moved")
    answer = make_http().get(f"{loopback.url}/old")
    assert (answer.body, answer.place) == (b"moved", f"{loopback.url}/new")
    for target in ("http://127.0.0.1:9/", "http://localhost/", "http://[::1]/", "http://0.0.0.0/",
                   "http://[::ffff:127.0.0.1]/"):  # fmt: skip
        loopback.answers["/away"] = reply(status=302, headers={"Location": target})
        with pytest.raises(Refused, match="is a private host; not asked"):
            make_http().get(f"{loopback.url}/away")


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "fe80::1%eth0", "::ffff:10.0.0.1"]
)
def test_private_addresses_are_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*args: Any, **kwargs: Any) -> Any:
        return [(0, 0, 0, "", ("93.184.215.14", 0)), (0, 0, 0, "", (address, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(Refused, match=r"feeds\.example is a private host"):
        Hosts([]).require_allowed("https://feeds.example/rss")
    Hosts(["https://feeds.example/other"]).require_allowed("https://feeds.example/rss")


def test_a_circle_and_a_strange_scheme(loopback: Any, make_http: Make, reply: Any) -> None:
    loopback.answers["/a"] = reply(status=302, headers={"Location": "/a"})
    loopback.answers["/b"] = reply(status=302, headers={"Location": "file:///etc/passwd"})
    http = make_http(max_redirects=3)
    with pytest.raises(Refused, match="without end"):
        http.get(f"{loopback.url}/a")
    assert len(loopback.asked) == 4
    with pytest.raises(Refused):
        http.get(f"{loopback.url}/b")


def test_requests_to_one_host_keep_their_distance(fake_time: Any) -> None:
    from moodtape.ingest.polite import PoliteAdapter

    adapter = PoliteAdapter(HttpSection(spacing_s=3), Hosts([]), fake_time.timing)
    for url in ("https://a.example/1", "https://b.example/1", "https://a.example/2"):
        adapter._wait_for_turn(url)
    assert fake_time.slept == [3]
    fake_time.sleep(10)
    adapter._wait_for_turn("https://a.example/3")
    assert fake_time.slept == [3, 10], "the distance has passed by itself"


def test_every_failure_ends_with_the_same_exit_code() -> None:
    assert {kind.exit_code for kind in (CouldNotAsk, Refused, CouldNotRead, SourceFailed)} == {5}


def test_waits_never_pass_their_bound() -> None:
    policy = HttpSection(backoff_s=1, backoff_limit_s=60)
    waits = [wait_before(n, None, policy, lambda low, high: high) for n in range(20)]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert max(waits) == 60


@pytest.mark.parametrize(
    ("date", "age", "wrong"),
    [
        ("Fri, 02 Oct 2026 12:00:00 GMT", None, False),
        ("Wed, 30 Sep 2026 12:00:00 GMT", None, False),
        ("Tue, 29 Sep 2026 12:00:00 GMT", "172800", False),  # a copy, kept for two days
        ("no date", None, False),
        ("Fri, 02 Oct 2026 12:00:01 GMT", None, True),
        ("Wed, 30 Sep 2026 11:58:00 GMT", "60", True),
        ("Wed, 01 Oct 2036 12:00:00 GMT", "x", True),
        ("Fri, 01 Oct 2016 12:00:00 GMT", "9" * 30, True),
    ],
)
def test_an_answer_of_another_time_is_not_kept(
    loopback: Any, make_http: Make, reply: Any, date: str, age: str | None, wrong: bool
) -> None:
    headers = {"Date": date} | ({"Age": age} if age else {})
    loopback.answers["/x"] = reply(b"good", headers=headers)
    http = make_http()
    if not wrong:
        assert http.get(f"{loopback.url}/x").body == b"good"
        return
    with pytest.raises(ClockInDoubt, match=r"/x says it is 20.*, this machine says 2026-10-01"):
        http.get(f"{loopback.url}/x")
    assert len(loopback.asked) == 1, "another try would be told the same"
    assert http.tell(f"{loopback.url}/x", b"news", {}).status == 200, "news may be told at any time"
