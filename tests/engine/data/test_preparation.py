"""One object says how an image becomes what the network takes."""

import numpy as np
import pytest

from kerascnn.engine.data.images import read_image
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.resizing import resize_image
from kerascnn.experiment.model import Training

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
