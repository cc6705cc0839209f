"""What a run keeps of which image was in which split."""

from types import SimpleNamespace

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.splits.divided import Divided
from kerascnn.engine.data.store.pack import pack

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), np.uint8)


def packed(rows):
    return pack([(IMAGES[row], row % 2) for row in rows], Preparation(12))


def test_it_is_read_as_written_and_finds_images(workplace):
    splits = {"train": packed([0, 1, 4]), "validation": packed([2]), "test": packed([3])}
    Divided.of(splits).write(workplace)
    read = Divided.read(workplace)
    assert read.find(packed([3, 5, 0])).tolist() == [4, -1, 0]
    assert read.labels.tolist() == [0, 1, 0, 0, 1]
    assert read.chosen("validation", "test").find(packed([3, 0])).tolist() == [1, -1]


def test_an_image_of_two_splits_is_in_the_one_that_evaluates(workplace):
    splits = {"train": packed([0, 1, 2, 3]), "validation": packed([2]), "test": packed([3])}
    assert Divided.of(splits).splits.tolist() == [0, 0, 1, 2]


def test_hashes_are_told_apart_to_their_last_byte():
    hashes = np.zeros((4, 32), np.uint8)
    hashes[:, 31] = [0, 1, 0, 2]
    hashes[3, 0] = 7
    images = Divided(hashes, hashes[::-1], np.zeros(4, np.uint8), np.zeros(4, np.int64))
    wanted = SimpleNamespace(contents=hashes, digests=hashes + 3)
    assert images.find(wanted).tolist() == [2, 1, 2, 3]  # of equal ones the last
    none = Divided(hashes[:0], hashes[:0], np.zeros(0, np.uint8), np.zeros(0, np.int64))
    assert none.find(wanted).tolist() == [-1] * 4
