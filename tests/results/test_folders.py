"""The runs of a folder: listed however they ended, removed here and in MLflow."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace

import pytest

from kerascnn import InputError
from kerascnn.results.find import all_runs, find_run
from kerascnn.results.folders import list_runs, remove_run, send_runs
from kerascnn.results.lookup import runs_folder
from kerascnn.runtime.address import tracking_uri
from kerascnn.runtime.beside import Beside
from kerascnn.tracking.journal import Journal, trials_of
from kerascnn.tracking.store import open_store
from kerascnn.tracking.tracker import Tracker
from kerascnn.tracking.trial_tracker import TrialTracker, Uploads


@pytest.fixture
def place(workplace, fresh_database):
    """A working directory with a local store."""
    shutil.copy(fresh_database, "mlflow.db")
    return workplace


def track(status, written_run=None):
    """A small run that ended so; returns its id."""
    error = {"FINISHED": None, "FAILED": RuntimeError(), "KILLED": KeyboardInterrupt()}[status]
    tracker = Tracker("photos", f"a {status} run", runs_folder())
    with suppress(RuntimeError, KeyboardInterrupt), tracker:
        run_id, folder = tracker.open()
        (folder / "model").mkdir()
        (folder / "model" / "MLmodel").write_text("flavors: {}")
        tracker.model(folder / "model")
        if written_run:
            written_run(run_id, [True, True, True, False], folder=folder)
        if error:
            raise error
    assert tracker.unsent is None
    return run_id


def test_runs_are_listed_however_they_ended(place, written_run, run_cli):
    ids = [track("FINISHED", written_run), track("FAILED"), track("KILLED")]
    with Tracker("photos", "a run at work", runs_folder()) as at_work:
        ids.append(at_work.open()[0])
        runs = json.loads(run_cli("runs", "list", "--json").stdout)
        shown = run_cli("runs", "list").stdout
    assert [run["run_id"] for run in runs] == ids
    statuses = ["finished", "failed", "interrupted", "running"]
    assert [run["status"] for run in runs] == statuses
    assert [run["test_accuracy"] for run in runs] == [0.75, None, None, None]
    assert all(run["bytes"] > 0 for run in runs)
    assert all(word in shown for word in [*statuses, "0.750", ids[0][:8], "photos: a FAILED run"])


def test_a_run_is_removed_here_and_in_mlflow(place, run_cli):
    run_id, other = track("FINISHED"), track("FINISHED")
    refused = run_cli("runs", "remove", run_id[:8])
    assert (refused.exit_code, len(list_runs())) == (2, 2)
    assert "use --yes to remove without asking" in refused.stderr
    answer = run_cli("runs", "remove", run_id[:8], "--yes")
    assert (answer.exit_code, answer.stdout) == (0, f"removed {run_id[:8]}\n")
    assert [run.run_id for run in list_runs()] == [other]
    assert [folder.name for folder in runs_folder().iterdir()] == [other]
    with open_store(tracking_uri()) as client:
        assert client.get_run(run_id).info.lifecycle_stage == "deleted"
        assert client.get_run(other).info.lifecycle_stage == "active"
        assert len(client.search_logged_models(["1"])) == 1


@pytest.fixture
def sweep(place):
    """An interrupted sweep of one trial; its folder, and the ids of both in the store."""
    with suppress(KeyboardInterrupt), Tracker("photos", "a sweep", runs_folder()) as tracker:
        run_id, folder = tracker.open()
        (folder / "sweep.toml").write_text("")
        trial, uploads = folder / "trials" / "0-0", Uploads(Beside("mlflow"))
        with TrialTracker(uploads, "photos", "trial 0", trial, parent=run_id) as below:
            below.open()
        uploads.end()
        raise KeyboardInterrupt
    return folder, [run_id, Journal.read(trial).mlflow_id]


def test_a_sweep_is_removed_with_its_trials(sweep):
    folder, ids = sweep
    assert remove_run(folder) is None
    with open_store(tracking_uri()) as client:
        assert {client.get_run(one).info.lifecycle_stage for one in ids} == {"deleted"}


def test_the_trials_of_a_sweep_are_uploaded_with_it(sweep, place, monkeypatch):
    folder, _ = sweep
    shutil.copy("mlflow.db", "other.db")
    send_runs([folder.name], f"sqlite:///{place / 'other.db'}")
    assert {Journal.read(one).pending for one in (folder, *trials_of(folder))} == {0}
    assert {Journal.read(one).uri for one in (folder, *trials_of(folder))} == {
        f"sqlite:///{place / 'other.db'}"
    }


def test_a_sweep_is_not_listed_as_a_finished_run(sweep):
    folder, _ = sweep
    assert [run.run_id for run in list_runs()] == [folder.name]
    assert all_runs() == []


def test_a_run_that_mlflow_cannot_remove_is_removed_here_and_that_is_said(place, run_cli):
    run_id = track("FINISHED")
    (place / "mlflow.db").write_text("no database")
    answer = run_cli("runs", "remove", run_id, "--yes")
    assert answer.exit_code == 0
    assert f"run {run_id[:8]} stays in MLflow: " in answer.stderr
    assert list_runs() == []


def test_a_run_at_work_is_not_removed(place):
    with Tracker("photos", "a run", runs_folder()) as tracker:
        _, folder = tracker.open()
        with pytest.raises(InputError, match="is running; wait for it to finish"):
            remove_run(folder)
    assert folder.is_dir()


def test_the_last_finished_run_is_the_one_that_ended_last(written_run):
    for run_id, ended in [
        ("b" * 32, "2026-01-02T10:00:00+02:00"),
        ("a" * 32, "2026-01-02T09:00:00+00:00"),
    ]:
        replace(written_run(run_id, [True]), ended=ended).write()
    os.utime(runs_folder() / ("a" * 32) / "result.json", (1, 1))
    assert find_run("last").run_id == "a" * 32
    assert [run.run_id[0] for run in all_runs()] == ["b", "a"]
