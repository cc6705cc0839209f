"""`fold`: fewer layers, the same numbers; the difference is a share of their spread."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn.engine.network.prefix.folding import difference, fold
from kerascnn.runtime.keras_internals import nested_layers

pytestmark = pytest.mark.backend
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 12, 12, 3)).astype("float32")


def make(graph):
    """A model whose BatchNorms have statistics, scales and shifts of their own."""
    keras.utils.set_random_seed(0)
    images = keras.Input((12, 12, 3))
    model = keras.Model(images, graph(layers.Rescaling(1 / 255, name="rescale")(images)))
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def norm(x, **options):
    return layers.BatchNormalization(**options)(x)


def run(model, training=False):
    return ops.convert_to_numpy(ops.cast(model(IMAGES, training=training), "float32"))


def batchnorms(model):
    return sum(isinstance(layer, layers.BatchNormalization) for layer in nested_layers(model))


def residual(x):
    x = norm(layers.Conv2D(4, 3, padding="same", use_bias=False)(x))
    return layers.Add()([x, norm(layers.Conv2D(4, 1)(layers.ReLU()(x)), center=False)])


FOLDABLE = {
    "convolution without bias": lambda x: norm(layers.Conv2D(4, 3, strides=2, use_bias=False)(x)),
    "convolution with bias": lambda x: norm(layers.Conv2D(4, 3)(x), scale=False),
    "depthwise": lambda x: norm(layers.DepthwiseConv2D(3, depth_multiplier=2)(x)),
    "called by name": lambda x: layers.BatchNormalization()(inputs=layers.Conv2D(4, 3)(x)),
    "dense": lambda x: norm(layers.Dense(5)(layers.Flatten()(x)), epsilon=0.1),
    "residual": residual,
}


@pytest.mark.parametrize("name", FOLDABLE)
def test_batchnorm_goes_into_the_layer_before_it(name):
    model = make(FOLDABLE[name])
    folded = fold(model)
    assert batchnorms(folded) == 0
    np.testing.assert_allclose(run(folded), run(model), atol=1e-5)


def twice(x):
    conv = layers.Conv2D(3, 3, padding="same")
    return norm(conv(norm(conv(x))))


def forked(x):
    x = layers.Conv2D(3, 1)(x)
    return layers.Add()([x, norm(x)])


KEPT = {
    "after an activation": lambda x: norm(layers.Conv2D(4, 3, activation="relu")(x)),
    "first": norm,
    "layer used twice": twice,
    "layer with another user": forked,
    "other axis": lambda x: norm(layers.Conv2D(4, 3)(x), axis=1),
    "own kind": lambda x: Own()(layers.Conv2D(4, 3)(x)),
}


class Own(layers.BatchNormalization):
    def call(self, inputs, **options):
        return 2 * super().call(inputs, **options)


@pytest.mark.parametrize("name", KEPT)
def test_where_it_cannot_go_it_stays(name):
    model = make(KEPT[name])
    folded = fold(model)
    assert batchnorms(folded) == batchnorms(model) > 0
    np.testing.assert_allclose(run(folded), run(model), atol=1e-5)


def test_the_model_stays_as_it_is_and_shares_what_did_not_change():
    model = make(residual)
    before = run(model)
    folded = fold(model)
    np.testing.assert_array_equal(run(model), before)
    assert model.get_layer("rescale") in nested_layers(folded)


def test_reduced_precision_begins_with_the_first_weights():
    """Bytes above 128 are not exact in bfloat16: they are rescaled before."""
    model = make(residual)
    reduced = fold(model, "mixed_bfloat16")
    assert keras.backend.standardize_dtype(reduced(IMAGES).dtype) == "bfloat16"
    assert model.get_layer("rescale") in nested_layers(reduced)
    assert batchnorms(reduced) == 0
    np.testing.assert_allclose(run(reduced), run(model), atol=0.05)
    assert (run(reduced) != run(model)).any()


def test_reduced_precision_takes_over_what_a_layer_makes_of_its_weights():
    """An adapted Normalization derives its constants from the data it was adapted to."""
    normalization = layers.Normalization()
    normalization.adapt(IMAGES)
    model = make(lambda x: layers.Conv2D(4, 3)(normalization(x * 255)))
    expected = run(model)
    np.testing.assert_allclose(run(fold(model, "mixed_bfloat16")), expected, atol=0.05)
    assert abs(expected).max() > 0.5


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("mean", [0, 1000])
def test_a_difference_is_a_share_of_the_spread_among_images(mean):
    """Not of their size: rounding may erase differences between large, similar rows."""
    expected = mean + RNG.normal(size=(8, 500))
    assert difference(expected + 0.1, expected) == pytest.approx(0.107, abs=0.01)
    assert difference(expected, expected) == 0


def test_without_a_spread_it_is_a_share_of_the_size():
    same = np.full((8, 3), 2.0, np.float32)
    assert difference(same * 1.01, same) == pytest.approx(0.01, rel=1e-5)
    assert difference(same[:1] * 1.01, same[:1]) == pytest.approx(0.01, rel=1e-5)
    assert difference(np.ones((2, 3)), np.zeros((2, 3))) == np.inf
    assert difference(np.zeros((2, 3)), np.zeros((2, 3))) == 0
