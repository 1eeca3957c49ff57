"""How fast the network trains on a GPU, and what that buys against the CPU beside it.

    KERAS_BACKEND=jax python benchmarks/bench_gpu.py --seconds 90 --out jax.json
    KERAS_BACKEND=torch python benchmarks/bench_gpu.py --seconds 35 --out torch.json
    KERAS_BACKEND=jax python benchmarks/bench_gpu.py --small      # a try without a GPU

It needs keras, numpy, pydantic and one backend: no TensorFlow, no DuckDB, no network.
The repository's folder must be on PYTHONPATH where Moodtape is not installed. A run ends
some 15 s after `--seconds`, whatever the machine: what has no time left is named as left
out. Made-up columns of the default network's shape; a line's rate is that of one epoch (or
of as much of it as 3 s allow) after everything was compiled. Lines:

    ours          `NetworkForecaster.fit`: windows gathered on the device
    plain keras   the same network, `model.fit` on windows that were stored beforehand
    by hand       torch only: the network of `reference_torch.py`, gathered likewise
    seeds         JAX only: fits of other seeds one after the other, and all in one step by
                  `jax.vmap`; samples count once for each seed
    busy          share of time in which the GPU ran something, by nvidia-smi
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ROWS, MARKET_COLUMNS, SUBJECT_COLUMNS = 70_000, 44, 20
USUAL, WIDE = 128, 1024
KEYS = ("return_1", "direction_1", "volatility_1")
SMALL = 2_000
LONGEST_S = 3.0
"""A line's epoch is cut short so that it takes no longer."""
Cell = dict[str, Any]


