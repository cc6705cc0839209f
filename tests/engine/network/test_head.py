"""`classifier_head`: what every pretrained backbone gets."""

import keras
import numpy as np
import pytest
from keras import ops

from kerascnn import PluginError, classifier_head

pytestmark = pytest.mark.backend


def run(shape, **options):
    features = keras.Input(shape)
    model = keras.Model(features, classifier_head(features, 5, **options))
    values = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    return model, ops.convert_to_numpy(model(values))


@pytest.mark.parametrize("shape", [(4, 4, 6), (5, 6), (6,)])
def test_the_first_probabilities_are_all_the_same(shape):
    model, probabilities = run(shape, class_token=False)
    np.testing.assert_allclose(probabilities, np.full((3, 5), 0.2), rtol=1e-6)
    assert {layer.name.split("_")[0] for layer in model.layers[1:]} == {"head"}


def test_of_tokens_it_asks_for_which():
    with pytest.raises(PluginError, match=r"tokens \(None, 5, 6\): say class_token=True"):
        run((5, 6))
    with pytest.raises(PluginError, match=r"or \[B, C\], not \(None, 2, 3, 4, 5\)"):
        run((2, 3, 4, 5))


@pytest.mark.parametrize("class_token", [True, False])
def test_tokens_are_classified_by_the_first_or_by_their_mean(class_token):
    tokens = keras.Input((5, 6))
    model = keras.Model(tokens, classifier_head(tokens, 3, class_token=class_token))
    given = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    pooled = keras.Model(tokens, model.get_layer("head_dropout").input)(given)
    expected = given[:, 0] if class_token else given.mean(1)
    np.testing.assert_allclose(ops.convert_to_numpy(pooled), expected, rtol=1e-5, atol=1e-6)


def test_without_zeros_they_differ_and_sum_to_one():
    _, probabilities = run((4, 4, 6), zero_initialized=False, dropout=0.0)
    assert probabilities.std() > 0.01
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)


def test_probabilities_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        _, probabilities = run((4, 4, 6), zero_initialized=False)
    finally:
        keras.config.set_dtype_policy("float32")
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
