"""Features of plug-ins: of the distributions that `features.plugins` names, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from types import ModuleType

from moodtape.errors import UsageError
from moodtape.forecaster.features.base import REGISTRY, Feature
from moodtape.plugins import FEATURES, find, load, owner


def added_features(names: Sequence[str]) -> tuple[Feature, ...]:
    """Return what the named plug-ins declare, in the order of the names.

    An entry point names a function declared by `@feature`, or a module of such functions.

    Raises:
        UsageError: a name that no distribution offers, or that offers no feature.
        PlugInBroken: a plug-in cannot be loaded, or declares what cannot be.
    """
    return tuple(made for name in names for made in _declared(find(FEATURES, name)))


def _declared(entry: EntryPoint) -> Iterator[Feature]:
    offered = load(entry)
    found = [made for made in REGISTRY.values() if _is_of(made, offered)]
    if not found:
        raise UsageError(
            f"{entry.name!r} of {owner(entry)} offers no feature: {entry.value} is neither a"
            " function declared by @feature nor a module that holds one. See docs/features.md."
        )
    yield from found


def _is_of(made: Feature, offered: object) -> bool:
    if isinstance(offered, ModuleType):
        return made.compute.__module__ == offered.__name__
    return made.compute is offered
