"""Models put on new inputs as one flat graph, with the same weights."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import kerascnn
from kerascnn import InputError, PluginError, classifier_head, flatten_model
from kerascnn.runtime.keras_internals import node_behind

pytestmark = pytest.mark.backend
IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32")


def with_weights(model):
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    return model


def nested():
    """A model in a Sequential in a model, called twice, and a layer that is called twice."""
    x = keras.Input((8, 8, 3))
    norm = layers.BatchNormalization(name="norm")(layers.Conv2D(3, 1, name="conv")(x))
    inner = keras.Model(x, layers.Dropout(0.5, name="drop")(norm), name="inner")
    middle = keras.Sequential([keras.Input((8, 8, 3)), inner, layers.ReLU(name="relu")])
    images, twice = keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same", name="twice")
    x = middle(twice(images), training=False)
    x = ops.add(twice(x), middle(layers.Conv2D(3, 1, name="conv")(x)))
    return with_weights(keras.Model(images, {"maps": x, "mean": ops.mean(x, axis=(1, 2))}))


def predictions(model, training=False):
    return keras.tree.map_structure(ops.convert_to_numpy, model(IMAGES, training=training))


def test_a_nested_model_becomes_one_flat_graph(tmp_path):
    model = nested()
    before = [layer.name for layer in model.layers]
    images = keras.Input((8, 8, 3), name="images")
    flat = keras.Model(images, flatten_model(model, layers.ReLU(name="twice")(images)))
    for key, values in predictions(keras.Model(model.input, model.output)).items():
        given = predictions(keras.Model(flat.get_layer("twice").output, flat.output))[key]
        np.testing.assert_allclose(given, values, atol=1e-5)
    assert not [layer.name for layer in flat.layers if isinstance(layer, keras.Model)]
    names = [layer.name for layer in flat.layers if layer.weights]
    assert sorted(names) == ["conv", "conv_2", "norm", "twice_2"]
    assert flat.count_params() == model.count_params()
    assert [layer.name for layer in model.layers] == before
    assert not {id(v) for v in flat.variables} & {id(v) for v in model.variables}
    flat.save(tmp_path / "flat.keras")
    loaded = keras.saving.load_model(tmp_path / "flat.keras")
    np.testing.assert_allclose(predictions(loaded)["mean"], predictions(flat)["mean"], atol=1e-5)


def test_how_a_model_is_called_is_how_its_layers_are_called():
    x = keras.Input((8, 8, 3))
    inner = with_weights(keras.Model(x, layers.BatchNormalization(name="norm")(x)))
    images = keras.Input((8, 8, 3))
    frozen = keras.Model(images, inner(images, training=False))
    flat = keras.Model(images, flatten_model(frozen, images))
    assert node_behind(flat.output).arguments.kwargs["training"] is False


def test_two_copies_of_a_model_have_names_of_their_own():
    images = keras.Input((8, 8, 3), name="images")
    sides = [flatten_model(nested(), images, prefix=f"{side}_")["mean"] for side in "lr"]
    model = keras.Model(images, classifier_head(layers.Concatenate(name="both")(sides), 2))
    names = {layer.name.split("_")[0] for layer in model.layers if layer.weights}
    assert names == {"l", "r", "head"}


def test_what_a_saved_model_could_not_hold_is_named():
    @keras.saving.register_keras_serializable("test_flat")
    class Forgetful(layers.Layer):
        def __init__(self, units):
            super().__init__(name="forgetful")

        def call(self, inputs):
            return inputs

    x = keras.Input((4,))
    with pytest.raises(InputError, match=r'"forgetful", a Forgetful .* made again.*in its place'):
        flatten_model(keras.Model(x, Forgetful(3)(x)), x)


def test_a_model_with_a_call_of_its_own_is_refused():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(PluginError, match='"own" is Own, with a call of its own'):
        kerascnn.flatten_model(Own(name="own"), keras.Input((4,)))
