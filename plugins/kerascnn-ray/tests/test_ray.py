"""What needs no cluster: how much room one has, and what is said when there is none."""

import os
import socket
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from kerascnn import InputError

cluster = pytest.importorskip("kerascnn_ray.cluster")
processes = pytest.importorskip("kerascnn_ray.processes")


def node(address: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeManagerAddress": address, "Alive": alive, "Resources": resources}


NODES = [
    node("10.0.0.1", CPU=4),
    node("10.0.0.2", CPU=8, GPU=2),
    node("10.0.0.3", alive=False, CPU=8, GPU=4),
]


@pytest.mark.parametrize(
    ("cpus", "gpus", "asked", "places"),
    [
        (1, 0, None, 2),  # one on each host: it uses all cores
        (1, 0, 3, 3),
        (1, 1, None, 2),  # one on each GPU
        (1, 0.5, None, 4),
        (4, 0, 3, 3),
        (8, 0, None, 1),
    ],
)
def test_places_are_what_the_nodes_have_room_for(
    cpus: float, gpus: float, asked: int | None, places: int
) -> None:
    assert cluster._places(cluster.Share(cpus, gpus), NODES, asked) == places


def test_more_than_there_is_room_for_is_refused() -> None:
    with pytest.raises(InputError) as error:
        cluster._places(cluster.Share(1, 1), NODES, 3)
    assert str(error.value) == (
        "the Ray cluster has room for 2 processes with 1 CPU and 1 GPU each, not for 3."
    )
    with pytest.raises(InputError, match="no node of the Ray cluster has 16 CPUs for a process"):
        cluster._places(cluster.Share(16, 0), NODES, None)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ray://10.0.0.1:10001", "expected HOST:PORT; run the command on a host of the cluster."),
        ("10.0.0.1", "expected HOST:PORT; run the command on a host of the cluster."),
        ("127.0.0.1:{free}", "[Errno 111] Connection refused."),
    ],
)
def test_a_cluster_that_is_not_there_is_one_message(
    monkeypatch: pytest.MonkeyPatch, address: str, why: str
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # a port that nobody listens on
        address = address.format(free=server.getsockname()[1])
        with pytest.raises(InputError) as error, cluster._explained(address):
            cluster._expect_server(address)
    assert str(error.value) == f"RAY_ADDRESS={address}: {why}"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The actor, in this process."""
    monkeypatch.chdir(os.getcwd())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as Ray does
    made = processes.Host(str(tmp_path), {"KERASCNN_TRIED": "1"})
    yield made
    made.close()
    os.environ.pop("KERASCNN_TRIED")


def answered(host: Any, function: Any, *arguments: Any) -> "Future[Any]":
    """The future of a call, as the process that asks has it."""
    future, answer = Future[Any](), Future[Any]()
    answer.set_result(host.call(function, *arguments))
    processes._pass_on(future, answer)
    return future


def test_a_process_behind_an_actor_works_as_the_one_that_asks(host: Any, tmp_path: Path) -> None:
    assert answered(host, divmod, 7, 2).result() == (3, 1)
    assert answered(host, os.getcwd).result() == str(tmp_path)
    assert answered(host, os.getenv, "KERASCNN_TRIED").result() == "1"
    assert answered(host, os.getenv, "OMP_NUM_THREADS").result() is None
    with pytest.raises(processes.ProcessError, match="ZeroDivisionError"):
        answered(host, divmod, 1, 0).result()
    with pytest.raises(processes.ProcessError, match="its process was killed or crashed"):
        answered(host, os._exit, 1).result()


def test_of_a_lost_actor_the_last_line_is_told() -> None:
    future, answer = Future[Any](), Future[Any]()
    answer.set_exception(RuntimeError("The actor died.\n\tpid: 1\nIts node has died.\n"))
    processes._pass_on(future, answer)
    with pytest.raises(processes.ProcessError, match=r"^its actor was lost: Its node has died\.$"):
        future.result()
