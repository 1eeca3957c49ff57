"""GPU when there is one, precision, and what "deterministic" means here.

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


@dataclass(frozen=True)
class Device:
    """Where a network is computed.

    backend: tensorflow, jax or torch; name: cpu or gpu; deterministic: the same seed
    gives the same bits on this machine.
    """

    backend: str
    name: str
    precision: str = "float32"
    deterministic: bool = True


def prepare(wanted: str = "auto") -> Device:
    """Set the environment up for Keras and return the device that will be used.

    Args:
        wanted: `auto`, `cpu` or `gpu`.
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
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if wanted == CPU:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with _without_chatter():
        import keras  # noqa: F401

        found = GPU if _has_gpu() else CPU
    if wanted == GPU and found == CPU:
        raise DataMissing(
            f"No GPU is visible to {backend}. Use --device cpu, or install its CUDA build:"
            ' pip install "moodtape[cuda]"'
        )
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    return Device(backend, CPU if wanted == CPU else found, deterministic=found == CPU)


def _has_gpu() -> bool:
    """Say whether the backend sees a GPU."""
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
