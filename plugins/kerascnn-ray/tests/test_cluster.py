"""Sweeps on real clusters of this host, whose workers and commands are killed.

command   pytest -m slow plugins/kerascnn-ray
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kerascnn import Observer, load_experiment, run_experiment

pytest.importorskip("ray")
sweeping: Any = pytest.importorskip("sweeping")  # of kerascnn's own tests

pytestmark = pytest.mark.slow  # a cluster takes half a minute to start, each worker ten seconds

EXPERIMENT = {
    "name": "shapes",
    "dataset": {"name": "shapes", "classes": 2, "train": 16, "validation": 8, "test": 8},
    "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 4},
    "training": {"image_size": 16, "batch_size": 8},
    "stages": [{"name": "scratch", "unfreeze": "all", "epochs": 1, "learning_rate": 1e-3}],
}
ON_RAY = ("--workers", 2, "--engine", "ray")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment in an empty working directory."""
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "workplace").mkdir()
    monkeypatch.chdir(tmp_path / "workplace")
    return sweeping.write_experiment(Path.cwd(), EXPERIMENT, epochs=12)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[str]:
    """The address of a cluster of two nodes with one core each, both on this host."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster.address
    cluster.shutdown()


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def started_by(process: int) -> set[int]:
    """All processes below one."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(entry.name)] = parent_of(int(entry.name))
    found, last = {process}, 0
    while len(found) > last:
        last = len(found)
        found |= {one for one, parent in parents.items() if parent in found}
    return found - {process}


def gone(processes: set[int]) -> bool:
    return not any(Path(f"/proc/{one}").exists() for one in processes)


def test_a_cluster_of_its_own_ends_with_the_sweep_however_that_ends(file: Path) -> None:
    sweep = sweeping.start(file, *sweeping.RATES, "--trials", 3, *ON_RAY)
    folder = sweeping.begun()
    sweeping.kill(sweeping.workers(folder)[0])
    sweeping.until(lambda: "a worker ended" in sweep.stderr.readline())
    sweeping.until(lambda: sweeping.workers(folder))
    below = started_by(sweep.pid)
    sweeping.kill(sweep.pid)
    sweep.wait()
    sweeping.until(lambda: not sweeping.workers(folder))
    sweeping.until(lambda: gone(below))
    interrupted = sweeping.start("--resume", "last", *ON_RAY)
    sweeping.until(lambda: sweeping.workers(folder))
    below = started_by(interrupted.pid)
    interrupted.send_signal(signal.SIGINT)
    status, said = sweeping.ended(interrupted)
    assert status == 130
    assert f"sweep --resume {folder.name[:8]} --engine ray` resumes the sweep." in said
    sweeping.until(lambda: gone(below))
    status, said = sweeping.ended(sweeping.start("--resume", folder.name[:8], *ON_RAY))
    assert status == 0, said
    assert len(sweeping.check_whole(folder)) > 3  # at least one was taken up


def test_a_cluster_that_was_there_stays(file: Path, two_nodes: str) -> None:
    sweep = sweeping.start(file, *sweeping.RATES, "--trials", 3, "--engine", "ray")
    folder = sweeping.begun()
    both = sweeping.until(lambda: len(found := sweeping.workers(folder)) == 2 and found)
    nodes = {raylet_of(worker) for worker in both}
    assert len(nodes) == 2  # by default one worker on each
    os.kill(actor_of(both[0]), signal.SIGKILL)
    sweeping.until(lambda: "a worker ended: its actor was lost" in sweep.stderr.readline())
    sweeping.kill(sweep.pid)
    sweep.wait()
    sweeping.until(lambda: not sweeping.workers(folder))
    status, said = sweeping.ended(sweeping.start("--resume", folder.name[:8], *ON_RAY))
    assert status == 0, said
    sweeping.check_whole(folder)
    assert not gone(nodes)


@pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow", reason="it trains in one process"
)
def test_processes_on_two_nodes_train_one_run_and_start_again(file: Path, two_nodes: str) -> None:
    """The actor of the first process is killed after the third epoch."""
    said: list[str] = []

    class Killing(Observer):
        def epoch(self, epoch: Any, total: int) -> None:
            if epoch.number == 3 and not said:
                training = [one for one in started_by(os.getpid()) if is_actor(one)]
                os.kill(training[0], signal.SIGKILL)

        def warned(self, message: str) -> None:
            said.extend([message] if "start again" in message else [])

    cluster = {"cluster.engine": "ray", "cluster.restarts": 1}
    result = run_experiment(load_experiment(file, cluster), Killing(), workers=2)
    assert result.devices == [2]
    assert len(said) == 1


def is_actor(process: int) -> bool:
    with suppress(OSError):
        return b"ray::Host" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def actor_of(worker: int) -> int:
    return parent_of(worker)


def raylet_of(worker: int) -> int:
    return parent_of(actor_of(worker))


@pytest.mark.kerascnn("engine", "ray")
def test_contract(kerascnn_check: Any, two_nodes: str) -> None:
    kerascnn_check()
