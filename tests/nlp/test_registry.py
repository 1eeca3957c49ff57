from __future__ import annotations

import pytest

from moodtape.errors import UsageError
from moodtape.nlp.base import Scorer
from moodtape.nlp.registry import SCORERS, load_scorer, scorer_id


@pytest.mark.parametrize("name", SCORERS)
def test_every_name_gives_its_scorer(name: str) -> None:
    scorer = load_scorer(name)
    assert isinstance(scorer, Scorer)
    assert scorer.name == name
    assert scorer_id(scorer) == f"{name}@{scorer.revision}"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'lexikon' is not a scorer\. Did you mean lexicon\?"):
        load_scorer("lexikon")
