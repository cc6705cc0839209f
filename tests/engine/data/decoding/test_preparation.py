"""One object says how an image becomes what the network takes, and how it is cut to size."""

import numpy as np
import pytest

from kerascnn.engine.data.decoding.images import read_image
from kerascnn.engine.data.decoding.preparation import (
    Centred,
    Preparation,
    random_windows,
    resize_image,
)
from kerascnn.experiment.training import Training

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


def test_the_margin_is_a_share_of_the_side():
    assert Preparation(160).packed_size == 160
    assert Preparation(160, 0.15).packed_size == 184


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
def test_an_image_is_packed_with_its_margin_and_seen_through_the_middle(how):
    preparation = Preparation(16, 0.5, how)
    packed = preparation.prepare(IMAGE)
    np.testing.assert_array_equal(packed, resize_image(read_image(IMAGE), 24, how))
    window = preparation.windows(packed[None])[0]
    np.testing.assert_array_equal(window, packed[4:20, 4:20])


def test_it_is_what_the_experiment_says():
    training = Training(image_size=32, crop_margin=0.25, resize="pad", value_range=(0, 4095))
    assert Preparation.of(training) == Preparation(32, 0.25, "pad", (0, 4095))
    assert Preparation.of(Training()) == Preparation(160)


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 9, 9, 3), np.uint8)


@pytest.mark.parametrize(("size", "first"), [(9, 0), (7, 1), (6, 1), (1, 4)])
def test_the_middle_window(size, first):
    centred = Centred(IMAGES, size)
    expected = IMAGES[:, first : first + size, first : first + size]
    assert centred.shape == (5, size, size, 3) == expected.shape
    assert len(centred) == 5
    np.testing.assert_array_equal(centred[np.array([3, 1])], expected[[3, 1]])
    np.testing.assert_array_equal(centred[1:4], expected[1:4])
    np.testing.assert_array_equal(centred[2], expected[2])


def test_random_windows_lie_anywhere_in_the_image():
    places = np.stack(np.meshgrid(np.arange(9), np.arange(9), indexing="ij"), -1)
    images = np.repeat(np.dstack([places, places[..., :1]])[None], 400, axis=0)
    windows = random_windows(images, 6, np.random.default_rng(0))
    assert windows.shape == (400, 6, 6, 3)
    tops, lefts = windows[:, 0, 0, 0], windows[:, 0, 0, 1]
    assert {*zip(tops, lefts, strict=True)} == {(a, b) for a in range(4) for b in range(4)}
    np.testing.assert_array_equal(windows[:, :, 0, 0], tops[:, None] + np.arange(6))
    np.testing.assert_array_equal(windows[:, 0, :, 1], lefts[:, None] + np.arange(6))


def test_without_room_the_images_come_as_they_are():
    rng = np.random.default_rng(0)
    assert random_windows(IMAGES, 9, rng) is IMAGES
    assert rng.random() == np.random.default_rng(0).random()  # nothing was drawn
