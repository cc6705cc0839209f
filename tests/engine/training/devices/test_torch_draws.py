"""Random draws of several processes on PyTorch."""

import keras
import numpy as np
import pytest
from keras import layers, ops

if keras.config.backend() != "torch":
    pytest.skip("for PyTorch", allow_module_level=True)

import torch

from kerascnn.engine.training.devices.torch_draws import whole_draws

INPUTS = np.ones((8, 3, 5), np.float32)


@pytest.mark.backend
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dropout(0.5),
        lambda: layers.Dropout(0.5, seed=1),
        lambda: layers.SpatialDropout1D(0.5, seed=1),
        lambda: layers.GaussianNoise(1.0, seed=1),
    ],
    ids=["dropout", "seeded", "spatial", "noise"],
)
def test_each_process_draws_its_part_of_what_one_would(make):
    def drawn(inputs, *group):
        torch.manual_seed(0)
        layer = make()
        if not group:
            return ops.convert_to_numpy(layer(inputs, training=True))
        with whole_draws(*group):
            return ops.convert_to_numpy(layer(inputs, training=True))

    parts = [drawn(part, rank, 4) for rank, part in enumerate(np.split(INPUTS, 4))]
    np.testing.assert_array_equal(np.concatenate(parts), drawn(INPUTS))
