"""One run at a time: a lock that ends with its process, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moodtape.errors import WarehouseLocked

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0


@contextmanager
def only_one(path: Path, what: str, wait_s: float) -> Iterator[None]:
    """Hold a lock file for the length of the block.

    Raises:
        WarehouseLocked: another process held it for all of `wait_s`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline, pause_s = time.monotonic() + wait_s, FIRST_PAUSE_S
    with path.open("a+") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() >= deadline:
                    raise WarehouseLocked(_held(path, what)) from exc
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _held(path: Path, what: str) -> str:
    holder = path.read_text(encoding="utf-8").strip()
    who = f"process {holder}" if holder else "another process"
    return (
        f"{what} is being done by {who}. Wait for it to end, or stop it"
        f"{f' with: kill {holder}' if holder else ''}, and run the command again."
    )
