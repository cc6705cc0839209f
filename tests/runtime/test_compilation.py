"""Compiled functions and training steps."""

import keras
import numpy as np
import pytest
from keras import ops

from kerascnn.runtime.compilation import compiled, fit_source


@pytest.mark.backend
def test_a_compiled_function_computes_the_same():
    double = compiled(lambda batch: {"x": 2 * batch["x"]})
    made = double({"x": ops.convert_to_tensor([1.0, 2.0])})
    np.testing.assert_array_equal(ops.convert_to_numpy(made["x"]), [2, 4])


@pytest.mark.backend
def test_what_fit_is_given_holds_the_batches_and_waits_for_no_autotuner():
    batches = [(np.full((2, 3), i, "float32"), np.zeros((2,), "float32")) for i in range(3)]
    with fit_source(lambda: iter(batches), [(None, 3), (None,)]) as source:
        if keras.config.backend() == "tensorflow":
            assert source().options().autotune.enabled is False
        for _ in range(2):
            assert [float(np.asarray(inputs)[0, 0]) for inputs, _ in source()] == [0, 1, 2]
