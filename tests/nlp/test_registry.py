from __future__ import annotations

import pytest

from moodtape.errors import UsageError
from moodtape.nlp.base import Scorer
from moodtape.nlp.registry import load_scorer, scorer_id

BUILT_IN = ("bundled", "lexicon")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_name_gives_its_scorer(name: str) -> None:
    scorer = load_scorer(name)
    assert isinstance(scorer, Scorer)
    assert scorer.name == name
    assert scorer_id(scorer) == f"{name}@{scorer.revision}"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"There is no scorer 'lexikon'\. Did you mean lexicon\?"):
        load_scorer("lexikon")
