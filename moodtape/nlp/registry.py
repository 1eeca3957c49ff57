"""Finds a scorer by its name in the config: built-in, a plug-in's, or an added model."""

from __future__ import annotations

from typing import Literal

from moodtape.errors import UsageError
from moodtape.nlp.base import Scorer
from moodtape.plugins import SCORERS, find, load, owner

BUNDLED = "bundled"
Device = Literal["cpu", "gpu"]


def load_scorer(name: str, threads: int = 2, device: Device = "cpu") -> Scorer:
    """Return the scorer of that name, ready to score; there is no silent fall-back.

    Args:
        name: `bundled`, `lexicon`, a plug-in's name, `hf:OWNER/NAME@COMMIT` or
            `local:NAME@HASH`.
        threads: cores it may use.
        device: where it computes; that a GPU is there is found out when it first scores.

    Raises:
        UsageError: no scorer has that name, or it does not run on a GPU.
        DataMissing: its model file is not there.
        PlugInBroken: a plug-in's scorer cannot be loaded.
    """
    from moodtape.nlp.hub import find_model, is_model_name

    if device == "gpu":
        return _on_gpu(name)
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


def runs_on_gpu(name: str) -> bool:
    """Say whether a scorer has a revision for GPUs: the bundled and added models have."""
    from moodtape.nlp.hub import is_model_name

    return name == BUNDLED or is_model_name(name)


def _on_gpu(name: str) -> Scorer:
    from moodtape.nlp.hub import folder_of_model
    from moodtape.nlp.onnx_scorer import bundled_folder
    from moodtape.nlp.torch_scorer import scorer_on_gpu

    if not runs_on_gpu(name):
        find(SCORERS, name)  # a misspelt name is told as such
        raise UsageError(
            f"The scorer {name!r} runs on the CPU alone. Leave out --device gpu, and device ="
            f' "gpu" under [sentiment]; or choose {BUNDLED}, or an added model.'
        )
    return scorer_on_gpu(bundled_folder() if name == BUNDLED else folder_of_model(name))


def scorer_id(scorer: Scorer) -> str:
    """Return `name@revision`, the key under which scores are kept."""
    return f"{scorer.name}@{scorer.revision}"
