"""Interrupted and resumed runs end like an undisturbed run, bit for bit."""

import errno
import json
import os
import shutil
import signal
import sqlite3
import threading
import time
import tomllib
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from two_stages import outcome_of, two_stages

from kerascnn import InputError, RunError, load_experiment, run_experiment
from kerascnn.engine.observer import Observer
from kerascnn.engine.training import checkpoints
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.lookup import Kind, find_unfinished
from kerascnn.run.stages.checkpointer import check_same, determinants

STEPS = 3  # an epoch
HEAD = 'schedule = { name = "plateau", patience_epochs = 1 }'
REST = 'optimizer = "adamw"\nema_fraction = 0.3'


class Disturbed(Observer):
    """Acts once after a number of steps, and records warnings and the end."""

    def __init__(self, after=None, act=None):
        self.left, self.act = after, act
        self.said, self.went_on, self.ends = [], None, []

    def step(self, done, total):
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.act()

    def resumed(self, stage, epochs, steps):
        self.went_on = stage and (stage.name, epochs, steps)

    def warned(self, message):
        self.said.append(message)

    def ended(self, result):
        self.ends.append(("ended", result.run_id))

    def failed(self, message):
        self.ends.append(("failed", message))

    def interrupted(self, message):
        self.ends.append(("interrupted", message))


def crash():
    raise ZeroDivisionError("crash")


def interrupt(number=signal.SIGINT):
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def place(shared_workplace, without_reports):
    (shared_workplace / "resume.toml").write_text(two_stages("resume", head=HEAD, rest=REST))
    return shared_workplace


@pytest.fixture(scope="module")
def experiment(place):
    return load_experiment("resume.toml")


@pytest.fixture(scope="module")
def undisturbed(experiment):
    return outcome(run_experiment(experiment))


@pytest.fixture(scope="module")
def client(place):
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")


def outcome(result):
    return outcome_of(result.stages, result.history, result.test)


def begin(experiment, after, act, **options):
    """Runs until the disturbance; returns the run's folder."""
    disturbed = Disturbed(after, act)
    with pytest.raises((KeyboardInterrupt, RunError)) as ended:
        run_experiment(experiment, disturbed, fresh=True, **options)
    event = "interrupted" if ended.type is KeyboardInterrupt else "failed"
    assert disturbed.ends == [(event, str(ended.value))]
    return find_unfinished("last", Kind.RUN), ended.value


