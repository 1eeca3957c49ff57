"""Texts: what is refused, when each was known, revisions, reposts, mentions, engagement."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from moodtape.config import Config
from moodtape.errors import UnreadableFile, UsageError
from moodtape.storage.sketches import sketch_texts


def jsonl(*rows: dict[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def news(number: int, **also: Any) -> dict[str, Any]:
    published = f"2025-06-01T{number:02d}:10:00Z"
    return {
        "id": f"n{number}",
        "published_at": published,
        "title": f"Bitcoin story {number}",
    } | also


def test_good_texts_are_stored_and_bad_ones_kept_with_their_reason(bring: Any) -> None:
    rows = [
        news(1),
        news(2, published_at="2025-06-01 02:10:00"),
        news(3, published_at="last week"),
        news(4, published_at=None),
        news(5, published_at="2025-07-01T00:00:00Z"),
        news(6, published_at="1969-01-01T00:00:00Z"),
        news(7, collected_at="2025-07-01T00:00:00Z"),
        news(8, collected_at="soon"),
        news(9, title=""),
        news(10, title="[removed]"),
        news(11, title="<script>x</script>"),
        news(12, body="x" * 10 * 2**20),
        news(13, symbol="no such symbol"),
        news(14, source="blog"),
        news(15, title="\u202e\x00Bitcoin\x07 & <b>more</b>", collected_at=""),
    ]
    result = bring("documents", "n.jsonl", jsonl(*rows))
    assert dict(result.counts.reasons) == {
        "time without a zone": 1,
        "unreadable time": 2,
        "missing time": 1,
        "published in the future": 1,
        "published before 1990": 1,
        "collected in the future": 1,
        "no text, or only the mark that it was deleted": 3,
        "body is 10240 KiB, the limit is 256 (imports.max_field_kib)": 1,
        "symbol is not an asset's name": 1,
        "source is none of news, reddit, x; say --source": 1,
    }
    assert (result.counts.new, result.counts.quarantined) == (2, 13)
    assert bring.rows("SELECT title FROM document ORDER BY document_id") == [
        ("Bitcoin story 1",),
        ("Bitcoin & more",),
    ]
    (longest,) = bring.rows("SELECT max(length(payload)) FROM quarantine")[0]
    assert longest <= 4_096, "ten megabytes are not kept"


def test_a_clock_a_little_ahead_of_ours_is_borne_with(bring: Any, now: Any) -> None:
    ahead = (now + timedelta(minutes=9)).isoformat()
    assert bring("documents", "n.jsonl", jsonl(news(1, published_at=ahead))).counts.new == 1


KNOWN = "SELECT document_id, known_at, assumed, date_only, backfilled FROM document ORDER BY 1"


def test_when_each_text_was_known(bring: Any) -> None:
    stamp = "2025-06-01T03:33:33.123456Z"
    rows = [
        news(1),
        news(2, collected_at=stamp),
        news(3, published_at="2025-06-01T00:00:00Z"),
        news(4, published_at="2025-06-01"),
        news(5, published_at="2025-06-01T00:00:00Z", collected_at=stamp),
        news(6, source="reddit"),
        news(7, source="twitter", published_at="2025-06-01T00:00:00Z"),
    ]
    result = bring("documents", "n.jsonl", jsonl(*rows))
    assert bring.texts(KNOWN) == [
        ("n1", "2025-06-01 02:40:00+00:00", "True", "False", "True"),  # 90 minutes later
        ("n2", "2025-06-01 03:33:33.123456+00:00", "False", "False", "True"),  # never rounded
        ("n3", "2025-06-02 01:30:00+00:00", "True", "True", "True"),  # that day's end
        ("n4", "2025-06-02 01:30:00+00:00", "True", "True", "True"),
        ("n5", "2025-06-01 03:33:33.123456+00:00", "False", "True", "True"),
        ("n6", "2025-06-01 06:25:00+00:00", "True", "False", "True"),  # posts: 15 minutes
        ("n7", "2025-06-01 00:15:00+00:00", "True", "False", "True"),  # a tweet at midnight
    ]
    assert result.notes[0] == ("5 texts have no collection time: publication plus a delay is used")


def test_the_delays_are_settings(bring: Any) -> None:
    bring.config = Config.model_validate({"clock": {"news_delay_min": 10, "post_delay_min": 0}})
    bring("documents", "n.jsonl", jsonl(news(1), news(2, source="reddit")))
    assert [row[1] for row in bring.texts(KNOWN)] == [
        "2025-06-01 01:20:00+00:00",
        "2025-06-01 02:10:00+00:00",
    ]


def test_a_changed_text_is_a_further_revision(bring: Any, now: Any) -> None:
    bring("documents", "n.jsonl", jsonl(news(1), news(2, collected_at="2025-06-01T03:00:00Z")))
    came = now + timedelta(days=1)
    changed = jsonl(
        news(1, title="Bitcoin story 1, updated"),
        news(2, title="Bitcoin story 2, updated", collected_at="2025-06-01T05:00:00Z"),
    )
    result = bring("documents", "n.jsonl", changed, now=came)
    assert (result.counts.corrected, result.counts.known) == (2, 0)
    assert bring.texts("SELECT document_id, known_at, title FROM document ORDER BY 1, 2") == [
        ("n1", "2025-06-01 02:40:00+00:00", "Bitcoin story 1"),
        ("n1", "2025-07-01 00:00:00+00:00", "Bitcoin story 1, updated"),
        ("n2", "2025-06-01 03:00:00+00:00", "Bitcoin story 2"),
        ("n2", "2025-06-01 05:00:00+00:00", "Bitcoin story 2, updated"),
    ]
    again = bring("documents", "n.jsonl", now=came + timedelta(days=1))
    assert (again.counts.corrected, again.counts.known) == (0, 2)


def test_two_versions_in_one_file_settle_at_the_first_import(bring: Any, now: Any) -> None:
    file = jsonl(news(1), news(1, title="Second", published_at="2025-06-01T04:10:00Z"))
    assert bring("documents", "n.jsonl", file).counts.new == 2
    for day in (1, 2):
        again = bring("documents", "n.jsonl", now=now + timedelta(days=day))
        assert (again.counts.new, again.counts.corrected) == (0, 0)


def test_two_new_versions_of_a_stored_text_settle_too(bring: Any, now: Any) -> None:
    bring("documents", "n.jsonl", jsonl(news(1, title="First")))
    file = jsonl(news(1, title="Second"), news(1, title="Third", published_at="2025-06-01T04:10Z"))
    assert bring("documents", "n.jsonl", file, now=now + timedelta(days=1)).counts.corrected == 1
    again = bring("documents", "n.jsonl", now=now + timedelta(days=2))
    assert (again.counts.new, again.counts.corrected) == (0, 0)
    assert bring.rows("SELECT title FROM document ORDER BY known_at") == [("First",), ("Third",)]


def test_a_copy_with_an_earlier_stamp_moves_the_first_revision(bring: Any) -> None:
    bring("documents", "a.jsonl", jsonl(news(1, collected_at="2025-06-01T05:00Z", dataset="d")))
    bring("documents", "b.jsonl", jsonl(news(1, collected_at="2025-06-01T03:00Z", dataset="d")))
    late = bring(
        "documents", "c.jsonl", jsonl(news(1, collected_at="2025-06-01T09:00Z", dataset="d"))
    )
    assert late.counts.known == 1
    assert bring.texts("SELECT min(known_at) FROM document") == [("2025-06-01 03:00:00+00:00",)]


def test_duplicates_in_a_file_leave_the_fullest(bring: Any) -> None:
    rows = [news(1), news(1, body="and a summary"), news(1)]
    result = bring("documents", "n.jsonl", jsonl(*rows))
    assert (result.counts.new, result.counts.duplicate_in_file) == (1, 2)
    assert bring.rows("SELECT body FROM document") == [("and a summary",)]


def test_mentions_by_name_cashtag_subreddit_and_declaration(bring: Any) -> None:
    rows = [
        news(1),
        news(2, title="Up we go $eth"),
        news(3, title="Up we go", source="reddit", subreddit="dogecoin"),
        news(4, title="Bitcoin wins", ticker="AAPL"),
        news(5, title="Bitcoin wins", ticker="btc/usdt|ETH"),
        news(6, title="Rates fall"),
        news(7, title="Bitcoin wins", ticker="null"),
    ]
    bring("documents", "n.jsonl", jsonl(*rows))
    sql = "SELECT document_id, symbol, how, alias_version = '' FROM mention ORDER BY 1, 2"
    assert bring.rows(sql) == [
        ("n1", "BTC", "name", False),
        ("n2", "ETH", "cashtag", False),
        ("n3", "DOGE", "outlet", False),
        ("n4", "AAPL", "declared", True),
        ("n5", "BTC", "declared", True),
        ("n5", "ETH", "declared", True),
        ("n6", "MARKET", "none", False),
        ("n7", "BTC", "name", False),
    ]


def test_the_user_may_declare_the_symbol_of_a_whole_file(bring: Any) -> None:
    bring("documents", "n.jsonl", jsonl(news(1), news(2, ticker="MSFT")), symbol="TSLA")
    sql = "SELECT document_id, symbol, how FROM mention ORDER BY 1"
    assert bring.rows(sql) == [("n1", "TSLA", "declared"), ("n2", "MSFT", "declared")]
    with pytest.raises(UsageError, match=r"'no symbol' cannot name an asset\. Write it like BTC"):
        bring("documents", "n.jsonl", symbol="TSLA,no symbol")


def test_the_publisher_in_a_source_column_becomes_the_outlet(bring: Any) -> None:
    text = "title,published_at,source\nBitcoin up,2025-06-01T00:10Z,CoinDesk\n"
    bring("documents", "n.csv", text, source="news")
    assert bring.rows("SELECT source, outlet FROM document") == [("news", "CoinDesk")]


def test_engagement_is_kept_apart_and_without_a_time(bring: Any) -> None:
    rows = [news(1, source="reddit", score=7, num_comments=3, removed=True), news(2)]
    bring("documents", "n.jsonl", jsonl(*rows))
    sql = "SELECT document_id, reading, read_at, likes, comments, reposts, removed FROM engagement"
    assert bring.rows(sql) == [("n1", "unknown", None, 7, 3, None, True)]
    columns = {row[0] for row in bring.rows("SELECT name FROM pragma_table_info('document')")}
    assert not columns & {"likes", "comments", "reposts", "removed", "score"}


def test_hostile_cells_end_up_harmless(bring: Any) -> None:
    row = news(
        1,
        title="Bitcoin <img src=x onerror=alert(1)>up\u202e",
        url="javascript:alert(1)",
        subreddit="<b>x</b>",
        author="me",
        categories="a\x00b",
    )
    bring("documents", "n.jsonl", jsonl(row))
    stored = bring.rows("SELECT title, url, outlet, categories, author_hash FROM document")[0]
    assert stored[:4] == ("Bitcoin up", None, "x", "ab")
    assert len(stored[4]) == 16
    assert stored[4] != "me"


def test_a_cell_that_holds_a_list_stops_no_other_row(bring: Any) -> None:
    rows = [news(1, author=[], likes=[]), news(2, author=["ann"], likes=[3]), news(3)]
    path = bring.folder / "n.parquet"
    pq.write_table(
        pa.Table.from_pylist([{"author": None, "likes": None, **r} for r in rows[:2]]), path
    )
    result = bring("documents", "n.parquet", path.read_bytes())
    assert (result.counts.new, result.counts.quarantined) == (2, 0)
    assert bring("documents", "m.jsonl", jsonl(*rows)).counts.new == 3


def test_coverage_is_the_files_own_span_per_source_and_collection(bring: Any) -> None:
    rows = [news(1), news(5), news(3, dataset="other"), news(2, source="reddit")]
    bring("documents", "n.jsonl.gz".removesuffix(".gz"), jsonl(*rows))
    bring("documents", "m.jsonl", jsonl(news(2), news(4)), crawled=True)
    sql = "SELECT source, collection, covered_from, covered_until, state FROM coverage ORDER BY ALL"
    day = "2025-06-01 "
    assert bring.texts(sql) == [
        ("news", "m", f"{day}03:40:00+00:00", f"{day}05:40:00+00:00", "crawled"),
        ("news", "n", f"{day}02:40:00+00:00", f"{day}06:40:00+00:00", "partial"),
        ("news", "other", f"{day}04:40:00+00:00", f"{day}04:40:00+00:00", "partial"),
        ("reddit", "n", f"{day}02:25:00+00:00", f"{day}02:25:00+00:00", "partial"),
    ]


def test_without_an_id_the_link_or_the_words_tell_texts_apart(bring: Any) -> None:
    text = "title,published_at,url\n" + "".join(
        f"{title},2025-06-01T00:10Z,{url}\n"
        for title, url in (
            ("Bitcoin up", "https://a.b/1?utm_source=x"),
            ("Bitcoin up today", "https://a.b/1"),
            ("Bitcoin up", ""),
            ("Bitcoin down", ""),
        )
    )
    result = bring("documents", "n.csv", text)
    assert (result.counts.new, result.counts.duplicate_in_file) == (3, 1)


def test_texts_that_could_be_repeated_are_sketched_as_they_are_scored(bring: Any) -> None:
    title = "Harbour Bank to offer bitcoin custody to its wealthy clients"
    post = {"title": title, "body": "So it says in the paper this morning", "source": "reddit"}
    first = news(1, title=f"<b>{title}</b>\u202e", body="unread")
    bring("documents", "n.jsonl", jsonl(first, news(2, **post), news(3, title="Up")))
    stored = bring.rows("SELECT sketch_version, sketch, bands FROM document ORDER BY document_id")
    for row, text in zip(stored, (title, f"{title} | {post['body']}"), strict=False):
        (made,) = sketch_texts([text])
        assert row == (made["sketch_version"], made["sketch"].tolist(), made["bands"].tolist())
    assert stored[2] == (None, None, None)


def test_a_file_without_texts_or_times_is_refused(bring: Any) -> None:
    with pytest.raises(UnreadableFile, match=r"no column of text\. It has: id, date"):
        bring("documents", "n.csv", "id,date\n1,2025-06-01\n")
    with pytest.raises(UnreadableFile, match=r"no column for published_at.*--map published_at="):
        bring("documents", "n.csv", "id,title\n1,x\n")
    with pytest.raises(UsageError, match="--source blog is none of news, reddit, x"):
        bring("documents", "n.csv", "published_at,title\n2025-06-01,x\n", source="blog")
    assert not bring.warehouse.path.exists()


def test_a_key_that_comes_and_goes_between_chunks_is_no_trouble(
    bring: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodtape.ingest.files.CHUNK_ROWS", 2)
    rows = [news(1, body="b"), news(2), news(3), news(4), news(5, body="c")]
    assert bring("documents", "n.jsonl", jsonl(*rows)).counts.new == 5
    assert bring.rows("SELECT count(body) FROM document") == [(2,)]
