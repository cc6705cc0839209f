"""Exports: what is written gives in its own runtime what Keras gives, or is not kept."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, RunError, predict_images, run_experiment
from kerascnn.cli import cli
from kerascnn.components.builtin import exporters
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.export import export
from kerascnn.results.export.export import export_run
from kerascnn.results.export.exporter import BuiltExporter

pytestmark = pytest.mark.long  # a run, and conversions of its model

NEEDS = {
    "keras": (),
    "saved_model": ("tensorflow",),
    "onnx": ("tensorflow", "tf2onnx", "onnxruntime"),
    "litert": ("tensorflow", "ai_edge_litert"),
}
SUFFIXES = {"keras": ".keras", "saved_model": "", "onnx": ".onnx", "litert": ".tflite"}


def needing(name):
    missing = [need for need in NEEDS[name] if not find_spec(need)]
    marks = [pytest.mark.skipif(bool(missing), reason=f"needs {missing}")]
    return pytest.param(name, marks=marks)


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
    weights = [{"origin": "a package", "licence": "MIT", "trained_on": "", "image_size": 16}]
    return replace(
        run_experiment(bind_experiment(data, registry)), temperature=2.5, weights=weights
    )


@pytest.mark.backend
@pytest.mark.parametrize("name", map(needing, NEEDS))
def test_a_format_gives_what_keras_gives(name, result, tmp_path):
    path = tmp_path / f"new/model{SUFFIXES[name]}"
    exported = export_run(result, name, path)
    assert exported.difference <= 1e-4
    assert (exported.images, exported.asked_about) == (12, "test images")
    assert path.exists()
    description = json.loads((path.parent / f"{path.name}.json").read_text())
    assert description["classes"] == result.class_names
    assert description["input"]["shape"] == [None, 16, 16, 3]
    assert "20 pixels" in " ".join(description["preparation"])
    for images in (1, 5):
        noise = np.random.default_rng(0).uniform(0, 255, (images, 16, 16, 3))
        probabilities = BuiltExporter.find(name, {}).predict(path, noise.astype(np.float32))
        assert probabilities.shape == (images, 2)
        assert probabilities.sum(1) == pytest.approx(1, abs=1e-3)
    assert description["temperature"] == 2.5
    assert description["weights"] == result.weights
    assert description["exporter"]["package"] == result.plugins["dataset shapes"]
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.json"]


def test_an_export_gives_the_probabilities_of_predict(result, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    inputs = pixels[None, 2:-2, 2:-2].astype(np.float32)
    for run in (result, result.uncalibrated):
        [expected] = predict_images(run, [tmp_path / "image.png"])
        path = tmp_path / f"{run.temperature}.keras"
        export_run(run, "keras", path)
        [probabilities] = BuiltExporter.find("keras", {}).predict(path, inputs)
        assert probabilities.max() == pytest.approx(expected.probability, abs=5e-3)  # of bfloat16


def test_where_the_images_are_gone_random_ones_are_asked_about(result):
    gone = {**result.data, "test": {"images": 12, "fingerprint": "of other images"}}
    images, asked_about = export._images(replace(result, data=gone))
    assert asked_about == "random images"
    assert images.shape == (64, 16, 16, 3)
    assert 0 <= images.min() < 5
    assert 250 < images.max() <= 255


FROM_ELSEWHERE = """
from pydantic import Field

from kerascnn import Component, Exporter, Params, hookimpl


class Faulty(Params):
    differs: bool = False
    digits: int = Field(6, ge=1)


def build(params):
    def write(model, folder):
        model.save(folder / "model.keras")
        return folder / "model.keras"

    def predict(path, images):
        import keras

        found = keras.ops.convert_to_numpy(keras.saving.load_model(path)(images))
        return (found[:, ::-1] if params.differs else found).round(params.digits)

    return Exporter(write, predict)


def check(params, *, image_size):
    return {"digits": f"too many for {image_size} pixels"} if params.digits > 9 else {}


@hookimpl
def kerascnn_exporters():
    return [Component("elsewhere", build, Faulty, "the file of Keras, rounded", check)]
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Installs an exporter of another package."""
    site = tmp_path / "site"
    metadata = site / "kerascnn_elsewhere-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "kerascnn_elsewhere.py").write_text(FROM_ELSEWHERE)
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: kerascnn-elsewhere\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text("[kerascnn]\nelsewhere = kerascnn_elsewhere\n")
    monkeypatch.syspath_prepend(site)
    output = tmp_path / "output"
    output.mkdir()
    return output


@pytest.fixture
def unconverted(monkeypatch):
    """Writes an empty file or folder instead of the model."""

    def set_to(name):
        def convert(exporter, result, params, place, images):
            (place / name).touch() if "." in name else (place / name).mkdir()
            return place / name, 0.0

        monkeypatch.setattr(export, "convert", convert)

    return set_to


def test_a_format_of_a_plugin_is_recorded_with_its_package_and_parameters(
    result, elsewhere, unconverted
):
    unconverted("model.keras")
    exported = export_run(result, "elsewhere", params={"digits": 7})
    assert exported.runtime == exported.exporter == "kerascnn-elsewhere 1.0"
    assert exported.path == f"shapes-{result.run_id[:8]}.keras"
    description = json.loads(Path(f"{exported.path}.json").read_text())
    assert description["exporter"] == {
        "name": "elsewhere",
        "package": "kerascnn-elsewhere 1.0",
        "parameters": {"differs": False, "digits": 7},
    }


def test_a_folder_is_named_after_its_format(result, elsewhere, unconverted):
    unconverted("model")
    exported = export_run(result, "elsewhere")
    assert exported.path == f"shapes-{result.run_id[:8]}-elsewhere"
    assert Path(exported.path).is_dir()


@pytest.mark.long  # starts a process with Keras
def test_what_differs_from_keras_is_not_kept(result, elsewhere):
    said = r"the elsewhere model differ .* on 12 images; .* The exported model was deleted"
    with pytest.raises(RunError, match=said):
        export_run(result, "elsewhere", elsewhere / "model.keras", {"differs": True})
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"digits": 0}, "exporter.digits = 0: expected a number of at least 1."),
        ({"digit": 4}, 'exporter.digit = 4: unknown key. Did you mean "digits"?'),
        ({"digits": 12}, "exporter.digits: too many for 16 pixels."),
    ],
)
def test_parameters_are_checked_before_anything_is_written(params, said, result, elsewhere):
    with pytest.raises(InputError) as refused:
        export_run(result, "elsewhere", elsewhere / "model.keras", params)
    assert str(refused.value).startswith(said)


def test_nothing_is_overwritten(result, tmp_path):
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
def test_what_is_not_installed_is_one_message(name, there, packages, result, monkeypatch):
    monkeypatch.setattr(exporters, "find_spec", lambda module: module in there)
    with pytest.raises(InputError, match=rf"^{name} needs .*pip install {packages}`\."):
        export_run(result, name)


def test_an_unknown_format_is_named_with_the_nearest_one(result):
    with pytest.raises(InputError, match=r'unknown exporter "tflite".*"litert".*--kind exporter'):
        export_run(result, "tflite")


def test_command(result, run_cli, tmp_path):
    ended = run_cli("export", "last", "--format", "keras", "--output", tmp_path / "m.keras")
    assert ended.exit_code == 0, ended.stderr
    assert "12 test images" in ended.stdout


def test_the_shell_completes_formats():
    command = cli.commands["export"]
    [option] = [parameter for parameter in command.params if parameter.name == "format_"]
    completed = option.shell_complete(click.Context(command), "sa")
    assert [item.value for item in completed] == ["saved_model"]