class Busy:
    """Reads the GPU's load every fifth of a second while it is open; None without a GPU."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float, float]] = []
        query = ["--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
        try:
            self.process = subprocess.Popen(
                ["nvidia-smi", *query, "-lms", "200"], stdout=subprocess.PIPE, text=True
            )
        except FileNotFoundError:
            self.process = None
            return
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            load, memory = line.split(",")
            self.samples.append((time.monotonic(), float(load), float(memory)))

    def since(self, started: float) -> dict[str, float | None]:
        """Return mean load and most memory since an instant of `time.monotonic`."""
        found = [(load, memory) for at, load, memory in self.samples if at >= started]
        if not found:
            return {"busy": None, "gpu_mb": None}
        return {
            "busy": sum(load for load, _ in found) / len(found) / 100,
            "gpu_mb": max(memory for _, memory in found),
        }

    def close(self) -> None:
        """Stop reading."""
        if self.process is not None:
            self.process.terminate()


class Bench:
    """Measures lines until the time is used up."""

    def __init__(self, rows: int, seconds: float) -> None:
        self.rows = rows
        self.until = time.monotonic() + seconds
        self.busy = Busy()
        self.cells: list[Cell] = []

    def line(self, name: str, work: Callable[[int], Any], batch: int, seeds: int = 1) -> None:
        """Time `work(rows)` after it was compiled, on as many rows as the line's share allows."""
        cell: Cell = {"name": name, "batch": batch, "seeds": seeds}
        self.cells.append(cell)
        if time.monotonic() > self.until:
            cell["left_out"] = "no time left"
            print(f"  {name}, batch {batch}: no time left", flush=True)
            return
        few = min(self.rows, 8 * batch)
        first = _seconds(work, few)
        rate = few / _seconds(work, few)
        rows = max(few, min(self.rows, int(rate * LONGEST_S) // batch * batch))
        started = time.monotonic()
        took = _seconds(work, rows)
        cell |= {
            "rows": rows,
            "samples_per_s": rows * seeds / took,
            "ms_per_step": 1000 * took / -(-rows // batch),
            "first_call_s": first,
            **self.busy.since(started),
        }
        print(f"  {_line(cell)}", flush=True)


def _seconds(work: Callable[[int], Any], rows: int) -> float:
    """Return the seconds that the work took, or that it says its epoch took."""
    started = time.monotonic()
    said = work(rows)
    return time.monotonic() - started if said is None else said


def _line(cell: Cell) -> str:
    busy = "" if cell["busy"] is None else f"{cell['busy']:7.0%} {cell['gpu_mb']:8,.0f}"
    return (
        f"{cell['name']:42} {cell['batch']:6} {cell['rows']:7,} {cell['samples_per_s']:12,.0f}"
        f" {cell['ms_per_step']:9.2f} {cell['first_call_s']:8.1f} {busy}"
    )


class Market:
    """A made-up market as far as a fit looks at one: columns, answers, rows."""

    def __init__(self, rows: int, config: Any) -> None:
        rng = np.random.default_rng(0)
        lookback = config.network.lookback_bars
        count = rows + lookback + config.training.batch_size
        market = rng.normal(size=(count, MARKET_COLUMNS))
        subject = rng.normal(size=(count, SUBJECT_COLUMNS))
        push = 0.3 * market[:, 0] + rng.normal(size=count)
        answers = {"return": 0.01 * push, "direction": (push > 0) * 1.0, "volatility": market[:, 1]}
        self.rows, self.lookback = rows, lookback
        self.inputs = SimpleNamespace(market=market, subject=subject)
        self.dataset = SimpleNamespace(
            symbols=("BTC",), symbol=np.zeros(count, dtype=np.int64),
            trailing_variance=np.full(count, 1e-4),
            targets={
                key: SimpleNamespace(name=key[:-2], horizon_bars=1, y=answers[key[:-2]])
                for key in KEYS
            },
        )  # fmt: skip
        self.stop = np.arange(count - config.training.batch_size, count)

    def fold(self, rows: int) -> Any:
        """Return a fold that trains on some rows and stops by one batch."""
        return SimpleNamespace(
            number=0, train=np.arange(self.lookback, self.lookback + rows), stop=self.stop
        )


def config_of(batch: int) -> Any:
    from moodtape.config import Config

    return Config.model_validate({"training": {"batch_size": batch, "epochs": 1}})


def ours(market: Market, device: Any, batch: int) -> Callable[[int], Any]:
    """Return a function that runs one epoch by the product's own training path."""
    from moodtape.forecaster.train import NetworkForecaster

    forecaster = NetworkForecaster(config_of(batch), device)

    def epoch(rows: int) -> float:
        fold = market.fold(rows)
        return forecaster.fit(market.dataset, market.inputs, fold, seed=0).seconds

    return epoch


def plain_keras(market: Market, device: Any, batch: int) -> Callable[[int], Any]:
    """Return a function that runs one epoch of the same network on stored windows."""
    import keras

    from moodtape.forecaster.model import Shape, build_model
    from moodtape.forecaster.windows import gather

    settings = config_of(batch).network
    model = build_model(settings, Shape(MARKET_COLUMNS, SUBJECT_COLUMNS, 1, KEYS), seed=0)
    keras.utils.set_random_seed(0)  # TensorFlow refuses to shuffle without one
    losses = ["binary_crossentropy" if "direction" in key else "mse" for key in KEYS]
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, clipnorm=1.0), jit_compile=device.jit_compile,
        loss=dict(zip(KEYS, losses, strict=True)),
    )  # fmt: skip
    index = market.fold(market.rows).train
    windows = {
        "market": gather(market.inputs.market, index, settings.lookback_bars),
        "subject": gather(market.inputs.subject, index, settings.sentiment_lookback_bars),
    }
    answers = {key: market.dataset.targets[key].y[index][:, None].astype("float32") for key in KEYS}

    def epoch(rows: int) -> None:
        rows -= rows % batch  # a last batch of another size would be compiled again
        model.fit(
            {k: v[:rows] for k, v in windows.items()}, {k: v[:rows] for k, v in answers.items()},
            batch_size=batch, epochs=1, verbose=0,
        )  # fmt: skip

    return epoch


def peer(market: Market, device: Any, batch: int) -> Callable[[int], Any]:
    """Return a function that runs one epoch of the network written by hand in PyTorch."""
    from reference_torch import PeerFit

    fit = PeerFit(
        config_of(batch).network, vars(market.inputs),
        {key: target.y for key, target in market.dataset.targets.items()},
        "cuda" if device.name == "gpu" else "cpu",
    )  # fmt: skip

    def epoch(rows: int) -> None:
        fit.epoch(market.fold(rows).train, batch)

    return epoch


class Seeds:
    """One network trained under many seeds by JAX: keras' stateless calls, Adam by keras."""

    def __init__(self, market: Market, batch: int) -> None:
        import jax
        import jax.numpy as jnp
        import keras

        from moodtape.forecaster.model import Shape, build_model

        settings = config_of(batch).network
        shape = Shape(MARKET_COLUMNS, SUBJECT_COLUMNS, 1, KEYS)
        core = build_model(settings, shape, seed=0)
        optimizer = keras.optimizers.Adam(1e-3, clipnorm=1.0)
        optimizer.build(core.trainable_variables)
        fixed = {
            "market": jnp.asarray(market.inputs.market, "float32"),
            "subject": jnp.asarray(market.inputs.subject, "float32"),
        }
        y = {key: jnp.asarray(market.dataset.targets[key].y, "float32")[:, None] for key in KEYS}
        spans = {"market": settings.lookback_bars, "subject": settings.sentiment_lookback_bars}
        losses = {key: keras.losses.get(config_loss(key)) for key in KEYS}

        def loss(trained: Any, other: Any, row: Any, fixed: Any, y: Any) -> Any:
            windows = {
                key: jnp.take(fixed[key], row[:, None] + jnp.arange(1 - span, 1), axis=0)
                for key, span in spans.items()
            }
            answers, other = core.stateless_call(trained, other, windows, training=True)
            return sum(losses[k](y[k][row], answers[k]).mean() for k in KEYS), other

        def step(state: Any, row: Any, fixed: Any, y: Any) -> Any:
            trained, other, own = state
            (value, other), gradient = jax.value_and_grad(loss, has_aux=True)(
                trained, other, row, fixed, y
            )
            trained, own = optimizer.stateless_apply(own, gradient, trained)
            return (trained, other, own), value

        self.batch, self.market = batch, market
        self.start = [
            [jnp.array(v.value) for v in part]
            for part in (
                core.trainable_variables,
                core.non_trainable_variables,
                optimizer.variables,
            )
        ]
        one = jax.jit(step, donate_argnums=0)
        many = jax.jit(jax.vmap(step, in_axes=(0, 0, None, None)), donate_argnums=0)
        whole = jax.jit(
            lambda state, rows, fixed, y: jax.lax.scan(
                lambda s, row: step(s, row, fixed, y), state, rows
            ),
            donate_argnums=0,
        )
        self.one = lambda state, rows: one(state, rows, fixed, y)
        self.many = lambda state, rows: many(state, rows, fixed, y)
        self.whole = lambda state, rows: whole(state, rows, fixed, y)

    def _rows(self, rows: int, seed: int) -> Any:
        order = np.random.default_rng(seed).permutation(rows) + self.market.lookback
        return order[: rows // self.batch * self.batch].astype(np.int32).reshape(-1, self.batch)

    def _state(self, seeds: int | None = None) -> Any:
        import jax.numpy as jnp

        def fresh(value: Any) -> Any:
            return jnp.array(value) if seeds is None else jnp.stack([value] * seeds)

        return tuple([fresh(v) for v in part] for part in self.start)

    def one_after_the_other(self, rows: int) -> None:
        """Run one epoch of one seed: the rate of each, when they follow one another."""
        state = self._state()
        for batch in self._rows(rows, 0):
            state, value = self.one(state, batch)
        value.block_until_ready()

    def at_once(self, seeds: int) -> Callable[[int], Any]:
        """Return a function that runs one epoch of some seeds, all in each step."""

        def epoch(rows: int) -> None:
            state = self._state(seeds)
            for batch in np.stack([self._rows(rows, s) for s in range(seeds)], axis=1):
                state, value = self.many(state, batch)
            value.block_until_ready()

        return epoch

    def in_one_call(self, rows: int) -> None:
        """Run one epoch of one seed in blocks of eight steps a call (`lax.scan`)."""
        state = self._state()
        batches = self._rows(rows, 0)
        for start in range(0, len(batches) // 8 * 8, 8):
            state, value = self.whole(state, batches[start : start + 8])
        value.block_until_ready()


def config_loss(key: str) -> str:
    return "binary_crossentropy" if key.startswith("direction") else "mean_squared_error"


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say what failed and go on: one line that breaks must not cost the others."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - the borrowed machine is there once
        print(f"  {what} failed: {type(exc).__name__}: {str(exc)[:300]}", flush=True)


def measure(name: str, rows: int, seconds: float) -> dict[str, Any]:
    """Run all lines on one device, in this process, and return them."""
    from moodtape.forecaster.device import prepare

    bench = Bench(rows, seconds)
    device = prepare(name)
    market = Market(rows, config_of(WIDE))
    on_gpu = name != "cpu"

    def line(what: str, make: Callable[..., Callable[[int], Any]], batch: int) -> None:
        with told(f"{what}, batch {batch}"):
            bench.line(what, make(market, device, batch), batch)

    line("ours", ours, USUAL)
    line("ours", ours, WIDE)
    if device.backend == "torch":
        line("PyTorch by hand", peer, USUAL)
        line("PyTorch by hand", peer, WIDE)
    line("plain keras", plain_keras, USUAL)
    if device.backend == "jax" and on_gpu:
        with told("seeds"):
            seeds = Seeds(market, USUAL)
            bench.line("seeds, one after the other", seeds.one_after_the_other, USUAL)
            for count in (8, 32):
                bench.line(f"seeds, {count} at once", seeds.at_once(count), USUAL, count)
    if on_gpu:
        device = prepare(name, "bfloat16")
        line("ours, bfloat16", ours, WIDE)
        line("ours, bfloat16", ours, USUAL)
        device = prepare(name)
    line("plain keras", plain_keras, WIDE)
    if device.backend == "jax" and on_gpu:
        with told("seeds"):
            bench.line("one seed, 8 steps a call", seeds.in_one_call, USUAL)
            seeds = Seeds(market, WIDE)
            bench.line("seeds, one after the other", seeds.one_after_the_other, WIDE)
            bench.line("seeds, 8 at once", seeds.at_once(8), WIDE, 8)
    bench.busy.close()
    return {"device": device.name, "backend": device.backend, "lines": bench.cells}


def in_a_process_of_its_own(name: str, given: argparse.Namespace, seconds: float) -> Any:
    """Measure one device in a fresh interpreter: a backend chooses its device once."""
    out = Path(f"{given.out or 'bench_gpu.json'}.{name}")
    command = [
        sys.executable, __file__, "--device", name, "--seconds", str(seconds), "--out", str(out),
        *(["--small"] if given.small else []),
    ]  # fmt: skip
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    try:
        subprocess.run(command, env=environment, check=True, timeout=seconds + 45)
        return json.loads(out.read_text())
    except (subprocess.SubprocessError, OSError) as exc:
        print(f"  {name} failed: {exc}", flush=True)
        return {"device": name, "lines": [], "failed": str(exc)}
    finally:
        out.unlink(missing_ok=True)


def ratios(gpu: list[Cell], cpu: list[Cell]) -> dict[str, float]:
    """Return what the lines say of one another, as far as they were measured."""
    rate = {
        (where, c["name"], c["batch"]): c["samples_per_s"]
        for where, cells in (("gpu", gpu), ("cpu", cpu))
        for c in cells
        if "samples_per_s" in c
    }
    best = max((v for k, v in rate.items() if k[:2] == ("cpu", "ours")), default=0.0)
    named = {
        "GPU against the CPU's best, ours": (("gpu", "ours"), best),
        "ours against plain keras, GPU": (("gpu", "ours"), ("gpu", "plain keras")),
        "ours against plain keras, CPU": (("cpu", "ours"), ("cpu", "plain keras")),
        "ours against PyTorch by hand, GPU": (("gpu", "ours"), ("gpu", "PyTorch by hand")),
        "bfloat16 against float32": (("gpu", "ours, bfloat16"), ("gpu", "ours")),
        "8 seeds at once": (("gpu", "seeds, 8 at once"), ("gpu", "seeds, one after the other")),
        "32 seeds at once": (("gpu", "seeds, 32 at once"), ("gpu", "seeds, one after the other")),
    }
    found = {}
    for name, (over, under) in named.items():
        for batch in (USUAL, WIDE):
            a = rate.get((*over, batch))
            b = under if isinstance(under, float) else rate.get((*under, batch))
            if a and b:
                found[f"{name}, batch {batch}"] = a / b
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the network trains on a GPU.")
    parser.add_argument("--out", type=Path, help="write everything measured there as JSON")
    parser.add_argument("--seconds", type=float, default=70, help="for both devices together")
    parser.add_argument("--small", action="store_true", help="few windows, and no GPU is needed")
    parser.add_argument("--device", help="measure this device alone, in this process")
    given = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    rows = SMALL if given.small else ROWS
    if given.device:
        result = measure(given.device, rows, given.seconds)
        given.out.write_text(json.dumps(result))
        return
    if not (given.small or shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists()):
        print("No GPU here. --small tries the lines without one.")
        return
    backend = os.environ.setdefault("KERAS_BACKEND", "jax")
    print(f"{backend}, {rows:,} windows of 60 x {MARKET_COLUMNS}, {os.cpu_count()} CPU cores")
    print(
        f"  {'line':42} {'batch':>6} {'rows':>7} {'samples/s':>12} {'ms/step':>9} {'first s':>8}"
        f" {'busy':>7} {'GPU MB':>8}"
    )
    first = "auto" if given.small else "gpu"
    print(" GPU" if first == "gpu" else " whatever there is")
    gpu = in_a_process_of_its_own(first, given, given.seconds * 0.82)
    print(" CPU")
    cpu = in_a_process_of_its_own("cpu", given, given.seconds * 0.18)
    found = ratios(gpu["lines"], cpu["lines"])
    for name, value in found.items():
        print(f"  {name:50} {value:8.2f} x")
    if given.out:
        values = {"backend": backend, "gpu": gpu, "cpu": cpu, "ratios": found}
        given.out.write_text(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
