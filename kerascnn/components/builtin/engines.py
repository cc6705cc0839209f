"""The built-in engines: processes on the devices of this host, or those of a launcher."""

import os
import subprocess
from shutil import which

from kerascnn import (
    BackgroundProcess,
    Component,
    Engine,
    InputError,
    Launched,
    NoParams,
    hookimpl,
)
from kerascnn.components.builtin.launchers import launched

_GPUS = "CUDA_VISIBLE_DEVICES"


def build_local(params: NoParams, *, processes: int | None) -> Engine:
    """One GPU each; on the CPU all cores, whose number decides how sums are rounded."""
    devices = gpus()

    def start(place: int) -> BackgroundProcess:
        return BackgroundProcess({_GPUS: devices[place % len(devices)]} if devices else {})

    return Engine(start, processes or len(devices) or 1)


def build_environment(params: NoParams, *, processes: int | None) -> Launched:
    """One GPU each, if this process sees those of all processes of its host."""
    found = launched(os.environ)
    if found is None:
        raise InputError(
            'engine = "environment" needs a launcher in front of the command, such as torchrun or '
            "srun, and none of the variables that they set is here (RANK, SLURM_PROCID, "
            "JAX_PROCESS_ID)."
        )
    if processes and processes != found.count:
        raise InputError(
            f"{processes} processes are asked for, but the launcher has started {found.count}."
        )
    local = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID")
    if local and (devices := gpus()):
        os.environ[_GPUS] = devices[int(local) % len(devices)]
    return found


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
    launchers = "processes that torchrun, Slurm or a launcher of JAX has started, for one run"
    return [
        Component("local", build_local, summary="processes on this host, one for each GPU"),
        Component("environment", build_environment, summary=launchers),
    ]
