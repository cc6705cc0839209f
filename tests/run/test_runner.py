"""The main job end to end, on shapes: what `kerascnn run` leaves, and what can be done with it."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

from kerascnn import (
    InputError,
    RunError,
    compare_runs,
    evaluate_run,
    load_experiment,
    predict_images,
    run_experiment,
)
from kerascnn.components.builtin.image_folder import IMAGE_FOLDER
from kerascnn.components.builtin.shapes import SHAPES
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.find import find_run
from kerascnn.run.runner import _inside_dataset
from kerascnn.runtime.backend import installed_backends
from kerascnn.runtime.image_files import KERASCNN_OUTPUT
from kerascnn.tracking.store import tracking_uri

EXPERIMENT = """
name = "shapes"
metrics = ["balanced_accuracy", { name = "top_k", k = 2 }]

[dataset]
name = "shapes"
train = 60

[augmentation]
name = "light"

[architecture]
name = "sequential_cnn"
depth = 2
convolutions = 1
filters = 8
dense_units = []

[training]
image_size = 32
batch_size = 16

[[stages]]
name = "head"
epochs = 2
learning_rate = 1e-2
augmentation = false

[[stages]]
name = "rest"
unfreeze = "all"
epochs = 2
learning_rate = 3e-3
schedule = "cosine"
"""


FIVE_RUNS = """
import os
from kerascnn import load_experiment, run_experiment
from kerascnn.engine.observer import Observer

for run in range(5):
    run_experiment(load_experiment("small.toml"), Observer(), fresh=True)
    with open("/proc/self/status") as status:
        [resident] = [int(line.split()[1]) for line in status if line.startswith("VmRSS")]
    print(resident, len(os.listdir("/proc/self/fd")))
