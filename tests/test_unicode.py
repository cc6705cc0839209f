"""Class names are the same in both of Unicode's forms: macOS writes NFD, most else NFC."""

import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, Splits, evaluate_run
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer
from kerascnn.engine.training.plan import class_weights
from kerascnn.experiment.bound import bind_experiment

NFC, NFD = "Gänseblume", unicodedata.normalize("NFD", "Gänseblume")


def photos(folder, names=(NFD, "tulip")):
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def parse(shapes_experiment, registry, folder, **stage):
    """An experiment on a folder; `stage`: changes of its only stage."""
    dataset = {"name": "image_folder", "path": str(folder)}
    stages = [{**shapes_experiment["stages"][0], **stage}]
    return bind_experiment({**shapes_experiment, "dataset": dataset, "stages": stages}, registry)


@pytest.mark.parametrize("written", [NFC, NFD])
def test_class_weights_in_both_forms(tmp_path, registry, shapes_experiment, written):
    weights = {written: 3.0}
    experiment = parse(shapes_experiment, registry, photos(tmp_path), class_weights=weights)
    data = load_data(experiment, Observer())
    assert data.class_names == (NFC, "tulip")
    assert class_weights(experiment.settings.stages[0], [1, 1], data.class_names).tolist() == [3, 1]


@pytest.mark.parametrize(("trained", "judged"), [(NFC, NFD), (NFD, NFC)])
def test_a_run_is_evaluated_on_the_other_form(tmp_path, written_run, monkeypatch, trained, judged):
    """Also one of a version that kept the names as they were."""
    result = written_run("a", [1, 1])
    result.class_names[:] = [trained, "tulip"]
    folder = photos(tmp_path / "judged", (judged, "tulip"))

    def all_tulips(result, images, *_):
        return np.tile(np.float32([0.2, 0.8]), (len(images), 1)), None, ""

    monkeypatch.setattr("kerascnn.results.inference.evaluate.outputs_of", all_tulips)
    assert evaluate_run(result, folder).accuracy == 0.5


def test_a_dataset_that_has_a_class_in_both_forms_is_refused(registry, shapes_experiment):
    class Both:
        registered = None
        key = ""

        def build(self, seed):
            source = [(np.zeros((8, 8, 3), np.uint8), 0)]
            return Splits(source, source, source, [NFC, NFD])

    experiment = bind_experiment(shapes_experiment, registry)
    experiment = replace(experiment, at={**experiment.at, ("dataset",): Both()})
    with pytest.raises(InputError, match=f'the class "{NFC}" twice'):
        load_data(experiment, Observer())