def go_on(experiment, run, disturbed=None):
    return run_experiment(experiment, disturbed or Disturbed(), resume=run.name)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("after", "goes_on_in"),
    [
        pytest.param(1, ("head", 0, 2), marks=pytest.mark.slow),
        pytest.param(STEPS + 1, ("head", 1, 2), marks=pytest.mark.slow),
        (2 * STEPS + 1, ("rest", 0, 2)),
        pytest.param(3 * STEPS + 2, ("rest", 1, 3), marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_resumes_exactly(experiment, undisturbed, client, after, goes_on_in):
    run, error = begin(experiment, after, interrupt())
    assert f"kerascnn run --resume {run.name[:8]}" in str(error)
    assert client.get_run(run.name).info.status == "KILLED"
    observer = Disturbed()
    result = go_on(experiment, run, observer)
    stage, epochs, steps = goes_on_in
    assert observer.went_on[:2] == (stage, epochs)
    assert observer.ends == [("ended", run.name)]
    assert abs(observer.went_on[2] - steps) <= 1  # JAX and PyTorch are a step ahead
    assert outcome(result) == undisturbed
    assert client.get_run(run.name).info.status == "FINISHED"
    assert result.run_id == run.name
    for name in ("train_loss", "val_accuracy", "learning_rate"):
        steps = [metric.step for metric in client.get_metric_history(run.name, name)]
        assert steps[:4] == [1, 2, 3, 4]
        assert len(steps) <= 5  # and once more those of an earlier epoch that was kept
    assert not (run / "checkpoints").exists()


@pytest.mark.slow
def test_a_run_may_be_interrupted_again_and_again(experiment, undisturbed):
    run, _ = begin(experiment, 2, interrupt(signal.SIGTERM))
    for after in (2, 3):
        again, _ = begin(experiment, after, interrupt(), resume=run.name)
        assert again == run
    assert outcome(go_on(experiment, run)) == undisturbed


def copy_database(source, target):
    """As SQLite does: open connections would take one that a file was copied over for empty."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@pytest.fixture(scope="module")
def crashed(place, tmp_path_factory):
    """The same experiment with a checkpoint at every step, crashed in its second stage."""
    experiment = load_experiment("resume.toml", {"training.checkpoint_seconds": 0})
    run, error = begin(experiment, 2 * STEPS + 2, crash)
    assert "crash" in str(error)
    copy = tmp_path_factory.mktemp("crashed")
    shutil.copytree(run, copy / "run")
    copy_database("mlflow.db", copy / "mlflow.db")
    return experiment, run, copy


@pytest.fixture
def frequent(crashed):
    """That run as it was when it had crashed."""
    experiment, run, copy = crashed
    shutil.rmtree(run)
    shutil.copytree(copy / "run", run)
    copy_database(copy / "mlflow.db", "mlflow.db")
    return experiment, run


def newest(run):
    return max((run / "checkpoints").glob("[0-9]*"))


def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(frequent, undisturbed):
    experiment, run = frequent
    damaged = newest(run) / "arrays.npz"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    observer = Disturbed()
    result = go_on(experiment, run, observer)
    assert f"checkpoint {damaged.parent.name} is damaged" in observer.said[0]
    assert observer.went_on
    assert outcome(result) == undisturbed


@pytest.mark.long  # two runs
def test_without_a_whole_checkpoint_the_same_run_starts_over_and_says_so(frequent, undisturbed):
    experiment, run = frequent
    for file in run.glob("checkpoints/*/manifest.json"):
        file.unlink()
    observer = Disturbed()
    result = go_on(experiment, run, observer)
    assert "starts over" in observer.said[-1]
    assert (result.run_id, outcome(result)) == (run.name, undisturbed)


def test_what_changed_is_named_and_the_run_stays_as_it_was(frequent, client):
    _, run = frequent
    before = newest(run)
    other = load_experiment("resume.toml", {"stages.1.learning_rate": 0.1, "seed": 7})
    with pytest.raises(
        InputError, match=r"seed \(was 0, is 7\).*stages.rest.learning_rate"
    ) as error:
        run_experiment(other, resume=run.name)
    assert error.value.exit_code == 2
    assert newest(run) == before
    assert tomllib.loads((run / "experiment.toml").read_text())["seed"] == 0
    for file in run.glob("checkpoints/*/manifest.json"):
        file.unlink()
    with pytest.raises(InputError, match=r"seed \(was 0, is 7\)"):
        run_experiment(other, resume=run.name)


def test_other_images_packages_and_plugins_are_named():
    then = {"train images": "a", "version of keras": "3.15.1", "code of the dataset": "c"}
    check_same(then, then)
    now = {"train images": "b", "version of keras": "3.16.0"}
    with pytest.raises(InputError) as error:
        check_same(then, now)
    assert "train images; version of keras (was 3.15.1, is 3.16.0); code of the dataset." in str(
        error.value
    )


def test_a_refusal_of_other_devices_says_how_to_use_them():
    said = r"devices \(was 4, is 2; --devices, or --workers, resumes so, equal up to rounding\)"
    with pytest.raises(InputError, match=said):
        check_same({"devices": "4"}, {"devices": "2"})


def test_a_refusal_names_causes_before_what_follows_from_them(shapes_experiment, registry):
    """As after an upgrade that divides a folder differently: only a few names are shown."""
    packed = SimpleNamespace(fingerprint="a", key="b")
    prepared = SimpleNamespace(
        experiment=bind_experiment(shapes_experiment, registry),
        backend="tensorflow",
        data=SimpleNamespace(splits=lambda: {"train": packed}),
        plans=(),
        devices=1,
    )
    names = list(determinants(prepared))
    last_cause = max(i for i, name in enumerate(names) if name.startswith(("version", "code")))
    assert all(name.endswith("train images") for name in names[last_cause + 1 :])


def test_a_second_process_is_refused_and_told_of_the_first(frequent, monkeypatch):
    experiment, run = frequent
    monkeypatch.setattr("kerascnn.tracking.log.LOCK_SECONDS", 0.1)
    (run / "process.txt").write_text("process 123 on castle")
    with (
        FileLock(run / "tracking.lock"),
        pytest.raises(InputError, match="in use by process 123 on castle"),
    ):
        run_experiment(experiment, resume=run.name)


@pytest.mark.long  # three runs
def test_a_failed_resume_can_be_repeated(frequent, undisturbed, client, monkeypatch):
    experiment, run = frequent
    before = threading.active_count()

    def away(*_):
        raise InputError("the images are away")

    with monkeypatch.context() as patch:
        patch.setattr("kerascnn.run.session.prepare_experiment", away)
        for resume in (run.name, None):
            with pytest.raises(InputError, match="away"):
                run_experiment(experiment, resume=resume)
    assert client.get_run(run.name).info.status == "FAILED"  # as before
    deadline = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert outcome(go_on(experiment, run)) == undisturbed


@pytest.mark.long  # two runs
def test_the_seconds_of_a_stage_are_those_of_all_its_processes(frequent):
    experiment, run = frequent
    result = go_on(experiment, run)
    for stage in result.stages:
        epochs = [e["seconds"] for e in result.history if e["stage"] == stage["name"]]
        assert stage["seconds"] >= stage["fit_seconds"] >= sum(epochs)


def test_a_full_disk_is_reported_once_and_stops_nothing(place, undisturbed, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoints")

    monkeypatch.setattr(checkpoints, "write_state", full)
    observer = Disturbed()
    experiment = load_experiment("resume.toml", {"training.checkpoint_seconds": 0})
    assert outcome(run_experiment(experiment, observer, fresh=True)) == undisturbed
    assert [said for said in observer.said if "No space left" in said] == observer.said
    assert len(observer.said) == 1


@pytest.mark.long  # takes a run; of a stage tests/engine/training/test_stage.py shows it
@pytest.mark.backend
def test_a_loss_that_is_not_finite_stops_at_its_step_and_is_in_no_checkpoint(place):
    wild = {"stages.1.learning_rate": 1e38, "training.checkpoint_seconds": 0}
    wild |= {"stages.1.schedule": "constant", "stages.1.optimizer": "sgd"}
    with pytest.raises(RunError, match=r'"rest", epoch 1: the loss is nan after step [123] of 3'):
        run_experiment(load_experiment("resume.toml", wild), fresh=True)
    run = find_unfinished("last", Kind.RUN)
    state, damaged = checkpoints.Checkpoints(run / "checkpoints", 0).read()
    assert damaged == []
    assert all(np.isfinite(array).all() for array in state["network"])
    assert all(np.isfinite(array).all() for array in (state["stage"] or {}).get("optimizer", []))


def test_what_cannot_be_resumed_is_said(place, run_cli, undisturbed):
    [finished] = [file.parent for file in place.glob("kerascnn-runs/*/result.json")][:1]
    ended = run_cli("run", "--resume", finished.name)
    assert (ended.exit_code, ended.stderr.count("\n")) == (2, 1)
    assert "has finished" in ended.stderr
    assert 'no run "nothing" in' in run_cli("run", "--resume", "nothing").stderr
    assert "--resume RUN" in run_cli("run").stderr


def test_the_command_resumes_without_the_file(frequent, run_cli, undisturbed):
    _, run = frequent
    ended = run_cli("run", "--resume", run.name[:8], "--json")
    assert ended.exit_code == 0, ended.stderr
    assert "resumed   in stage 2, rest, epoch 1/2, after step" in ended.stderr
    result = json.loads(ended.stdout)
    assert [stage["ended_sha256"] for stage in result["stages"]] == [
        ended for ended, _ in undisturbed["sha256"]
    ]
