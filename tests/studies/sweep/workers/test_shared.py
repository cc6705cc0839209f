"""What several hosts must share is checked before the first trial, and again by each worker."""

import socket

from kerascnn import Engine, InputError, load_experiment
from kerascnn.studies.sweep.workers.shared import Shared, check_databases, shared_by

SERVER = "postgresql://me@host/sweeps"


def engine(hosts):
    return Engine(lambda place: None, places=2, hosts=hosts)


def test_several_hosts_cannot_share_a_sqlite_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    check_databases(engine(1), None)
    said = {}
    for uri in ("sqlite:///mlflow.db", "http://127.0.0.1:5000"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        for storage in (None, "sqlite:///sweeps.db", SERVER):
            try:
                check_databases(engine(3), storage)
            except InputError as error:
                said[uri.partition(":")[0], storage] = str(error)
    file = "3 hosts cannot share a SQLite file, which has"
    trials = f"{file} the sweep's trials"
    give = "give --storage postgresql://… or mysql://…"
    runs = "set MLFLOW_TRACKING_URI to http://…, postgresql://… or mysql://…."
    both = f"{trials} and the runs of MLflow: {give} and {runs}"
    assert said == {
        ("sqlite", None): both,
        ("sqlite", "sqlite:///sweeps.db"): both,
        (
            "sqlite",
            SERVER,
        ): f"{file} the runs of MLflow: {runs}",
        ("http", None): f"{trials}: {give}.",
        ("http", "sqlite:///sweeps.db"): f"{trials}: {give}.",
    }


def test_a_worker_says_what_its_host_lacks(tmp_path):
    here, lacking = socket.gethostname(), tmp_path / "runs"
    assert Shared(here, (tmp_path,)).obstacle() == ""
    assert Shared("", (tmp_path, lacking)).obstacle().startswith(f"{here} does not have {lacking}:")
    other = Shared("another").obstacle()
    assert other.startswith(f"{here} and another cannot share a SQLite file, which has the sweep's")


def test_the_data_the_runs_and_the_working_directory_are_shared(workplace, shapes_file):
    for folder in ("runs", "photos/red", "photos/blue"):
        (workplace / folder).mkdir(parents=True)
    experiment = load_experiment(
        shapes_file, {"dataset": {"name": "image_folder", "path": "photos"}}
    )
    shared = shared_by(experiment, workplace / "runs", SERVER)
    assert shared == Shared("", (workplace, workplace / "runs", workplace / "photos"))
    assert shared_by(experiment, workplace / "none", "sqlite:///x").host == socket.gethostname()
