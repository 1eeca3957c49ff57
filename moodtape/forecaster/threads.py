"""How many threads small arithmetic gets: one, since more would only wait for each other."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Api = Literal["blas", "openmp"]


def one_thread(api: Api) -> AbstractContextManager[Any]:
    """Hold the libraries of one kind to a single thread, as long as the context lasts.

    Sixty columns are no work for two threads: they spend five to ten times as long waiting.
    """
    held: AbstractContextManager[Any] = _controller(api).limit(limits=1, user_api=api)
    return held


@cache
def _controller(api: Api) -> ThreadpoolController:
    """Return the hold on libraries; only those that are loaded by then are found."""
    from threadpoolctl import ThreadpoolController

    if api == "openmp":
        import sklearn.ensemble  # noqa: F401
    return ThreadpoolController()
