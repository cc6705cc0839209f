"""A run in several processes ends as in one, survives the loss of any, and leaves none behind.

Each starts a backend of its own, which takes seconds; so all but the refusals are slow.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from spreading import EXPERIMENT, failing_at, told

from kerascnn import InputError, RunError, load_experiment, run_experiment
from kerascnn.components.builtin import engines
from kerascnn.engine.observer import Observer
from kerascnn.run.cluster import supervised

BACKEND = keras.config.backend()
several = pytest.mark.skipif(BACKEND == "tensorflow", reason="it trains in one process")
torch_only = pytest.mark.skipif(BACKEND != "torch", reason="torchrun comes with PyTorch")
CLUSTER = '[cluster]\nengine = "{engine}"\n'


@pytest.fixture
def experiment(workplace):
    def load(engine="local", **changes):
        (workplace / "photos.toml").write_text(EXPERIMENT + CLUSTER.format(engine=engine))
        return load_experiment(
            "photos.toml", {f"cluster.{key}": value for key, value in changes.items()}
        )

    return load


@pytest.fixture
def started(monkeypatch):
    """The processes that are started."""
    every, start = [], engines.BackgroundProcess

    def noted(*arguments):
        every.append(start(*arguments))
        return every[-1]

    monkeypatch.setattr(engines, "BackgroundProcess", noted)
    return every


class Acting(Observer):
    """Acts at the end of an epoch, counted through all stages; keeps warnings."""

    def __init__(self, epoch, act):
        self.left, self.act, self.warnings = epoch, act, []

    def epoch(self, epoch, total):
        self.left -= 1
        if self.left == 0:
            self.act()

    def warned(self, message):
        self.warnings.append(message)


def kill(started, rank):
    def act():
        os.kill(started[rank]._process.pid, signal.SIGKILL)

    return act


def all_ended(started):
    return all(process._process.poll() is not None for process in started)


def test_tensorflow_is_refused(experiment):
    if BACKEND == "tensorflow":
        with pytest.raises(InputError, match=r"TensorFlow trains in one process; .* jax and torch"):
            run_experiment(experiment(workers=2), Observer())


@several
def test_without_a_launcher_none_is_found(experiment):
    with pytest.raises(InputError, match=r"needs a launcher .*torchrun"):
        run_experiment(experiment("environment"), Observer())


@pytest.mark.backend
@pytest.mark.slow
@several
def test_two_processes_train_as_one_and_repeat_to_the_bit(experiment, started):
    one, two, again = (
        told(run_experiment(experiment(workers=n), Observer(), fresh=True)) for n in (1, 2, 2)
    )
    assert (one["devices"], two["devices"]) == ([1], [2])
    Path("alone.toml").write_text(EXPERIMENT)
    assert told(run_experiment(load_experiment("alone.toml"), Observer(), fresh=True)) == one
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-6)
    for ours, theirs in zip(two["weights"], one["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)
    assert again == two
    assert all_ended(started)


@pytest.mark.backend
@pytest.mark.slow
@several
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_is_started_again_and_the_run_ends_to_the_bit(experiment, started, rank):
    undisturbed = told(run_experiment(experiment(workers=2), Observer(), fresh=True))
    started.clear()
    acting = Acting(3, kill(started, rank))
    result = run_experiment(experiment(workers=2, restarts=1), acting, fresh=True)
    assert told(result) == undisturbed
    again = [said for said in acting.warnings if "start again" in said]
    assert len(again) == 1
    assert f"process {rank + 1} of 2: its process was killed" in again[0]
    assert len(started) == 4
    assert all_ended(started)


@pytest.mark.backend
@pytest.mark.slow
@several
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_hangs_is_started_again(experiment, started, rank):
    """A stopped process answers nothing, and its connections stay."""
    stop = Acting(3, lambda: os.kill(started[rank]._process.pid, signal.SIGSTOP))
    hanging = experiment(workers=2, restarts=1, heartbeat_seconds=60)
    assert run_experiment(hanging, stop, fresh=True).devices == [2]
    [again] = [said for said in stop.warnings if "start again" in said]
    assert rank == 0 or "process 2 of 2: gave no sign of life for 60 s" in again
    assert len(started) == 4
    assert all_ended(started)


@pytest.mark.backend
@pytest.mark.slow
@several
@pytest.mark.parametrize("rank", [0, 1])
def test_an_exception_in_a_process_ends_all_and_the_run_resumes_to_the_bit(
    experiment, started, monkeypatch, rank
):
    undisturbed = told(run_experiment(experiment(workers=2), Observer(), fresh=True))
    started.clear()
    said = r"ZeroDivisionError: after an epoch(.|\n)*run --resume"
    with monkeypatch.context() as patched:
        patched.setattr(supervised, "train", partial(failing_at, rank))
        with pytest.raises(RunError, match=f"process 2 of 2: {said}" if rank else said):
            run_experiment(experiment(workers=2), Observer(), fresh=True)
    assert all_ended(started)
    assert told(run_experiment(experiment(workers=2), Observer(), resume="last")) == undisturbed
    assert all_ended(started)


@pytest.mark.backend
@pytest.mark.slow
@several
def test_without_restarts_it_fails_and_says_how_to_resume(experiment, started):
    undisturbed = told(run_experiment(experiment(workers=2), Observer(), fresh=True))
    started.clear()
    with pytest.raises(RunError, match=r"process 2 of 2: .* killed(.|\n)*run --resume"):
        run_experiment(experiment(workers=2), Acting(3, kill(started, 1)), fresh=True)
    assert all_ended(started)
    with pytest.raises(InputError, match=r"devices \(was 2, is 1; --devices, or --workers,"):
        run_experiment(experiment(workers=1), Observer(), resume="last")
    assert told(run_experiment(experiment(workers=2), Observer(), resume="last")) == undisturbed
    assert all_ended(started)


@pytest.mark.slow
@torch_only
def test_the_command_line_trains_in_processes(experiment, run_cli):
    experiment()
    answer = run_cli("run", "photos.toml", "--workers", "2", "--json")
    assert json.loads(answer.stdout)["devices"] == [2]
    assert "2/2 rest" in answer.stderr


@pytest.mark.slow
@torch_only
def test_ctrl_c_stops_all_at_a_step(experiment, started):
    interrupt = Acting(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match=r"interrupted; .*run --resume"):
        run_experiment(experiment(workers=2), interrupt, fresh=True)
    assert all_ended(started)
    result = run_experiment(experiment(workers=2), Observer(), resume="last", workers=1)
    assert result.devices == [2, 1]


@pytest.mark.slow
@torch_only
def test_torchrun_starts_the_processes(experiment, workplace):
    experiment("environment")
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "kerascnn"]
    done = subprocess.run(
        [sys.executable, *command, "run", "photos.toml", "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["devices"] == [2]
    assert done.stderr.count("2/2 rest") == 1  # one process alone reports


@pytest.mark.slow
@torch_only
def test_torchrun_starts_them_again(experiment, workplace, monkeypatch):
    """The one that follows kills itself after its second epoch, the first time."""
    undisturbed = told(run_experiment(experiment(workers=2), Observer(), fresh=True))
    experiment("environment")
    (workplace / "sitecustomize.py").write_text(FALLING)
    monkeypatch.setenv("PYTHONPATH", str(workplace), prepend=os.pathsep)
    command = ["--nproc-per-node", "2", "--max-restarts", "1", "-m", "kerascnn"]
    run = ["run", "photos.toml", "--json", "--fresh"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *command, *run],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (workplace / "fallen").exists()
    ended = json.loads(done.stdout)
    assert [stage["ended_sha256"] for stage in ended["stages"]] == undisturbed["sha256"]
    assert ended["history"][:1] != []


FALLING = """
import os, sys
if os.environ.get("RANK") == "1" and not os.path.exists("fallen"):
    import threading, time
    def fall():
        while "kerascnn.engine.training.epochs" not in sys.modules:
            time.sleep(0.1)
        from kerascnn.engine.training.epochs import Loop
        ends, seen = Loop._end_epoch, []
        def end(loop):
            seen.append(loop)
            if len(seen) == 2:
                open("fallen", "w").close()
                os.kill(os.getpid(), 9)
            return ends(loop)
        Loop._end_epoch = end
    threading.Thread(target=fall, daemon=True).start()
"""


@pytest.mark.slow
@several
@pytest.mark.parametrize("launcher", ["jax", "slurm"])
def test_variables_of_other_launchers_are_read(experiment, workplace, launcher):
    """No such launcher is here: their variables are set as they set them."""
    experiment("environment")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def variables(rank):
        if launcher == "jax":
            address = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}"}
            return {**address, "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": str(rank)}
        return {
            "SLURM_JOB_ID": str(port),
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": str(rank),
        }

    def run(rank):
        command = [sys.executable, "-m", "kerascnn", "run", "photos.toml", "--json"]
        environment = {**os.environ, "KERAS_BACKEND": BACKEND, **variables(rank)}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["devices"] == [2]
    assert (second.returncode, second.stdout) == (0, "")
