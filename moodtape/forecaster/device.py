"""GPU when there is one, precision, compilation, and what "deterministic" means here.

`prepare` must run before anything imports keras: it chooses the backend, silences its
chatter and, on TensorFlow, switches on deterministic kernels. On one machine the same
seed then gives the same bits on the CPU; across machines or on a GPU it may not.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import util

from moodtape.errors import DataMissing, UsageError

CPU, GPU = "cpu", "gpu"
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""What keras calls each precision. Weights and answers stay 32 bit wide in both."""


@dataclass(frozen=True)
class Device:
    """Where a network is computed.

    backend: tensorflow, jax or torch; name: cpu or gpu; precision: of the arithmetic,
    a key of POLICIES; deterministic: the same seed gives the same bits on this machine.
    """

    backend: str
    name: str
    precision: str = "float32"
    deterministic: bool = True

    @property
    def jit_compile(self) -> bool:
        """Say whether a step is compiled as a whole (XLA).

        JAX is of no use without. TensorFlow refuses it beside deterministic kernels, and
        gains nothing by it on a CPU; torch would need a compiler on the user's machine.
        """
        return self.backend == "jax"


def prepare(wanted: str = "auto", precision: str = "float32") -> Device:
    """Set the environment up for Keras and return the device that will be used.

    Args:
        wanted: `auto`, `cpu` or `gpu`.
        precision: a key of POLICIES. It holds for every network built from now on.
    Raises:
        UsageError: the backend that KERAS_BACKEND names is not installed.
        DataMissing: `gpu` was asked for and there is none.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if util.find_spec(backend) is None:
        raise UsageError(
            f"KERAS_BACKEND is {backend}, which is not installed. Unset it to use tensorflow."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if wanted != GPU:
        # A step is a hundred small products: a second thread waits as long as it helps, and
        # costs a fifth more CPU seconds (benchmarks/bench_training.py).
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    if wanted == CPU:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with _without_chatter():
        import keras

        found = GPU if _has_gpu(backend) else CPU
    if wanted == GPU and found == CPU:
        raise DataMissing(
            f"No GPU is visible to {backend}. Use --device cpu, or install its CUDA build:"
            ' pip install "moodtape[cuda]"'
        )
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(POLICIES[precision])
    name = CPU if wanted == CPU else found
    return Device(backend, name, precision, deterministic=name == CPU)


def _has_gpu(backend: str) -> bool:
    """Say whether the backend sees a GPU."""
    if backend == "torch":
        import torch

        return bool(torch.cuda.is_available())
    from keras import distribution

    return any(name.lower().startswith(("gpu", "cuda")) for name in distribution.list_devices())


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep what native libraries write while they load off the terminal, unless loading fails.

    They write before any log level can be set, straight to the file descriptor.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            written.seek(0)
            os.write(kept, written.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
