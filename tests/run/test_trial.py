"""Trials of a session: they end as fresh runs do, and are pruned, resumed and tracked."""

import subprocess
import sys
import tomllib

import numpy as np
import pytest
from hungry import registry_with_hungry
from two_stages import CLOCK, two_stages

from kerascnn import Observer, load_experiment, run_experiment
from kerascnn.engine.network.inference import Forward
from kerascnn.experiment.bound import bind_experiment
from kerascnn.run.session import Session
from kerascnn.run.trial import LABELS, VALIDATION, run_trial
from kerascnn.tracking.journal import Journal

pytestmark = pytest.mark.long  # all train; the first waits for TensorFlow


@pytest.fixture
def experiment(workplace):
    (workplace / "trials.toml").write_text(two_stages("trials", "checkpoint_seconds = 0"))
    return load_experiment("trials.toml")


@pytest.fixture
def session(experiment):
    with Session() as session:
        yield session


@pytest.fixture
def trial(workplace, session):
    """Runs a trial in a folder of this name."""

    def run(experiment, name, **how):
        folder = workplace / "kerascnn-runs" / "sweep" / "trials" / name
        return run_trial(experiment, Observer(), session=session, folder=folder, **how)

    return run


def runs_on_mlflow(workplace):
    """By name: the status and the tags of each run."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{workplace}/mlflow.db")
    everywhere = [found.experiment_id for found in client.search_experiments()]
    found = client.search_runs(everywhere)
    return {run.info.run_name: (run.info.status, run.data.tags) for run in found}, len(found)


def outcome(stages, history):
    """Weights, generators and figures; `stages` are results or their tables."""
    tables = [stage if isinstance(stage, dict) else vars(stage) for stage in stages]
    figures = [{k: v for k, v in epoch.items() if k not in CLOCK} for epoch in history]
    return [(table["ended_sha256"], table["frozen_sha256"]) for table in tables], figures


@pytest.mark.backend
def test_trials_that_share_a_network_end_as_fresh_runs(experiment, trial):
    varied = [
        experiment,
        experiment.with_overrides({"stages.head.learning_rate": 3e-3}),
        experiment.with_overrides({"stages.head.unfreeze": "all", "seed": 1}),
        experiment.with_overrides({"stages.rest.optimizer": "adamw"}),
    ]
    results = [trial(one, str(number)) for number, one in enumerate(varied)]
    for one, result in zip(varied, results, strict=True):
        fresh = run_experiment(one, Observer(), fresh=True)
        assert outcome(result.stages, result.history) == outcome(fresh.stages, fresh.history)


def test_a_trial_that_runs_out_of_memory_before_any_checkpoint_starts_over(workplace, trial):
    head = 'loss = "hungry"\nbatchnorm = "frozen"\n'

    def short(name, most, more=""):
        text = two_stages("short", head=head + more)
        return trial(bind_experiment(tomllib.loads(text), registry_with_hungry(most)), name)

    divided, asked = short("0", 8), short("1", 16, "gradient_accumulation = 2")
    assert [stage.accumulation for stage in divided.stages] == [2, 1]
    assert outcome(divided.stages, divided.history) == outcome(asked.stages, asked.history)


def test_a_pruned_trial_is_killed_with_its_reason_and_not_stored(
    workplace, experiment, session, trial
):
    looks = []

    def judge(look):
        looks.append(look)
        return "worse" if look.epoch == 3 else ""

    result = trial(experiment, "pruned", judge=judge)
    assert [(look.epoch, look.stage) for look in looks] == [(1, "head"), (2, "head"), (3, "rest")]
    assert all(look.epochs == 4 for look in looks)
    for look in looks:
        right = (look.probabilities.argmax(1) == look.labels).mean()
        assert right == pytest.approx(look.metrics["val_accuracy"])
    assert (result.pruned, len(result.history), result.stages[1].epochs) == ("worse", 3, 1)
    again = trial(experiment, "again", judge=looks.append)
    assert [stage.reused_from for stage in again.stages] == [result.run_id, None]
    assert [look.epoch for look in looks[3:]] == [again.stages[0].best_epoch, 3, 4]
    session.uploads.end()
    runs, _ = runs_on_mlflow(workplace)
    assert runs["pruned"][0] == "KILLED"
    assert runs["pruned"][1]["pruned"] == "worse"
    assert "failure" not in runs["pruned"][1]
    assert runs["again"][0] == "FINISHED"


def test_the_look_at_stored_stages_passes_over_no_images(experiment, trial, monkeypatch):
    first = trial(experiment, "first")
    monkeypatch.setattr(Forward, "__call__", None)
    again = trial(experiment, "again")
    assert all(stage.reused_from for stage in again.stages)
    assert again.look.epoch == first.look.epoch
    assert again.look.metrics == first.look.metrics
    np.testing.assert_array_equal(again.look.probabilities, first.look.probabilities)
    np.testing.assert_array_equal(np.load(again.folder / VALIDATION), again.look.probabilities)
    np.testing.assert_array_equal(np.load(again.folder / LABELS), again.look.labels)


def test_a_stopped_trial_resumes_in_the_same_run(workplace, experiment, session, trial):
    stopped = []

    def stop(look):
        if look.epoch == 3 and not stopped:
            stopped.append(look)
            raise KeyboardInterrupt
        return ""

    with pytest.raises(KeyboardInterrupt):
        trial(experiment, "0-0", judge=stop)
    resumed = trial(experiment, "0-0", judge=stop, resume=True)
    assert len(resumed.history) == 4
    whole = run_experiment(experiment, Observer(), fresh=True)
    assert outcome(resumed.stages, resumed.history) == outcome(whole.stages, whole.history)
    session.uploads.end()
    runs, count = runs_on_mlflow(workplace)
    assert (runs["0-0"][0], count) == ("FINISHED", 2)
    assert not (resumed.folder / "checkpoints").exists()


def test_a_failed_trial_spoils_none_after_it(experiment, trial):
    def judge(look):
        if look.epoch == 3:
            raise ZeroDivisionError
        return ""

    with pytest.raises(ZeroDivisionError):
        trial(experiment, "fails", judge=judge)
    other = experiment.with_overrides({"stages.head.learning_rate": 3e-3})
    after = trial(other, "after")
    fresh = run_experiment(other, Observer(), fresh=True)
    assert outcome(after.stages, after.history) == outcome(fresh.stages, fresh.history)


def test_a_trial_does_not_wait_for_a_store_that_fails(experiment, monkeypatch, workplace):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr("kerascnn.tracking.trial_tracker.PERIOD_SECONDS", 0.01)
    with Session() as session:
        folders = [workplace / "kerascnn-runs" / "sweep" / "trials" / name for name in "ab"]
        for folder in folders:
            run_trial(experiment, Observer(), session=session, folder=folder)
    assert "could not be uploaded to http://127.0.0.1:9" in session.uploads.unsent
    assert all(Journal.read(folder).pending for folder in folders)


def test_entries_of_a_trial_are_few_calls(experiment, trial, session, monkeypatch):
    calls = []
    submit = session.mlflow.submit

    def counted(function, *arguments):
        calls.append(arguments)
        return submit(function, *arguments)

    monkeypatch.setattr(session.mlflow, "submit", counted)
    trial(experiment, "few")
    session.uploads.end()
    assert 1 <= len(calls) <= 2


MANY = """
import os, resource, sys, threading
from pathlib import Path
from kerascnn import Observer, load_experiment
from kerascnn.run.session import Session
from kerascnn.run.trial import run_trial

experiment = load_experiment("trials.toml")
def used():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), files
with Session() as session:
    for number in range(16):
        changes = {
            "stages.head.learning_rate": 1e-3 + number / 1e5,
            "stages.head.epochs": 1 + number % 2,
            "stages.rest.epochs": 1,
            "architecture.filters": 4 + number % 3,
        }
        folder = Path(f"kerascnn-runs/sweep/trials/{number}").absolute()
        run_trial(experiment.with_overrides(changes), Observer(), session=session, folder=folder)
        print(*used())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_trials_do_not_grow(workplace, experiment):
    done = subprocess.run([sys.executable, "-c", MANY], check=True, capture_output=True, text=True)
    lines = [[int(n) for n in line.split()] for line in done.stdout.splitlines()]
    middle, last = lines[9], lines[-1]
    assert last[0] <= 1.05 * middle[0]
    assert last[1] <= middle[1] + 2
    assert last[2] <= middle[2] + 8
