"""Finds a scorer by its name in the config."""

from __future__ import annotations

from moodtape.errors import UsageError, did_you_mean
from moodtape.nlp.base import Scorer

SCORERS = ("bundled", "lexicon")


def load_scorer(name: str, threads: int = 2) -> Scorer:
    """Return the scorer of that name, ready to score; there is no silent fall-back.

    Raises:
        UsageError: no scorer has that name.
        DataMissing: its model file is not there.
    """
    if name == "lexicon":
        from moodtape.nlp.lexicon import LexiconScorer

        return LexiconScorer()
    if name == "bundled":
        from moodtape.nlp.onnx_scorer import OnnxScorer

        return OnnxScorer(threads=threads)
    raise UsageError(
        f"{name!r} is not a scorer.{did_you_mean(name, SCORERS)} There are: {', '.join(SCORERS)}."
    )


def scorer_id(scorer: Scorer) -> str:
    """Return `name@revision`, the key under which scores are kept."""
    return f"{scorer.name}@{scorer.revision}"
