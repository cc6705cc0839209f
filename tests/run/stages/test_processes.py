"""A run on several devices ends as on one, and leaves no process behind.

Devices are simulated: on JAX by XLA, on TensorFlow as logical CPUs, on PyTorch by a process each,
which takes seconds to start.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from spreading import EXPERIMENT, After, fail, failing, interrupting, told

from kerascnn import InputError, RunError, load_experiment, run_experiment
from kerascnn.engine.observer import Observer
from kerascnn.engine.training.epochs import Loop
from kerascnn.run.stages import processes

SPREADING = Path(__file__).parents[2] / "spreading.py"
BACKEND = keras.config.backend()
torch_only = pytest.mark.skipif(BACKEND != "torch", reason="processes are for PyTorch")


def spread(counts, **settings):
    named = {key.replace("__", "."): value for key, value in settings.items()}
    words = [sys.executable, SPREADING, BACKEND, counts, json.dumps(named)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_equal_up_to_rounding(several, one):
    np.testing.assert_allclose(several["losses"], one["losses"], rtol=1e-6)
    for ours, theirs in zip(several["weights"], one["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.backend
@pytest.mark.long
def test_two_devices_train_as_one(workplace):
    """Starts and compiles for both: 8 s."""
    one, two = spread("1,2")
    assert two["devices"] == [2]
    assert_equal_up_to_rounding(two, one)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch has a device per core")
def test_four_devices_train_as_one_and_resume(workplace):
    one, four, resumed, on_two, on_one = spread("1,4,4-4,4-2,4-1")
    assert_equal_up_to_rounding(four, one)
    assert resumed == four
    assert (on_two["devices"], on_one["devices"]) == ([4, 2], [4, 1])
    assert_equal_up_to_rounding(on_two, four)
    assert_equal_up_to_rounding(on_one, four)


@pytest.mark.slow
def test_where_rounding_grows_devices_are_no_further_apart_than_seeds(workplace):
    """Adam divides by small numbers, and max pooling chooses: a last bit may decide."""
    adam = {f"stages__{stage}__optimizer": "adam" for stage in ("head", "rest")}
    growing = {**adam, "architecture__pooling": "max"}
    one, two = spread("1,2", **growing)
    (other_seed,) = spread("1", **growing, seed=1)
    for what in ("weights", "losses"):
        of_one, of_two, of_seed = (np.hstack(run[what]) for run in (one, two, other_seed))
        assert np.linalg.norm(of_two - of_one) < np.linalg.norm(of_seed - of_one)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="for its mirrors")
def test_devices_that_drift_apart_end_the_run(workplace):
    (said,) = spread("2!")
    assert "the 2 devices ended with different weights or statistics" in said


@pytest.fixture
def experiment(workplace, without_reports):
    (workplace / "photos.toml").write_text(EXPERIMENT)
    return load_experiment("photos.toml", {"training.devices": 2})


@pytest.fixture
def started(monkeypatch):
    """The processes that are started."""
    every, start = [], processes.BackgroundProcess

    def noted(*arguments):
        every.append(start(*arguments))
        return every[-1]

    monkeypatch.setattr(processes, "BackgroundProcess", noted)
    return every


def ended(started):
    return [process._process.poll() is not None for process in started]


@torch_only
@pytest.mark.slow
def test_a_killed_process_ends_the_run_which_resumes_to_the_bit(experiment, started):
    undisturbed = told(run_experiment(experiment, Observer(), fresh=True))

    def kill():
        os.kill(started[-1]._process.pid, signal.SIGKILL)

    begun = time.monotonic()
    with pytest.raises(RunError, match=r"process 2 of 2: .* killed(.|\n)*run --resume"):
        run_experiment(experiment, After(9, kill), fresh=True)
    assert time.monotonic() - begun < 60
    assert ended(started) == [True, True]
    with pytest.raises(InputError, match=r"devices \(was 2, is 1; --devices, or --workers,"):
        run_experiment(load_experiment("photos.toml"), Observer(), resume="last")
    assert told(run_experiment(experiment, Observer(), resume="last")) == undisturbed
    assert all(ended(started))


@torch_only
@pytest.mark.slow
def test_an_interrupted_run_resumes_on_another_number_of_devices(experiment, started):
    undisturbed = told(run_experiment(experiment, Observer(), fresh=True))
    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, interrupting(), fresh=True)
    result = run_experiment(experiment, Observer(), resume="last", devices=1)
    assert result.devices == [2, 1]
    assert result.trained_on.startswith("2, then 1 devices: ")
    assert_equal_up_to_rounding(told(result), undisturbed)
    assert all(ended(started))


@torch_only
@pytest.mark.slow
def test_the_command_line_trains_on_devices(experiment, run_cli):
    said = run_cli("check", "photos.toml", "--set", "training.devices=2").stderr
    assert "torch on 2 devices: " in said
    answer = run_cli("run", "photos.toml", "--devices", "2", "--json")
    assert json.loads(answer.stdout)["devices"] == [2]
    refused = run_cli("run", "photos.toml", "--devices", "2", "--set", "training.batch_size=15")
    assert refused.exit_code == 2
    assert "batch_size = 15 does not divide among 2 devices" in refused.stderr


@torch_only
@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_an_exception_in_a_process_ends_all_and_the_run_resumes_to_the_bit(
    experiment, started, monkeypatch, rank
):
    undisturbed = told(run_experiment(experiment, Observer(), fresh=True))
    said = r"ZeroDivisionError: after an epoch(.|\n)*run --resume"
    with monkeypatch.context() as patched:
        if rank:
            said = f"process 2 of 2: {said}"
            patched.setattr(processes, "follow_as", failing)
        else:
            patched.setattr(Loop, "_end_epoch", fail)
        with pytest.raises(RunError, match=said):
            run_experiment(experiment, Observer(), fresh=True)
    assert ended(started) == [True, True]
    assert told(run_experiment(experiment, Observer(), resume="last")) == undisturbed
    assert all(ended(started))
