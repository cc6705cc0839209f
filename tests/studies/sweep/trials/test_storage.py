"""The trials of lost workers are taken up by others, and counted once."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from optuna.trial import TrialState

from kerascnn.errors import InputError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.runtime.address import sqlite_uri
from kerascnn.studies.sweep.plan.asked import of_table
from kerascnn.studies.sweep.plan.load import plan
from kerascnn.studies.sweep.trials.drawing import more, sampler_of
from kerascnn.studies.sweep.trials.storage import (
    ATTEMPTS,
    SURPLUS,
    WORKER,
    create_study,
    numbered,
    open_study,
    release,
    release_silent,
)
from kerascnn.studies.sweep.trials.stored import store_plan, stored_plan

pytestmark = pytest.mark.long  # creating the tables of a database takes a second

RATE = "stages.scratch.learning_rate"


@pytest.fixture
def planned(shapes_experiment, registry):
    experiment = bind_experiment(shapes_experiment, registry)
    asked = of_table({RATE: {"from": 1e-4, "to": 1e-1}, "training.batch_size": [4, 8]})
    return plan(experiment, asked, {"trials": 14})


@pytest.fixture
def study(tmp_path, planned):
    made = create_study(sqlite_uri(tmp_path / "sweep.db"), "study", True)
    made.sampler = sampler_of(planned, made)
    return made


class LostError(BaseException):
    """A worker that ends without a word."""


def run(study, planned, lost_at=()):
    """Trials one after another; a worker is lost in some, and the next one goes on."""

    def objective(trial):
        trial.set_user_attr(WORKER, "me")
        params = planned.space.suggest(trial)
        trial.report(0.5, 1)
        if trial.number in lost_at:
            raise LostError
        return -abs(params[RATE] - 0.01)

    while more(planned, study.get_trials(deepcopy=False)):
        try:
            study.optimize(objective, n_trials=1)
        except LostError:
            release(study, "me")
            release(study, "me")  # as a second process may do


def test_lost_trials_are_taken_up_once_and_tpe_draws_the_same(tmp_path, planned, study):
    run(study, planned)
    disturbed = create_study(sqlite_uri(tmp_path / "other.db"), "study", True)
    disturbed.sampler = sampler_of(planned, disturbed)
    run(disturbed, planned, lost_at=(0, 11, 12))  # 12 takes up 11
    whole, taken_up = (numbered(one.get_trials()) for one in (study, disturbed))
    assert [trial.params for trial in taken_up] == [trial.params for trial in whole]
    assert {trial.state for trial in taken_up} == {TrialState.COMPLETE}
    assert len(disturbed.get_trials()) == len(whole) + 3
    assert taken_up[0].intermediate_values == {1: 0.5}


def test_a_trial_that_loses_every_worker_has_failed(planned, study):
    run(study, planned, lost_at=range(ATTEMPTS + 1))
    first, *others = numbered(study.get_trials())
    assert first.state == TrialState.FAIL
    assert {trial.state for trial in others} == {TrialState.COMPLETE}


def test_no_two_workers_take_the_same_trial(tmp_path, study):
    for _ in range(60):
        study.enqueue_trial({})
    address = sqlite_uri(tmp_path / "sweep.db")
    workers = [open_study(address, "study") for _ in range(4)]
    with ThreadPoolExecutor(len(workers)) as threads:
        asked = threads.map(lambda one: [one.ask().number for _ in range(15)], workers)
    assert sorted(number for numbers in asked for number in numbers) == list(range(60))


def test_a_process_killed_while_it_released_a_trial_loses_none(planned, study):
    study.tell(study.ask(), state=TrialState.FAIL)  # and then it was to queue the next attempt
    release_silent(study)
    assert len(study.get_trials()) == 1  # it may yet do so
    for _ in range(2):
        release(study, None)
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "WAITING"]


def test_a_surplus_trial_is_no_trial_once_there_are_more(study):
    first, surplus, next_one = study.ask(), study.ask(), study.ask()
    surplus.set_user_attr(SURPLUS, True)
    study.tell(surplus, state=TrialState.FAIL)
    release(study, None)
    attempts = numbered(study.get_trials())
    assert [one.system_attrs["failed_trial"] for one in attempts] == [first.number, next_one.number]


def test_only_the_trials_of_the_lost_worker_are_released(planned, study):
    mine, other = study.ask(), study.ask()
    mine.set_user_attr(WORKER, "me")
    other.set_user_attr(WORKER, "another")
    release(study, "me")
    states = [trial.state.name for trial in study.get_trials()]
    assert states == ["FAIL", "RUNNING", "WAITING"]
    release(study, None)
    assert sum(trial.state.name == "WAITING" for trial in study.get_trials()) == 2


def test_the_plan_is_read_from_the_storage(tmp_path, planned, study):
    store_plan(study, planned)
    found = stored_plan(open_study(sqlite_uri(tmp_path / "sweep.db"), "study"))
    assert (found.tables, found.settings) == (planned.tables, planned.settings)
    assert found.experiment.resolved == planned.experiment.resolved


def test_a_missing_driver_is_told_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"driver is not installed; `.*pip.* install .*psycopg"):
        open_study("postgresql+psycopg://k:secret@127.0.0.1:1/k", "study")


def test_another_file_or_study_is_told(tmp_path, study):
    with pytest.raises(InputError, match="has no sweep another"):
        open_study(sqlite_uri(tmp_path / "sweep.db"), "another")
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(InputError, match=r"--storage .*text\.db: .*not a database"):
        open_study(sqlite_uri(tmp_path / "text.db"), "study")
