"""`moodtape forget` as it is typed: what is gone, what stays, and that it stays so."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from moodtape.clock import utc_now
from moodtape.ingest.forgetting import carry_out, request_of
from moodtape.ingest.raw import ReplayingDoor, read_tape
from moodtape.ingest.redact import redact_answers, redact_line, without_items
from moodtape.settings import load_settings
from moodtape.storage.traces import Traces
from moodtape.study.project import warehouse_of

Run = Callable[..., Any]
CANARY = "Bitcoin canary sings and soars to a record"
AUTHOR = "Canary Wren"
LINK = "http://canary.example/a-canary-story?id=7"
OTHER = "Bitcoin holders wait for the next meeting"


def feed(encoding: str) -> bytes:
    """Return a feed with two items, in an encoding."""
    day = f"{utc_now():%a, %d %b %Y} 00:00:00 GMT"
    items = "".join(
        f"<item><title>{title}</title><link>{link}</link><guid>{guid}</guid>"
        f"<author>{author}</author><pubDate>{day}</pubDate></item>"
        for title, link, guid, author in (
            (CANARY, LINK.replace("&", "&amp;"), LINK, AUTHOR),
            (OTHER, "http://robin.example/1", "other-1", "Robin"),
        )
    )
    text = f'<?xml version="1.0" encoding="{encoding}"?><rss version="2.0"><channel>'
    return f"{text}<title>One</title>{items}</channel></rss>".encode(encoding)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    body = feed(getattr(request, "param", "utf-8"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("content-type", "application/rss+xml")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_address[1]}"
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.fixture
def collected(server: str, tmp_path: Path, run: Run) -> Path:
    """Return a project that has read the feed once."""
    (tmp_path / "feeds.toml").write_text(f'[one]\nurl = "{server}/one.xml"\nabout = "x"\n')
    (tmp_path / "moodtape.toml").write_text(
        '[news]\nfeeds = "feeds.toml"\n[ingest]\nsources = ["news"]\n'
        '[sentiment]\nscorer = "lexicon"\n'
    )
    done = run("ingest", "news", "--project", tmp_path, "-q")
    assert done.code == 0, done.err
    return tmp_path


def rows(project: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(load_settings(project).warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def everything(project: Path) -> str:
    """Return all that the tables and the kept answers say."""
    told = []
    with duckdb.connect(str(load_settings(project).warehouse), read_only=True) as connection:
        for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            told.append(str(connection.execute(f'FROM "{name}"').fetchall()))
    for path in (project / "raw").rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            body = gzip.decompress(base64.b64decode(json.loads(line).get("body", "") or ZIPPED))
            told += [line, body.decode("utf-16" if body[:2] == b"\xff\xfe" else "utf-8")]
    return "\n".join(told).lower()


ZIPPED = base64.b64encode(gzip.compress(b"")).decode()
NAMED = [("--url", LINK.replace("http:", "https:")), ("--author", AUTHOR)]


@pytest.mark.parametrize("named", [*NAMED, ("--id", f"one:{LINK}")])
def test_a_feed_that_still_shows_it_brings_it_into_no_kept_answer(
    collected: Path, run: Run, named: tuple[str, str]
) -> None:
    assert run("forget", *named, "--project", collected).code == 0
    assert run("ingest", "news", "--project", collected, "-q").code == 0
    kept = everything(collected)
    assert "canary" not in kept
    assert OTHER.lower() in kept, "more was taken out than had to be"
    assert run("ingest", "--replay", "news", "--project", collected, "-q").code == 0


def test_answers_of_a_run_that_was_killed_are_cut_by_the_next_one(
    collected: Path, run: Run
) -> None:
    """A run that ended by a crash has kept answers, and no end in the ledger."""
    (first,) = (collected / "raw" / "answers").iterdir()
    shutil.copytree(first, collected / "saved")
    assert run("forget", "--url", LINK, "--project", collected).code == 0
    shutil.copytree(collected / "saved", first.with_name(f"{first.name}-killed"))
    shutil.rmtree(collected / "saved")
    assert "canary" in everything(collected)
    assert run("ingest", "news", "--project", collected, "-q").code == 0
    assert "canary" not in everything(collected)


@pytest.mark.parametrize("named", NAMED)
def test_a_text_is_gone_everywhere_and_stays_gone(
    collected: Path, run: Run, named: tuple[str, str]
) -> None:
    where = ("--project", collected)
    assert "canary" in everything(collected), "else the test looks at nothing"
    dry = run("forget", *named, "--dry-run", "--json", *where)
    assert dry.code == 0, dry.err
    told = json.loads(dry.out)
    assert (told["texts"], told["answers"], told["dry_run"]) == (1, 1, True)
    assert "canary" in everything(collected), "a dry run changes nothing"

    done = run("forget", *named, "--json", *where)
    assert (json.loads(done.out)["texts"], json.loads(done.out)["answers"]) == (1, 1)
    for way in ((), ("--replay",)):
        assert "canary" not in everything(collected), way
        assert OTHER.lower() in everything(collected)
        again = run("ingest", "news", *way, "-q", *where)
        assert again.code == 0, again.err
        assert rows(collected, "SELECT count(*) FROM document") == [(2,)], "none is doubled"
        titles = "SELECT title FROM document ORDER BY title NULLS LAST"
        assert rows(collected, titles) == [(OTHER,), (None,)]
        for path in (collected / "raw").rglob("*.jsonl"):
            if "canary" in everything(collected):  # the feed still shows it: a new answer
                assert run("forget", *named, *where).code == 0, path

    file = collected / "texts.jsonl"
    file.write_text(
        json.dumps({"id": "x", "title": CANARY, "url": LINK, "author": AUTHOR,
                    "published_at": "2025-06-01T00:00:00Z"})
    )  # fmt: skip
    assert run("import", "documents", file, "--source", "news", *where, "-q").code == 0
    assert rows(collected, "SELECT count(*) FROM document WHERE title IS NOT NULL") == [(1,)]


@pytest.mark.parametrize("server", ["utf-8", "utf-16"], indirect=True)
def test_the_other_rows_are_made_again_in_an_empty_warehouse(collected: Path, run: Run) -> None:
    where = ("--project", collected)
    assert run("forget", "--url", LINK, *where).code == 0
    load_settings(collected).warehouse.unlink()
    done = run("ingest", "news", "--replay", "-q", *where)
    assert done.code == 0, done.err
    assert rows(collected, "SELECT title FROM document") == [(OTHER,)]


def test_a_crash_half_way_is_finished_by_a_second_run(
    collected: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(collected)
    request = request_of((), (), (LINK,))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("moodtape.ingest.forgetting.forget_texts", stop)
        with pytest.raises(KeyboardInterrupt):
            carry_out(warehouse_of(settings), settings.answers, request, "r1", utc_now())
    assert "canary" in everything(collected)
    assert run("forget", "--url", LINK, "--project", collected).code == 0
    assert "canary" not in everything(collected)


def test_a_second_time_is_known_and_the_unknown_is_exit_3(collected: Path, run: Run) -> None:
    where = ("--project", collected)
    for named in (("--url", "https://nobody.example/x"), ("--author", "Secretname")):
        done = run("forget", *named, *where)
        assert done.code == 3
        assert named[1] not in done.err + done.out
    assert rows(collected, "SELECT count(*) FROM run WHERE command = 'forget'") == [(0,)]
    assert rows(collected, "SELECT count(*) FROM suppressed") == [(0,)]
    assert run("forget", "--author", AUTHOR, *where).code == 0
    again = run("forget", "--author", AUTHOR, *where)
    assert again.code == 0
    assert "it was forgotten before" in again.out


@pytest.mark.parametrize(
    "wrong",
    [(), ("--url", "javascript:secretword"), ("--author", " "), ("--id", "1", "--source", "web")],
)
def test_wrong_use(collected: Path, run: Run, wrong: tuple[str, ...]) -> None:
    done = run("forget", *wrong, "--project", collected)
    assert done.code == 2
    assert "secretword" not in done.err


def test_a_recheck_says_what_cannot_be_checked(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOODTAPE_X_BEARER_TOKEN", raising=False)
    where = ("--project", project)
    assert run("forget", "--recheck", *where).code == 3, "there is no warehouse"
    file = project / "texts.jsonl"
    file.write_text('{"id": "1", "title": "Bitcoin", "published_at": "2025-06-01T00:00:00Z"}')
    assert run("import", "documents", file, "--source", "news", "-q", *where).code == 0
    done = run("forget", "--recheck", "--json", *where)
    told = json.loads(done.out)
    assert (done.code, [s["state"] for s in told["sources"]]) == (0, ["impossible"] * 2)
    assert "feeds do not show what was deleted" in told["warnings"][0]
    for wrong in (("--source", "news"), ("--id", "1")):
        assert run("forget", "--recheck", *wrong, *where).code == 2


def test_an_author_is_found_with_and_without_marks() -> None:
    plain = set(request_of((), ("ann",), ()).authors)
    for form in ("u/ann", "/u/ann", "@ann"):
        assert plain == set(request_of((), (form,), ()).authors), form


def kept(body: bytes, asked: str = "q", **more: Any) -> bytes:
    told = {"asked": asked, "at": "2026-10-01T12:00:00+00:00", "place": "https://a.example/feed",
            "status": 200, "headers": {}, "sha256": hashlib.sha256(body).hexdigest(),
            "body": base64.b64encode(gzip.compress(body)).decode()}  # fmt: skip
    return json.dumps(told | more).encode() + b"\n"


TRACES = Traces(identities=frozenset({"t3_abc"}), texts=frozenset({CANARY}))


def body_of(line: bytes) -> bytes:
    told = json.loads(line)
    body = gzip.decompress(base64.b64decode(told["body"]))
    assert hashlib.sha256(body).hexdigest() == told["sha256"]
    return body


def test_items_are_cut_out_of_json_and_marks_with_them() -> None:
    children = [{"data": {"name": "t3_xyz"}}, {"data": {"name": "t3_abc", "tags": ["t3_abc"]}}]
    listing = {"kind": "Listing", "data": {"after": "t3_abc", "children": children}}
    line = redact_line(kept(json.dumps(listing).encode()), TRACES)
    assert json.loads(body_of(line)) == {
        "kind": "Listing", "data": {"after": None, "children": [{"data": {"name": "t3_xyz"}}]}
    }  # fmt: skip


def test_escapes_of_json_hide_nothing() -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in CANARY)
    line = redact_line(kept(f'[{{"t": "{escaped}"}}, {{"t": "fine"}}]'.encode()), TRACES)
    assert json.loads(body_of(line)) == [{"t": "fine"}]


@pytest.mark.parametrize(
    "body", [f'{{"title": "{CANARY}"}}'.encode(), f"<html>{CANARY}".encode(), b'"t3_abc" \xff[']
)
def test_what_cannot_be_cut_is_withheld_whole(body: bytes) -> None:
    told = json.loads(redact_line(kept(body), TRACES))
    assert set(told) == {"asked", "at", "failure", "withheld"}
    assert told["failure"]["kind"] == "CouldNotRead"


def test_what_gives_nothing_away_stays_byte_for_byte(tmp_path: Path) -> None:
    tape = tmp_path / "run" / "news.jsonl"
    tape.parent.mkdir()
    lines = b'{"version": "1", "cursor": null}\n' + kept(b"<rss>t3_abcd</rss>")
    tape.write_bytes(lines)
    before = tape.stat().st_mtime_ns
    assert redact_answers(tmp_path, TRACES) == 0
    assert (tape.read_bytes(), tape.stat().st_mtime_ns) == (lines, before)
    assert list(tape.parent.iterdir()) == [tape]


def test_a_line_cut_short_goes_and_counts_for_nothing(tmp_path: Path) -> None:
    tape = tmp_path / "run" / "news.jsonl"
    tape.parent.mkdir()
    tape.write_bytes(kept(b"fine") + b'{"asked": "q", "bod')
    assert redact_answers(tmp_path, TRACES) == 0
    assert tape.read_bytes() == kept(b"fine")


def test_a_replay_goes_on_behind_a_page_that_is_withheld(tmp_path: Path) -> None:
    from moodtape.errors import CouldNotRead
    from moodtape.ingest.raw import question

    tape = tmp_path / "run" / "reddit.jsonl"
    tape.parent.mkdir()
    head = {"version": "1", "run_id": "r", "collector": "reddit", "cursor": None,
            "now": "2026-10-01T12:00:00+00:00", "since": None, "until": None}  # fmt: skip
    first, second, next_stream = (question(f"https://a.example/{n}", None) for n in "123")
    tape.write_bytes(
        json.dumps(head).encode() + b"\n" + kept(b'{"name": "t3_abc"}', first)
        + kept(b"page 2", second) + kept(b"another stream", next_stream)
    )  # fmt: skip
    assert redact_answers(tmp_path, TRACES) == 1
    found = read_tape(tape)
    assert found is not None
    door = ReplayingDoor(found)
    with pytest.raises(CouldNotRead, match="forgotten on request"):
        door.get("https://a.example/1")
    assert door.get("https://a.example/3").body == b"another stream"


def test_a_payload_without_items_is_none() -> None:
    assert without_items(b"words", TRACES) is None
