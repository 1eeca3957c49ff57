"""Finds what is installed under an entry-point group, built-in or not, and loads what is asked for.

A distribution offers a collector by a table in its `pyproject.toml`:

    [project.entry-points."moodtape.collectors"]
    kraken = "my_package.kraken:collector"
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from moodtape.errors import PlugInBroken, UsageError, did_you_mean

COLLECTORS = "moodtape.collectors"
SCORERS = "moodtape.scorers"
FEATURES = "moodtape.features"


def installed(group: str) -> dict[str, list[EntryPoint]]:
    """Return what is installed under each name; more than one where two claim it."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=group):
        same = found.setdefault(entry.name, [])
        if all((entry.value, owner(entry)) != (e.value, owner(e)) for e in same):
            same.append(entry)
    return found


def find(group: str, name: str) -> EntryPoint:
    """Return the one plug-in of a name.

    Raises:
        UsageError: there is none, or two distributions claim the name.
    """
    every = installed(group)
    kind = group.rpartition(".")[2].removesuffix("s")
    if name not in every:
        raise UsageError(
            f"There is no {kind} {name!r}.{did_you_mean(name, every)}"
            f" Installed: {', '.join(sorted(every)) or 'none; install Moodtape again'}."
        )
    claims = every[name]
    if len(claims) > 1:
        raise UsageError(
            f"The {kind} {name!r} is offered by {' and '.join(sorted(map(owner, claims)))}."
            " Uninstall one of them."
        )
    return claims[0]


def load(entry: EntryPoint) -> Any:
    """Return what a plug-in offers.

    Raises:
        PlugInBroken: it cannot be imported; says whose it is.
    """
    try:
        return entry.load()
    except Exception as exc:  # importing another's module may raise anything
        raise PlugInBroken(
            f"{entry.name!r} of the distribution {owner(entry)} cannot be loaded"
            f" ({type(exc).__name__}: {exc}). Upgrade or uninstall it."
        ) from exc


def owner(entry: EntryPoint) -> str:
    """Return name and version of the distribution that a plug-in comes with."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"
