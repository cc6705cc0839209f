"""`shapes`: the same images everywhere, balanced, learnable."""

import numpy as np
import pytest
from pydantic import ValidationError

from kerascnn.components.builtin.shapes import SHAPES


def make(**params):
    return SHAPES.build(SHAPES.params(**params), seed=0)


def test_images_are_uint8_in_the_asked_size():
    image, label = make(size=40).train[1]
    assert image.shape == (40, 40, 3)
    assert image.dtype == np.uint8
    assert label == 1


def test_counts_and_classes_follow_the_parameters():
    splits = make(classes=4, train=9, validation=5, test=7)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [9, 5, 7]
    assert splits.class_names == ["circle", "square", "triangle", "cross"]
    assert [label for _, label in splits.train] == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_images_depend_on_image_seed_and_not_on_the_seed():
    first, other_seed = (SHAPES.build(SHAPES.params(), seed=seed).train[5][0] for seed in (0, 1))
    np.testing.assert_array_equal(first, other_seed)
    assert (make(image_seed=1).train[5][0] != first).any()


def test_fingerprint_is_the_same_only_for_the_same_images():
    variants = ({}, {"classes": 2}, {"size": 48}, {"image_seed": 1}, {"train": 49})
    prints = [make(**variant).train.fingerprint for variant in variants]
    assert len({*prints, make().test.fingerprint}) == len(prints) + 1
    assert make(test=30).train.fingerprint == prints[0] == make().train.fingerprint


def test_nearest_template_tells_most_shapes():
    splits = make(classes=4, train=200, test=100)

    def silhouettes(source):
        images = np.stack([image for image, _ in source]).mean(-1)  # [N, S, S]
        high = images > (images.min((1, 2)) + images.max((1, 2)))[:, None, None] / 2
        return high.reshape(len(images), -1), np.array([label for _, label in source])

    (train, labels), (test, truth) = silhouettes(splits.train), silhouettes(splits.test)
    nearest = (test[:, None] != train[None]).sum(-1).argmin(1)
    assert (labels[nearest] == truth).mean() > 0.85


@pytest.mark.parametrize("params", [{"classes": 1}, {"classes": 5}, {"train": 0}, {"sise": 32}])
def test_impossible_parameters_are_refused(params):
    with pytest.raises(ValidationError):
        SHAPES.params(**params)
