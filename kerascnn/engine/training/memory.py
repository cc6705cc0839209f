"""Estimates the memory that a stage needs, and says what would fit."""

import gc
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.network.freezing import count_trainable
from kerascnn.engine.training.plan import Plan
from kerascnn.errors import RunError
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.keras_internals import nodes_in_order
from kerascnn.runtime.text import counted

USABLE = 0.9  # of a device's memory; the rest is the backend's own

_WORDS = (
    "resource_exhausted",
    "resourceexhausted",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "status_alloc_failed",  # of CUDA's libraries
    "bad_alloc",
)


class OutOfMemoryError(RunError):
    """A stage needs more memory than its device has."""


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
def explained(model: Any, suffix: Any, plan: Plan, at_once: int) -> Iterator[None]:
    """Turns an out-of-memory error into one sentence with the setting that would fit.

    Args:
        at_once: Images that a device computes together.

    Raises:
        OutOfMemoryError: Instead of the backend's error.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        available = device_bytes() or _peak_bytes()
        fits = fitting_batch_size(model, suffix, at_once, available)
        raise OutOfMemoryError(
            f'stage "{plan.stage.name}": {_advised(plan, at_once, fits)}'
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says so, of the backend or of the processor's memory."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(words in text for words in _WORDS)


def forget_memory() -> None:
    """Frees what only reference cycles hold, and what PyTorch keeps of a GPU for later."""
    import keras

    gc.collect()
    if keras.config.backend() == "torch":
        import torch

        torch.cuda.empty_cache()


def _advised(plan: Plan, at_once: int, fits: int) -> str:
    asked = f"batch_size = {plan.batch_size}"
    if plan.accumulation > 1:
        asked += (
            f", gradient_accumulation = {plan.accumulation} ({counted(at_once, 'image')} at once)"
        )
    if not fits:
        return (
            f"out of memory at {asked}; the network itself is too large: use a smaller image_size, "
            'fewer trainable blocks (unfreeze), or training.precision = "mixed_bfloat16".'
        )
    more = plan.accumulation * -(-at_once // fits)
    return (
        f"out of memory at {asked}; an estimated {fits} at once would fit: set "
        f"gradient_accumulation = {more}."
    )


def shortage(model: Any, suffix: Any, at_once: int) -> str | None:
    """A warning if the stage may need more memory than the device has; else None.

    The operating system may kill such a process without a message.
    """
    needed, available = memory_bytes(model, suffix, at_once), device_bytes()
    if available is None or needed <= available:
        return None
    return (
        f"{counted(at_once, 'image')} at once may need {gigabytes(needed)} of memory, and the "
        f"device has {gigabytes(available)}; {_what_fits(model, suffix, at_once, available)}"
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


def free_bytes(devices: int) -> float | None:
    """What an estimate of a stage's memory must not exceed for it to be tried; None if unknown.

    Of a GPU twice its memory, as its backend may need half of the estimate. On a CPU what is
    available now, as the operating system would rather swap, or kill the process, than refuse;
    devices there share it.
    """
    if "GPU" in device_name():
        size = device_bytes()
        return size and 2 * size
    free = [size for size in (_available_bytes(), *_group_bytes()) if size is not None]
    there = USABLE * min(free) if free else device_bytes()
    return there and there / devices


def _available_bytes() -> int | None:
    """What Linux could give to processes without swapping."""
    with suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = dict(line.split(":") for line in lines)
        return int(found["MemAvailable"].split()[0]) * 1024
    return None


def _group_bytes() -> Iterator[int]:
    """What is left of the limits of a container, of its control groups (version 2)."""
    with suppress(OSError, StopIteration):
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        own = next(line[3:] for line in groups if line.startswith("0::"))
        root = Path("/sys/fs/cgroup")
        folder = root / own.lstrip("/")
        for place in (folder, *folder.parents):
            with suppress(OSError, ValueError):  # "max": none
                limit = int((place / "memory.max").read_text())
                yield limit - int((place / "memory.current").read_text())
            if place == root:
                break


def _peak_bytes() -> float:
    """The peak use of a GPU on TensorFlow, which does not report its size; else no limit."""
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow

        if tensorflow.config.list_physical_devices("GPU"):
            return tensorflow.config.experimental.get_memory_info("GPU:0")["peak"]
    return math.inf
