from __future__ import annotations

from typing import Any

import pytest

from moodtape.nlp.onnx_scorer import TOKENIZER_FILE, bundled_folder
from moodtape.nlp.tokens import MAX_TOKENS, encode, load_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer((bundled_folder() / TOKENIZER_FILE).read_text("utf-8"))


def words(tokenizer: Any, text: str) -> list[str]:
    return [tokenizer.id_to_token(i) for i in encode(tokenizer, [text])[0]][1:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bitcoin soars https://t.co/abc?x=1 today", "bitcoin soars today"),
        ("profit &amp; loss &lt;5%", "profit & loss < 5 %"),
        ("a&#x200B;b", "a b"),
        ("moon🚀soon", "moon rocket soon"),
        ("📉", "falling"),
        ("", ""),
    ],
)
def test_replacements(tokenizer: Any, text: str, expected: str) -> None:
    found = " ".join(words(tokenizer, text)).replace(" ##", "")
    assert found == " ".join(words(tokenizer, expected)).replace(" ##", "")


def test_a_long_text_is_cut_and_keeps_its_last_mark(tokenizer: Any) -> None:
    ids = encode(tokenizer, ["bitcoin " * 500])[0]
    assert len(ids) == MAX_TOKENS
    assert tokenizer.id_to_token(ids[0]) == "[CLS]"
    assert tokenizer.id_to_token(ids[-1]) == "[SEP]"


def test_a_text_is_encoded_the_same_in_any_company(tokenizer: Any) -> None:
    texts = ["Bitcoin", "", "a much longer line about nothing in particular", "x"]
    assert encode(tokenizer, texts) == [encode(tokenizer, [text])[0] for text in texts]
