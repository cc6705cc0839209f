"""A teacher's probabilities are the labels of what a student sees."""

import keras
import numpy as np
import pytest
from digests import digests_of
from keras import layers

from kerascnn import Augmentation, Mixing, classifier_head
from kerascnn.engine.data.batches.augment import augmenter
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.inference import run_once, to_numpy
from kerascnn.engine.training.inputs import make_inputs
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.teacher import Teacher
from kerascnn.experiment.model import Stage

pytestmark = pytest.mark.backend
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 6, 3), np.uint8)
LABELS = np.arange(12) % 3
TRAIN = Examples(IMAGES, LABELS, digests_of(IMAGES))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))


def network(seed):
    keras.utils.set_random_seed(seed)
    images = keras.Input((6, 6, 3))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(4, 3, name="conv")(x)
    model = keras.Model(images, classifier_head(x, 3, dropout=0.0, zero_initialized=False))
    model.get_layer("conv").trainable = False
    return model


def inverting(mix=None):
    """Half of the images are inverted, by the draws of each."""

    def draw(rng, batch_size):
        return {"way": rng.integers(0, 2, (batch_size, 1, 1, 1)).astype("float32")}

    def apply(batch, arrays):
        images, way = batch["images"], arrays["way"]
        return {**batch, "images": (1 - way) * images + way * (255 - images)}

    return augmenter(Augmentation(draw, apply, mix), (0, 0), 6)


def swapping():
    """A quarter of the example before it is mixed into each."""

    def draw(rng, batch_size):
        return {"order": np.roll(np.arange(batch_size), 1)}

    def apply(batch, arrays):
        order = arrays["order"]
        return {
            key: 0.75 * of + 0.25 * keras.ops.take(of, order, axis=0) for key, of in batch.items()
        }

    return Mixing(draw, apply)


def feed_of(teacher, augment, views):
    stage = Stage(name="trial", epochs=4, learning_rate=0.1, views=views)
    plan = Plan(
        stage=stage,
        index=0,
        layers=frozenset(),
        batchnorm="frozen",
        batch_size=12,
        schedule=None,
        augment=augment,
        views_key="inverting",
        prefix_engine="backend",
        teacher=teacher,
    )
    inputs = make_inputs(cut(network(0)), plan, TRAIN, TRAIN)
    return inputs.feed


def teacher_of(model, share=1.0):
    return Teacher("a" * 32, "key", share, lambda: model, lambda: None)


def batch_of(feed, epoch=1):
    inputs, targets, _ = next(feed.epoch(epoch))
    return to_numpy(inputs), to_numpy(targets)


def test_it_sees_the_views_that_the_student_sees():
    model, student = network(1), network(0)
    prefix = keras.Model(student.input, student.get_layer("head_pool").output)
    seen = np.concatenate([IMAGES, 255 - IMAGES]).astype("float32")
    shown = run_once(prefix, seen)  # [24, 4]
    said = run_once(model, seen)
    feed = feed_of(teacher_of(model), inverting(), views=2)
    for epoch in (1, 2):
        inputs, targets = batch_of(feed, epoch)
        apart = np.abs(inputs[:, None] - shown).max(-1)  # [12, 24]
        assert apart.min(1).max() < 1e-4
        np.testing.assert_allclose(targets, said[apart.argmin(1)], atol=1e-5)


def test_it_sees_what_is_augmented_afresh_and_mixed():
    model = network(1)
    feed = feed_of(teacher_of(model), inverting(swapping()), views=None)
    inputs, targets = batch_of(feed)
    assert inputs.shape == (12, 6, 6, 3)
    np.testing.assert_allclose(targets, run_once(model, inputs), atol=1e-5)


def test_its_labels_are_mixed_with_the_activations_and_with_the_classes():
    model = network(1)
    feed = feed_of(teacher_of(model, share=0.5), inverting(swapping()), views=1)
    _, targets = batch_of(feed)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-5)
    share = 0.5 * 0.75  # of its class, with half of the label and three quarters of the mixture
    assert (targets.max(1) >= share).all()
