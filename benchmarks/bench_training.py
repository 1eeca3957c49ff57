"""How fast the network trains on this machine's cores, and whether it learns as well.

    python benchmarks/bench_training.py [--rows 8000] [--epochs 2] [--batch 128] [--repeats 1]
    python benchmarks/bench_training.py --loss [--seeds 5]
    python benchmarks/bench_training.py --memory --rows 70000

Every line is a process of its own, one after the other, in each of the repeats:

    ours                 `NetworkForecaster.fit` with the default network
    reference            `reference_keras.py`: a larger network, `model.fit` on stored windows
    same shape, stored   our network, `model.fit` on stored windows
    same shape, torch    `reference_torch.py`, gathered by row, one thread and two

Epochs after the first count, which compiles. CPU seconds are beside the wall clock, since
they hardly depend on what else the machine does. `beyond` is the peak memory above what the
process held before it had data, as a multiple of the float32 feature matrix.
`--loss` compares validation loss over seeds on a made-up market with a planted effect.
`--memory` says what the data take beyond the framework (`training_memory.py`).
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
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import reference_keras as reference
import training_memory

KEY = "return_1"
LINES = ("ours", "reference", "same shape, stored", "same shape, torch, 1", "same shape, torch, 2")


class Market:
    """A made-up market: columns and answers, a tenth of whose variance can be learned.

    The answer follows the last bar, the mean of the last six, and a product of text and bar.
    """

    def __init__(self, rows: int) -> None:
        rng = np.random.default_rng(0)
        count = rows + rows // 5 + reference.LOOKBACK
        self.market = rng.normal(size=(count, reference.MARKET_COLUMNS)).astype(np.float32)
        self.subject = rng.normal(size=(count, reference.SUBJECT_COLUMNS)).astype(np.float32)
        slow = np.convolve(self.market[:, 1], np.full(6, 6**-0.5))[:count]
        push = self.market[:, 0] + slow + self.market[:, 0] * self.subject[:, 0]
        self.y = (0.2 * push + rng.normal(size=count)).astype(np.float64)
        usable = np.arange(reference.LOOKBACK, count)
        self.train, self.stop = usable[:rows], usable[rows + reference.LOOKBACK :]
        self.matrix_bytes = self.market.nbytes + self.subject.nbytes


def config_of(given: argparse.Namespace) -> Any:
    """Return the default config with this many epochs, none of them stopped early."""
    from moodtape.config import Config

    training = {"epochs": given.epochs, "patience": 1_000, "batch_size": given.batch}
    return Config.model_validate({"training": training})


class Clock:
    """Seconds of wall and CPU of each epoch."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = [self._now()]

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def mark(self, *_: Any) -> None:
        """End an epoch."""
        self.marks.append(self._now())

    write = mark
    """What a file of curves is told of."""

    def callback(self) -> Any:
        """Return a Keras callback that marks the end of each epoch."""
        import keras

        return keras.callbacks.LambdaCallback(on_epoch_end=self.mark)

    def rates(self, rows: int) -> dict[str, float]:
        """Return samples a second and CPU microseconds a sample, of the best later epoch."""
        spent = np.diff(np.array(self.marks), axis=0)
        wall, cpu = spent[1:].min(axis=0) if len(spent) > 1 else spent[0]
        return {"samples_per_s": rows / wall, "cpu_us": 1e6 * cpu / rows}


def peak_mb() -> float:
    """Return the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_ours(given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Fit the default network as a study does."""
    from types import SimpleNamespace

    from moodtape.forecaster.device import prepare

    device = prepare("cpu")
    import keras

    from moodtape.forecaster.train import NetworkForecaster, Watch

    market, config, clock = Market(given.rows), config_of(given), Clock()
    count = len(market.y)
    target = SimpleNamespace(name="return", horizon_bars=1, y=market.y)
    dataset: Any = SimpleNamespace(
        symbols=("BTC",), symbol=np.zeros(count, dtype=np.int64), targets={KEY: target},
        trailing_variance=np.ones(count),
    )  # fmt: skip
    inputs: Any = SimpleNamespace(market=market.market, subject=market.subject)
    fold: Any = SimpleNamespace(number=0, train=market.train, stop=market.stop[:128])
    before = peak_mb()
    watch = Watch(events=clock)  # it is told of every epoch's end
    fit = NetworkForecaster(config, device).fit(dataset, inputs, fold, seed, watch)
    answers = fit.network.predict(market.stop)[KEY] * fit.scales[0].spread
    keras.backend.clear_session()
    return _result(market, clock, before, answers, fit.network.core.count_params())


def run_keras(given: argparse.Namespace, seed: int, ours: bool) -> dict[str, Any]:
    """Fit by `model.fit` on stored windows: the reference, or our network's shape."""
    from moodtape.forecaster.device import prepare

    if ours:
        prepare("cpu")  # the same kernels as in `ours`: deterministic ones
    else:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    keras.utils.set_random_seed(seed)
    market, clock = Market(given.rows), Clock()
    before = peak_mb()
    if ours:
        from moodtape.forecaster.model import Shape, build_model

        settings = config_of(given).network
        shape = Shape(reference.MARKET_COLUMNS, reference.SUBJECT_COLUMNS, 1, (KEY,))
        model = build_model(settings, shape, seed)
        model.compile(optimizer=keras.optimizers.Adam(1e-3), loss={KEY: "mean_squared_error"})
        spans = {"market": settings.lookback_bars, "subject": settings.sentiment_lookback_bars}
    else:
        model = reference.reference_model()
        spans = {"market": reference.LOOKBACK, "subject": reference.LOOKBACK}

    def windows(rows: Any) -> Any:
        parts = [
            reference.stored_windows(market.market, rows, spans["market"]),
            reference.stored_windows(market.subject, rows, spans["subject"]),
        ]
        return dict(zip(spans, parts, strict=True)) if ours else parts

    y = market.y[market.train].astype(np.float32)
    model.fit(
        windows(market.train), {KEY: y} if ours else y, batch_size=given.batch,
        epochs=given.epochs, verbose=0, callbacks=[clock.callback()],
    )  # fmt: skip
    answers = model.predict(windows(market.stop), batch_size=512, verbose=0)
    answers = answers[KEY] if ours else answers
    return _result(market, clock, before, answers[:, 0], model.count_params())


