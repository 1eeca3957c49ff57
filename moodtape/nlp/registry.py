"""Finds a scorer by its name in the config: built-in, a plug-in's, or an added model."""

from __future__ import annotations

from moodtape.errors import UsageError
from moodtape.nlp.base import Scorer
from moodtape.plugins import SCORERS, find, load, owner


def load_scorer(name: str, threads: int = 2) -> Scorer:
    """Return the scorer of that name, ready to score; there is no silent fall-back.

    Args:
        name: `bundled`, `lexicon`, a plug-in's name, `hf:OWNER/NAME@COMMIT` or
            `local:NAME@HASH`.
        threads: cores it may use.

    Raises:
        UsageError: no scorer has that name.
        DataMissing: its model file is not there.
        PlugInBroken: a plug-in's scorer cannot be loaded.
    """
    from moodtape.nlp.hub import find_model, is_model_name

    if is_model_name(name):
        return find_model(name, threads)
    entry = find(SCORERS, name)
    scorer = load(entry)(threads)
    if not isinstance(scorer, Scorer):
        raise UsageError(
            f"{name!r} of {owner(entry)} is no scorer: it lacks name, revision, trained_until or"
            " score(texts). See docs/scorer.md."
        )
    return scorer


def scorer_id(scorer: Scorer) -> str:
    """Return `name@revision`, the key under which scores are kept."""
    return f"{scorer.name}@{scorer.revision}"
