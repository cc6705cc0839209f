"""The device that the backend computes on, and the processor's cores."""

import os
from typing import Literal

from kerascnn.errors import InputError
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

    device = jax.local_devices()[0]
    return device.device_kind if device.platform in ("gpu", "cuda", "rocm") else None


def _torch_gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def device_count() -> int:
    """The devices that this process can train on: GPUs, or else what stands for them on a CPU.

    Those are the devices that JAX simulates, the logical CPUs of TensorFlow and, with PyTorch,
    which trains in a process for each, the cores.
    """
    import keras

    if keras.config.backend() == "tensorflow":
        return len(tensorflow_devices())
    if keras.config.backend() == "jax":
        import jax

        return jax.local_device_count()
    if keras.config.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.device_count()
        return 1 if torch.backends.mps.is_available() else available_cores()
    return 1


def tensorflow_devices() -> list[str]:
    """The names of TensorFlow's GPUs, or else of its logical CPUs."""
    import tensorflow

    listed = tensorflow.config.list_logical_devices
    return [device.name for device in listed("GPU") or listed("CPU")]


def used_devices(asked: int | Literal["all"]) -> int:
    """The number of devices to train on.

    Raises:
        InputError: There are fewer.
    """
    import keras

    if asked == 1:
        return 1
    backend, there = keras.config.backend(), device_count()
    if asked == "all":
        return there
    if asked > there:
        raise InputError(
            f"training.devices = {asked}, but {backend} finds {counted(there, 'device')} here "
            f"({device_name()})."
        )
    return asked


def devices_name(count: int) -> str:
    """Such as "CPU, 2 cores", or "4 devices: GPU NVIDIA H100"."""
    return device_name() if count == 1 else f"{counted(count, 'device')}: {device_name()}"


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def concurrent_calls() -> int:
    """The number of batches to run in parallel for the fastest inference.

    TensorFlow leaves a CPU idle between kernels: two parallel calls are 25% faster.
    """
    import keras

    return 2 if keras.config.backend() == "tensorflow" and "GPU" not in device_name() else 1
