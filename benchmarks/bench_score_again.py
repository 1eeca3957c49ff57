"""What a `moodtape score` costs that finds nothing new, as a table.

    python benchmarks/bench_score_again.py [--texts 10000] [--repeats 3]

Texts about coins over two years are imported and scored by the word list, which is quick; what a
second run does is the same for every scorer. Start-up is the same command in a project of one
scored text. Best of the repeats; it fails where the rest takes 2 s or more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LIMIT_S = 2.0
COINS = ("Bitcoin", "Ether", "Solana", "Dogecoin", "The market", "XRP", "Cardano")
VERBS = ("soars on", "falls after", "waits for", "shrugs off", "is hit by", "gains from")


def moodtape(folder: Path, *words: str) -> dict[str, Any]:
    """Run a command in a project; return what it told."""
    command = [sys.executable, "-m", "moodtape", *words, "--json"]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def score_again(folder: Path) -> tuple[float, float]:
    """Score what is scored; return the seconds by the clock and of CPU."""
    began, before = time.perf_counter(), os.times()
    told = moodtape(folder, "score")
    seconds, after = time.perf_counter() - began, os.times()
    assert (told["scored"], told["hours"]) == (0, 0)
    cpu = after.children_user + after.children_system
    return seconds, cpu - before.children_user - before.children_system


def project(folder: Path, texts: int) -> Path:
    """Make a project whose texts, no two alike, are scored."""
    folder.mkdir()
    (folder / "moodtape.toml").write_text('[sentiment]\nscorer = "lexicon"\n', "utf-8")
    first, step = datetime(2023, 1, 1, tzinfo=UTC), timedelta(days=730) / texts
    published = [first + step * i for i in range(texts)]
    titles = [
        f"{COINS[i % 7]} {VERBS[i % 6]} case {i} of {i * 7919 % 9973} in district {i * 31 % 997}"
        for i in range(texts)
    ]
    table = {"published_at": published, "title": titles,
             "collected_at": [at + timedelta(minutes=2) for at in published]}  # fmt: skip
    pq.write_table(pa.table(table), folder / "texts.parquet")
    moodtape(folder, "import", "documents", "texts.parquet", "--source", "news")
    assert moodtape(folder, "score")["scored"] == texts
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with TemporaryDirectory() as made:
        one = project(Path(made) / "one", 1)
        many = project(Path(made) / "many", given.texts)
        runs = [(score_again(one), score_again(many)) for _ in range(given.repeats)]
    print(f"{'scored texts':>12} {'s':>7} {'CPU s':>7}")
    best = [[min(run[side][unit] for run in runs) for unit in (0, 1)] for side in (0, 1)]
    for texts, (wall, cpu) in zip((1, given.texts), best, strict=True):
        print(f"{texts:>12,} {wall:>7.2f} {cpu:>7.2f}")
    beyond = best[1][0] - best[0][0]
    print(f"beyond start-up: {beyond:.2f} s, {best[1][1] - best[0][1]:.2f} CPU s")
    if beyond >= LIMIT_S:
        raise SystemExit(f"expected less than {LIMIT_S:g} s")


if __name__ == "__main__":
    main()
