"""Scores parts of files on a ray cluster: each worker loads the scorer once and keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moodtape.cluster import over_cluster
from moodtape.nlp.many import score_part
from moodtape.nlp.parts import Part
from moodtape.nlp.registry import load_scorer


class Worker:
    """A scorer in a process of its own."""

    def __init__(self, scorer: str, threads: int) -> None:
        self._scorer = load_scorer(scorer, threads)

    def do(self, part: Part) -> int:
        """Score one part into its file; return its rows."""
        return score_part(self._scorer, part)


def score_on_ray(parts: Sequence[Part], scorer: str, threads: int) -> Iterator[int]:
    """Score the parts on all cores of a cluster; yield the rows of each that is done.

    Raises:
        UsageError: the `ray` extra is missing, or no machine has that many cores.
        MoodtapeError: what a worker raised.
    """
    yield from over_cluster(Worker, (scorer, threads), parts, threads)
