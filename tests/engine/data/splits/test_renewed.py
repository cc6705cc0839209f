"""Old images keep their split, new ones are divided by the same shares."""

from collections import Counter

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.splits.divided import SPLITS, Divided
from kerascnn.engine.data.splits.renewed import Before, Gathered, renew
from kerascnn.engine.data.store.pack import pack

CLASSES = ("cat", "dog")
FOLDER = len(SPLITS)
OLD = [(seed, split, seed % 2) for seed, split in enumerate([0] * 16 + [1] * 2 + [2] * 2)]


def image(seed):
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)


def packed(images):
    return pack(list(images), Preparation(16))


@pytest.fixture
def before(workplace):
    """A run with eight training images of each class, one to validate and one to test."""
    images = packed((image(seed), label) for seed, _, label in OLD)
    splits = np.array([split for _, split, _ in OLD], np.uint8)
    return Before("run", Divided(images.contents, images.digests, splits, images.labels), CLASSES)


def renewed(before, rows, names=CLASSES):
    """The update with these rows of image, label and origin."""
    images = packed((of, label) for of, label, _ in rows)
    origin = np.array([at for _, _, at in rows])
    return renew(Gathered(images, origin, ("more",), names), before)


def unchanged():
    return [(image(seed), label, split) for seed, split, label in OLD]


def split_of(done, wanted):
    """The splits of an image, of all its copies."""
    digest = packed([(wanted, 0)]).digests[0]
    here = (done.images.digests == digest).all(axis=1)
    return [SPLITS[at] for at in done.split[here]]


def test_an_image_keeps_its_split_whatever_the_dataset_draws(before):
    rows = [(of, label, 2 - split) for of, label, split in unchanged()]
    done = renewed(before, rows)
    assert done.split.tolist() == [split for _, split, _ in OLD]
    assert not done.changes


def test_new_images_of_a_folder_are_divided_by_the_same_shares(before):
    new = [(image(100 + seed), seed % 2, FOLDER) for seed in range(40)]
    done = renewed(before, unchanged() + new)
    assert Counter(done.split.tolist()) == {0: 48, 1: 6, 2: 6}
    assert done.changes.new == {name: {"train": 16, "validation": 2, "test": 2} for name in CLASSES}
    assert done.changes.new_tests.sum() == 4
    again = renewed(before, unchanged() + new[::-1])
    assert {split_of(again, of)[0] == split_of(done, of)[0] for of, _, _ in new} == {True}


def test_a_new_class_has_images_in_every_split(before):
    new = [(image(100 + seed), 2, FOLDER) for seed in range(3)]
    done = renewed(before, unchanged() + new, (*CLASSES, "fox"))
    assert done.changes.classes == ["fox"]
    assert done.changes.new["fox"] == {"train": 1, "validation": 1, "test": 1}


def test_a_new_image_of_the_dataset_has_the_split_that_it_gives(before):
    done = renewed(before, [*unchanged(), (image(100), 0, 2)])
    assert split_of(done, image(100)) == ["test"]


@pytest.mark.parametrize("origin", [0, FOLDER])
def test_a_near_copy_of_a_test_image_is_a_test_image(before, origin):
    near = np.clip(image(19).astype(int) + 2, 0, 255).astype(np.uint8)
    others = [(image(100 + seed), 1, FOLDER) for seed in range(8)]
    done = renewed(before, [*unchanged(), (near, 1, origin), *others])
    assert split_of(done, near) == ["test"]


def test_a_copy_that_the_dataset_puts_elsewhere_does_not_double_a_test_image(before):
    done = renewed(before, [*unchanged(), (image(19), 1, 0), (image(0), 0, 0)])
    assert split_of(done, image(19)) == ["test"]
    assert split_of(done, image(0)) == ["train", "train"]


def test_a_folder_corrects_labels_and_does_not_repeat_images(before):
    done = renewed(before, [*unchanged(), (image(18), 1, FOLDER), (image(1), 1, FOLDER)])
    assert len(done.images) == len(OLD)
    (one,) = done.changes.relabelled
    assert (one.split, one.before, one.label) == ("test", "cat", "dog")
    assert not done.changes.count


def test_a_later_folder_overrules_an_earlier_one(before):
    rows = [*unchanged(), (image(18), 1, FOLDER), (image(18), 0, FOLDER + 1)]
    assert not renewed(before, rows).changes


def test_images_that_are_gone_are_counted(before):
    assert renewed(before, unchanged()[2:]).changes.gone == 2


@pytest.mark.parametrize(
    ("rows", "names", "said"),
    [
        ([(image(50), 0, FOLDER), (image(50), 1, FOLDER)], CLASSES, "under two labels"),
        (None, ("cat", "dog", "hound"), 'class "dog" of run run is called "hound" now'),
        ([], CLASSES, 'class "dog" of run run has no images any more'),
    ],
)
def test_errors(before, rows, names, said):
    old = unchanged()
    if rows is None:
        old, rows = [(of, 2 * label, split) for of, label, split in old], []
    elif not rows:
        old = [row for row in old if row[1] == 0]
    with pytest.raises(InputError, match=said):
        renewed(before, old + rows, names)
