"""How fast texts are scored on a GPU, beside the CPU of the same machine, and how far both agree.

    python benchmarks/bench_gpu_scores.py --texts 200000 --scorer bundled

Texts are the labelled ones in `labels/`, repeated with a number behind them. Rates include the
tokenizer; what loading takes is measured apart. It needs the torch extra and a CUDA GPU.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from moodtape.errors import MoodtapeError
from moodtape.nlp.registry import load_scorer
from moodtape.nlp.torch_scorer import require_gpu

LABELS = Path(__file__).parents[1] / "labels"
CPU_TEXTS = 2_000


def texts_of(count: int) -> list[str]:
    found = [
        text
        for name in ("own_crypto", "twitter_financial")
        for text in pd.read_parquet(LABELS / f"{name}.parquet")["text"]
    ]
    return [f"{found[i % len(found)]} {i // len(found)}" for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast a GPU scores texts.")
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--scorer", default="bundled")
    parser.add_argument("--threads", type=int, default=2, help="cores of the CPU line")
    given = parser.parse_args()
    try:
        require_gpu()
    except MoodtapeError as exc:
        print(f"Nothing to measure. {exc}")
        return
    import torch

    texts, rates, answers = texts_of(given.texts), {}, {}
    for device, count in (("cpu", CPU_TEXTS), ("gpu", len(texts))):
        scorer = load_scorer(given.scorer, given.threads, device)
        started = time.perf_counter()
        scorer.score(texts[:1])
        loaded = time.perf_counter()
        answers[device] = scorer.score(texts[:count])
        rates[device] = count / (time.perf_counter() - loaded)
        where = torch.cuda.get_device_name() if device == "gpu" else f"{given.threads} cores"
        print(
            f"{scorer.revision:32} {where:28} loaded in {loaded - started:5.1f} s,"
            f" {count:8,} texts, {rates[device]:10,.0f} a second"
        )
    both = answers["cpu"], answers["gpu"][:CPU_TEXTS]
    equal = np.mean(both[0].argmax(axis=1) == both[1].argmax(axis=1))
    print(f"GPU against CPU {rates['gpu'] / rates['cpu']:.1f} x; labels equal on {equal:.2%},")
    print(f"largest difference of a probability {np.abs(both[0] - both[1]).max():.4f}")


if __name__ == "__main__":
    main()
