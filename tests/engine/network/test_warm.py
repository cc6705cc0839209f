"""A network gets the weights of one with fewer classes."""

import numpy as np
import pytest

from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.network.warm import MisfitError, warm_up
from kerascnn.runtime.backend import start_backend


def network(classes, width=4):
    start_backend("auto")
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(width, 3)(inputs)
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))
    x = layers.Dense(classes, activation="relu", name="head_hidden")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="head_dense")(x))


@pytest.mark.backend
def test_old_classes_keep_their_weights_and_new_ones_are_drawn():
    trained, model = network(3), network(5)
    trained.layers[2].moving_mean.assign(np.arange(4.0))
    drawn = to_numpy(model.layers[-1].kernel.value).copy()
    warm_up(model, trained)
    for mine, known in zip(model.weights, trained.weights, strict=True):
        here = to_numpy(mine.value)[tuple(slice(size) for size in known.shape)]
        np.testing.assert_array_equal(here, to_numpy(known.value))
    np.testing.assert_array_equal(to_numpy(model.layers[-1].kernel.value)[:, 3:], drawn[:, 3:])


@pytest.mark.parametrize(("model", "trained"), [((5,), (3, 6)), ((3,), (5,))])
def test_other_networks_and_fewer_classes_are_refused(model, trained):
    with pytest.raises(MisfitError, match="has the shape"):
        warm_up(network(*model), network(*trained))
