"""Micro-batches make the steps of the undivided batch."""

import keras
import numpy as np
import pytest
from digests import digests_of
from keras import layers

from kerascnn import classifier_head
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.listener import Listener
from kerascnn.engine.training.micro_batches import MicroBatches
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.experiment.model import Optimizer, Stage

CLASSES, SIZE, BATCH = 3, 8, 10
HEAD = frozenset({"head_pool", "head_dropout", "head_dense"})
ALL = HEAD | {"block_conv", "block_drop", "block_noise", "block_bn"}


def examples(count, seed):
    images = np.random.default_rng(seed).integers(0, 255, (count, SIZE, SIZE, 3), np.uint8)
    return Examples(images, np.arange(count) % CLASSES, digests_of(images))


TRAIN, VALIDATION = examples(26, 0), examples(6, 1)


def make_network():
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255, name="stem_rescale")(images)
    x = layers.Conv2D(6, 3, kernel_regularizer="l2", name="block_conv")(x)
    x = layers.BatchNormalization(name="block_bn")(x)
    x = layers.SpatialDropout2D(0.2, name="block_drop")(x)
    x = layers.GaussianNoise(0.1, name="block_noise")(x)
    model = keras.Model(images, classifier_head(x, CLASSES, dropout=0.5))
    block_of = {layer.name: layer.name.split("_")[0] for layer in model.layers[1:]}
    return Built(model, block_of, ("block",))


def falling(peak_learning_rate, steps, steps_per_epoch):
    return keras.optimizers.schedules.PolynomialDecay(peak_learning_rate, steps, 0.0)


def fit(accumulation, trained, batchnorm="frozen", heard=None):
    """The variables that a stage ends with, and its epochs."""
    network = make_network()
    stage = Stage(
        name="trial",
        epochs=2,
        learning_rate=0.1,
        optimizer=Optimizer(name="sgd", momentum=0.9),
        ema_fraction=0.3,
        clip_norm=1.0,
    )
    plan = Plan(
        **{"stage": stage, "index": 0, "layers": frozenset(trained), "batchnorm": batchnorm},
        **{"batch_size": BATCH, "accumulation": accumulation, "schedule": falling, "seed": 3},
        **{"keep": "last", "loss_key": "known"},
        class_weights=np.array([0.5, 1.0, 2.0], np.float32),
    )
    listener = Listener(warned=(heard if heard is not None else []).append)
    result = fit_stage(network, plan, TRAIN, VALIDATION, None, listener)
    return [to_numpy(one.value) for one in network.model.variables], result.history


@pytest.fixture(scope="module", params=[HEAD, ALL], ids=["stored features", "images"])
def trained(request):
    return request.param, fit(1, request.param)


@pytest.mark.backend
@pytest.mark.parametrize("accumulation", [2, 4])  # of 5 and 5, of 3, 3, 3 and 1 images
def test_micro_batches_take_the_steps_of_the_batch(trained, accumulation):
    layers, (whole, history) = trained
    cut, of_cut = fit(accumulation, layers)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_allclose(one.astype(float), other, atol=1e-5)
    for one, other in zip(history, of_cut, strict=True):
        assert other.metrics["train_loss"] == pytest.approx(one.metrics["train_loss"], rel=2e-6)
        for name in ("train_accuracy", "learning_rate"):
            assert other.metrics[name] == pytest.approx(one.metrics[name])


@pytest.mark.backend
def test_they_repeat_to_the_bit():
    one, other = fit(4, ALL), fit(4, ALL)
    assert all(np.array_equal(a, b) for a, b in zip(one[0], other[0], strict=True))


def test_batchnorm_that_trains_is_said_to_see_micro_batches():
    heard = []
    fit(2, ALL, "train", heard)
    said = (
        'stage "trial": BatchNorm that trains normalises by each of the 2 micro-batches of a '
        "batch, not by the batch."
    )
    assert heard == [said]
    fit(2, ALL, "frozen", heard)
    assert heard == [said]


@pytest.mark.parametrize(
    ("rows", "most", "devices", "sizes"),
    [
        (8, 1, 1, [8]),
        (8, 2, 1, [4, 4]),
        (10, 4, 1, [3, 3, 3, 1]),
        (3, 8, 1, [1, 1, 1]),
        (12, 2, 2, [6, 6]),
        (10, 2, 2, [6, 4]),
    ],
)
def test_each_image_is_in_one_micro_batch_and_each_device_cuts_its_own(rows, most, devices, sizes):
    batches = MicroBatches(rows, most, devices)
    array = np.arange(rows)[:, None]  # [B, 1]
    parts = [to_numpy(batches.cut(array, at, size))[:, 0] for at, size in enumerate(sizes)]
    assert batches.count == len(sizes)
    assert sorted(np.concatenate(parts)) == list(range(rows))
    for part in parts:
        of_device = np.reshape(part, (devices, -1)) // (rows // devices)  # [D, B / D]
        assert (of_device == np.arange(devices)[:, None]).all()
