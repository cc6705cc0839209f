"""Sweeps in processes of their own, whose workers are killed."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import tomli_w
from optuna.trial import TrialState

from kerascnn.results.lookup import Kind, find
from kerascnn.runtime.address import sqlite_uri
from kerascnn.studies.sweep.folder import DATABASE
from kerascnn.studies.sweep.trials.drawing import settings_of
from kerascnn.studies.sweep.trials.storage import OUTCOME, numbered, open_study
from kerascnn.studies.sweep.trials.stored import stored_plan
from kerascnn.tracking.journal import Journal, trials_of

RATES = ("--try", "stages.0.learning_rate=1e-4..1e-2", "--sampler", "random", "--pruner", "none")
WAIT_SECONDS = 300.0


def write_experiment(folder, shapes_experiment, epochs):
    """An experiment that writes a checkpoint at every step, beside which its training is short."""
    (stage,) = shapes_experiment["stages"]
    file = folder / "shapes.toml"
    experiment = {
        **shapes_experiment,
        "training": {**shapes_experiment["training"], "checkpoint_seconds": 0},
        "stages": [{**stage, "epochs": epochs}],
    }
    file.write_text(tomli_w.dumps(experiment))
    return file


def start(*arguments):
    """`kerascnn sweep` in the working directory."""
    command = [sys.executable, "-m", "kerascnn", "sweep", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def ended(process):
    """The exit status of a sweep, and what it said."""
    said = process.communicate()[1]
    return process.returncode, said


def workers(folder):
    """The processes that have trials of a sweep at present."""
    found = set()
    for file in folder.glob("trials/*/process.txt"):
        with suppress(OSError):
            process = int(re.findall(r"process (\d+)", file.read_text())[0])
            os.kill(process, 0)
            found.add(process)
    return sorted(found)


def until(condition):
    """Waits for what a condition returns."""
    end = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
    return found


def begun():
    """The folder of the sweep in the working directory, once a worker has a trial."""

    def folder():
        with suppress(Exception):
            found = find("last", Kind.SWEEP)
            return found if workers(found) else None

    return until(folder)


def kill(process):
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def check_whole(folder):
    """All trials of a sweep are complete, counted once, in one run each, with its settings."""
    study = open_study(sqlite_uri(folder / DATABASE), folder.name)
    planned, attempts = stored_plan(study), study.get_trials()
    assert not [one for one in attempts if one.state in (TrialState.RUNNING, TrialState.WAITING)]
    trials = numbered(attempts)[: planned.trials]
    ends = [(one.state, one.user_attrs.get(OUTCOME, {}).get("reason")) for one in trials]
    assert ends == [(TrialState.COMPLETE, "")] * planned.trials
    assert [planned.space.given(one.params) for one in trials] == settings_of(planned)
    runs = [Journal.read(trial).mlflow_id for trial in trials_of(folder)]
    assert len(set(runs)) == planned.trials
    return attempts
