"""The shipped sample: real bars, headlines and blocks of Bitcoin; origins in `LICENCES.md`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def sample_file(name: str) -> Path:
    """Return where a file of the sample lies.

    Raises:
        FileNotFoundError: the sample has no such file; the message lists those it has.
    """
    folder = Path(str(resources.files("moodtape.sample")))
    path = folder / name
    if not path.is_file():
        names = ", ".join(sorted(p.name for p in folder.glob("*.parquet")))
        raise FileNotFoundError(f"The sample has no file {name!r}. It has: {names}.")
    return path
