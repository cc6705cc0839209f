"""All that a network gives side by side: probabilities and features."""

import keras
import numpy as np
import pytest
from keras import layers

from kerascnn.engine.network.inference import run_once
from kerascnn.engine.network.outputs import features_model, with_outputs

IMAGES = np.random.default_rng(0).uniform(0, 255, (5, 8, 8, 3)).astype("float32")


def network(*head):
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="b1_conv")(layers.Rescaling(1 / 255)(images))
    for layer in head:
        x = layer(x)
    return keras.Model(images, x)


POOL = "head_pool"
HEADS = {
    "one layer after dropout": lambda: (
        layers.GlobalAveragePooling2D(name=POOL),
        layers.Dropout(0.5, name="head_dropout"),
        layers.Dense(3, "softmax", name="head_dense"),
    ),
    "the last of two": lambda: (
        layers.GlobalMaxPooling2D(name=POOL),
        layers.Dense(4, "tanh", name="head_dense1"),
        layers.Dense(3, name="head_dense2"),
        layers.Softmax(name="head_softmax"),
    ),
    "a convolution": lambda: (
        layers.Conv2D(3, 1, name="head_conv"),
        layers.GlobalAveragePooling2D(name=POOL),
        layers.Softmax(name="head_softmax"),
    ),
}


@pytest.mark.backend
@pytest.mark.parametrize(
    ("head", "ends"),
    [
        ("one layer after dropout", POOL),
        ("the last of two", "head_dense1"),
        ("a convolution", "b1_conv"),
    ],
)
def test_features_are_the_inputs_of_the_last_layer_with_weights(head, ends):
    model = network(*HEADS[head]())
    outputs = with_outputs(model)
    said = outputs.said(run_once(outputs.model, IMAGES))
    np.testing.assert_allclose(said.probabilities, run_once(model, IMAGES), atol=1e-6)
    assert said.members.shape == (0, 5, 3)
    before = run_once(keras.Model(model.input, model.get_layer(ends).output), IMAGES)
    if before.ndim == 4:
        before = before.mean((1, 2))
    wanted = before / np.linalg.norm(before, axis=1, keepdims=True)
    np.testing.assert_allclose(said.features, wanted, atol=1e-5)
    np.testing.assert_allclose(run_once(features_model(model), IMAGES), before, atol=1e-5)


def test_features_that_are_all_zero_stay_so():
    outputs = with_outputs(network(*HEADS["one layer after dropout"]()))
    assert not outputs.of_unit_length(np.zeros((2, 6))).any()
