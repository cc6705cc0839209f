"""`augmenter`: the same draws for the same place in a run, and Keras's own layers as they are."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn import Augmentation, PluginError
from kerascnn.engine.data.batches.augment import augmenter

pytestmark = pytest.mark.backend
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8).astype("float32")
LABELS = np.eye(4, dtype="float32")


def draw(rng, batch_size):
    return {"shift": rng.uniform(-1, 1, (batch_size, 1, 1, 1))}


def apply(batch, arrays):
    return {**batch, "images": batch["images"] + arrays["shift"]}


def shifts(seed, epoch, step):
    images, labels = run(augmenter(Augmentation(draw, apply), seed, 8), epoch, step)
    np.testing.assert_array_equal(labels, LABELS)
    return images[:, 0, 0, 0] - IMAGES[:, 0, 0, 0]


def run(augment, epoch=1, step=0):
    images, labels = augment.afresh(IMAGES, LABELS, epoch, step)
    return ops.convert_to_numpy(images), ops.convert_to_numpy(labels)


def test_what_is_drawn_follows_from_seed_stage_epoch_and_step():
    first = shifts((0, 0), 1, 0)
    assert len({*first}) == 4
    np.testing.assert_array_equal(shifts((0, 0), 1, 0), first)
    for seed, epoch, step in [((1, 0), 1, 0), ((0, 1), 1, 0), ((0, 0), 2, 0), ((0, 0), 1, 1)]:
        assert (shifts(seed, epoch, step) != first).all()


def test_integers_that_are_drawn_can_index():
    def partners(rng, batch_size):
        return {"partner": rng.permutation(batch_size)}

    def exchange(batch, arrays):
        return {**batch, "images": ops.take(batch["images"], arrays["partner"], axis=0)}

    images, _ = run(augmenter(Augmentation(partners, exchange), (0, 0), 8))
    order = np.random.default_rng([0, 0, 1, 1]).permutation(4)
    np.testing.assert_array_equal(images, IMAGES[order])


def test_the_draw_is_the_same_on_every_backend():
    np.testing.assert_allclose(shifts((7, 0), 3, 5), EXPECTED, atol=1e-4)


EXPECTED = 2 * np.random.default_rng([7, 0, 3, 6]).random(4) - 1


def test_the_draw_shares_no_numbers_with_the_order_of_the_images():
    """NumPy takes the seeds [0, 0, 1] and [0, 0, 1, 0] for the same."""
    of_the_order = 2 * np.random.default_rng([0, 0, 1]).random(4) - 1
    assert (abs(shifts((0, 0), 1, 0) - of_the_order) > 1e-3).all()


KERAS_POLICIES = {
    "flip": lambda: layers.RandomFlip(seed=1),
    "rotation": lambda: layers.RandomRotation(0.2, seed=1),
    "pipeline": lambda: layers.Pipeline(
        [layers.RandomFlip(seed=1), layers.RandomGrayscale(0.5, seed=2), layers.Rescaling(0.5)]
    ),
    "sequential": lambda: keras.Sequential([layers.RandomFlip(seed=1), layers.RandomContrast(0.5)]),
    "grayscale": lambda: layers.RandomGrayscale(1.0),  # fails on the dictionary that it documents
    "noise": lambda: layers.GaussianNoise(1.0),  # knows nothing of labels
}


@pytest.mark.parametrize("name", KERAS_POLICIES)
def test_keras_layers_are_policies(name):
    augment = augmenter(KERAS_POLICIES[name](), (0, 0), 8)
    images, labels = run(augment)
    assert images.dtype == labels.dtype == np.float32
    assert images.shape == IMAGES.shape
    assert (images != IMAGES).any()
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(run(augment)[0], images)  # so that a run can go on from a step
    if name != "grayscale":
        assert any((run(augment, step=step)[0] != images).any() for step in (1, 2, 3))


@pytest.mark.parametrize("make", [layers.MixUp, layers.CutMix])
def test_keras_layers_that_mix_images_mix_labels_too(make):
    policy = layers.Pipeline([layers.RandomFlip(), make(seed=3)])
    _, labels = run(augmenter(policy, (0, 0), 8))
    assert (labels != LABELS).any()
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-5)


def test_a_keras_layer_gives_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        images, labels = run(augmenter(layers.RandomFlip(), (0, 0), 8))
    finally:
        keras.config.set_dtype_policy("float32")
    assert images.dtype == labels.dtype == np.float32
    assert {*images[0].ravel()} == {*IMAGES[0].ravel()}  # whole numbers up to 256 survive


def test_anything_else_is_no_policy():
    with pytest.raises(PluginError, match="or a Keras layer, not dict"):
        augmenter({}, (0, 0), 8)
