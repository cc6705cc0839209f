import pytest
from PIL import Image

from kerascnn.experiment.bound import bind_experiment
from kerascnn.studies.best import sample
from kerascnn.studies.best.folder import folder_experiment
from kerascnn.studies.best.sample import sampled


@pytest.fixture
def photos(tmp_path, registry):
    """The experiment of a folder of forty images, each of which takes a second."""
    for number in range(40):
        file = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(file)
    return folder_experiment(tmp_path / "photos", registry)


def test_more_images_than_there_is_time_for_are_sampled_and_it_is_said(photos, monkeypatch):
    monkeypatch.setattr(sample, "NETWORK_SECONDS", 1.0)
    said = []
    few = sampled(photos, 1.0, said.append)
    assert 20 <= few.dataset.params.sample <= 24
    assert said[0].startswith("40 images are too many for 1 min: a sample of 2")


def test_others_are_taken_as_they_are(photos, monkeypatch, registry, shapes_experiment):
    assert sampled(photos, 1.0, print) is photos
    other = bind_experiment(shapes_experiment, registry)
    assert sampled(other, 1e-6, print) is other


def test_a_fifth_of_what_does_not_test_validates(photos):
    params = photos.dataset.params
    share = params.validation_fraction / (1 - params.test_fraction)
    assert share == pytest.approx(0.2, abs=0.01)
