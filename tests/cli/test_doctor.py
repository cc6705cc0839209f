"""What `doctor` finds wrong, and what it finds worth knowing."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import pytest
from PIL import Image

from kerascnn.cli import doctor
from kerascnn.results.lookup import runs_folder
from kerascnn.run.stages.checkpointer import CHECKPOINTS
from kerascnn.runtime.address import tracking_uri
from kerascnn.tracking.store import RefusingStoreError, TrackingError, open_store
from kerascnn.tracking.tracker import Tracker

SAID_OF_THIS_MACHINE = ("HEIC", "no installed font", "the disk of")


@pytest.fixture
def examine(workplace, monkeypatch):
    """Examines the workplace; gives the problems and the notes that do not depend on the machine.

    The backend is not loaded, which takes seconds.
    """
    monkeypatch.setattr(doctor, "_device", lambda problems: "none")

    def said():
        found = doctor.examine()
        return [
            [text for text in found[key] if not text.startswith(SAID_OF_THIS_MACHINE)]
            for key in ("problems", "notes")
        ]

    return said


def kept_run(uri, monkeypatch, status="FINISHED", fault=None):
    """A run whose store has not taken it, for this fault; returns its folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(Tracker, "_work", lambda tracker: None)  # sends nothing
    monkeypatch.setattr("kerascnn.tracking.tracker.START_SECONDS", 0.0)  # and is not waited for
    monkeypatch.setattr("kerascnn.tracking.tracker.LEAST_START_SECONDS", 0.0)
    tracker = Tracker("photos", "a run", runs_folder())
    with suppress(KeyboardInterrupt), tracker:
        _, folder = tracker.open()
        tracker.fault = fault
        if status == "KILLED":
            raise KeyboardInterrupt
    tracker._lock.release()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    return folder


def test_in_a_sound_place_there_is_nothing_to_say(examine):
    assert examine() == [[], []]


def test_a_locale_without_utf8_is_named(monkeypatch):
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    assert "decodes file names as ascii" in next(doctor._locale())
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "utf-8")
    assert not list(doctor._locale())


@pytest.mark.parametrize(("error", "passes"), [(TrackingError, True), (RefusingStoreError, False)])
def test_a_store_that_is_away_is_told_from_one_that_never_accepts(
    error, passes, examine, monkeypatch
):
    def fail(uri):
        raise error("no answer.")

    monkeypatch.setattr(doctor, "reach", fail)
    [[said], _] = examine()
    assert "cannot be used: no answer." in said
    assert ("This may be temporary" in said) == passes


def test_runs_that_are_kept_are_noted_with_their_store(examine, monkeypatch):
    away = TrackingError("http://127.0.0.1:9: nothing answers there.")
    for _ in range(2):
        kept_run("http://127.0.0.1:9", monkeypatch, fault=away)
    problems, [note] = examine()
    assert problems == []
    start = "2 runs not yet uploaded to http://127.0.0.1:9: the next run uploads them"
    assert note.startswith(start)
    assert "`kerascnn runs send --to ADDRESS`" in note
    assert note.endswith(f"Last attempt: {away}")


def test_runs_that_are_refused_for_good_are_a_problem_with_its_remedy(examine, monkeypatch):
    deleted = RefusingStoreError("it was deleted. `mlflow experiments restore` brings it back.")
    kept_run("http://127.0.0.1:9", monkeypatch, fault=deleted)
    [problem], notes = examine()
    assert notes == []
    assert problem.startswith(f"1 run cannot be uploaded to http://127.0.0.1:9: {deleted} Then")


def test_an_experiment_that_was_deleted_is_told_before_the_next_run(
    examine, fresh_database, workplace
):
    shutil.copy(fresh_database, workplace / "mlflow.db")
    with Tracker("photos", "a run", runs_folder()) as tracker:
        tracker.open()
    assert tracker.unsent is None
    (workplace / "mlartifacts").mkdir()
    assert examine() == [[], []]
    with open_store(tracking_uri()) as client:
        experiment = client.get_experiment_by_name("photos").experiment_id
        client.delete_experiment(experiment)
    [problem], _ = examine()
    assert f"`mlflow experiments restore --experiment-id {experiment}` restores it" in problem


def test_a_run_that_can_go_on_is_noted(examine, monkeypatch, workplace):
    folder = kept_run(f"sqlite:///{workplace}/mlflow.db", monkeypatch, "KILLED")
    assert not any("can be resumed" in note for note in examine()[1])
    (folder / CHECKPOINTS).mkdir()
    [note] = [note for note in examine()[1] if "can be resumed" in note]
    assert f"`kerascnn run --resume {folder.name[:8]}`" in note


def test_a_place_that_cannot_hold_runs_is_a_problem(examine, workplace):
    runs_folder().write_text("a file")
    [problem], _ = examine()
    assert f"cannot write to {runs_folder()}" in problem


def test_full_disks_are_a_problem(workplace, monkeypatch):
    usage = shutil.disk_usage(workplace)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert f"the disk of {workplace} has only 1.0 MB left" in "".join(doctor._working_folder())


def test_a_folder_of_class_folders_is_noted_as_the_place_of_output(examine, workplace):
    for name in ("rose", "tulip"):
        (workplace / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(workplace / "photos" / name / "1.png")
    assert examine() == [[], []]
    os.chdir(workplace / "photos")
    [], [note] = examine()
    assert "start runs in another folder" in note


def test_a_file_store_beside_the_database_is_noted(examine, workplace, monkeypatch):
    (workplace / "mlruns" / "0").mkdir(parents=True)
    (workplace / "mlruns" / "0" / "meta.yaml").write_text("")
    [], [note] = examine()
    assert "`mlflow migrate-filestore --source ." in note
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri())
    assert examine() == [[], []]


def test_plugins_that_are_not_allowed_are_noted(examine, monkeypatch):
    registry = doctor.load_registry()
    origin = registry.unique[0].origin
    barred = replace(origin, distribution="kerascnn-example", version="1.0")
    monkeypatch.setattr(registry, "not_allowed", [barred])
    monkeypatch.setattr(doctor, "load_registry", lambda: registry)
    [], [note] = examine()
    assert note.endswith("kerascnn-example 1.0.")


def test_what_this_system_cannot_show_or_read_is_noted(monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr("kerascnn.engine.data.decoding.formats.version", missing)
    monkeypatch.setattr(doctor, "lacking", lambda text: "中")
    heic, font = sorted(doctor._lacking())
    assert "pip install 'kerascnn[heic]'` adds it" in heic
    assert r"codes such as \u4e2d. Install one" in font


def test_notes_are_shown_and_end_with_0(run_cli, examine, monkeypatch):
    monkeypatch.setattr(doctor, "_lacking", lambda: iter(["[a note] of this machine"]))
    shown, answer = run_cli("doctor"), run_cli("doctor", "--json")
    assert (shown.exit_code, answer.exit_code) == (0, 0)
    assert "problems   none" in shown.stdout
    assert "note       [a note] of this machine" in shown.stdout
    assert json.loads(answer.stdout)["notes"] == ["[a note] of this machine"]
