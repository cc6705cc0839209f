"""`kerascnn ensemble` and `kerascnn distil`, from runs to a run like any other."""

import json
import shutil

import numpy as np
import pytest
import tomli_w

from kerascnn import InputError, distil_run, ensemble_runs, load_experiment, predict_images
from kerascnn.engine.data.splits.divided import Divided
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.observer import Observer
from kerascnn.results.describe.network import describe_network
from kerascnn.results.export.export import export_run
from kerascnn.results.find import find_run
from kerascnn.results.predictions import read_predictions
from kerascnn.results.report.write import report_run
from kerascnn.results.visualize.explain import explain_images
from kerascnn.run.experiment import run_experiment

pytestmark = pytest.mark.long  # each test trains networks, or saves and loads one of several


SHAPES = {
    "name": "shapes",
    "dataset": {"name": "shapes", "classes": 2, "train": 16, "validation": 12, "test": 12},
    "augmentation": "light",
    "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 4, "convolutions": 1},
    "training": {"image_size": 16, "batch_size": 8},
    "stages": [{"name": "scratch", "unfreeze": "all", "epochs": 2, "learning_rate": 1e-2}],
}


@pytest.fixture(scope="module")
def experiment(shared_workplace):
    file = shared_workplace / "shapes.toml"
    file.write_text(tomli_w.dumps(SHAPES))

    return lambda changes=(): load_experiment(file, dict(changes))


@pytest.fixture(scope="module")
def members(experiment, without_reports):
    changes = {}, {"seed": 1}, {"training.image_size": 12}
    runs = [run_experiment(experiment(one), Observer()) for one in changes]
    for run, origin in zip(runs, ("one package", "another", "one package"), strict=True):
        run.weights.append(
            {"origin": origin, "licence": "MIT", "trained_on": "", "image_size": None}
        )
        run.write()
    return runs


@pytest.fixture(scope="module")
def ensemble(members):
    return ensemble_runs([member.run_id for member in members], Observer())


def said_by(result, split="predictions"):
    return read_predictions(result.folder / f"{split}.csv", result.class_names)


def test_it_is_the_mean_of_what_its_members_say(ensemble, members):
    table = ensemble.ensemble
    assert [of["origin"] for of in ensemble.weights] == ["one package", "another"]
    assert [member["run"] for member in table["members"]] == [one.run_id for one in members]
    weights = [member["weight"] for member in table["members"]]
    assert sum(weights) == pytest.approx(1)
    own = [tempered(said_by(one).probabilities, one.temperature) for one in members]
    given = said_by(ensemble)
    if table["views"] == 1:
        apart = np.abs(given.probabilities - np.tensordot(weights, own, 1))
        assert apart.max() < 0.05  # the third sees resized images
    inside = np.load(ensemble.folder / "members.npy")
    assert np.abs(inside[:2] - own[:2]).max() < 1e-5 or table["views"] > 1
    right = [(said.argmax(1) == given.labels).mean() for said in inside]
    assert [one["test_accuracy"] for one in table["members"]] == pytest.approx(right)
    assert [one["what"] for one in table["decisions"][-2:]] == ["weights", "views"]
    written = json.loads((ensemble.folder / "result.json").read_text())
    assert written["stages"] == []
    assert written["ensemble"] == json.loads(json.dumps(table))
    assert find_run(ensemble.run_id).ensemble == written["ensemble"]


def test_it_does_what_runs_do_without_its_members(ensemble, members, shared_workplace, photo):
    away = shared_workplace / "away"
    away.mkdir()
    for member in members:
        shutil.move(member.folder, away / member.run_id)
    try:
        image = np.asarray(photo(1))
        (prediction,) = predict_images(ensemble, image)
        assert sum(guess["probability"] for guess in prediction.top) == pytest.approx(1)
        exported = export_run(ensemble, "keras", shared_workplace / "ensemble.keras")
        assert exported.difference < 1e-5
        described = describe_network(ensemble.run_id)
        assert described.parameters == ensemble.parameters
        assert {one.name for one in described.blocks} == {"member1", "member2", "member3", "head"}
        (explained,) = explain_images(ensemble, image)
        assert explained.heat_layer == "the last layers of 3 members"
        page = report_run(ensemble, observer=Observer()).read_text()
        assert "Members" in page
        assert f"<b>{members[0].run_id[:8]}</b>" in page
        assert "Train again" not in page
    finally:
        for member in members:
            shutil.move(away / member.run_id, member.folder)


def test_members_trained_on_others_test_images_are_refused(members, experiment):
    strange = run_experiment(experiment({"dataset.train": 40}), Observer())
    images = Divided.read(strange.folder)
    tested = [bytes.fromhex(digest) for digest in said_by(members[0]).digests]
    images.digests[: len(tested)] = [list(digest) for digest in tested]
    images.write(strange.folder)
    with pytest.raises(InputError, match=r"was trained on 12 of the 12 test images of run"):
        ensemble_runs([members[0], strange], Observer())
    with pytest.raises(InputError, match="its student could not be judged by them"):
        distil_run(strange, experiment(), Observer())


def test_a_student_is_a_run_that_says_what_it_kept(ensemble, shared_workplace, run_cli):
    file = shared_workplace / "shapes.toml"
    asked = ("--set", "augmentation=standard", "--set", "stages.scratch.epochs=3", "--json")
    done = run_cli("distil", ensemble.run_id, "--into", file, *asked)
    assert done.exit_code == 0, done.stderr
    student = find_run(json.loads(done.stdout)["run_id"])
    assert "taught by" in done.stderr
    table = student.teacher
    assert table["teacher"]["run"] == ensemble.run_id
    agree = said_by(student).predicted == said_by(ensemble).predicted
    assert table["agreement"] == pytest.approx(agree.mean())
    best = max(ensemble.ensemble["members"], key=lambda member: member["val_accuracy"])
    assert table["member"]["run"] == best["run"]
    assert table["member"]["test_accuracy"] == best["test_accuracy"]
    assert student.experiment["training"]["teacher"]["sha256"] == table["sha256"]
    again = run_experiment(load_experiment(student.folder / "experiment.toml"), Observer())
    assert again.stages[0]["reused_from"] == student.run_id
    assert "Teacher" in report_run(student, observer=Observer()).read_text()


def test_what_cannot_be_is_refused_in_one_message(members, experiment, run_cli):
    for words, message in {
        ("ensemble", members[0].run_id): "an ensemble needs at least two different runs",
        (
            "distil",
            members[0].run_id,
            "--into",
            "no_such_network",
        ): 'unknown architecture "no_such_network"',
        ("distil", members[0].run_id, "--into", "sequential_cnn", "--set", "seed=-1"): "seed = -1",
    }.items():
        refused = run_cli(*words)
        assert refused.exit_code == 2
        assert message in refused.stderr
    taught = {"run": members[0].run_id, "sha256": "0" * 64}
    with pytest.raises(InputError, match="has other weights than those with this sha256"):
        run_experiment(experiment({"training.teacher": taught}), Observer())
    with pytest.raises(InputError, match="has other classes: circle"):
        distil_run(members[0], experiment({"dataset.classes": 3}), Observer())
