"""A local store that is moved: its artifacts are found and written beside it."""

import shutil

import pytest

from kerascnn.runtime.address import tracking_uri
from kerascnn.tracking.artifacts import artifacts_of, local_path
from kerascnn.tracking.journal import send_pending
from kerascnn.tracking.store import open_store
from kerascnn.tracking.tracker import Tracker


@pytest.fixture
def project(fresh_database, tmp_path, monkeypatch):
    """A project with a run that has an artifact and a model, to be moved."""
    old = tmp_path / "old project"
    old.mkdir()
    shutil.copy(fresh_database, old / "mlflow.db")
    monkeypatch.chdir(old)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    track(old, "first.txt")
    return old


def track(project, artifact):
    """Tracks a run with an artifact and a model; returns its id."""
    with Tracker("photos", "a run", project / "kerascnn-runs") as tracker:
        run_id, folder = tracker.open()
        (folder / artifact).write_text(artifact)
        (folder / "model").mkdir()
        (folder / "model" / "MLmodel").write_text("flavors: {}")
        tracker.artifact(folder / artifact)
        tracker.model(folder / "model")
    assert tracker.unsent is None
    return run_id


def artifacts(client):
    """What MLflow has of each run, and where."""
    experiment = client.get_experiment_by_name("photos")
    runs = client.search_runs([experiment.experiment_id])
    models = client.search_logged_models([experiment.experiment_id])
    places = [run.info.artifact_uri for run in runs] + [m.artifact_location for m in models]
    names = {file.path for run in runs for file in client.list_artifacts(run.info.run_id)}
    return names, [local_path(place) for place in places]


def test_a_moved_project_writes_and_finds_its_artifacts_in_the_new_place(project, monkeypatch):
    new = project.rename(project.parent / "new 100%")
    monkeypatch.chdir(new)
    track(new, "second.txt")
    with open_store(tracking_uri()) as client:
        names, places = artifacts(client)
    assert names == {"first.txt", "second.txt"}
    assert all(place.is_relative_to(new / "mlartifacts") and place.is_dir() for place in places)
    assert not project.exists()


def test_so_does_a_copy_beside_its_original(project, monkeypatch):
    new = shutil.copytree(project, project.parent / "copy")
    before = sorted(project.rglob("*"))
    monkeypatch.chdir(new)
    track(new, "second.txt")
    assert sorted(project.rglob("*")) == before
    with open_store(tracking_uri()) as client:
        assert all(place.is_relative_to(new) for place in artifacts(client)[1])


def test_the_next_command_says_what_it_mended(project, monkeypatch):
    new = project.rename(project.parent / "new")
    monkeypatch.chdir(new)
    [said] = send_pending(new / "kerascnn-runs")
    assert str(project / "mlartifacts") in said
    assert str(new / "mlartifacts") in said
    assert send_pending(new / "kerascnn-runs") == []


def test_doctor_mends_it_and_says_which_artifacts_are_missing(project, monkeypatch, run_cli):
    new = project.rename(project.parent / "new")
    monkeypatch.chdir(new)
    monkeypatch.setattr(
        "kerascnn.cli.doctor._device", lambda problems: "none"
    )  # which takes seconds
    answer = run_cli("doctor")
    assert "was moved: its records" in " ".join(answer.stdout.split())
    assert "are missing" not in answer.stdout
    shutil.rmtree(new / "mlartifacts")
    answer = run_cli("doctor")
    assert answer.exit_code == 1
    assert "the artifacts of 1 run in" in " ".join(answer.stdout.split())


def test_artifacts_that_stayed_where_they_were_stay_in_use(project, tmp_path, monkeypatch):
    """The database alone was moved."""
    (tmp_path / "elsewhere").mkdir()
    (project / "mlflow.db").rename(tmp_path / "elsewhere" / "mlflow.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with open_store(tracking_uri()) as client:
        assert all(place.is_relative_to(project) for place in artifacts(client)[1])


def test_a_place_that_somebody_chose_is_left_alone(project, tmp_path):
    with open_store(tracking_uri()) as client:
        made = client.create_experiment("mine", artifact_location=str(tmp_path / "gone" / "mine"))
    with open_store(tracking_uri()) as client:
        assert client.get_experiment(made).artifact_location == str(tmp_path / "gone" / "mine")
    assert artifacts_of(project / "mlflow.db").is_dir()
