"""`Forward`: many inputs through a model, in batches of one shape."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn.engine.network.inference import Forward

pytestmark = pytest.mark.backend
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 6, 6, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    images = keras.Input((6, 6, 3))
    x = layers.Dropout(0.5)(layers.Rescaling(1 / 255)(images))
    return keras.Model(images, layers.Conv2D(2, 3)(layers.BatchNormalization()(x)))


@pytest.fixture(scope="module")
def forward(model):
    return Forward(model)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20])
def test_outputs_are_the_models_whatever_the_batches(model, forward, batch_size):
    outputs = forward(IMAGES, batch_size)
    expected = ops.convert_to_numpy(model(IMAGES.astype("float32"), training=False))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_progress_ends_at_the_number_of_inputs(forward):
    heard = []
    forward(IMAGES, 3, lambda done, total: heard.append((done, total)))
    assert heard == [(3, 7), (6, 7), (7, 7)]


def test_weights_are_read_at_each_call(model, forward):
    before = forward(IMAGES, 7)
    bias = model.layers[-1].bias
    bias.assign(bias + 1)
    np.testing.assert_allclose(forward(IMAGES, 7), before + 1, atol=1e-5)
