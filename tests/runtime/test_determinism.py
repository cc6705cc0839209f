"""Reproducible computation."""

import random

import keras
import numpy as np
import pytest
from keras import ops

from kerascnn.runtime.determinism import make_reproducible


def drawn():
    kernel = keras.layers.Dense(3)
    kernel.build((None, 4))
    on_device = ops.convert_to_numpy(keras.random.normal((3,)))
    arrays = [ops.convert_to_numpy(kernel.kernel.value), on_device, np.random.rand(3)]
    return np.concatenate([np.ravel(array) for array in (*arrays, random.random())])


@pytest.fixture
def float32_afterwards():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.backend
def test_all_randomness_follows_from_the_seed(float32_afterwards):
    def after(seed):
        make_reproducible(seed)
        return drawn()

    np.testing.assert_array_equal(after(3), after(3))
    assert (after(4) != after(3)).all()


@pytest.mark.backend
def test_precision_is_set_and_set_back(float32_afterwards):
    make_reproducible(0, "mixed_bfloat16")
    assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    make_reproducible(0)
    assert keras.layers.Dense(1).compute_dtype == "float32"
