"""How fast the scorers read beside `transformers.pipeline` with the same weights, as tables.

    python benchmarks/bench_scorers.py [--texts 400] [--threads 2] [--repeats 2] [--large]
        [--file FILE.parquet --column title]

Texts come from the labels in `labels/` by default. `pipeline` is transformers' own, on torch with
the bundled weights: given all texts with `batch_size=32`, and one text a call, which is what it
does by default. Its threads wait for each other by spinning, so on a busy machine their CPU is
more than their work; a line with one thread shows that. `one by one` reads a tenth of the texts.
`--large` adds a model of FinBERT's size (12 layers, 768 wide) with random weights: its speed is
meant, its answers mean nothing.

Every line is a process of its own, one after the other, in each of the repeats; loading does not
count. The best repeat counts; seconds of CPU are beside it, since they hardly depend on what else
the machine does. `bundled` is measured with four times the texts, too: the peak of its memory
must not follow their number. It fails where labels differ from the pipeline's on more than 1.5 %
of the texts, or where ours takes more than 0.65 of its CPU with one thread. The peers need the
torch extra.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

LABELS_FILE = Path(__file__).parent.parent / "labels" / "own_crypto.parquet"
MOST_CPU = 0.65
LEAST_EQUAL = 0.985
BATCH, ONE = "pipeline, batches of 32", "pipeline, one by one"
ALONE = "pipeline, 32, one thread"
Line = tuple[str, str, int]
"""Scorer, what it scores with (`bundled`, or the folder of a large model), number of texts."""

Read = Callable[[list[str]], list[int]]


def read_texts(path: Path, column: str, count: int) -> list[str]:
    """Return `count` texts of a column, in a fixed random order, repeated if there are fewer."""
    import pandas as pd

    texts = pd.read_parquet(path, columns=[column])[column].dropna().sample(frac=1, random_state=0)
    return [str(text) for text in (texts.tolist() * (1 + count // len(texts)))[:count]]


def our_reader(name: str, model: str, threads: int) -> Read:
    """Return a function from texts to the places of their labels, by one of our scorers."""
    from moodtape.nlp.onnx_scorer import scorer_in
    from moodtape.nlp.registry import load_scorer

    plain = name.removesuffix(", one by one")
    scorer = load_scorer(plain, threads) if model == "bundled" else scorer_in(Path(model), threads)
    if plain == name:
        return lambda texts: scorer.score(texts).argmax(axis=1).tolist()
    return lambda texts: [int(scorer.score([text]).argmax()) for text in texts]


def pipeline_reader(name: str, model: str, threads: int) -> Read:
    """Return the same by `transformers.pipeline`."""
    import reference_transformers as reference

    from moodtape.nlp.base import LABELS
    from moodtape.nlp.onnx_scorer import bundled_folder

    weights = reference.bundled_model() if model == "bundled" else reference.large_model()
    tokenizer = reference.fast_tokenizer(bundled_folder())
    pipe = reference.pipe(weights, tokenizer, 1 if name == ALONE else threads)
    if name != ONE:
        return lambda texts: [
            LABELS.index(row["label"]) for row in pipe(texts, batch_size=32, truncation=True)
        ]
    return lambda texts: [LABELS.index(pipe(text, truncation=True)[0]["label"]) for text in texts]


def measure(line: Line, given: argparse.Namespace) -> dict[str, Any]:
    """Return what one line took: seconds, of CPU too, peak memory, and the labels it gave."""
    name, model, count = line
    make = pipeline_reader if name in (BATCH, ALONE, ONE) else our_reader
    read, texts = make(name, model, given.threads), read_texts(given.file, given.column, count)
    read(texts[:4])  # loading is not scoring
    wall, cpu = time.perf_counter(), time.process_time()
    labels = read(texts)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "labels": labels,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}  # fmt: skip


def in_process(line: Line, given: argparse.Namespace) -> dict[str, Any]:
    """Measure a line in a process of its own."""
    words = [sys.executable, __file__, "--line", json.dumps(line), "--file", str(given.file),
             "--column", given.column, "--threads", str(given.threads)]  # fmt: skip
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(title: str, lines: list[Line], given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure the lines in turn, repeat after repeat; print and return the best of each."""
    runs = [[in_process(line, given) for line in lines] for _ in range(given.repeats)]
    print(f"\n{title:28} {'texts':>7} {'texts/s':>9} {'CPU s per 1,000':>16} {'peak MiB':>9}")
    best = {}
    for place, (name, _, count) in enumerate(lines):
        mine = [run[place] for run in runs]
        found = {key: min(run[key] for run in mine) for key in ("wall", "cpu", "peak")}
        rate, cpu = count / found["wall"], found["cpu"] / count * 1000
        best.setdefault(name, {"rate": rate, "cpu": cpu, "labels": mine[0]["labels"]})
        print(f"{name:28} {count:>7,} {rate:>9,.1f} {cpu:>16.3f} {found['peak']:>9,.0f}")
    return best


def compare(best: dict[str, dict[str, Any]], ours: str) -> list[str]:
    """Print ratios of ours to the pipeline; return what is not as promised."""
    mine = best[ours]
    pairs = list(zip(mine["labels"], best[BATCH]["labels"], strict=True))
    equal, cpu = sum(a == b for a, b in pairs) / len(pairs), mine["cpu"] / best[ALONE]["cpu"]
    for name in (BATCH, ALONE, ONE):
        rate, share = mine["rate"] / best[name]["rate"], mine["cpu"] / best[name]["cpu"]
        print(f"{ours} to {name}: {rate:.2f} times the texts/s, {share:.2f} of the CPU")
    print(f"labels equal: {equal:.2%} of {len(pairs):,}")
    wrong = [f"CPU {cpu:.2f}"] if cpu > MOST_CPU else []
    return wrong + ([f"labels {equal:.2%}"] if equal < LEAST_EQUAL else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--file", type=Path, default=LABELS_FILE)
    parser.add_argument("--column", default="text")
    parser.add_argument("--line", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.line is not None:
        print(json.dumps(measure(given.line, given)))
        return
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{given.threads} threads, load before: {load}")
    count, few = given.texts, max(given.texts // 10, 1)
    lines: list[Line] = [(name, "bundled", n) for name, n in (
        ("lexicon", count), ("bundled", count), ("bundled", 4 * count),
        ("bundled, one by one", few), (BATCH, count), (ALONE, count), (ONE, few))]  # fmt: skip
    if find_spec("torch") is None:
        print("without the torch extra there is no pipeline to compare with")
        table("the bundled weights", lines[:4], given)
        return
    wrong = compare(table("the bundled weights", lines, given), "bundled")
    if given.large:
        with TemporaryDirectory() as folder:
            # In a process of its own: a child's peak of memory begins at its parent's.
            script = Path(__file__).parent / "reference_transformers.py"
            subprocess.run([sys.executable, script, folder], check=True)
            made = str(Path(folder) / "large")
            part, parts = max(few // 4, 1), count // 4
            lines = [(name, made, n) for name, n in (
                ("large", parts), (BATCH, parts), (ALONE, parts), (ONE, part))]  # fmt: skip
            compare(table("FinBERT's size, random", lines, given), "large")
    if wrong:
        raise SystemExit(f"not as promised: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
