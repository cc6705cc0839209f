"""Loading packs and checks; examining is a step of its own, and compares images once."""

import numpy as np
import pytest
from PIL import Image

from kerascnn.engine.data.hygiene import copies
from kerascnn.engine.data.splits.training_splits import stage_images
from kerascnn.engine.kept import Kept
from kerascnn.engine.load import examine, load_data, trained_on
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError
from kerascnn.experiment.bound import bind_experiment


class Noted(Observer):
    def __init__(self):
        self.notes = []

    def data_noted(self, notes, state):
        self.notes.append((notes, state))


def test_images_are_compared_when_they_are_examined_and_once(
    registry, shapes_experiment, monkeypatch
):
    compared, real = [], copies.close
    monkeypatch.setattr(copies, "_near", type(copies._near)())
    monkeypatch.setattr(copies, "close", lambda *pair: compared.append(1) or real(*pair))
    shapes_experiment["dataset"]["image_seed"] = 7
    observer = Noted()
    for seed in (0, 1):  # of a study's runs
        experiment = bind_experiment({**shapes_experiment, "seed": seed}, registry)
        before = len(compared)
        data = load_data(experiment, observer)
        assert len(compared) == before
        assert len(observer.notes) == seed
        examination = examine(data, experiment, observer)
        assert observer.notes[seed][0] == examination.notes
    assert before == len(compared) > 0
    assert observer.notes[0] == observer.notes[1]


def test_images_that_are_added_to_a_folder_are_packed_and_no_others(
    registry, shapes_experiment, tmp_path
):
    def add(numbers):
        for number in numbers:
            image = np.random.default_rng([number, 1]).integers(0, 256, (16, 16, 3), np.uint8)
            path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)

    def load(**settings):
        dataset = {"name": "image_folder", "path": str(tmp_path / "photos"), **settings}
        experiment = bind_experiment({**shapes_experiment, "dataset": dataset}, registry)
        return load_data(experiment, Observer())

    add(range(30))
    before = load()
    add(range(30, 40))
    after = load()
    for data, images, made in ((before, 30, 30), (after, 40, 10), (load(split_seed=1), 40, 0)):
        splits = data.splits().values()
        assert (sum(map(len, splits)), sum(split.made for split in splits)) == (images, made)


@pytest.mark.parametrize(
    ("train_on", "count", "seen"),
    [("train", 16, ""), ("train+validation", 24, "validation images"), ("all", 32, "test images")],
)
def test_more_splits_train_if_asked_and_are_noted(
    registry, shapes_experiment, train_on, count, seen
):
    shapes_experiment["training"] |= {"train_on": train_on, "keep": "last"}
    experiment = bind_experiment(shapes_experiment, registry)
    data = load_data(experiment, Observer())
    notes = examine(data, experiment, Observer()).notes
    more = trained_on(data, experiment, Kept())
    assert [len(split) for split in more.splits().values()] == [count, 8, 8]
    parts = [data.splits()[split].digests for split in ("train", "validation", "test")]
    np.testing.assert_array_equal(more.train.digests, np.concatenate(parts)[:count])
    assert any("are trained on too" in note and seen in note for note in notes) == bool(seen)
    assert not any("duplicate" in note for note in notes)


def test_a_stage_trains_on_fewer_splits_than_the_run(registry, shapes_experiment):
    shapes_experiment["training"] |= {"train_on": "all", "keep": "last"}
    stage = shapes_experiment["stages"][0]
    own = {"one": {"train_on": "train"}, "two": {"train_on": "train+validation"}, "three": {}}
    shapes_experiment["stages"] = [{**stage, "name": name, **more} for name, more in own.items()]
    experiment = bind_experiment(shapes_experiment, registry)
    data = load_data(experiment, Observer())
    more = trained_on(data, experiment, Kept())
    trained = [stage_images(stage, experiment.training, more) for stage in experiment.stages]
    assert [len(images) for images in trained] == [16, 24, 32]
    np.testing.assert_array_equal(trained[0].digests, data.train.digests)
    np.testing.assert_array_equal(trained[1].labels[16:], data.validation.labels)


def test_a_stage_that_trains_on_more_splits_than_the_run_is_refused(registry, shapes_experiment):
    shapes_experiment["stages"][0]["train_on"] = "all"
    with pytest.raises(InputError, match='set that to "all" too'):
        bind_experiment(shapes_experiment, registry)


@pytest.mark.parametrize("change", [{"keep": "best"}, {"early_stopping": {"patience": 2}}])
def test_nothing_is_chosen_by_images_that_are_trained_on(registry, shapes_experiment, change):
    shapes_experiment["training"] |= {"train_on": "train+validation", "keep": "last"}
    table = shapes_experiment["training"] if "keep" in change else shapes_experiment["stages"][0]
    table |= change
    with pytest.raises(InputError, match='train_on = "train\\+validation" leaves no images'):
        bind_experiment(shapes_experiment, registry)
