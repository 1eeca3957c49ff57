"""How many texts a second each scorer reads, as a table.

    python benchmarks/bench_scorers.py [--texts 2000] [--threads 2] [--repeats 3]
        [--file FILE.parquet --column title]

Texts come from the labels in `labels/` by default. Each scorer gets the whole list at
once, and the bundled one also one text a call, which is what batching is compared with.
The best of the repeats counts; seconds of CPU are beside it, since they hardly depend on
what else the machine is doing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from moodtape.nlp.base import Scorer
from moodtape.nlp.registry import load_scorer

LABELS = Path(__file__).parent.parent / "labels" / "own_crypto.parquet"


def read_texts(path: Path, column: str, count: int) -> list[str]:
    """Return `count` texts of a column, in a fixed random order, repeated if there are fewer."""
    import pandas as pd

    texts = pd.read_parquet(path, columns=[column])[column].dropna().sample(frac=1, random_state=0)
    return [str(text) for text in (texts.tolist() * (1 + count // len(texts)))[:count]]


def one_by_one(scorer: Scorer) -> Callable[[Sequence[str]], None]:
    """Return a function that scores each text in a call of its own."""

    def score(texts: Sequence[str]) -> None:
        for text in texts:
            scorer.score([text])

    return score


def measure(score: Callable[[list[str]], object], texts: list[str], repeats: int) -> str:
    """Return texts a second and seconds of CPU for a thousand, best of the repeats."""
    score(texts[:1])  # loading is not scoring
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        score(texts)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return f"{len(texts) / min(walls):12,.0f} {min(cpus) / len(texts) * 1000:16.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="How many texts a second each scorer reads.")
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--file", type=Path, default=LABELS)
    parser.add_argument("--column", default="text")
    given = parser.parse_args()
    texts = read_texts(given.file, given.column, given.texts)
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{len(texts)} texts, {given.threads} threads, load before: {load}\n")
    print(f"{'scorer':24} {'texts/s':>12} {'CPU s per 1,000':>16}")
    lexicon, bundled = load_scorer("lexicon"), load_scorer("bundled", given.threads)
    rows: list[tuple[str, Callable[[list[str]], object]]] = [
        ("lexicon", lexicon.score),
        ("bundled", bundled.score),
        ("bundled, one by one", one_by_one(bundled)),
    ]
    for name, score in rows:
        print(f"{name:24} {measure(score, texts, given.repeats)}", flush=True)


if __name__ == "__main__":
    main()
