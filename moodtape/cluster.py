"""Who does work of many tasks: processes of this machine, or the workers of a ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import util
from typing import Any, Literal

from moodtape.errors import MoodtapeError, UsageError

Executor = Literal["local", "ray"]


@dataclass(frozen=True)
class Workers:
    """Who fits the cells of a study. jobs: processes of this machine; on ray, all its cores."""

    jobs: int = 1
    executor: Executor = "local"


ALONE = Workers()
"""The process that asks, one task after the other."""

TRIES = 3
"""How often a worker that died is started again, and its task done anew."""


def over_cluster(
    worker: type, arguments: Sequence[Any], tasks: Sequence[Any], threads: int
) -> Iterator[Any]:
    """Do tasks on all cores of a cluster; yield what each came to as soon as it is done.

    The cluster is a running one that RAY_ADDRESS names, else one made here.

    Args:
        worker: a class whose `do` takes a task.
        arguments: of the worker. Large ones reach each machine once, and its workers share them.
        threads: cores of each worker.
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
        made = ray.remote(num_cpus=threads, max_restarts=TRIES, max_task_retries=TRIES)(_Host)
        shared = [ray.put(each) for each in arguments]
        count = min(_fitting(threads), len(tasks))
        workers += [made.remote(worker, shared) for _ in range(count)]
        pool = ActorPool(workers)
        yield from pool.map_unordered(lambda worker, task: worker.do.remote(task), tasks)
    except RayTaskError as exc:
        if isinstance(exc.cause, MoodtapeError):
            raise exc.cause from exc
        raise
    finally:
        for each in workers:
            ray.kill(each)
        if ours:
            ray.shutdown()


class _Host:
    """Makes its worker with the first task.

    What is raised while an actor is made comes back as a dead actor, without its reason.
    """

    def __init__(self, worker: type, shared: Sequence[Any]) -> None:
        self._worker, self._shared = worker, shared
        self._made: Any = None

    def do(self, task: Any) -> Any:
        """Return what the worker makes of a task."""
        import ray

        if self._made is None:
            self._made = self._worker(*ray.get(list(self._shared)))
        return self._made.do(task)


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
