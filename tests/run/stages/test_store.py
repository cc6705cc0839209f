"""Runs take the stages that an earlier run has trained, and end as if they had trained them."""

import errno
import hashlib
import json
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from two_stages import CLOCK, outcome_of, two_stages

from kerascnn import Observer, load_experiment, run_experiment
from kerascnn.components.component import BoundComponent
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.training.variables import random_state, sha256, values
from kerascnn.run.stages import store as module
from kerascnn.run.stages.store import KIND, StageStore
from kerascnn.runtime.cache import cache_folder, entries
from kerascnn.studies.lr_find.find import find_learning_rate

LAST_CHANGED = {"stages.rest.learning_rate": 1e-3, "stages.rest.optimizer": "adamw"}


class Recording(Observer):
    """Records stages, epochs and warnings; acts once at a step."""

    def __init__(self, at=None, act=None):
        self.told, self.warnings, self.at, self.act = [], [], at, act

    def stage_started(self, stage):
        self.told.append((stage.name, stage.reused_from))

    def epoch(self, epoch, total):
        self.told.append(epoch.number)

    def step(self, done, total):
        if (self.told[-1], done) == self.at:
            self.act()

    def warned(self, message):
        self.warnings.append(message)


pytestmark = pytest.mark.long  # all compare runs with one that is trained first


