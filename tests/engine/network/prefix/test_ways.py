"""`ways`: how a frozen network can run; on OpenVINO with the numbers that Keras gives."""

import hashlib
import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn.engine.network.inference import run_once
from kerascnn.engine.network.prefix import ways as module
from kerascnn.engine.network.prefix.folding import DisagreementError, difference
from kerascnn.engine.network.prefix.ways import AsItIs, OnOpenVINO, ways
from kerascnn.runtime.openvino import openvino_version

pytestmark = pytest.mark.backend
needs_openvino = pytest.mark.skipif(not openvino_version(), reason="OpenVINO is not installed")
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (3, 12, 10, 3)).astype("float32")


def make(graph, size=(12, 10)):
    """A model whose weights all have values of their own."""
    keras.utils.set_random_seed(0)
    images = keras.Input((*size, 3))
    model = keras.Model(images, graph(layers.Rescaling(1 / 255, offset=-0.5)(images)))
    for layer in model.layers:
        if not isinstance(layer, layers.Normalization):
            layer.set_weights([RNG.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def convolutions(x):
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(4, 3, dilation_rate=2, padding="same", groups=2, use_bias=False)(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="silu")(x)
    x = layers.SeparableConv2D(6, 3, depth_multiplier=2, activation="tanh")(x)
    return layers.Dense(5, activation="sigmoid")(x)


def normalizations(x):
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 1.0, 2.0])(x)
    x = layers.BatchNormalization(scale=False)(layers.ZeroPadding2D(((1, 2), (0, 1)))(x))
    return layers.LayerNormalization(epsilon=1e-3)(layers.Cropping2D(((0, 1), (2, 0)))(x))


def pools(x):
    x = layers.Cropping2D(((0, 1), (0, 1)))(x)  # odd, or Keras averages otherwise on PyTorch
    same = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    found = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Concatenate()([same, layers.LeakyReLU(0.3)(found), layers.ReLU(0.4)(found)])
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, squeezed])
    return layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.Flatten()(x)])


def combinations(x):
    flipped = ops.flip(x, axis=2)
    x = layers.Maximum()([layers.Subtract()([x, flipped]), layers.Minimum()([x, flipped])])
    x = (x + 3.0) * ops.convert_to_tensor(np.array([1.0, 2.0, 3.0], "float32"))
    return layers.Reshape((6, 5, 12))(layers.Dropout(0.5)(layers.Add()([x, x, flipped])))


def activations(x):
    names = ("relu6", "gelu", "hard_silu", "hard_sigmoid", "elu", "leaky_relu", "softplus", "mish")
    return layers.Concatenate()([layers.Activation(name)(x) for name in (*names, "softmax")])


def nested(x):
    inner = keras.Sequential([layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()])
    return layers.Dense(3)(layers.Flatten()(inner(x)))


@needs_openvino
@pytest.mark.parametrize(
    "graph", [convolutions, normalizations, pools, combinations, activations, nested]
)
def test_openvino_gives_what_keras_gives(graph):
    network = make(graph)
    given, expected = OnOpenVINO(network).forward()(IMAGES), run_once(network, IMAGES)
    assert given.shape == expected.shape
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)


@needs_openvino
def test_an_image_gives_the_same_bits_in_every_batch():
    network, images = make(convolutions), RNG.uniform(0, 255, (70, 12, 10, 3)).astype("float32")
    run, order = OnOpenVINO(network).forward(), RNG.permutation(70)
    whole = run(images)
    np.testing.assert_array_equal(run(images[order]), whole[order])
    np.testing.assert_array_equal(np.concatenate([run(images[:9]), run(images[9:])]), whole)
    np.testing.assert_array_equal(OnOpenVINO(network).forward()(images), whole)


@keras.saving.register_keras_serializable("tests")
class Own(layers.ReLU):
    pass


