"""Which runs wrote a file of worlds: a line each in `FILE.runs.jsonl`.

Rates of worlds that were measured in different ways are rates of nothing, so a file takes
worlds of one way only: one config, one measure, one state of the rules.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from moodtape import __version__
from moodtape.calibrate.study import Way
from moodtape.clock import iso
from moodtape.config import Config
from moodtape.errors import UsageError
from moodtape.forecaster.runs import config_hash

SAME = ("config_hash", "fresh_bars", "from_texts", "rule", "like")
"""What all runs of a file have in common."""


def log_run(path: Path, config: Config, way: Way, now: datetime, command: str) -> None:
    """Enter a run into the log of its file of worlds.

    Args:
        path: of the worlds.
    Raises:
        UsageError: the file holds worlds that were measured in another way.
    """
    line = {
        "at": iso(now), "command": command, "version": __version__, "rule": rule_hash(),
        "config_hash": config_hash(config), "fresh_bars": way.fresh_bars,
        "from_texts": way.from_texts, "like": way.mine.fingerprint if way.mine else None,
    }  # fmt: skip
    log = path.with_name(path.name + ".runs.jsonl")
    before = [json.loads(text) for text in log.read_text().splitlines()] if log.exists() else []
    if path.exists() and before:
        differs = [name for name in SAME if before[-1][name] != line[name]]
        if differs:
            raise UsageError(
                f"{path} holds worlds that were measured in another way"
                f" ({', '.join(name.replace('_', ' ') for name in differs)})."
                " Give --out another file."
            )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def rule_hash() -> str:
    """Return a hash of the code that draws worlds, forecasts them and finds the words."""
    package = Path(__file__).parents[1]
    files = sorted([*package.glob("forecaster/**/*.py"), *package.glob("calibrate/*.py")])
    files.append(package / "study" / "ablate.py")
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
