"""`cut`: the last single tensor before the first trainable weight, and nothing lost by it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable

pytestmark = pytest.mark.backend


def conv(name, filters=4):
    return layers.Conv2D(filters, 3, padding="same", name=name)


def chain(x):
    return conv("c")(conv("b")(conv("a")(x)))


def residual(x):
    x = conv("stem")(x)
    inside = conv("second")(layers.ReLU(name="relu")(conv("first")(x)))
    return layers.Add(name="add")([x, inside])


def dense_connections(x):
    x = conv("stem")(x)
    x = layers.Concatenate(name="join1")([x, conv("first")(x)])
    return layers.Concatenate(name="join2")([x, conv("second")(x)])


def branches(x):
    x = conv("stem")(x)
    return layers.Concatenate(name="join")([conv("left")(x), conv("right")(x)])


def shared(x):
    twice = conv("twice", filters=3)
    return conv("last")(twice(layers.ReLU(name="relu")(twice(x))))


def operations(x):
    x = conv("stem")(x)
    x = x * 2 + ops.sin(x)
    return conv("last")(x)


def dropout(x):
    x = layers.Dropout(0.5, name="drop")(conv("a")(x))
    return conv("b")(x)


def nested_dropout(x):
    inner = keras.Sequential([layers.Dropout(0.5)], name="inner")
    return conv("b")(inner(conv("a")(x)))


class Jitter(layers.Layer):
    """Acts only in training, without its own random generator."""

    def call(self, inputs, training=False):
        return inputs + 1 if training else inputs


class Penalty(layers.Layer):
    def call(self, inputs):
        self.add_loss(ops.sum(inputs**2))
        return inputs


class Double(layers.Layer):
    """A function of its input and nothing else."""

    def call(self, inputs):
        return 2 * inputs


class Within(layers.Layer):
    """Hides another layer, to which Keras hands `training` on."""

    def __init__(self, layer, **options):
        super().__init__(**options)
        self.layer = layer

    def call(self, inputs):
        return self.layer(inputs)


class Counter(layers.Layer):
    """Changes its own weight whenever it runs."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.calls.assign(self.calls + 1)
        return inputs


def statistics():
    return layers.BatchNormalization(center=False, scale=False)


ACT = {  # what has nothing to train, and is not the same while it trains
    "statistics": statistics,
    "noise": lambda: layers.GaussianNoise(1.0),
    "jitter": Jitter,
    "activity": lambda: layers.ActivityRegularization(l2=1.0),
    "penalty": Penalty,
    "counter": Counter,
    "hidden noise": lambda: Within(layers.GaussianNoise(1.0)),
    "hidden activity": lambda: Within(layers.ActivityRegularization(l2=1.0)),
    "nested statistics": lambda: keras.Sequential([layers.ReLU(), statistics()]),
    "nested penalty": lambda: keras.Sequential([Penalty()]),
}
DO_NOT_ACT = {
    "function": Double,
    "hidden function": lambda: Within(Double()),
    "nested function": lambda: keras.Sequential([layers.ReLU(), Double()]),
}


@pytest.mark.parametrize("name", [*ACT, *DO_NOT_ACT])
def test_what_a_stage_froze_decides_and_not_whether_a_layer_has_weights_to_train(name):
    def graph(x):
        acts = (ACT | DO_NOT_ACT)[name]()
        acts.name = "acts"
        return conv("last")(acts(conv("first")(x)))

    model = model_of(graph)
    set_trainable(model, frozenset({"last"}), "train")
    assert cut(model).boundary == "acts"
    set_trainable(model, frozenset({"acts", "last"}), "train")
    assert cut(model).boundary == ("first" if name in ACT else "acts")


def test_statistics_that_stay_frozen_belong_to_the_prefix_in_a_nested_model_too():
    def graph(x):
        nested = keras.Sequential([layers.ReLU(), statistics()], name="nested")
        return conv("last")(nested(conv("first")(x)))

    model = model_of(graph)
    set_trainable(model, frozenset({"nested", "last"}), "frozen")
    assert cut(model).boundary == "nested"


def model_of(graph):
    keras.utils.set_random_seed(0)
    images = keras.Input((6, 6, 3))
    x = layers.GlobalAveragePooling2D(name="head_pool")(graph(images))
    return keras.Model(images, layers.Dense(2, activation="softmax", name="head_dense")(x))


CASES = [
    (chain, {"c"}, "b"),
    (chain, {"b"}, "a"),  # what is frozen behind the first trainable weight stays in the suffix
    (chain, {"head_dense"}, "head_pool"),
    (chain, {"a"}, "input"),
    (residual, {"second"}, "stem"),
    (residual, {"first"}, "stem"),
    (residual, {"head_dense"}, "head_pool"),
    (dense_connections, {"second"}, "join1"),
    (dense_connections, {"first"}, "stem"),
    (branches, {"right"}, "stem"),
    (branches, {"left"}, "stem"),
    (shared, {"last"}, "twice"),
    (shared, {"twice"}, "input"),
    (operations, {"last"}, "add"),
    (dropout, {"b"}, "drop"),
    (dropout, {"drop", "b"}, "a"),
    (nested_dropout, {"b"}, "inner"),
    (nested_dropout, {"inner", "b"}, "a"),
]


@pytest.mark.parametrize(("graph", "trainable", "boundary"), CASES)
def test_the_boundary_and_the_halves(graph, trainable, boundary):
    model = model_of(graph)
    set_trainable(model, frozenset(trainable), "frozen")
    parts = cut(model)
    assert parts.boundary.split("_")[0] == boundary.split("_")[0]  # Keras numbers operations
    assert (parts.prefix is None) == (boundary == "input")
    assert not (parts.prefix and parts.prefix.trainable_variables)
    assert ids(parts.suffix) == ids(parts.whole()) == ids(model)

    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    expected = run(model, images)
    halfway = run(parts.prefix, images) if parts.prefix else images
    np.testing.assert_allclose(run(parts.suffix, halfway), expected, atol=1e-5)
    np.testing.assert_allclose(run(parts.whole(), images), expected, atol=1e-5)


def test_the_prefix_is_in_inference_mode_while_the_whole_trains():
    model = model_of(dropout)
    set_trainable(model, frozenset({"b"}), "frozen")
    images = np.ones((2, 6, 6, 3), "float32")
    trained = cut(model).whole()(images, training=True)
    np.testing.assert_allclose(
        ops.convert_to_numpy(trained), run(model, images), rtol=1e-5, atol=1e-6
    )


def ids(model):
    return {id(variable) for variable in model.trainable_variables}


def run(model, inputs):
    return ops.convert_to_numpy(model(inputs, training=False))