REFUSED = {
    "own": (lambda x: Own(name="own")(x), r'layer "own" \(Own\): it has no counterpart'),
    "axis": (lambda x: layers.BatchNormalization(axis=1)(x), "another axis than the channels"),
    "rms": (lambda x: layers.LayerNormalization(rms_scaling=True)(x), "by their RMS"),
    "threshold": (lambda x: layers.ReLU(threshold=1.0)(x), "it has a threshold"),
    "activation": (lambda x: layers.Conv2D(2, 1, activation="celu")(x), "the activation celu"),
    "precision": (lambda x: layers.Conv2D(2, 1, dtype="mixed_bfloat16")(x), "in bfloat16"),
    "axes": (
        lambda x: layers.Multiply()([x, layers.GlobalMaxPooling2D()(x)]),
        "different numbers of axes",
    ),
}


@needs_openvino
@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_it_cannot_run_is_named(name):
    graph, reason = REFUSED[name]
    with pytest.raises(DisagreementError, match=reason):
        OnOpenVINO(make(graph)).forward()


@pytest.mark.parametrize(
    ("installed", "device", "precision", "engine", "expected"),
    [
        ("2026.4.1", "CPU, 2 cores", None, "auto", True),
        ("2026.4.1", "CPU, 2 cores", "float32", "auto", True),
        ("2026.4.1", "CPU, 2 cores", "mixed_bfloat16", "auto", False),
        ("2026.4.1", "GPU NVIDIA H100", None, "auto", False),
        ("2026.4.1", "GPU NVIDIA H100", None, "openvino", True),
        ("2026.4.1", "CPU, 2 cores", None, "backend", False),
        (None, "CPU, 2 cores", None, "auto", False),
    ],
)
def test_openvino_comes_first_where_it_helps(
    monkeypatch, installed, device, precision, engine, expected
):
    monkeypatch.setattr(module, "openvino_version", lambda: installed)
    monkeypatch.setattr(module, "device_name", lambda: device)
    first, *others = ways(make(nested), precision, engine)
    assert isinstance(first, OnOpenVINO) == expected
    assert first.engine == (f"OpenVINO {installed}" if expected else "")
    assert type(others[-1]) is AsItIs


def test_a_network_in_16_bits_stays_with_the_backend(monkeypatch):
    monkeypatch.setattr(module, "openvino_version", lambda: "2026.4.1")
    narrow = make(lambda x: layers.Conv2D(2, 1, dtype="mixed_bfloat16")(x))
    assert not ways(narrow)[0].engine


@needs_openvino
@pytest.mark.long  # networks of 160 to 270 layers, built and compiled
@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_networks_of_keras_run_on_openvino(name):
    if keras.config.backend() == "jax" and name != "MobileNetV3Small":
        pytest.skip("XLA compiles it for half a minute")
    keras.utils.set_random_seed(0)
    made = getattr(keras.applications, name)
    network = made(weights=None, include_top=False, input_shape=(64, 64, 3))
    images = RNG.uniform(0, 255, (3, 64, 64, 3)).astype("float32")
    assert difference(OnOpenVINO(network).forward()(images), run_once(network, images)) < 1e-3


def hash_of_activations():
    rng, images = np.random.default_rng(0), keras.Input((16, 16, 3))
    x = layers.SeparableConv2D(16, 3)(layers.Conv2D(8, 3, activation="relu")(images))
    network = keras.Model(images, layers.GlobalAveragePooling2D()(x))
    network.set_weights([rng.uniform(-1, 1, w.shape) for w in network.get_weights()])
    values = OnOpenVINO(network).forward()(rng.uniform(0, 255, (40, 16, 16, 3)))
    return hashlib.sha256(values.tobytes()).hexdigest()


@needs_openvino
@pytest.mark.long  # a new process
def test_another_process_gives_the_same_bits_and_reports_nothing():
    lines = (
        "import hashlib, sys, keras, numpy as np",
        "from keras import layers",
        "from kerascnn.engine.network.prefix.ways import OnOpenVINO",
        inspect.getsource(hash_of_activations),
        "print(hash_of_activations(), 'openvino_telemetry' in sys.modules)",
    )
    said = subprocess.check_output([sys.executable, "-c", "\n".join(lines)], text=True)
    assert said.split() == [hash_of_activations(), "False"]
