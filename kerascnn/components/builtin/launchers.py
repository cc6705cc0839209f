"""What launchers of processes say in environment variables."""

import re
from collections.abc import Mapping

from kerascnn import InputError, Launched

_PORTS = (61_440, 65_536)  # for jobs of Slurm, by their number, as JAX chooses them


def launched(variables: Mapping[str, str]) -> Launched | None:
    """What torchrun, a launcher of JAX, or Slurm says of this process; None without one."""
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= {*variables}:
        return Launched(
            int(variables["RANK"]),
            int(variables["WORLD_SIZE"]),
            (variables["MASTER_ADDR"], _next(int(variables["MASTER_PORT"]))),
            int(variables.get("LOCAL_WORLD_SIZE", 1)),
            int(variables.get("TORCHELASTIC_RESTART_COUNT", 0)),
        )
    if {"JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"} <= {*variables}:
        host, _, port = variables["JAX_COORDINATOR_ADDRESS"].rpartition(":")
        rank, count = int(variables["JAX_PROCESS_ID"]), int(variables["JAX_NUM_PROCESSES"])
        return Launched(rank, count, (host, int(port)))
    if {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NODELIST", "SLURM_JOB_ID"} <= {*variables}:
        first, end = _PORTS
        return Launched(
            int(variables["SLURM_PROCID"]),
            int(variables["SLURM_NTASKS"]),
            (
                first_host(variables["SLURM_STEP_NODELIST"]),
                first + int(variables["SLURM_JOB_ID"]) % (end - first),
            ),
            attempt=int(variables.get("SLURM_RESTART_COUNT", 0)),
        )
    return None


def first_host(nodes: str) -> str:
    """The first of Slurm's list of nodes: `gpu07` of `gpu[07-09,12],cpu1`."""
    found = re.match(r"([^,\[]+)(?:\[([^,\]-]+))?", nodes)
    if not found:
        raise InputError(f"SLURM_STEP_NODELIST={nodes}: expected names of nodes.")
    return f"{found[1]}{found[2] or ''}"


def _next(port: int) -> int:
    """Another port than that of torchrun, which listens on its own."""
    return port + 1 if port < _PORTS[1] - 1 else port - 1
