"""The device that the backend computes on, and the processor's cores."""

import os

from kerascnn.runtime.text import counted


def device_name() -> str:
    """The device that the backend computes on, such as "CPU, 2 cores" or "GPU NVIDIA H100"."""
    import keras

    found = {"tensorflow": _tensorflow_gpu, "jax": _jax_gpu, "torch": _torch_gpu}
    gpu = found[keras.config.backend()]()
    return f"GPU {gpu}" if gpu else f"CPU, {counted(available_cores(), 'core')}"


def _tensorflow_gpu() -> str | None:
    import tensorflow

    gpus = tensorflow.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return tensorflow.config.experimental.get_device_details(gpus[0]).get("device_name", "unnamed")


def _jax_gpu() -> str | None:
    import jax

    device = jax.devices()[0]
    return device.device_kind if device.platform in ("gpu", "cuda", "rocm") else None


def _torch_gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def concurrent_calls() -> int:
    """The number of batches to run in parallel for the fastest inference.

    TensorFlow leaves a CPU idle between kernels: two parallel calls are 25% faster.
    """
    import keras

    return 2 if keras.config.backend() == "tensorflow" and "GPU" not in device_name() else 1
