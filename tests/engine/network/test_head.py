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


@pytest.mark.parametrize("shape", [(4, 4, 6), (6,)])
def test_the_first_probabilities_are_all_the_same(shape):
    model, probabilities = run(shape)
    np.testing.assert_allclose(probabilities, np.full((3, 5), 0.2), rtol=1e-6)
    assert {layer.name.split("_")[0] for layer in model.layers[1:]} == {"head"}


def test_of_tokens_it_asks_for_one():
    with pytest.raises(PluginError, match=r"not \(None, 5, 6\)\. Of tokens .* features\[:, 0\]"):
        run((5, 6))


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
