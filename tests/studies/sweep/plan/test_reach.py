"""A sweep on few validation images says before its first trial what they can show."""

import pytest
import tomli_w

from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError
from kerascnn.studies.sweep import story
from kerascnn.studies.sweep.plan.asked import of_options
from kerascnn.studies.sweep.plan.load import load_sweep
from kerascnn.studies.sweep.plan.reach import too_few

RATE = "stages.0.learning_rate=1e-4..1e-2"


@pytest.fixture
def planned(shapes_file):
    return load_sweep(shapes_file, of_options([RATE]))


def test_few_images_are_told_with_what_to_do(planned):
    said = too_few(planned, 12)
    assert said.startswith("12 validation images can show only differences of 0.58 or more in")
    assert "`kerascnn folds FILE`" in said
    assert "--set" not in said  # the shapes draw no splits
    assert too_few(planned, 100) == ""


def test_a_dataset_that_draws_its_splits_can_draw_a_larger_one(workplace, shapes_experiment):
    def planned(**params):
        dataset = {"name": "image_folder", "path": ".", **params}
        content = tomli_w.dumps({**shapes_experiment, "dataset": dataset})
        (workplace / "photos.toml").write_text(content)
        return load_sweep(workplace / "photos.toml", of_options([RATE]))

    larger = "Validate on more images (--set dataset.validation_fraction=0.3), or"
    assert larger in too_few(planned(), 12)
    assert "Validate on more images, or" in too_few(planned(validation_fraction=0.4), 12)


def test_a_sweep_says_it_before_its_first_trial(planned, monkeypatch):
    said = []

    class Heard(Observer):
        def warned(self, message):
            said.append(message)

    def stop(*_):
        raise InputError("no run is begun")

    monkeypatch.setattr(story, "Tracker", stop)
    with pytest.raises(InputError, match="no run is begun"):
        story.run_sweep(planned, Heard())
    assert said == [too_few(planned, 8)]