def run_torch(given: argparse.Namespace, seed: int, threads: int) -> dict[str, Any]:
    """Fit the network that was written by hand in torch."""
    import torch
    from reference_torch import PeerFit

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    market, clock = Market(given.rows), Clock()
    before = peak_mb()
    columns = {"market": market.market, "subject": market.subject}
    peer = PeerFit(config_of(given).network, columns, {KEY: market.y}, "cpu")
    for _ in range(given.epochs):
        peer.epoch(market.train, given.batch)
        clock.mark()
    answers = peer.predict(market.stop)[KEY]
    count = sum(p.numel() for p in peer.network.parameters())
    return _result(market, clock, before, answers, count)


def _result(
    market: Market, clock: Clock, before: float, answers: Any, parameters: int
) -> dict[str, Any]:
    error = np.asarray(answers).ravel() - market.y[market.stop]
    return {
        **clock.rates(len(market.train)),
        "beyond": (peak_mb() - before) * 2**20 / market.matrix_bytes,
        "loss": float((error**2).mean() / market.y[market.stop].var()),
        "parameters": int(parameters),
    }


def measure(line: str, given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Run a line in this process."""
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "ours": lambda: run_ours(given, seed),
        "reference": lambda: run_keras(given, seed, ours=False),
        "same shape, stored": lambda: run_keras(given, seed, ours=True),
        "same shape, torch, 1": lambda: run_torch(given, seed, 1),
        "same shape, torch, 2": lambda: run_torch(given, seed, 2),
    }
    return work[line]()


def in_process(line: str, arguments: list[str], seed: int) -> dict[str, Any]:
    """Run a line in a process of its own and return what it printed last."""
    command = [sys.executable, __file__, *arguments, "--line", line, "--seed", str(seed)]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{line}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def speed(given: argparse.Namespace, arguments: list[str]) -> None:
    """Print every line's rate and its ratio to ours, the best of the repeats."""
    best: dict[str, dict[str, Any]] = {}
    lines = given.only or LINES
    for _ in range(given.repeats):
        for line in lines:
            found = in_process(line, arguments, 0)
            if line not in best or found["cpu_us"] < best[line]["cpu_us"]:
                best[line] = found
    print(f"\n{given.rows:,} windows, batch {given.batch}, {os.cpu_count()} cores")
    print(f"{'':24}{'parameters':>11}{'samples/s':>11}{'CPU us':>9}{'beyond':>8}{'loss':>8}")
    for line, cell in best.items():
        print(
            f"{line:24}{cell['parameters']:11,}{cell['samples_per_s']:11,.0f}"
            f"{cell['cpu_us']:9,.0f}{cell['beyond']:8.1f}{cell['loss']:8.4f}"
        )
    for line, cell in best.items():
        if line != "ours" and "ours" in best:
            wall = best["ours"]["samples_per_s"] / cell["samples_per_s"]
            print(f"ours / {line}: {wall:.2f} x the samples/s,"
                  f" {cell['cpu_us'] / best['ours']['cpu_us']:.2f} x by CPU seconds")  # fmt: skip


def losses(given: argparse.Namespace, arguments: list[str]) -> None:
    """Print each network's validation loss over seeds, as a share of the answers' variance."""
    lines = ("ours", "reference")
    found = np.array(
        [[in_process(line, arguments, seed)["loss"] for line in lines]
         for seed in range(given.seeds)]
    )  # fmt: skip
    root = len(found) ** 0.5
    for line, values in zip(lines, found.T, strict=True):
        print(
            f"{line:12} mean {values.mean():.4f}, standard error"
            f" {values.std(ddof=1) / root:.4f}, seeds"
            f" {' '.join(f'{value:.4f}' for value in values)}"
        )
    worse = found[:, 0] - found[:, 1]
    noise = (found.var(axis=0, ddof=1).sum() / len(found)) ** 0.5
    word = "worse" if worse.mean() > 2 * noise else "not worse"
    print(
        f"ours less reference: {worse.mean():+.4f}, standard error {noise:.4f}:"
        f" {word} beyond seed noise"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the network trains.")
    parser.add_argument("--rows", type=int, default=8_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--loss", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--only", nargs="+", choices=LINES)
    parser.add_argument("--line", choices=LINES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    arguments = [
        *("--rows", str(given.rows)), *("--epochs", str(given.epochs)),
        *("--batch", str(given.batch)),
    ]  # fmt: skip
    if given.line:
        print(json.dumps(measure(given.line, given, given.seed)))
    elif given.loss:
        losses(given, arguments)
    elif given.memory:
        training_memory.report(given.rows, given.batch, given.repeats)
    else:
        speed(given, arguments)


if __name__ == "__main__":
    main()
