"""Sweeps whose workers are killed at random moments, and which are killed themselves.

command   KERAS_BACKEND=tensorflow pytest -m endurance tests/endurance/test_sweep_kills.py
          KERASCNN_KILLS: how many sweeps, 40 by default; every fifth one is killed as a whole.
          Besides them one of each sampler, which takes as long as four of them.
last      TensorFlow 2.21 on two busy cores: 40 of 40 in 42 min, of which eight killed as a whole
          (2026-11-30)
"""

import os
import random
import shutil
import time

import pytest
import sweeping

from kerascnn.results.lookup import Kind, find
from kerascnn.studies.sweep.result import SweepResult

pytestmark = pytest.mark.endurance

SWEEPS = int(os.environ.get("KERASCNN_KILLS", "40"))
MOST_SECONDS = 8.0  # from the first trial to the kill
TRIALS = 3


@pytest.mark.parametrize("number", range(SWEEPS))
def test_a_sweep_that_is_disturbed_ends_as_if_it_was_not(
    workplace, shapes_experiment, fresh_database, number
):
    rng = random.Random(number)
    shutil.copy(fresh_database, workplace / "mlflow.db")
    file = sweeping.write_experiment(workplace, shapes_experiment, epochs=12)
    sweep = sweeping.start(file, *sweeping.RATES, "--trials", TRIALS, "--workers", 2)
    folder = sweeping.begun()
    time.sleep(rng.uniform(0, MOST_SECONDS))
    if number % 5 == 4:
        sweeping.kill(sweep.pid)
        sweep.communicate()
        sweep = sweeping.start("--resume", folder.name, "--workers", 2)
    elif working := sweeping.workers(folder):
        sweeping.kill(rng.choice(working))
    status, said = sweeping.ended(sweep)
    assert status == 0, said
    sweeping.check_whole(folder)


@pytest.mark.parametrize(
    ("sampler", "workers"), [("grid", 2), ("random", 2), ("quasi_random", 2), ("tpe", 1)]
)
def test_a_sweep_that_is_killed_and_resumed_has_the_same_trials(
    workplace, shapes_experiment, fresh_database, monkeypatch, sampler, workers
):
    """TPE proposes a trial from those that have ended, so with one worker alone."""
    rates = "1e-4,1e-3,1e-2" if sampler == "grid" else "1e-4..1e-2"
    search = ["--try", f"stages.0.learning_rate={rates}", "--sampler", sampler, "--pruner", "none"]

    def begin(name):
        """A sweep in a folder of its own, whose cache has nothing of another."""
        (workplace / name).mkdir()
        monkeypatch.chdir(workplace / name)
        monkeypatch.setenv("KERASCNN_CACHE", str(workplace / name / "cache"))
        shutil.copy(fresh_database, "mlflow.db")
        file = sweeping.write_experiment(workplace / name, shapes_experiment, epochs=12)
        return sweeping.start(file, *search, "--trials", TRIALS, "--workers", workers)

    def trials(sweep):
        status, said = sweeping.ended(sweep)
        assert status == 0, said
        done = SweepResult.read(find("last", Kind.SWEEP) / "sweep.json")
        return [(one.number, one.params, one.value, one.history) for one in done.trials]

    undisturbed = trials(begin("undisturbed"))
    sweep = begin("killed")
    folder = sweeping.begun()
    time.sleep(random.Random(sampler).uniform(1, MOST_SECONDS))
    assert sweep.poll() is None
    sweeping.kill(sweep.pid)
    sweep.communicate()
    resumed = sweeping.start("--resume", folder.name, "--workers", 1)
    assert trials(resumed) == undisturbed