"""


@pytest.fixture(scope="module")
def place(shared_workplace):
    """The working directory of all tests of this file, with the experiment."""
    (shared_workplace / "shapes.toml").write_text(EXPERIMENT)
    return shared_workplace


@pytest.fixture(scope="module")
def experiment(place):
    return load_experiment("shapes.toml")


@pytest.fixture(scope="module")
def result(experiment):
    return run_experiment(experiment)


@pytest.fixture(scope="module")
def client(result):
    import mlflow

    return mlflow.MlflowClient(tracking_uri())


def weights_sha256(result):
    return hashlib.sha256(b"".join(w.tobytes() for w in result.model.get_weights())).hexdigest()


def image_folder(place):
    """The test shapes as PNG files in class folders."""
    folder = place / "images"
    splits = SHAPES.build(SHAPES.params(), seed=0)
    for index in range(len(splits.test)):
        pixels, label = splits.test[index]
        file = folder / splits.class_names[label] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return folder


class Heard(Observer):
    """Records warnings."""

    said = ()

    def warned(self, message):
        self.said += (message,)


@pytest.mark.backend
def test_result_tells_what_happened(result):
    low, high = result.test_accuracy_interval
    assert 0 <= low <= result.test_accuracy <= high <= 1
    assert [stage["name"] for stage in result.stages] == ["head", "rest"]
    head, rest = result.stages
    assert head["trainable_layers"] == ["head_dense"]
    assert head["boundary"] != "input"
    assert head["cache"]["boundary"] == head["boundary"]
    assert rest["cache"]["boundary"] == "input"
    assert head["prefix_seconds"] > rest["prefix_seconds"] == 0
    assert rest["trainable_parameters"] > head["trainable_parameters"]


def test_the_temperature_is_kept_with_the_run_and_its_model(place, result, client):
    assert result.temperature != 1  # four epochs on sixty shapes leave the network unsure
    assert find_run(result.run_id).temperature == result.temperature
    assert client.get_run(result.run_id).data.metrics["temperature"] == result.temperature
    model = (result.folder / "model" / "MLmodel").read_text()
    assert f"temperature: {result.temperature}" in model


def test_predictions_and_losses_are_calibrated_and_the_accuracy_stays(place, result):
    files = sorted(image_folder(place).glob("*/*.png"))
    calibrated, raw = (predict_images(run, files) for run in (result, result.uncalibrated))
    assert [one.label for one in calibrated] == [one.label for one in raw]
    for one, other in zip(calibrated, raw, strict=True):
        as_trained = np.array([[guess["probability"] for guess in other.top]])
        [expected] = tempered(as_trained, result.temperature)
        assert [guess["probability"] for guess in one.top] == pytest.approx(expected, abs=1e-5)
    here, there = (evaluate_run(run, place / "images") for run in (result, result.uncalibrated))
    assert here.accuracy == there.accuracy
    assert here.loss != there.loss
    assert there.loss == pytest.approx(result.test["loss"], abs=1e-4)


def test_the_commands_say_how_probabilities_are_calibrated(place, result, run_cli):
    [file, *_] = sorted(image_folder(place).glob("*/*.png"))
    said = f"calibrated: temperature {result.temperature:.2f}, fitted on the validation images"
    assert said in run_cli("predict", result.run_id, file).stderr
    ended = run_cli("predict", result.run_id, file, "--uncalibrated", "--json")
    assert said not in ended.stderr
    [raw] = predict_images(result.uncalibrated, [file])
    [prediction] = json.loads(ended.stdout)["predictions"]
    assert prediction["probability"] == pytest.approx(raw.probability)


@pytest.mark.backend
def test_two_runs_of_one_experiment_end_with_the_same_weights(experiment, result):
    again = run_experiment(experiment, fresh=True)
    assert weights_sha256(again) == weights_sha256(result)
    assert [split["packed"] for split in again.data.values()] == [0, 0, 0]


@pytest.mark.backend
def test_predictions_of_the_saved_model_are_those_of_the_run(place, result):
    with (result.folder / "predictions.csv").open() as file:
        table = {row["image"]: row for row in csv.DictReader(file)}
    folder = image_folder(place)
    files = sorted(folder.rglob("*.png"), key=lambda file: int(file.stem))
    for prediction in predict_images(result.uncalibrated, files):
        row = table[prediction.image.rpartition("/")[2].removesuffix(".png")]
        assert prediction.label == row["predicted"]
        assert prediction.probability == pytest.approx(float(row["probability"]), abs=1e-4)
        assert prediction.top[0]["label"] == prediction.label


@pytest.mark.backend
def test_the_saved_model_says_the_same_on_every_backend(place, result):
    files = sorted(image_folder(place).rglob("*.png"))[:8]
    here = [prediction.probability for prediction in predict_images(result, files)]
    others = set(installed_backends()) - {result.backend}
    if not others:
        pytest.skip("only one backend is installed")
    for backend in others:
        command = [sys.executable, "-m", "kerascnn", "predict", result.run_id, *map(str, files)]
        done = subprocess.run(
            [*command, "--backend", backend, "--json"], capture_output=True, check=True
        )
        predictions = json.loads(done.stdout)["predictions"]
        there = [prediction["probability"] for prediction in predictions]
        assert there == pytest.approx(here, abs=1e-4)


def test_a_folder_stands_for_all_images_in_it(place, result):
    mixed = place / "mixed"
    shutil.copytree(image_folder(place), mixed / "deeper")
    (mixed / "cut.png").write_bytes(next(mixed.rglob("*.png")).read_bytes()[:60])
    (mixed / "notes.txt").write_text("no image")
    (mixed / "deeper" / ".thumbnail.png").write_bytes(b"")
    heard = Heard()
    predictions = predict_images(result, [mixed], observer=heard)
    files = [str(file) for file in sorted(mixed.rglob("[0-9]*.png"))]
    assert [prediction.image for prediction in predictions] == files
    assert predictions == predict_images(result, files)
    said, others = heard.said
    assert others == "left out, as they are not images: 1 hidden, 1 .txt"
    assert said.startswith(f"1 image cannot be read:\n  {mixed / 'cut.png'}: ")


def test_output_in_a_folder_is_not_predicted(tmp_path, result):
    shutil.copytree(result.folder, tmp_path / "kerascnn-runs" / result.run_id)
    shutil.copytree(result.folder, tmp_path / "renamed")
    (tmp_path / "@eaDir").mkdir()
    pixels = np.zeros((8, 8, 3), np.uint8)
    for name in ("image.png", "@eaDir/thumbnail.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    found = [prediction.image for prediction in predict_images(result, [tmp_path])]
    assert found == [str(tmp_path / "image.png")]


def test_what_a_run_leaves_in_its_dataset_is_no_class(place, result, tmp_path):
    """All that it writes to the working directory, which may be the folder of the dataset."""
    assert result.folder.is_relative_to(place / "kerascnn-runs")
    image_folder(tmp_path)
    before = IMAGE_FOLDER.build(IMAGE_FOLDER.params(path=tmp_path / "images"), seed=0)
    for name in ("kerascnn-runs", "mlartifacts"):
        shutil.copytree(place / name, tmp_path / "images" / name)
    after = IMAGE_FOLDER.build(IMAGE_FOLDER.params(path=tmp_path / "images"), seed=0)
    assert after.class_names == before.class_names == result.class_names
    assert after.train.fingerprint == before.train.fingerprint
    assert after.ignored == {KERASCNN_OUTPUT: 2}


@pytest.mark.parametrize(
    ("where", "told"), [("photos", True), ("photos/roses", True), (".", False), ("photos2", False)]
)
def test_a_run_in_the_folder_of_its_own_dataset_is_told_where_its_output_goes(
    tmp_path, monkeypatch, shapes_experiment, registry, where, told
):
    (tmp_path / where).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / where)
    dataset = {"name": "image_folder", "path": str(tmp_path / "photos")}
    experiment = bind_experiment({**shapes_experiment, "dataset": dataset}, registry)
    said = _inside_dataset(experiment)
    assert bool(said) == told
    assert not told or f"written to {tmp_path / where / 'kerascnn-runs'}" in said


@pytest.fixture
def mixed(place, tmp_path):
    """A folder with two images, an image that is cut off, a text and a hidden file."""
    folder = tmp_path / "mixed images"
    files = sorted(image_folder(place).glob("*/*.png"))[:2]
    for file in files:
        (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / file.parent.name)
    (folder / "cut.png").write_bytes(files[0].read_bytes()[:60])
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden").write_text("neither")
    return folder


def test_what_a_folder_holds_besides_images_is_told(result, mixed, run_cli):
    ended = run_cli("predict", result.run_id, mixed, "--json")
    said = json.loads(ended.stdout)
    assert len(said["predictions"]) == 2
    assert [reason.partition(": ")[0] for reason in said["left_out"]] == [
        str(mixed / name) for name in ("cut.png", ".hidden", "notes.txt")
    ]
    assert f"{mixed / 'notes.txt'}: not an image" in said["left_out"]
    assert "1 image cannot be read" in ended.stderr
    assert "left out, as they are not images: 1 hidden, 1 .txt" in ended.stderr


def test_predictions_as_a_table(place, result, mixed, run_cli):
    ended = run_cli("predict", result.run_id, mixed, "--csv", "-", "--top", "1")
    head, *rows = csv.reader(ended.stdout.splitlines())
    assert head == ["image", "label", "probability", *result.class_names]
    assert len(rows) == 2
    for image, label, probability, *shares in rows:
        assert image.startswith(str(mixed))
        assert shares[result.class_names.index(label)] == probability
        assert sum(map(float, shares)) == pytest.approx(1)
    file = mixed.parent / "predictions.csv"
    named = run_cli("predict", result.run_id, mixed, "--csv", file)
    assert file.read_text() == ended.stdout
    assert (named.stdout, f"wrote {file}: 2 images" in named.stderr) == ("", True)
    refused = run_cli("predict", result.run_id, mixed, "--csv", "-", "--json")
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_an_evaluation_lists_its_mistakes_and_has_a_page(place, result, run_cli):
    folder = image_folder(place)
    page = place / "evaluation.html"
    ended = run_cli("evaluate", result.run_id, "--data", folder, "--html", page)
    told = json.loads(run_cli("evaluate", result.run_id, "--data", folder, "--json").stdout)
    confusion = np.array(told["confusion"])
    wrong = confusion.sum() - confusion.trace()
    assert len(told["mistakes"]) == wrong > 0
    assert [one["probability"] for one in told["mistakes"]] == sorted(
        (one["probability"] for one in told["mistakes"]), reverse=True
    )
    for one in told["mistakes"][:20]:
        assert one["label"] == Path(one["image"]).parent.name != one["predicted"]
        assert one["image"] in ended.stdout
    assert "true \\ predicted" in ended.stdout
    text = page.read_text()
    low, high = told["interval"]
    assert f"{told['accuracy']:.3f} <span>{low:.3f} to {high:.3f}</span>" in text
    assert f"{wrong} of {told['images']} images" in text
    assert text.count("data:image/webp") >= min(wrong, 4)
    assert 'aria-label="confusion' in text


def test_a_folder_without_images_is_refused(tmp_path, result):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="no images in"):
        predict_images(result, [tmp_path])
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"1 image cannot be read:\n.*cut\.png"):
        predict_images(result, [tmp_path])


def test_evaluating_on_the_test_images_gives_the_test_accuracy(place, result):
    metrics = evaluate_run("last", image_folder(place))
    assert metrics.images == 24
    assert metrics.accuracy == pytest.approx(find_run("last").test_accuracy)
    assert list(metrics.per_class) == result.class_names


def test_the_metrics_of_a_run_are_in_its_result_and_measured_again(place, result):
    """Each class of shapes has the same number of images, so that two metrics are the accuracy."""
    tested = result.metrics["balanced_accuracy"]
    assert tested["value"] == pytest.approx(result.test_accuracy)
    assert tested["interval"][0] < tested["value"] < tested["interval"][1]
    assert tested["validation"] == pytest.approx(
        max(epoch["val_balanced_accuracy"] for epoch in result.history)
    )
    assert find_run(result.run_id).metrics == result.metrics
    assert result.plugins["metric top_k"].startswith("kerascnn ")
    assert "balanced_accuracy" in repr(result)
    again = evaluate_run(result, image_folder(place))
    assert again.metrics["top_k_2"]["value"] == result.metrics["top_k_2"]["value"]
    assert again.to_json()["metrics"] == again.metrics


def test_a_metric_whose_package_is_gone_is_left_out_with_a_note(place, result):
    heard = Heard()
    tables = [{"name": "gone"}, *result.experiment["metrics"]]
    changed = replace(result, experiment=result.experiment | {"metrics": tables})
    again = evaluate_run(changed, image_folder(place), observer=heard)
    assert list(again.metrics) == ["balanced_accuracy", "top_k_2"]
    assert heard.said[0].startswith('without the metric "gone": unknown metric.')


def test_evaluating_on_images_that_the_run_has_seen_is_told(place, result):
    params = {k: v for k, v in result.experiment["dataset"].items() if k != "name"}
    dataset = SHAPES.build(SHAPES.params(**params), seed=0)
    heard, seen = Heard(), place / "seen"
    for index in range(4):
        image, label = dataset.train[index]
        file = seen / result.class_names[label] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    assert evaluate_run(result, seen, observer=heard).images == 4
    short = result.run_id[:8]
    assert heard.said == (f"run {short} was trained or validated on 4 of these 4 images",)
    evaluate_run(result, image_folder(place), observer=heard)
    assert len(heard.said) == 1


def test_judging_refusals_by_the_images_that_set_the_threshold_is_told(place, result):
    heard = Heard()
    training = result.experiment["training"] | {"train_on": "train+validation", "keep": "last"}
    changed = replace(result, experiment=result.experiment | {"training": training})
    evaluate_run(changed, image_folder(place), observer=heard, coverage=0.8)
    assert "were set by 24 of these 24 images" in heard.said[0]
    evaluate_run(changed, image_folder(place), observer=heard)
    assert len(heard.said) == 1


def test_a_run_is_found_by_its_folder_too(result):
    assert find_run(str(result.folder)).run_id == result.run_id


def test_evaluating_follows_links_if_the_run_did(place, result):
    linked = place / "linked"
    for image in sorted(image_folder(place).glob("*/*.png")):
        (linked / image.parent.name).mkdir(parents=True, exist_ok=True)
        (linked / image.parent.name / image.name).symlink_to(image)
    with pytest.raises(InputError, match="only with `follow_links = true`"):
        evaluate_run(result, linked)
    dataset = result.experiment["dataset"] | {"follow_links": True}
    followed = replace(result, experiment=result.experiment | {"dataset": dataset})
    assert evaluate_run(followed, linked).images == 24


def test_all_images_are_evaluated_on_however_few(place, result):
    few = place / "few"
    (few / "circle").mkdir(parents=True)
    shutil.copy(next((image_folder(place) / "circle").iterdir()), few / "circle")
    assert evaluate_run(result, few).images == 1


def test_evaluating_refuses_a_class_that_the_model_does_not_know(place, result):
    folder = image_folder(place)
    strange = place / "strange"
    shutil.copytree(folder, strange, dirs_exist_ok=True)
    (strange / "circle").rename(strange / "cirkle")
    with pytest.raises(InputError, match=r'no class "cirkle".*Did you mean "circle"'):
        evaluate_run(result, strange)


def test_mlflow_holds_settings_metrics_and_artifacts(client, result):
    run = client.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["stages.rest.learning_rate"] == "0.003"
    assert run.data.params["architecture.depth"] == "2"
    steps = [m.step for m in client.get_metric_history(result.run_id, "val_accuracy")]
    assert steps[:4] == [1, 2, 3, 4]
    *_, evaluated = (stage for stage in result.stages if stage["kept"])
    assert run.data.metrics["val_accuracy"] == evaluated["val_accuracy"]
    assert run.data.metrics["test_accuracy"] == pytest.approx(result.test_accuracy)
    assert not any("/" in name for name in run.data.metrics)  # else the curves come last
    tested = result.metrics["top_k_2"]
    names = ("test_top_k_2", "test_top_k_2_low", "test_top_k_2_high")
    assert [run.data.metrics[name] for name in names] == [tested["value"], *tested["interval"]]
    assert client.get_metric_history(result.run_id, "val_top_k_2")[3].step == 4
    digests = {data.tags[0].value: data.dataset.digest for data in run.inputs.dataset_inputs}
    assert digests == {split: about["fingerprint"][:36] for split, about in result.data.items()}
    assert run.data.tags["stage.head.unfreeze"] == "head"
    names = {artifact.path for artifact in client.list_artifacts(result.run_id)}
    assert {"experiment.toml", "predictions.csv", "confusion_matrix.png", "result.json"} <= names


def test_learning_rates_that_were_applied_are_logged(client, result):
    rates = [m.value for m in client.get_metric_history(result.run_id, "learning_rate")]
    assert rates[:2] == pytest.approx([1e-2, 1e-2])
    assert rates[2] > rates[3]


def test_mlflow_loads_the_model(client, result):
    import mlflow.keras

    mlflow.set_tracking_uri(tracking_uri())  # MLflow knows a relative one by its text alone
    model = mlflow.keras.load_model(f"runs:/{result.run_id}/model")
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected = np.asarray(result.model.predict(images, verbose=0))
    np.testing.assert_allclose(np.asarray(model.predict(images, verbose=0)), expected, atol=1e-6)


def test_mlflow_predicts_calibrated_probabilities_of_named_classes(client, result):
    import mlflow

    mlflow.set_tracking_uri(tracking_uri())
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    model = mlflow.pyfunc.load_model(f"runs:/{result.run_id}/model")
    predicted = model.predict(images)
    assert list(predicted.columns) == model.metadata.metadata["class_names"] == result.class_names
    assert model.metadata.signature.outputs.input_names() == result.class_names
    expected = tempered(np.asarray(result.model.predict(images, verbose=0)), result.temperature)
    np.testing.assert_allclose(predicted.to_numpy(), expected, atol=1e-6)


def test_the_logged_experiment_runs_again(result):
    again = load_experiment(result.folder / "experiment.toml")
    assert tomllib.loads((result.folder / "experiment.toml").read_text()) == result.experiment
    assert again.stages[1].schedule.name == "cosine"


def test_a_run_is_found_by_prefix_and_fetched_from_mlflow(place, result, monkeypatch, tmp_path):
    import mlflow

    assert find_run(result.run_id[:8]).run_id == result.run_id
    with pytest.raises(InputError, match='no run "nothing"'):
        find_run("nothing")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/other.db")  # it sets the variable too
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")
    monkeypatch.chdir(place.parent)
    fetched = find_run(result.run_id)
    assert fetched.folder != result.folder
    assert weights_sha256(fetched) == weights_sha256(result)


@pytest.mark.long  # three runs
def test_comparison_shows_only_what_differs(place, result):
    other = run_experiment(load_experiment("shapes.toml", {"seed": 1, "stages.0.epochs": 1}))
    comparison = compare_runs([result, other])
    compared = comparison.runs
    assert all(set(run.settings) == {"seed", "stages.head.epochs"} for run in compared)
    assert compared[0].test_accuracy >= compared[1].test_accuracy
    assert all(run.same_test_images for run in compared)
    assert comparison.pairs[0].difference == pytest.approx(
        compared[0].test_accuracy - compared[1].test_accuracy
    )


def test_a_failing_run_is_marked_and_named(place, client):
    wild = load_experiment("shapes.toml", {"stages.0.learning_rate": 1e38})
    with pytest.raises(RunError, match='stage "head", epoch 1: the loss is'):
        run_experiment(wild)
    [experiment_id] = [e.experiment_id for e in client.search_experiments() if e.name == "shapes"]
    newest = client.search_runs([experiment_id], order_by=["start_time DESC"])[0]
    assert newest.info.status == "FAILED"
    assert "learning rate" in newest.data.tags["failure"]


def test_json_of_a_result_is_json(result):
    assert json.loads(json.dumps(result.to_json()))["run_id"] == result.run_id


@pytest.mark.long  # a process with five runs
@pytest.mark.backend
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_five_runs_in_one_process_take_the_memory_of_two(workplace, shapes_experiment):
    head = {"name": "head", "epochs": 1, "learning_rate": 1e-2}
    views = {**head, "name": "views", "unfreeze": "last:1", "augmentation": "light", "views": 1}
    stages = [head, views, {**head, "name": "rest", "unfreeze": "all"}]
    small = shapes_experiment | {"stages": stages}
    (workplace / "small.toml").write_text(tomli_w.dumps(small))
    shown = subprocess.run(
        [sys.executable, "-c", FIVE_RUNS], check=True, capture_output=True, text=True
    ).stdout
    _, second, *_, fifth = [[int(n) for n in line.split()] for line in shown.splitlines()]
    assert fifth[0] <= 1.05 * second[0]
    assert fifth[1] <= 1.05 * second[1]
