"""Text from outside is hostile until it has been cleaned; the keys of texts are stable."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodtape.ingest.text import (
    author_hash,
    canonical_url,
    clean,
    content_hash,
    document_id,
    is_deleted,
    repeat_key,
    scored_text,
)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("  BTC \t is\n up  ", "BTC is up"),
        ("<p>BTC</p><p>up</p>", "BTC up"),
        ("a <script>alert(1)</script> b", "a b"),
        ("a <SCRIPT src=x>alert('<b>')</ScRiPt > b", "a b"),
        ("a <style>p{}</style>b<script>x</script>c", "a b c"),
        ("a <script>never closed", "a never closed"),
        ("&lt;script&gt;alert(1)&lt;/script&gt; b", "b"),
        ("a <img src=x onerror=alert(1)> b", "a b"),
        ("<\u200bscript>alert(1)</script>b", "b"),
        ("BTC &amp; ETH &#8364;5 &lt; 6", "BTC & ETH \N{EURO SIGN}5 < 6"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("i <3 btc", "i <3 btc"),
        ("one\x00two\x07three\x1b[31m", "onetwothree[31m"),
        ("\u202etxt.exe\u202c \u2066x\u2069 \ufeffy\u200b", "txt.exe x y"),
        ("a\u00a0b\u2028c\u3000d", "a b c d"),
        ("e\u0301", "\u00e9"),
        ("\ud83d lone half", "lone half"),
        (
            "family \U0001f468\u200d\U0001f469 \u2764\ufe0f",
            "family \U0001f468\u200d\U0001f469 \u2764\ufe0f",
        ),
        ("\ue000private", "private"),
        ("", ""),
    ],
)
def test_clean_worked_by_hand(raw: str, cleaned: str) -> None:
    assert clean(raw, 200) == cleaned


def test_clean_cuts_and_leaves_no_blank_at_the_end() -> None:
    assert clean("abc def", 4) == "abc"
    assert clean("x" * 50, 10) == "x" * 10


@given(st.text(), st.integers(1, 60))
def test_cleaned_text_hides_nothing(raw: str, most: int) -> None:
    text = clean(raw, most)
    assert len(text) <= most
    assert text == text.strip()
    shown = {unicodedata.category(c) for c in text if c != "\u200d"}
    assert not shown & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert "<script>" not in text.lower()


@given(st.lists(st.sampled_from(["<script>", "</script>", "<", ">", "a", "&lt;", "style"])))
def test_no_script_tag_survives_any_nesting(parts: list[str]) -> None:
    text = clean("".join(parts), 500).lower()
    assert "<script>" not in text
    assert "</script>" not in text


@pytest.mark.parametrize("attack", ["<script>", "<a ", "&lt;script&gt;", "<style><script>"])
def test_a_field_full_of_openings_costs_one_pass(attack: str) -> None:
    clean(attack * 30_000, 10_000)  # took minutes when every opening searched to the end


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://a.b/c?utm_source=x&id=3&fbclid=1#top", "https://a.b/c?id=3"),
        ("HTTP://A.B/Path", "http://a.b/Path"),
        ("https://user:secret@a.b/c", "https://a.b/c"),
        ("https://a.b:8080/c", "https://a.b:8080/c"),
        ("javascript:alert(1)", None),
        ("JaVaScRiPt:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("data:text/html,x", None),
        ("//a.b/c", None),
        ("https://", None),
        ("https://[::1", None),
        ("https://a.b/\u202egpj.exe", None),
        ("not a link", None),
        ("", None),
    ],
)
def test_links_are_http_or_nothing(link: str, kept: str | None) -> None:
    assert canonical_url(link) == kept


def test_what_is_scored() -> None:
    assert scored_text("news", "Title", "Body") == "Title"
    assert scored_text("news", "", "b" * 400) == "b" * 300
    assert scored_text("reddit", "Title", "Body") == "Title | Body"
    assert scored_text("reddit", "", "Body") == "Body"
    assert scored_text("x", "", "t" * 700) == "t" * 600


def test_deleted_texts_are_known_by_their_mark() -> None:
    assert all(map(is_deleted, ["[removed]", " [Deleted] ", "[ Removed by Reddit ]"]))
    assert not is_deleted("the [removed] part")


def test_the_same_words_have_the_same_key_whatever_stands_around_them() -> None:
    key = repeat_key("Bitcoin tops 100K for the first time", 5)
    assert key == repeat_key("BITCOIN TOPS: 100k, for the first time! https://x.y \N{ROCKET}", 5)
    assert key != repeat_key("Bitcoin tops 110K for the first time", 5)
    assert repeat_key("to the moon", 5) is None
    russian = ("Биткоин вырос до 100 тысяч", "Биткоин упал до 100 тысяч")
    assert repeat_key(russian[0], 5) != repeat_key(russian[1], 5)


def test_keys_are_stable() -> None:
    assert content_hash("BTC up") == content_hash("BTC up") != content_hash("BTC up ")
    assert len(content_hash("x")) == 32
    assert author_hash("x", "me") != author_hash("reddit", "me")
    assert document_id("news", "o", "https://a.b", "t", "p") == document_id(
        "news", "other", "https://a.b", "u", "q"
    ), "a link is an identity"
    assert document_id("news", "o", "", "t", "p") != document_id("news", "o", "", "t", "q")
