"""Scores parts of files on a ray cluster: each worker loads the scorer once and keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import util
from typing import Any

from moodtape.errors import MoodtapeError, UsageError
from moodtape.nlp.base import Scorer
from moodtape.nlp.many import score_part
from moodtape.nlp.parts import Part
from moodtape.nlp.registry import load_scorer

TRIES = 3
"""How often a worker that died is started again, and its part scored anew."""


class Worker:
    """A scorer in a process of its own."""

    def __init__(self, scorer: str, threads: int) -> None:
        self._name, self._threads = scorer, threads

    @cached_property
    def _scorer(self) -> Scorer:
        # Not in __init__: what is raised there comes back as a dead worker, without its reason.
        return load_scorer(self._name, self._threads)

    def score(self, part: Part) -> int:
        """Score one part into its file; return its rows."""
        return score_part(self._scorer, part)


def score_on_ray(parts: Sequence[Part], scorer: str, threads: int) -> Iterator[int]:
    """Score the parts on all cores of a cluster; yield the rows of each that is done.

    Raises:
        UsageError: the `ray` extra is missing, or no machine has that many cores.
        MoodtapeError: what a worker raised.
    """
    if util.find_spec("ray") is None:
        raise UsageError("The ray executor needs the 'ray' extra: pip install \"moodtape[ray]\"")
    import ray
    from ray.exceptions import RayTaskError
    from ray.util import ActorPool

    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False)
    workers: list[Any] = []
    try:
        made = ray.remote(num_cpus=threads, max_restarts=TRIES, max_task_retries=TRIES)(Worker)
        count = min(_fitting(threads), len(parts))
        workers += [made.remote(scorer, threads) for _ in range(count)]
        pool = ActorPool(workers)
        yield from pool.map_unordered(lambda worker, part: worker.score.remote(part), parts)
    except RayTaskError as exc:
        if isinstance(exc.cause, MoodtapeError):
            raise exc.cause from exc
        raise
    finally:
        for worker in workers:
            ray.kill(worker)
        if ours:
            ray.shutdown()


def _fitting(threads: int) -> int:
    """Return how many workers of so many cores fit on the machines of the cluster."""
    import ray

    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    if (most := max(cores, default=0)) < threads:  # ray would wait for such a machine for ever
        raise UsageError(
            f"Each worker is to have {threads} cores, and the largest machine of the ray cluster"
            f" has {most}. Choose fewer with --threads."
        )
    return sum(own // threads for own in cores)
