"""The built-in engine: processes on the devices of this host."""

import os
import subprocess
from shutil import which

from kerascnn import BackgroundProcess, Component, Engine, NoParams, hookimpl

_GPUS = "CUDA_VISIBLE_DEVICES"


def build_local(params: NoParams, *, processes: int | None) -> Engine:
    """One GPU each; on the CPU all cores, whose number decides how sums are rounded."""
    devices = gpus()

    def start(place: int) -> BackgroundProcess:
        return BackgroundProcess({_GPUS: devices[place % len(devices)]} if devices else {})

    return Engine(start, processes or len(devices) or 1)


def gpus() -> list[str]:
    """The GPUs that may be used, as the environment variable names them."""
    if (given := os.environ.get(_GPUS)) is not None:
        return [one for one in given.split(",") if one and one != "-1"]
    if which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()


@hookimpl
def kerascnn_engines() -> list[Component]:
    return [Component("local", build_local, summary="processes on this host, one for each GPU")]
