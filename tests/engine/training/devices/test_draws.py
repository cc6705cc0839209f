"""Random draws of several devices."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn import PluginError

BACKEND = keras.config.backend()
if BACKEND == "jax":
    pytest.skip("JAX draws for all devices at once", allow_module_level=True)

of_all_images = pytest.mark.skipif(
    BACKEND == "torch", reason="on PyTorch each process draws its own, which is not of an image"
)
INPUTS = np.ones((8, 3, 5), np.float32)


class Scaled(layers.Layer):
    """Scales all inputs by one random number."""

    def call(self, inputs):
        return inputs * keras.random.uniform((1,), seed=3)


def draw(layer, inputs, *part):
    """The outputs for inputs that are a part of a batch, if one is given: which, of how many."""
    if BACKEND == "torch":
        import torch

        from kerascnn.engine.training.devices.torch_draws import whole_draws

        torch.manual_seed(0)
        if not part:
            return layer(inputs, training=True)
        with whole_draws(*part):
            return layer(inputs, training=True)

    import tensorflow

    from kerascnn.engine.training.devices.tensorflow_draws import whole_draws

    @tensorflow.function(input_signature=[tensorflow.TensorSpec((None, *inputs.shape[1:]))])
    def call(inputs):
        return layer(inputs, training=True)

    if not part:
        return call(inputs)
    number, count = part
    with whole_draws(lambda: number, count):
        return call(inputs)


def drawn(make, *part):
    layer, inputs = make(), INPUTS
    layer.build(inputs.shape)
    if part:
        inputs = np.split(inputs, part[1])[part[0]]
    return ops.convert_to_numpy(draw(layer, inputs, *part))


@pytest.mark.backend
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dropout(0.5, seed=1),
        pytest.param(
            lambda: layers.Dropout(0.5, noise_shape=(1, 3, 1), seed=1), marks=of_all_images
        ),
        lambda: layers.SpatialDropout1D(0.5, seed=1),
        lambda: layers.GaussianNoise(1.0, seed=1),
        lambda: layers.AlphaDropout(0.5, seed=1),
        pytest.param(Scaled, marks=of_all_images),
    ],
    ids=["dropout", "shared", "spatial", "noise", "alpha", "not of a batch"],
)
def test_each_device_draws_its_part_of_what_one_would(make):
    parts = [drawn(make, number, 4) for number in range(4)]
    np.testing.assert_array_equal(np.concatenate(parts), drawn(make))


@pytest.mark.backend
@pytest.mark.skipif(BACKEND != "torch", reason="others have no generator besides Keras's")
def test_a_layer_without_a_seed_draws_its_part():
    test_each_device_draws_its_part_of_what_one_would(lambda: layers.Dropout(0.5))


@pytest.mark.backend
@pytest.mark.skipif(BACKEND != "tensorflow", reason="it cannot cut all distributions")
def test_a_draw_that_is_not_cut_is_refused():
    class Weighted(layers.Layer):
        def call(self, inputs):
            return inputs * keras.random.beta((len(INPUTS), 1, 1), 2.0, 2.0, seed=1)

    with pytest.raises(PluginError, match="draws gamma, beta"):
        drawn(Weighted, 0, 2)
