"""Exports: what is written gives in its own runtime what Keras gives, or is not kept."""

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, RunError, predict_images, run_experiment
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.export import export
from kerascnn.results.export.export import TOLERANCE, export_run
from kerascnn.results.export.formats import FORMATS


def needing(name):
    missing = [need for need in FORMATS[name].needs if not find_spec(need.replace("-", "_"))]
    marks = [pytest.mark.skipif(bool(missing), reason=f"needs {missing}")]
    return pytest.param(name, marks=marks if name == "keras" else [*marks, pytest.mark.long])


@pytest.fixture(scope="module")
def result(shared_workplace, registry):
    """A run of mixed precision on images packed larger than the network takes them."""
    data = {
        "name": "shapes",
        "dataset": {"name": "shapes", "classes": 2, "train": 16, "validation": 8, "test": 12},
        "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 4},
        "training": {"image_size": 16, "crop_margin": 0.25, "precision": "mixed_bfloat16"},
        "stages": [{"name": "all", "unfreeze": "all", "epochs": 1, "learning_rate": 1e-2}],
    }
    return replace(run_experiment(bind_experiment(data, registry)), temperature=2.5)


@pytest.mark.backend
@pytest.mark.parametrize("name", map(needing, FORMATS))
def test_a_format_gives_what_keras_gives(name, result, registry, tmp_path):
    path = tmp_path / f"new/model{FORMATS[name].suffix}"
    exported = export_run(result, name, path)
    assert exported.difference <= TOLERANCE
    assert (exported.images, exported.asked_about) == (12, "test images")
    assert path.exists()
    description = json.loads((path.parent / f"{path.name}.json").read_text())
    assert description["classes"] == result.class_names
    assert description["input"]["shape"] == [None, 16, 16, 3]
    assert "20 pixels" in " ".join(description["preparation"])
    for images in (1, 5):
        noise = np.random.default_rng(0).uniform(0, 255, (images, 16, 16, 3))
        probabilities = FORMATS[name].run(str(path), noise.astype(np.float32))
        assert probabilities.shape == (images, 2)
        assert probabilities.sum(1) == pytest.approx(1, abs=1e-3)
    assert description["temperature"] == 2.5
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.json"]


@pytest.mark.long
def test_an_export_gives_the_probabilities_of_predict(result, registry, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    inputs = pixels[None, 2:-2, 2:-2].astype(np.float32)
    for run in (result, result.uncalibrated):
        [expected] = predict_images(run, [tmp_path / "image.png"])
        path = tmp_path / f"{run.temperature}.keras"
        export_run(run, "keras", path)
        [probabilities] = FORMATS["keras"].run(str(path), inputs)
        assert probabilities.max() == pytest.approx(expected.probability, abs=5e-3)  # of bfloat16


def test_where_the_images_are_gone_random_ones_are_asked_about(result, registry):
    gone = {**result.data, "test": {"images": 12, "fingerprint": "of other images"}}
    images, asked_about = export._images(replace(result, data=gone))
    assert asked_about == "random images"
    assert images.shape == (64, 16, 16, 3)
    assert 0 <= images.min() < 5
    assert 250 < images.max() <= 255


@pytest.mark.long
def test_what_differs_from_keras_is_not_kept(result, registry, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(RunError, match=r"differ .* was deleted"):
        export_run(result, "keras", tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(result, registry, tmp_path):
    (tmp_path / "model.keras").write_text("precious")
    with pytest.raises(InputError, match=r"model\.keras already exists"):
        export_run(result, "keras", tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("name", "there", "packages"),
    [
        ("onnx", ["tensorflow"], "tf2onnx onnxruntime"),
        ("litert", ["tensorflow"], "ai-edge-litert"),
        ("saved_model", ["torch"], "tensorflow"),
    ],
)
def test_what_is_not_installed_is_one_message(name, there, packages, result, registry, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda module: module in there)
    with pytest.raises(InputError, match=rf"pip install {packages}`\."):
        export_run(result, name)


def test_an_unknown_format_is_named_with_those_that_there_are(result, registry):
    with pytest.raises(InputError, match=r'unknown format "tflite".*litert'):
        export_run(result, "tflite")


def test_command(result, run_cli, tmp_path):
    ended = run_cli("export", "last", "--format", "keras", "--output", tmp_path / "m.keras")
    assert ended.exit_code == 0, ended.stderr
    assert "12 test images" in ended.stdout