@pytest.fixture(scope="module")
def place(shared_workplace):
    (shared_workplace / "stored.toml").write_text(two_stages("stored"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kerascnn.run.runner.draw_report", lambda *_: None)  # takes the most time
        yield shared_workplace


@pytest.fixture(scope="module")
def first(place):
    """The run that trains and stores both stages."""
    return run_experiment(load_experiment("stored.toml"), Recording())


@pytest.fixture
def prepared(first):
    return prepare_experiment(load_experiment("stored.toml"), Observer())


@pytest.fixture
def kept(first, tmp_path):
    """Brings back afterwards what is stored."""
    shutil.copytree(cache_folder(KIND), tmp_path / KIND)
    yield
    shutil.rmtree(cache_folder(KIND))
    shutil.copytree(tmp_path / KIND, cache_folder(KIND), dirs_exist_ok=True)


def outcome(result, clock=True):
    weights = b"".join(weight.tobytes() for weight in result.model.get_weights())
    left_out = () if clock else CLOCK
    ended = outcome_of(result.stages, result.history, result.test, left_out)
    return {**ended, "weights": hashlib.sha256(weights).hexdigest()}


def sources(result):
    return [stage["reused_from"] for stage in result.stages]


def test_a_stage_on_fewer_images_than_the_run_is_taken_from_a_run_on_those(place):
    last = {"training.keep": "last"}
    before = run_experiment(load_experiment("stored.toml", last), Observer())
    more = {"training.train_on": "train+validation", "stages.head.train_on": "train"}
    after = run_experiment(load_experiment("stored.toml", last | more), Observer())
    assert sources(after) == [before.run_id, None]


@pytest.mark.backend
def test_an_unchanged_experiment_ends_the_same_without_training(first):
    import mlflow

    told = Recording()
    again = run_experiment(load_experiment("stored.toml"), told)
    assert sources(first) == [None, None]
    assert sources(again) == [first.run_id] * 2
    assert told.told == [("head", first.run_id), ("rest", first.run_id)]
    assert outcome(again) == outcome(first)
    for then, now in zip(first.stages, again.stages, strict=True):
        assert now["trained_seconds"] == then["trained_seconds"] == then["seconds"]
        assert now["seconds"] < then["seconds"]
        assert (now["fit_seconds"], now["cache"]["made"], now["cache"]["reused"]) == (0, 0, 0)
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    curve = client.get_metric_history(again.run_id, "val_accuracy")[: len(first.history)]
    assert [(m.step, m.value) for m in curve] == [
        (step, epoch["val_accuracy"]) for step, epoch in enumerate(first.history, 1)
    ]
    assert client.get_run(again.run_id).data.tags["stage.head.reused_from"] == first.run_id
    assert "stage.head.reused_from" not in client.get_run(first.run_id).data.tags


@pytest.mark.backend
def test_with_another_last_stage_only_that_is_trained_and_ends_as_in_a_fresh_run(first, kept):
    told, changed = Recording(), load_experiment("stored.toml", LAST_CHANGED)
    shared = run_experiment(changed, told)
    assert told.told == [("head", first.run_id), ("rest", None), 1, 2]
    assert sources(shared) == [first.run_id, None]
    fresh = run_experiment(changed, Recording(), fresh=True)
    assert sources(fresh) == [None, None]
    assert outcome(shared, clock=False) == outcome(fresh, clock=False)
    about = {entry.about for entry in entries([KIND])}
    assert f"stored, stage head of run {fresh.run_id[:8]}" in about  # stored again
    assert f"stored, stage rest of run {first.run_id[:8]}" in about


@pytest.mark.backend
def test_a_run_that_took_a_stage_is_interrupted_and_resumed(first, kept):
    overrides = {**LAST_CHANGED, "training.checkpoint_seconds": 0}
    changed = load_experiment("stored.toml", overrides)
    stop = Recording(at=(1, 2), act=lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run_experiment(changed, stop)
    resumed = run_experiment(changed, Recording(), resume="last")
    assert sources(resumed) == [first.run_id, None]
    fresh = run_experiment(changed, Recording(), fresh=True)
    assert outcome(resumed, clock=False) == outcome(fresh, clock=False)


def test_the_command_says_which_run_a_stage_is_taken_from(first, kept, run_cli):
    ended = run_cli("run", "stored.toml", "--json")
    assert f"1/2 head: as in run {first.run_id[:8]}, " in ended.stderr
    assert "  kept epoch 2 of 2: val accuracy" in ended.stderr
    assert "epoch 1/2" not in ended.stderr
    assert [s["reused_from"] for s in json.loads(ended.stdout)["stages"]] == [first.run_id] * 2
    fresh = run_cli("run", "stored.toml", "--fresh", "--json")
    assert "epoch 1/2" in fresh.stderr
    assert [s["reused_from"] for s in json.loads(fresh.stdout)["stages"]] == [None, None]


def test_a_study_takes_the_stages_before_the_tested_one(first, monkeypatch):
    told, experiment = Recording(), load_experiment("stored.toml")
    taken = find_learning_rate(experiment, "rest", told)
    assert told.told == [("head", first.run_id)]
    monkeypatch.setattr(StageStore, "take", lambda *_: None)
    assert find_learning_rate(experiment, "rest", Recording()).losses == taken.losses


def test_weights_and_random_generators_are_those_at_the_end_of_the_stage(prepared):
    store = StageStore(prepared, pytest.fail)
    variables = prepared.network.model.variables
    built = values(variables)
    [head, rest] = prepared.plans
    done = [store.take(head, [])]
    changed = {
        variable.path.partition("/")[0]
        for variable, before, now in zip(variables, built, values(variables), strict=True)
        if (before != now).any()
    }
    assert changed - {"seed_generator"} == {"head_dense"}
    assert store.take(rest, [replace(done[0], reused_from=None)]) is None  # trained here
    assert store.take(rest, done).before.loss == done[0].standing.loss
    ended, random = sha256(values(variables)), repr(random_state())
    np.random.random()
    assert repr(random_state()) != random
    store.take(rest, done)
    assert (sha256(values(variables)), repr(random_state())) == (ended, random)


def test_a_damaged_result_is_told_and_removed(prepared, kept):
    heard, there = [], len(entries([KIND]))
    store = StageStore(prepared, heard.append)
    for file in cache_folder(KIND).glob("*/arrays.npz"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    before = values(prepared.network.model.variables)
    assert store.take(prepared.plans[0], []) is None
    [said] = heard
    assert said.startswith("the stored result of stage head is damaged: ")
    assert said.endswith("It is removed, and head is trained again.")
    assert sha256(values(prepared.network.model.variables)) == sha256(before)
    assert store.take(prepared.plans[0], []) is None
    assert (len(heard), len(entries([KIND]))) == (1, there - 1)


def test_of_two_that_train_the_same_stage_the_first_is_kept(prepared, kept, first):
    plan = prepared.plans[0]
    result = StageStore(prepared, pytest.fail).take(plan, [])
    for fresh, stored in ((False, first.run_id), (True, "b" * 32)):
        again = prepare_experiment(prepared.experiment, Observer())
        store = StageStore(again, pytest.fail, run="b" * 32, fresh=fresh)
        assert not fresh or store.take(plan, []) is None
        store.keep(plan, result)
        again = prepare_experiment(prepared.experiment, Observer())
        assert StageStore(again, pytest.fail).take(plan, []).reused_from == stored


def test_a_full_disk_is_told_and_stops_nothing(prepared, kept, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    heard, plan = [], prepared.plans[0]
    result = StageStore(prepared, pytest.fail).take(plan, [])
    monkeypatch.setattr(module, "write_state", full)
    again = prepare_experiment(prepared.experiment, Observer())
    StageStore(again, heard.append, fresh=True).keep(plan, result)
    [said] = heard
    assert said.startswith("cannot store the result of stage head: ")
    assert "No space left" in said


def test_what_unknown_code_decides_is_not_stored_and_said_once(prepared, kept, monkeypatch):
    heard = []
    monkeypatch.setattr(BoundComponent, "key", "")
    store = StageStore(prepared, heard.append)
    assert heard == [
        "results of stages are not stored, from head on: the code of "
        f"{prepared.experiment.stages[0].schedule.registered} cannot be read."
    ]
    assert store.take(prepared.plans[0], []) is None
    assert not store.keep(prepared.plans[0], None)
