"""Estimates the memory that a stage needs, and says what would fit."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kerascnn.engine.network.freezing import count_trainable
from kerascnn.engine.training.plan import Plan
from kerascnn.errors import RunError
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.keras_internals import nodes_in_order

USABLE = 0.9  # of a device's memory; the rest is the backend's own

_WORDS = ("resource_exhausted", "resourceexhausted", "out of memory", "can't allocate memory")


def memory_bytes(model: Any, suffix: Any, batch_size: int) -> int:
    """An upper estimate, in float32: weights, gradients, two optimizer slots, and the activations
    that the backward pass of the suffix, the trainable part, needs.

    On a CPU, three networks used 0.51 to 0.59 of it with TensorFlow, 0.64 to 0.83 with JAX, 0.92
    to 0.94 with PyTorch (benchmarks/memory.py).
    """
    activations = sum(
        int(np.prod(tensor.shape[1:])) for node in nodes_in_order(suffix) for tensor in node.outputs
    )
    numbers = model.count_params() + 3 * count_trainable(model) + 2 * batch_size * activations
    return numbers * np.dtype(np.float32).itemsize


@contextmanager
def explained(model: Any, suffix: Any, plan: Plan) -> Iterator[None]:
    """Turns an out-of-memory error into one sentence with the batch size that would fit."""
    try:
        yield
    except Exception as error:
        text = f"{type(error).__name__} {error}".lower()
        if not isinstance(error, MemoryError) and not any(words in text for words in _WORDS):
            raise
        hint = _what_fits(model, suffix, plan.batch_size, device_bytes() or _peak_bytes())
        raise RunError(
            f'stage "{plan.stage.name}": out of memory at batch_size = {plan.batch_size}; {hint}.'
        ) from error


def shortage(model: Any, suffix: Any, batch_size: int) -> str | None:
    """A warning if the stage may need more memory than the device has; else None.

    The operating system may kill such a process without a message.
    """
    needed, available = memory_bytes(model, suffix, batch_size), device_bytes()
    if available is None or needed <= available:
        return None
    return (
        f"batch_size = {batch_size} needs up to {gigabytes(needed)} of memory, and the device has "
        f"{gigabytes(available)}; {_what_fits(model, suffix, batch_size, available)}"
    )


def _what_fits(model: Any, suffix: Any, failed: int, available: float) -> str:
    fits = fitting_batch_size(model, suffix, failed, available)
    return f"an estimated {fits} would fit" if fits else "the network itself is too large"


def fitting_batch_size(model: Any, suffix: Any, failed: int, available: float) -> int:
    """Images per step that fit into `available` bytes, at most half of those that did not."""
    fixed = memory_bytes(model, suffix, 0)
    each = memory_bytes(model, suffix, 1) - fixed
    return max(0, int(min(failed // 2, (available * USABLE - fixed) / each)))


def device_bytes() -> float | None:
    """The memory of the training device; None if unknown."""
    import keras

    backend = keras.config.backend()
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_properties(0).total_memory
    elif backend == "jax":
        import jax

        if limit := (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit"):
            return limit
    else:
        import tensorflow

        if tensorflow.config.list_physical_devices("GPU"):
            return None
    if not hasattr(os, "sysconf"):  # on Windows
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _peak_bytes() -> float:
    """The peak use of a GPU on TensorFlow, which does not report its size; else no limit."""
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow

        if tensorflow.config.list_physical_devices("GPU"):
            return tensorflow.config.experimental.get_memory_info("GPU:0")["peak"]
    return math.inf
