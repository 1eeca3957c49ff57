"""An interrupted fit goes on where it was, and ends with the same bits.

The checkpoint of a fit is one file in its run's folder, written after every epoch and gone
when the run is whole. A lock that dies with its process keeps two runs from one folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape import __version__
from moodtape.errors import UsageError
from moodtape.forecaster.arrays import read_arrays, write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Sequence[NDArray[Any]]

CHECKPOINT, LOCK = "fit.npz", "fit.lock"
KINDS = ("network", "optimizer", "best")


@dataclass(frozen=True)
class Snapshot:
    """A fit after some whole epochs.

    state: numbers and lists that JSON knows. network, optimizer: every variable in its order;
    best: those of the network after its best epoch.
    """

    state: Mapping[str, Any]
    network: Arrays
    optimizer: Arrays
    best: Arrays


@dataclass(frozen=True)
class Checkpoint:
    """Where a fit keeps its state, and what it is a fit of.

    key: everything that its bits depend on; a file with another key is not its own.
    """

    path: Path
    key: str

    def save(self, snapshot: Snapshot) -> None:
        """Write the state so that the file is either the old one or the whole new one."""
        arrays = {
            f"{kind}_{number}": values
            for kind in KINDS
            for number, values in enumerate(getattr(snapshot, kind))
        }
        write_arrays(self.path, arrays, {"key": self.key, "state": snapshot.state})

    def load(self) -> Snapshot | None:
        """Return what was saved; None where there is nothing, or nothing of this fit."""
        found = read_arrays(self.path)
        if found is None or found[1]["key"] != self.key:
            return None
        arrays, told = found
        parts: dict[str, list[NDArray[Any]]] = {kind: [] for kind in KINDS}
        for name, values in arrays.items():
            kind, _, number = name.rpartition("_")
            assert int(number) == len(parts[kind])
            parts[kind].append(values)
        return Snapshot(told["state"], parts["network"], parts["optimizer"], parts["best"])

    def remove(self) -> None:
        """Forget the state: the run is whole."""
        self.path.unlink(missing_ok=True)


ROOM = Path(__file__).parent
"""Where the code lies that computes the numbers of a fit."""

COMPUTING = ("keras", "numpy", "scipy", "scikit-learn")


def computed_by() -> dict[str, str]:
    """Return what the bits of any fit depend on besides its inputs, for its key.

    The code itself counts beside its version, which a change may leave as it was.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    versions = {name: metadata.version(name) for name in (*COMPUTING, backend)}
    return {"backend": backend, "moodtape": __version__, "code": code_hash(ROOM), **versions}


@cache
def code_hash(folder: Path) -> str:
    """Return a hash of the modules in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def fit_key(**parts: Any) -> str:
    """Return a hash of everything that the bits of a fit depend on.

    >>> fit_key(seed=7, arm="full") == fit_key(arm="full", seed=7) != fit_key(arm="full", seed=8)
    True
    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def interrupted(runs: Path, key: str) -> Path | None:
    """Return the newest run folder that holds an unfinished fit of this key, free to be taken."""
    for path in sorted(runs.glob(f"*/{CHECKPOINT}"), reverse=True):
        if Checkpoint(path, key).load() is not None and not is_held(path.parent):
            return path.parent
    return None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder: nobody else goes on with its work meanwhile. Ends with the process.

    Raises:
        UsageError: another process has just taken it.
    """
    with (folder / LOCK).open("a") as file:
        if not _lock(file.fileno()):
            raise UsageError(f"{folder.name} is in the hands of another process.")
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)


def is_held(folder: Path) -> bool:
    """Say whether another process works in a run's folder."""
    try:
        with (folder / LOCK).open() as file:
            return not _lock(file.fileno())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    """Try to lock a file, and say whether that worked; where there are no locks it does."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once then both start from the same epoch
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
