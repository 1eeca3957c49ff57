"""What two tellings of one story share, and what tells two stories apart."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodtape.storage.story_words import story_words, word_list


@pytest.mark.parametrize(
    ("text", "words", "facts"),
    [
        ("The Fed holds rates", ["fed", "hold", "rate"], []),
        ("Bitcoin’s price and BTC bulls", ["btc", "price", "btc", "bull"], [">up", "@btc"]),
        ("$1.2M, 1,200,000 and 1200K", ["1200000"] * 3, ["#1200000"]),
        ("$2.5bn is 2.5 Billion", ["2500000000"] * 2, ["#2500000000"]),
        ("5 thousand and 5 trillion", ["5000", "5000000000000"], ["#5000", "#5000000000000"]),
        ("5t 5 mln", ["5000000000000", "5000000"], ["#5000000", "#5000000000000"]),
        ("up 40x, 2,000MW", ["up", "40", "x", "2000", "mw"], ["#2000", "#40", ">up"]),
        ("2.5% on 5/2", ["5/2", "5-2"], ["#5-2", "#5/2"]),
        ("Three coins, 3 coins", ["3", "coin", "3", "coin"], ["#3"]),
        ("on 5/16 not 6/15", ["5-16", "not", "6-15"], ["#5-16", "#6-15", ">not"]),
        ("don't, won’t", ["dont", "wont"], [">not"]),
        ("in June, it may", ["june", "may"], [">june"]),
        ("x2 the cap", ["x2", "cap"], ["#x2"]),
        ("see https://a.b/5 www.c.d/6 ![gif](emote|7)", ["see"], []),
        ("loss of gas", ["loss", "gas"], [">loss"]),
        ("Курс вырос на 5", ["курс", "вырос", "на", "5"], ["#5"]),  # noqa: RUF001
        ("1,2,3,4", ["1234"], ["#1234"]),
        ("٣ ۵", ["٣", "۵"], ["#٣", "#۵"]),  # noqa: RUF001
        ("", [], []),
    ],
)
def test_words_and_facts(text: str, words: list[str], facts: list[str]) -> None:
    assert story_words(text) == (words, facts)


def test_case_and_punctuation_do_not_count() -> None:
    assert story_words("BITCOIN: soars, past $100K!") == story_words("bitcoin soars past 100,000")


def test_a_word_tells_one_thing() -> None:
    told = tomllib.loads(word_list().decode())
    for group in ("fact", "name"):
        every = [word for words in told[group].values() for word in words]
        assert len(every) == len(set(every)), group
        assert all(word == word.lower() and "'" not in word for word in every)
    facts = {word for words in told["fact"].values() for word in words}
    assert not facts & {word for words in told["name"].values() for word in words}


@given(st.text())
def test_any_text_has_words(text: str) -> None:
    words, facts = story_words(text)
    assert all(words)
    assert facts == sorted(set(facts))
    assert story_words(text) == (words, facts)
