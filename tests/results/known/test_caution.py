"""What is said of a prediction besides its class."""

import numpy as np
import pytest

from kerascnn.engine.observer import Observer
from kerascnn.results.inference import evaluate, predict
from kerascnn.results.inference.evaluate import Cautious
from kerascnn.results.inference.predict import predict_images
from kerascnn.results.known.caution import Caution
from kerascnn.results.known.images import KnownImages
from kerascnn.results.predictions import Predictions, write_predictions

IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture
def run(written_run):
    """Its training and validation images look along the first axis; one in five is uncertain."""
    made, rng, count = written_run("a" * 32, [True]), np.random.default_rng(0), 60
    features = np.eye(1, 6).repeat(2 * count, 0) + 0.05 * rng.normal(size=(2 * count, 6))
    labels = np.arange(2 * count) % 2
    KnownImages(
        names=[str(row) for row in range(2 * count)],
        contents=rng.integers(0, 256, (2 * count, 32), np.uint8),
        labels=labels,
        splits=np.where(np.arange(2 * count) < count, "train", "validation"),
        features=(features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float16),
        class_names=made.class_names,
    ).write(made.folder)
    (made.folder / "rejection.json").write_text('{"measure": "neighbours", "classes": []}')
    of_label = np.where(np.arange(count) % 5 == 0, 0.3, 0.9)
    probabilities = np.where(
        np.eye(2)[labels[:count]] > 0, of_label[:, None], 1 - of_label[:, None]
    )
    said = Predictions(
        names=[str(row) for row in range(count)],
        labels=labels[:count],
        probabilities=probabilities.astype(np.float32),
        digests=[f"{row:064x}" for row in range(count)],
    )
    write_predictions(made.folder / "validation_predictions.csv", said, made.class_names)
    return made


@pytest.fixture
def outputs(monkeypatch):
    """What the network gives: for a known image, for an uncertain one, for a strange one."""
    probabilities = np.array([[0.95, 0.05], [0.6, 0.4], [0.2, 0.8]])
    features = np.eye(2, 6)[[0, 0, 1]].astype(np.float32)

    def outputs_of(result, images, *_, **__):
        return probabilities[: len(images)], features[: len(images)], ""

    for module in (predict, evaluate):
        monkeypatch.setattr(module, "outputs_of", outputs_of)
    return probabilities, features


def test_predictions_say_only_what_was_asked_for(run, outputs):
    plain = predict_images(run, [IMAGE] * 3, observer=Observer())
    assert plain[2].to_json().keys() == {"image", "label", "probability", "top"}
    first, second, third = predict_images(run, [IMAGE] * 3, reject=0.05, coverage=0.9)
    assert [one.rejected for one in (first, second, third)] == [False, False, True]
    assert third.score > first.score
    assert first.classes == ["circle"]
    assert second.classes == ["circle", "square"]
    assert "none of these; square" in repr(third)


def test_an_evaluation_counts_what_is_refused_and_what_sets_hold(run, outputs):
    probabilities, features = outputs
    said = Predictions(["a", "b", "c"], np.array([0, 1, 1]), probabilities)
    found = Cautious.of(Caution(run, 0.05, 0.9), said, features)
    assert found.rejected == pytest.approx(1 / 3)
    assert (found.accuracy, found.coverage) == (0.5, 1.0)
    assert found.set_size == pytest.approx(4 / 3)
    assert found.asked["coverage"]["probability"] == pytest.approx(0.3, abs=1e-6)
    only = Cautious.of(Caution(run, None, 0.9), said, None).to_json()
    assert only.keys() == {"coverage", "coverage_interval", "set_size", "asked"}


def test_where_validation_images_trained_the_test_images_set_the_coverage(written_run):
    right = [True] * 36 + [False] * 4  # a tenth is wrong, at 0.2
    made = written_run("b" * 32, right, training={"train_on": "train+validation", "keep": "last"})
    asked = Caution(made, None, 0.95).to_json()["coverage"]["probability"]
    assert asked == pytest.approx(0.2, abs=1e-6)
    assert Caution(made, None, 0.8).to_json()["coverage"]["probability"] == pytest.approx(0.8)


def test_the_command_line_says_none_of_these(run, outputs, run_cli, tmp_path):
    from PIL import Image

    for name in "abc":
        Image.fromarray(IMAGE).save(tmp_path / f"{name}.png")
    files = [tmp_path / f"{name}.png" for name in "abc"]
    ended = run_cli("predict", "a" * 32, *files, "--coverage", "0.9", "--reject", "--top", "1")
    lines = [line.partition(".png")[2].split() for line in ended.stdout.splitlines()]
    assert lines[0] == ["{circle}", "circle", "0.950"]
    assert lines[2][:3] == ["none", "of", "these"]
    table = tmp_path / "table.csv"
    run_cli("predict", "a" * 32, *files, "--reject=0.1", "--csv", table)
    head, first, *_ = table.read_text().splitlines()
    assert head == "image,label,probability,rejected,score,circle,square"
    assert ",False," in first
    wrong = run_cli("predict", "a" * 32, "--reject", *files)
    assert wrong.exit_code == 2
    assert "is not a number between 0 and 1, such as --reject=0.05" in wrong.stderr
