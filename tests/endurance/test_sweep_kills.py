"""Sweeps whose workers are killed at random moments, and which are killed themselves.

command   KERAS_BACKEND=tensorflow pytest -m endurance tests/endurance/test_sweep_kills.py
          KERASCNN_KILLS: how many sweeps, 40 by default; every fifth one is killed as a whole
last      TensorFlow 2.21 on two busy cores: 40 of 40 in 42 min, of which eight killed as a whole
          (2026-11-30)
"""

import os
import random
import shutil
import time

import pytest
import sweeping

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
