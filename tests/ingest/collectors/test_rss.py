"""News feeds through the real client: what is new becomes a text, once, known when fetched."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import NewsSection
from moodtape.errors import ConfigError, CouldNotRead
from moodtape.ingest.base import Batch
from moodtape.ingest.feed import read_feed
from moodtape.ingest.rss import FeedSource, NewsFeeds, choose_feeds
from moodtape.records import Document

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
FIXTURES = Path(__file__).parent / "fixtures" / "feedparser"


def rss(*items: str) -> bytes:
    head = '<?xml version="1.0"?><rss version="2.0"><channel>'
    return f"{head}{''.join(items)}</channel></rss>".encode()


def item(guid: str, title: str, hours_ago: float = 1, **parts: str) -> str:
    date = format_datetime(NOON - timedelta(hours=hours_ago))
    parts = {"guid": guid, "title": title, "link": f"https://example.org/{guid}", "pubDate": date,
             **parts}  # fmt: skip
    return f"<item>{''.join(f'<{k}>{v}</{k}>' for k, v in parts.items() if v)}</item>"


class Desk:
    """A collector of feeds `a`, `b` ... on the loopback server, polled one after the other."""

    def __init__(self, loopback: Any, make_http: Callable[..., Any], fake_time: Any) -> None:
        self.loopback, self.fake_time = loopback, fake_time
        self.http = make_http(attempts=1)
        self.cursor: str | None = None

    def poll(self, *names: str) -> list[Batch]:
        """Poll an hour later than the time before, and keep the cursor."""
        feeds = [FeedSource(name, f"{self.loopback.url}/{name}", "") for name in names or ("a",)]
        batches = list(NewsFeeds(feeds, NewsSection(), self.http).collect(self.cursor, NOON))
        self.cursor = batches[-1].cursor
        self.fake_time.sleep(3600)
        return batches


@pytest.fixture
def desk(loopback: Any, make_http: Callable[..., Any], fake_time: Any) -> Desk:
    return Desk(loopback, make_http, fake_time)


def texts(batches: list[Batch]) -> list[Document]:
    return [row for batch in batches for row in batch.rows if isinstance(row, Document)]


def states(batches: list[Batch]) -> list[tuple[str, str, int]]:
    return [(p.stream, p.state, p.items) for batch in batches for p in batch.polls]


def test_an_item_is_a_text_known_when_fetched(desk: Desk, reply: Any) -> None:
    body = rss(item("g1", "Bitcoin &lt;b&gt;up&lt;/b&gt;", description="More &amp;amp; more",
                    author="Ann", category="Markets"))  # fmt: skip
    desk.loopback.answers["/a"] = reply(body)
    (text,) = texts(desk.poll())
    assert text == Document(
        "news", "feeds", "a:g1", NOON - timedelta(hours=1), NOON, "Bitcoin <b>up</b>",
        "More &amp; more", "a", "https://example.org/g1", "Ann", "Markets",
    )  # fmt: skip


def test_only_what_is_new_or_changed_comes_again(desk: Desk, reply: Any) -> None:
    desk.loopback.answers["/a"] = [
        reply(rss(item("g2", "two"), item("g1", "one"))),
        reply(rss(item("g3", "three"), item("g2", "two, corrected"), item("g1", "one"))),
        reply(rss(item("g3", "three"), item("g2", "two, corrected"), item("g1", "one"))),
    ]
    assert [t.document_id for t in texts(desk.poll())] == ["a:g2", "a:g1"]
    again = desk.poll()
    assert [(t.document_id, t.title) for t in texts(again)] == [
        ("a:g3", "three"), ("a:g2", "two, corrected")
    ]  # fmt: skip
    assert states(again) == [("a", "ok", 2)]
    third = desk.poll()
    assert (texts(third), states(third)) == ([], [("a", "empty", 0)])


def test_a_feed_is_asked_whether_it_changed(desk: Desk, reply: Any) -> None:
    stamps = {"ETag": '"v1"', "Last-Modified": "Thu, 01 Oct 2026 11:00:00 GMT"}
    desk.loopback.answers["/a"] = [reply(rss(item("g1", "one")), headers=stamps), reply(status=304)]
    desk.poll()
    (batch,) = desk.poll()
    first, second = desk.loopback.asked
    assert "if-none-match" not in first.headers
    assert second.headers["if-none-match"] == '"v1"'
    assert second.headers["if-modified-since"] == stamps["Last-Modified"]
    assert states([batch]) == [("a", "empty", 0)]
    assert batch.rows == ()
    before = desk.cursor
    desk.poll()
    assert desk.cursor == before


def test_validators_belong_to_an_address(desk: Desk, reply: Any, loopback: Any) -> None:
    loopback.answers["/a"] = reply(rss(item("g1", "one")), headers={"ETag": '"v1"'})
    desk.poll()
    states_of = json.loads(desk.cursor or "")
    states_of["a"]["address"] = "elsewhere"
    desk.cursor = json.dumps(states_of)
    assert states(desk.poll()) == [("a", "empty", 0)], "the same items are still known"
    assert "if-none-match" not in loopback.asked[-1].headers


def test_twenty_unchanged_feeds_cost_a_request_each_and_one_batch(desk: Desk, reply: Any) -> None:
    names = [f"f{i}" for i in range(20)]
    for name in names:
        desk.loopback.answers[f"/{name}"] = [
            reply(rss(item("g1", name)), headers={"ETag": f'"{name}"'}), reply(status=304)
        ]  # fmt: skip
    desk.poll(*names)
    before = desk.cursor
    (batch,) = desk.poll(*names)
    assert len(desk.loopback.asked) == 40
    assert (batch.rows, batch.cursor) == ((), before)
    assert {p.state for p in batch.polls} == {"empty"}


def test_one_bad_feed_stops_no_other(desk: Desk, reply: Any) -> None:
    good = reply(rss(item("g1", "one")))
    page = b"<!-- x --><!DOCTYPE html><html><body>Checking your browser</body></html>"
    desk.loopback.answers |= {
        "/ok": good, "/down": reply(hang_up=True), "/refused": reply(b"no", 403),
        "/page": reply(page, headers={"content-type": "application/rss+xml"}), "/last": good,
    }  # fmt: skip
    batches = desk.poll("down", "ok", "refused", "page", "last")
    assert states(batches) == [
        ("down", "down", 0), ("ok", "ok", 1), ("refused", "refused", 0), ("page", "unreadable", 0),
        ("last", "ok", 1),
    ]  # fmt: skip
    assert [t.document_id for t in texts(batches)] == ["ok:g1", "last:g1"]
    details = {p.stream: p.detail for batch in batches for p in batch.polls}
    assert details["refused"].endswith("/refused answered 403.")
    assert "a web page instead of a feed" in details["page"]
    assert set(json.loads(desk.cursor or "")) == {"down", "ok", "refused", "page", "last"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "0 bytes .* that are no feed"),
        (b"<html><body>hello</body></html>", "a web page instead of a feed"),
        (b"\xef\xbb\xbf <!doctype HTML><p>", "a web page instead of a feed"),
        (b'{"items": []}', "no feed"),
        (b"<opml version='1.0'/>", "no feed"),
        (b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa">]><rss/>', r"document type \(DTD\)"),
        ('<?xml version="1.0"?><!DOCTYPE x><rss/>'.encode("utf-16"), r"document type \(DTD\)"),
        (b"<!--" + b" " * 100_000 + b"--><!DOCTYPE x><rss/>", r"document type \(DTD\)"),
    ],
)
def test_what_is_no_feed_is_told(body: bytes, message: str) -> None:
    with pytest.raises(CouldNotRead, match=message):
        read_feed(body, "application/rss+xml", "https://example.org/rss")


ONE_LINE = "<rss version='2.0'><channel><item><title>A</title></item></channel></rss>"
DECLARED = "<?xml version='1.0' encoding='%s'?>"


@pytest.mark.parametrize(
    ("declared", "encoding", "mark"),
    [
        (DECLARED % "utf-8", "utf-8", b""), (DECLARED % "utf-8", "utf-8", codecs.BOM_UTF8),
        (DECLARED % "utf-16", "utf-16-le", codecs.BOM_UTF16_LE),
        (DECLARED % "utf-16", "utf-16-be", b""), (DECLARED % "cp037", "cp037", b""),
        ("<?xml version='1.0'>", "utf-8", b""), ("", "utf-8", b""),
    ],
)  # fmt: skip
def test_a_feed_of_one_line_is_read_in_every_encoding(
    declared: str, encoding: str, mark: bytes
) -> None:
    body = mark + (declared + ONE_LINE).encode(encoding)
    assert [item.title for item in read_feed(body, "", "x").items] == ["A"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_declaration_without_end_costs_no_time(encoding: str) -> None:
    """Searched as one line of a megabyte it would take hours."""
    long = "<?xml " + "encoding='x " * 100_000
    with pytest.raises(CouldNotRead, match="declaration does not end"):
        read_feed(long.encode(encoding), "", "x")


def test_what_stands_behind_a_broken_declaration_costs_no_time_either() -> None:
    body = "<?xml version='1.0' >" + "encoding='x' " * 100_000 + ONE_LINE
    assert len(read_feed(body.encode(), "", "x").items) <= 1


def test_a_document_type_inside_a_text_is_text() -> None:
    body = rss(item("g1", "one", description="<![CDATA[<!DOCTYPE html><p>Hello]]>"))
    assert len(read_feed(body, "", "x").items) == 1


def test_a_feed_cut_in_a_half_item_keeps_the_whole_ones(desk: Desk, reply: Any) -> None:
    whole = rss(item("g3", "three"), item("g2", "two"), item("g1", "one"))
    stamp = {"ETag": '"v1"'}
    start_of_last = whole.index(b"<guid>g1")
    for end in (
        start_of_last,
        start_of_last + 20,
        whole.index(b"one</title>") + 1,
        len(whole) - 10,
    ):
        desk.cursor = None
        desk.loopback.answers["/a"] = [
            reply(whole[:end], headers=stamp),
            reply(whole, headers=stamp),
        ]
        cut = desk.poll()
        kept = 3 if end == len(whole) - 10 else 2
        assert states(cut) == [("a", "unreadable", kept)], end
        assert cut[-1].polls[0].detail == f"the feed broke off after {kept} whole items"
        mended = desk.poll()
        assert "if-none-match" not in desk.loopback.asked[-1].headers, "it has to be sent again"
        assert len(texts(cut)) + len(texts(mended)) == 3
        assert states(mended)[0][1] in ("ok", "empty")


def test_ill_formed_is_not_cut(desk: Desk, reply: Any) -> None:
    body = rss(item("g2", "this & that"), item("g1", "fish & chips"))
    desk.loopback.answers["/a"] = reply(body)
    batches = desk.poll()
    assert [t.title for t in texts(batches)] == ["this & that", "fish & chips"]
    assert states(batches) == [("a", "ok", 2)]


def dates(desk: Desk, reply: Any, *stamps: str) -> list[Document]:
    """Return texts with the given `pubDate`, one by one, from a second poll."""
    items = [item(f"d{i}", f"t{i}", pubDate=stamp) for i, stamp in enumerate(stamps)]
    desk.loopback.answers["/a"] = [
        reply(rss(item("g1", "one"))),
        reply(rss(*items, item("g1", "one"))),
    ]
    desk.poll()
    return texts(desk.poll())


@pytest.mark.parametrize(
    ("stamp", "published"),
    [
        ("Thu, 01 Oct 2026 06:16:31 EST", "11:16:31"),
        ("Thu, 01 Oct 2026 17:16:31 +0530", "11:46:31"),
        ("2026-10-01T20:16:31+09:00", "11:16:31"),
        ("2026-10-01T11:16:31", "11:16:31"),
        ("2026-10-01T19:00:00", "13:00:00"),
        ("Thu, 01 Oct 2026 13:05:00 GMT", "13:00:00"),
        ("Thu, 01 Oct 2026 19:00:00 GMT", "13:00:00"),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "13:00:00"),
        ("Wed, 30 Sep 2099 17:16:31 GMT", "13:00:00"),
        ("01/10/2026 09:16", "13:00:00"),
        ("Mi, 30 Sep 2026 17:16:31 GMT", "13:00:00"),
        ("Wed, 31 Sep 2026 10:00:00 GMT", "13:00:00"),
        ("", "13:00:00"),
    ],
)
def test_dates_that_cannot_be_true_become_the_time_of_the_poll(
    stamp: str, published: str, desk: Desk, reply: Any
) -> None:
    """The second poll is at 13:00; a time without a zone may be ahead, as zones differ."""
    (text,) = dates(desk, reply, stamp)
    assert text.published_at.isoformat()[11:19] == published
    assert text.fetched_at == NOON + timedelta(hours=1)


def test_at_the_first_poll_a_text_without_a_time_is_of_no_known_age(desk: Desk, reply: Any) -> None:
    body = rss(item("g2", "two", pubDate="soon"), item("g1", "one"))
    desk.loopback.answers["/a"] = reply(body)
    batches = desk.poll()
    assert [t.document_id for t in texts(batches)] == ["a:g1"]
    (rejected,) = batches[0].rejected
    assert (rejected.place, rejected.reason) == (
        "a:g2", "no usable publication time at the feed's first poll"
    )  # fmt: skip
    assert json.loads(rejected.payload)["published"] == "soon"
    assert texts(desk.poll()) == [], "nor does it come back as news an hour later"


def test_two_texts_under_one_guid_are_two(desk: Desk, reply: Any) -> None:
    body = rss(item("g1", "new", link="https://example.org/new"),
               item("g1", "old", link="https://example.org/old"),
               item("", "by link", link="https://example.org/x?utm_source=rss"),
               item("", "by title", link=""))  # fmt: skip
    desk.loopback.answers["/a"] = reply(body)
    ids = [t.document_id for t in texts(desk.poll())]
    assert len(set(ids)) == 4
    assert (ids[0], ids[2], ids[3]) == ("a:g1", "a:https://example.org/x", "a:by title")
    assert ids[1].startswith("a:g1#")


def test_a_window_that_ran_over_is_told(desk: Desk, reply: Any) -> None:
    desk.loopback.answers["/a"] = [
        reply(rss(item("g2", "2"), item("g1", "1"))), reply(rss(item("g9", "9"), item("g8", "8")))
    ]  # fmt: skip
    desk.poll()
    batches = desk.poll()
    assert states(batches) == [("a", "capped", 2)]
    assert "may have come and gone between" in batches[0].polls[0].detail


def test_recorded_oddities_of_the_feedparser_project() -> None:
    def feed(name: str) -> Any:
        return read_feed((FIXTURES / f"{name}.xml").read_bytes(), "application/xml", name)

    assert [i.body for i in feed("enc_euckr").items] == ["\ub144"]
    for name in ("enc_utf16le_bom", "enc_utf8_bom", "ill_undeclared_ns"):
        assert feed(name).items == (), name
    assert feed("ill_undeclared_ns").cut is False
    assert feed("ill_incomplete_cdata").cut is True
    with pytest.raises(CouldNotRead, match="document type"):
        feed("rdf_entity_decl")


def test_atom_and_rdf(desk: Desk, reply: Any) -> None:
    atom = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title><entry><id>urn:1</id>
      <title type="html">A &amp;amp; B</title><updated>2026-10-01T11:00:00Z</updated>
      <link href="https://example.org/1"/><summary>S</summary></entry></feed>"""
    rdf = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
      xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
      <item rdf:about="https://example.org/2"><title>C</title><link>https://example.org/2</link>
      <dc:date>2026-10-01T10:00:00+01:00</dc:date></item></rdf:RDF>"""
    desk.loopback.answers |= {"/atom": reply(atom), "/rdf": reply(rdf)}
    found = texts(desk.poll("atom", "rdf"))
    assert [(t.document_id, t.published_at.hour) for t in found] == [
        ("atom:urn:1", 11), ("rdf:https://example.org/2", 9)
    ]  # fmt: skip
    assert found[0].title == "A &amp; B", "as it came; cleaned when it is staged"


def test_the_shipped_feeds() -> None:
    feeds = choose_feeds(NewsSection(), Path())
    assert len(feeds) >= 12
    assert all(f.url.startswith("https://") and f.about and f.name.isidentifier() for f in feeds)
    assert len({f.url for f in feeds}) == len(feeds)


def test_a_stand_in_keeps_each_host_in_a_folder() -> None:
    news = NewsSection(base_url="http://127.0.0.1:8000/", only=("decrypt",))
    (feed,) = choose_feeds(news, Path())
    assert feed.url == "http://127.0.0.1:8000/decrypt.co/feed"


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[one]\nurl = "https://x.org/rss?a=1"\nabout = "x"\n')
    news = NewsSection(feeds="mine.toml")
    assert choose_feeds(news, tmp_path) == [FeedSource("one", "https://x.org/rss?a=1", "x")]
    away = replace_only(news, "oen")
    with pytest.raises(ConfigError, match=r"there is no feed 'oen'\. Did you mean one\?"):
        choose_feeds(away, tmp_path)
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read: No such file"):
        choose_feeds(NewsSection(feeds="absent.toml"), tmp_path)
    (tmp_path / "mine.toml").write_text('[one]\nurl = "https://x.org/rss"\nlink = "x"\n')
    with pytest.raises(ConfigError, match="A feed is a table with url and about"):
        choose_feeds(news, tmp_path)


def replace_only(news: NewsSection, name: str) -> NewsSection:
    return news.model_copy(update={"only": (name,)})


def test_identity_is_stable_and_bounded(desk: Desk, reply: Any) -> None:
    desk.loopback.answers["/a"] = reply(rss(item("g" * 900, "long")))
    (text,) = texts(desk.poll())
    assert len(text.document_id) == len("a:") + 24
    desk.cursor = None
    (again,) = texts(desk.poll())
    assert replace(again, fetched_at=text.fetched_at) == text
