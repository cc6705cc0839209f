"""Folds by content: each image tests once, copies stay together, images keep their folds."""

import numpy as np
import pytest
from PIL import ImageOps

from kerascnn.engine.data.splits.folds import draw_folds
from kerascnn.engine.load import load_pooled
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError
from kerascnn.experiment.bound import bind_experiment


@pytest.fixture
def pooled(tmp_path, photo, registry, shapes_experiment):
    """Loads class folders of photos by their numbers, as an experiment with other settings does."""

    def load(classes, size=16, **dataset):
        for name, numbers in classes.items():
            folder = tmp_path / "photos" / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in numbers:
                photo(number).save(folder / f"{number}.jpg")
        table = {"name": "image_folder", "path": str(tmp_path / "photos"), **dataset}
        settings = {**shapes_experiment, "dataset": table}
        settings["training"] = {**settings["training"], "image_size": size}
        return load_pooled(bind_experiment(settings, registry), Observer())

    return load


CLASSES = {"cat": range(10), "dog": range(20, 33)}


def by_content(folds):
    contents = [content.tobytes() for content in folds.pooled.images.contents]
    return dict(zip(contents, folds.fold.tolist(), strict=True))


def test_each_image_tests_once_and_each_class_is_divided_evenly(pooled):
    folds = draw_folds(pooled(CLASSES), 5)
    tested = [folds.data(fold).test for fold in range(5)]
    names = [split.name(row) for split in tested for row in range(len(split))]
    assert len(set(names)) == len(names) == 23
    counts = np.array([np.bincount(split.labels, minlength=2) for split in tested])
    assert counts[:, 0].tolist() == [2] * 5
    assert sorted(counts[:, 1].tolist()) == [2, 2, 3, 3, 3]


def test_the_splits_of_a_fold_share_no_image_and_lack_none(pooled):
    folds = draw_folds(pooled(CLASSES), 5)
    for fold in range(5):
        splits = folds.data(fold).splits()
        names = [split.name(row) for split in splits.values() for row in range(len(split))]
        assert len(set(names)) == len(names) == 23
        assert all(set(split.labels) == {0, 1} for split in splits.values())
        pixels = splits["test"].images[:]
        assert len(pixels) == len(splits["test"])


def test_neither_settings_nor_splits_change_the_folds(pooled):
    first = draw_folds(pooled(CLASSES), 5)
    other = draw_folds(pooled(CLASSES, size=24, validation_fraction=0.3, split_seed=7), 5)
    assert by_content(first) == by_content(other)
    assert by_content(first) != by_content(draw_folds(first.pooled, 5, number=1))


def test_most_images_keep_their_folds_when_one_is_added(pooled):
    before = by_content(draw_folds(pooled(CLASSES), 5))
    after = by_content(draw_folds(pooled({**CLASSES, "dog": range(20, 34)}), 5))
    assert sum(after[content] != fold for content, fold in before.items()) <= 5


def test_copies_have_one_fold(pooled, tmp_path, photo):
    pooled(CLASSES)
    folder = tmp_path / "photos" / "dog"
    ImageOps.mirror(photo(20)).save(folder / "mirrored.jpg")
    photo(20).resize((160, 120)).save(folder / "small.jpg")
    photo(21).save(tmp_path / "photos" / "cat" / "other label.jpg")
    photo(50).save(folder / "quick.png", compress_level=1)
    photo(50).save(tmp_path / "photos" / "cat" / "small.png")  # another file of equal pixels
    folds = draw_folds(pooled(CLASSES), 5)
    names = [folds.pooled.images.name(row).rpartition("/")[2] for row in range(28)]
    fold = dict(zip(names, folds.fold.tolist(), strict=True))
    assert fold["20.jpg"] == fold["mirrored.jpg"] == fold["small.jpg"]
    assert fold["21.jpg"] == fold["other label.jpg"]
    assert fold["quick.png"] == fold["small.png"]
    for number in range(5):
        training = folds.data(number).train
        seen = {training.name(row).rpartition("/")[2] for row in range(len(training))}
        assert len(seen & {"20.jpg", "mirrored.jpg", "small.jpg"}) in (0, 3)


def test_a_class_with_fewer_images_than_folds_is_noted_and_still_tested(pooled):
    folds = draw_folds(pooled({**CLASSES, "fox": range(40, 43)}), 5)
    (note,) = folds.notes
    assert "fox 3." in note
    assert sum((folds.data(fold).test.labels == 2).sum() for fold in range(5)) == 3


def test_a_class_of_one_image_is_never_seen_by_the_network_that_tests_it(pooled):
    folds = draw_folds(pooled({**CLASSES, "fox": [40]}), 2)
    assert "never seen" in list(folds.notes)[-1]


def test_more_folds_than_images(pooled):
    folds = draw_folds(pooled(CLASSES), 30)
    with pytest.raises(InputError, match="too few images for 30 folds"):
        [folds.data(fold) for fold in range(30)]
