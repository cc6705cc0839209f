"""A Ray cluster: reached or started, and what it has room for."""

import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from kerascnn import Engine, InputError, counted
from kerascnn_ray.processes import start_process

LOCAL = "local"
CONNECT_SECONDS = 10.0
STORE_BYTES = 100 * 2**20  # of a local cluster, for objects: only calls and answers pass
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Share:
    """What each process reserves."""

    cpus: float
    gpus: float

    def room(self, node: dict[str, Any]) -> int:
        """How many processes a node of `ray.nodes()` has room for."""
        has = node["Resources"] if node["Alive"] else {}
        of_each = [has.get("CPU", 0) / self.cpus]
        if self.gpus:
            of_each.append(has.get("GPU", 0) / self.gpus)
        return math.floor(min(of_each) + 1e-9)

    def __str__(self) -> str:
        cpus = f"{self.cpus:g} CPU{'' if self.cpus == 1 else 's'}"
        return f"{cpus} and {self.gpus:g} GPU{'' if self.gpus == 1 else 's'}" if self.gpus else cpus


def engine_of(cpus: float, gpus: float | None, processes: int | None) -> Engine:
    """An engine on the cluster of RAY_ADDRESS, or on a local one that it starts and ends.

    Args:
        cpus: That each process reserves.
        gpus: That each process reserves; None for one if there are any.
        processes: How many are to run at a time; None for one on each GPU, or on each host.

    Raises:
        InputError: The cluster is not reached, or has no room for them.
    """
    with _connected(math.ceil(cpus * (processes or 1))) as close:
        import ray

        nodes = ray.nodes()
        if gpus is None:
            gpus = min(1, sum(node["Resources"].get("GPU", 0) for node in nodes if node["Alive"]))
        share = Share(cpus, gpus)
        places = _places(share, nodes, processes)

    def start(place: int) -> Any:
        return start_process(share.cpus, share.gpus)

    return Engine(start, places, _hosts(share, nodes), close)


def _places(share: Share, nodes: Sequence[dict[str, Any]], processes: int | None) -> int:
    rooms = [room for node in nodes if (room := share.room(node))]
    if not rooms:
        raise InputError(
            f"no node of the Ray cluster has {share} for a process: choose other numbers with "
            "--engine-set cpus=N and --engine-set gpus=N."
        )
    if processes and processes > sum(rooms):
        raise InputError(
            f"the Ray cluster has room for {counted(sum(rooms), 'process')} with {share} each, not "
            f"for {processes}."
        )
    return processes or (sum(rooms) if share.gpus else len(rooms))


def _hosts(share: Share, nodes: Sequence[dict[str, Any]]) -> int:
    """Those with room for processes, and this one."""
    import ray

    addresses = {node["NodeManagerAddress"] for node in nodes if share.room(node)}
    return len({*addresses, ray.util.get_node_ip_address()})


@contextmanager
def _connected(cpus: int) -> Iterator[Any]:
    """Reaches or starts a cluster, and yields how to leave it; leaves it if the block fails.

    Args:
        cpus: That a local cluster has at least, whatever the number of cores.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():  # by who calls
        yield lambda: None
        return
    address = os.environ.get("RAY_ADDRESS") or LOCAL
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address == LOCAL:  # its servers, on Linux too, listen on 127.0.0.1 alone
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray  # after these variables

    with _silent(), _signals_kept(), _explained(address):
        if address == LOCAL:
            _start(max(cpus, os.cpu_count() or 1))
        else:
            _expect_server(address)
            ray.init(address, **QUIET)
    try:
        yield ray.shutdown
    except BaseException:
        ray.shutdown()
        raise


@contextmanager
def _explained(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        said = str(error).strip().split("\n")[0].rstrip(".")
        what = "a local Ray cluster did not start" if address == LOCAL else f"RAY_ADDRESS={address}"
        raise InputError(f"{what}: {said}.") from error


def _expect_server(address: str) -> None:
    """Raises OSError or ValueError unless there is one, for which Ray would wait for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise ValueError("expected HOST:PORT; run the command on a host of the cluster")
    with socket.create_connection((host, int(port)), CONNECT_SECONDS):
        pass


def _start(cpus: int) -> None:
    """Starts a cluster that only this host can reach, and that ends with this process."""
    import ray

    ray.init(
        LOCAL,
        num_cpus=cpus,
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        _node_ip_address="127.0.0.1",
        **QUIET,
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Ray greets on both streams."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray replaces the handler of SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
