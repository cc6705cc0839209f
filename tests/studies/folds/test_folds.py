"""A study of folds from its images to its table: recorded, resumed, repeated."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import tomli_w

from kerascnn import InputError, cross_validate, load_experiment
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.folds import FoldsResult
from kerascnn.results.find import find_outcome
from kerascnn.run.stages.store import StageStore
from kerascnn.tracking.journal import Journal
from kerascnn.tracking.store import open_store

# each trains networks: TensorFlow traces their steps anew
pytestmark = pytest.mark.long

EXPERIMENT = {
    "name": "shapes",
    "dataset": {"name": "shapes", "classes": 2, "train": 20, "validation": 6, "test": 6},
    "architecture": {"name": "sequential_cnn", "depth": 1, "filters": 2, "dense_units": []},
    "training": {"image_size": 16, "batch_size": 8, "checkpoint_seconds": 0},
    "metrics": ["balanced_accuracy"],
    "stages": [{"name": "scratch", "unfreeze": "all", "epochs": 2, "learning_rate": 1e-3}],
}


@pytest.fixture(scope="module")
def experiment(shared_workplace):
    file = shared_workplace / "shapes.toml"
    file.write_text(tomli_w.dumps(EXPERIMENT))
    return load_experiment(file)


@pytest.fixture(scope="module")
def study(experiment):
    """Two folds, undisturbed."""
    done = []
    result = cross_validate(experiment, 2, observer=Observer(), on_fold=done.append)
    assert [fold["accuracy"] for fold in done] == [fold["accuracy"] for fold in result.folds]
    return result


def table_of(result):
    with result.predictions.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_is_tested_once(study):
    rows = table_of(study)
    assert len(rows) == len({row["sha256"] for row in rows}) == study.images == 32
    correct = [row["label"] == row["predicted"] for row in rows]
    assert study.accuracy == np.mean(correct)
    number = np.array([int(row["fold"]) for row in rows])
    for fold in study.folds:
        own = np.array(correct)[number == fold["fold"]]
        assert (len(own), np.mean(own)) == (fold["images"], pytest.approx(fold["accuracy"]))
    assert study.interval[0] < study.accuracy < study.interval[1]
    assert study.metrics["balanced_accuracy"]["interval"]


def test_it_is_found_again_as_it_was(study):
    found = find_outcome(study.run_id[:8])
    assert isinstance(found, FoldsResult)
    assert json.dumps(found.to_json()) == json.dumps(study.to_json())


def test_the_page_has_the_images(study):
    page = study.page.read_text()
    assert "This page has no images" not in page
    assert "data:image/webp" in page


def test_the_folds_are_nested_in_mlflow(study):
    journal = Journal.read(study.folder)
    with open_store(journal.uri) as client:
        parent = client.get_run(study.run_id)
        assert parent.data.metrics["test_accuracy"] == study.accuracy
        for fold in study.folds:
            run = client.get_run(fold["run_id"])
            assert run.data.tags["mlflow.parentRunId"] == study.run_id
            assert run.info.status == "FINISHED"
            assert run.data.metrics["test_accuracy"] == fold["accuracy"]
            assert not client.list_artifacts(fold["run_id"], "model")


class Interrupts(Observer):
    """Sends Ctrl-C in the first epoch of the second fold."""

    def progress(self, what, done, total):
        if what == "fold 2/2: scratch" and done == 1:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_study_goes_on_from_its_checkpoint(study, experiment, monkeypatch):
    monkeypatch.setattr(StageStore, "take", lambda *_: None)  # or nothing would be trained
    with pytest.raises(KeyboardInterrupt, match="folds --resume"):
        cross_validate(experiment, 2, observer=Interrupts())
    shown = []

    class Heard(Observer):
        def progress(self, what, done, total):
            shown.append((what, done))

    resumed = cross_validate(experiment, 2, observer=Heard(), resume="last")
    assert table_of(resumed) == table_of(study)
    assert [one for one in shown if "scratch" in one[0]] == [("fold 2/2: scratch", 2)]
    with pytest.raises(InputError, match="nothing to resume"):
        cross_validate(experiment, 2, observer=Observer(), resume=resumed.run_id)


def test_the_command_repeats_a_study(study, run_cli, experiment):
    ended = run_cli("folds", "shapes.toml", "-k", 2, "--repeats", 2, "--json")
    assert ended.exit_code == 0, ended.stderr
    said = json.loads(ended.stdout)
    numbers = [(fold["repeat"], fold["fold"]) for fold in said["folds"]]
    assert numbers == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert (said["images"], len(table_of(find_outcome(said["run_id"])))) == (32, 64)
    assert said["predictions"].endswith("predictions.csv")
    assert said["folds"][0]["accuracy"] == study.folds[0]["accuracy"]  # the folds are the same
