"""The arithmetic of networks, against Keras, published figures and what the networks do."""

import json
from functools import cache

import keras
import numpy as np
import pytest
from keras import layers

from kerascnn import InputError
from kerascnn.components.builtin.applications import applications
from kerascnn.components.registry import load_registry
from kerascnn.engine.network.build import Built, build_network
from kerascnn.engine.network.inference import to_numpy
from kerascnn.results.describe.network import describe_built, describe_network
from kerascnn.runtime.compilation import gradient

TABLE = {application.name: application for application in applications()}
MARKS = {"vgg16": (), "mobilenet_v2": (), "resnet50": pytest.mark.long}
NAMES = [pytest.param(name, marks=MARKS.get(name, pytest.mark.slow)) for name in sorted(TABLE)]

# The numbers in the names, and MathWorks' table of "pretrained deep neural networks". That has 164
# for Inception-ResNet-v2, whose longest way in Keras is stem 5, mixed_5b 3, 10 · 4, mixed_6a 3,
# 20 · 4, mixed_7a 3, 10 · 4, conv_7b and the classifier: 176.
DEPTHS = {
    **{"vgg16": 16, "vgg19": 19, "resnet50": 50, "resnet101": 101, "resnet152": 152},
    **{"densenet121": 121, "densenet169": 169, "densenet201": 201, "mobilenet_v2": 53},
    **{"inception_v3": 48, "inception_resnet_v2": 176, "efficientnet_b0": 82},
}
MULTIPLY_ADDS = {  # in 10^9 at 224 pixels, as the networks' papers give them, with their rounding
    **{"vgg16": (15.5, 0.05), "vgg19": (19.6, 0.05)},  # arXiv 1512.03385, section 4.1, for VGG-19
    **{"resnet50": (3.8, 0.1), "resnet101": (7.6, 0.1), "resnet152": (11.3, 0.1)},  # 1512.03385
    **{"mobilenet": (0.569, 0.001), "mobilenet_v2": (0.3, 0.005)},  # 1704.04861, 1801.04381
    **{"mobilenet_v3_small": (0.056, 0.002), "efficientnet_b0": (0.39, 0.005)},  # 1905.02244, 11946
    **{"convnext_tiny": (4.5, 0.05), "convnext_base": (15.4, 0.05)},  # 2201.03545
    "nasnet_mobile": (0.564, 0.005),  # 1707.07012
}


def each(names):
    return [name for name in NAMES if name.values[0] in names]


def of_model(model):
    """A description of a model whose layers are in one block."""
    names = [layer.name for layer in model.layers]
    block_of = {name: "head" if name.startswith("head_") else "all" for name in names}
    return describe_built(Built(model, block_of, ("all",)), "mine")


def ended(x):
    x = layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
    return layers.Dense(2, activation="softmax", name="head_dense")(x)


@cache
def original(name):
    """A network of Keras with the classifier of its paper, as it is described."""
    return describe_network(name)


def test_vgg16_is_that_of_the_textbooks():
    vgg16 = original("vgg16")
    assert (vgg16.depth, vgg16.weighted_layers, vgg16.parameters) == (16, 16, 138_357_544)
    assert vgg16.params == {"top": "original"}
    first, *_, last = vgg16.layers[2:]
    assert (first.name, first.output) == ("block1_conv1", (224, 224, 64))
    assert first.side == "(224 - 3 + 2·1)/1 + 1 = 224"
    assert first.formula == "64·(3·3·3) + 64 = 1,792"
    assert (last.formula, last.multiply_adds) == ("4096·1000 + 1000 = 4,097,000", 4_096_000)
    assert [(block.name, block.layers) for block in vgg16.blocks] == [
        *(("block1", 2), ("block2", 2), ("block3", 3), ("block4", 3), ("block5", 3), ("head", 3))
    ]
    assert vgg16.blocks[4].field == 212


def test_ten_kernels_have_760_parameters():
    images = keras.Input((32, 32, 3))
    row, *_ = of_model(keras.Model(images, ended(layers.Conv2D(10, 5)(images)))).layers
    assert row.formula == "10·(5·5·3) + 10 = 760"
    assert row.side == "(32 - 5 + 2·0)/1 + 1 = 28"
    assert row.multiply_adds == 28 * 28 * 10 * 75
    assert row.activation_bytes == 28 * 28 * 10 * 4


@pytest.mark.parametrize(
    ("layer", "side", "padding"),
    [
        (layers.Conv2D(2, 3, strides=2, padding="same"), "(32 - 3 + 0 + 1)/2 + 1 = 16", (0, 1)),
        (layers.Conv2D(2, 4, padding="same"), "(32 - 4 + 1 + 2)/1 + 1 = 32", (1, 2)),
        (layers.Conv2D(2, 3, strides=2), "⌊(32 - 3 + 2·0)/2⌋ + 1 = 15", (0, 0)),
        (layers.Conv2D(2, 3, dilation_rate=2), "(32 - 5 + 2·0)/1 + 1 = 28", (0, 0)),
        (layers.MaxPooling2D(3, 2, padding="same"), "(32 - 3 + 0 + 1)/2 + 1 = 16", (0, 1)),
        (layers.ZeroPadding2D(3), "32 + 3 + 3 = 38", None),
    ],
)
def test_the_side_is_told_as_keras_pads(layer, side, padding):
    images = keras.Input((32, 32, 3))
    row, *_ = of_model(keras.Model(images, ended(layer(images)))).layers
    assert (row.side, row.padding) == (side, padding)
    assert row.output[0] == int(side.rpartition(" ")[2])


def test_what_a_pixel_sees_is_counted_down_and_across():
    """A kernel of 1×7 and one of 7×1 together see 7×7, and not 13×13."""
    images = keras.Input((32, 32, 3))
    x = layers.Conv2D(2, (1, 7), padding="same")(images)
    x = layers.MaxPooling2D((2, 1))(layers.Conv2D(2, (7, 1), padding="same")(x))
    x = layers.Conv2D(2, (3, 1), dilation_rate=(2, 1), padding="same")(x)
    rows = of_model(keras.Model(images, ended(x))).layers
    assert [row.field for row in rows][:4] == [7, 7, 8, 16]


@pytest.mark.slow  # builds networks of hundreds of layers
@pytest.mark.parametrize(("name", "field"), [("inception_v3", 1311), ("inception_resnet_v2", 3039)])
def test_networks_of_1_by_7_kernels_see_as_far_down_as_across(name, field):
    assert original(name).blocks[-2].field == field


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_keras_own_count(name):
    build = getattr(keras.applications, TABLE[name].constructor)
    theirs = build(weights=None, input_shape=(224, 224, 3)).count_params()
    described = original(name)
    assert described.parameters == theirs
    assert sum(block.parameters for block in described.blocks) == theirs
    for row in described.layers:
        assert not row.side or row.output[0] == int(row.side.rpartition(" ")[2])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(load_registry().names("architecture")))
def test_every_registered_architecture_is_described(name):
    registered = load_registry().get("architecture", name)
    fields = registered.component.params.model_fields
    described = describe_network(
        name, params={"top": "pooled"} if "top" in fields else {}, classes=7
    )
    bound = registered.bind({"weights": "none"} if "weights" in fields else {})
    model = build_network(bound, image_size=224, num_classes=7).model
    assert described.parameters == model.count_params()
    assert described.not_counted == ()


@pytest.mark.parametrize("name", each(DEPTHS))
def test_depth_is_the_number_that_the_network_is_known_by(name):
    assert original(name).depth == DEPTHS[name]


@pytest.mark.parametrize("name", each(MULTIPLY_ADDS))
def test_multiply_adds_are_the_published_ones(name):
    published, rounding = MULTIPLY_ADDS[name]
    described = original(name)
    assert described.multiply_adds / 1e9 == pytest.approx(published, abs=rounding)


@pytest.mark.backend
@pytest.mark.parametrize("name", each(TABLE.keys() - {"nasnet_mobile"}))  # Keras builds none there
def test_multiply_adds_are_those_that_pytorch_counts(name):
    if keras.config.backend() != "torch":
        pytest.skip("PyTorch counts what it computes")
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    bound = load_registry().get("architecture", name).bind({"weights": "none"})
    network = build_network(bound, image_size=96, num_classes=7)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.model(np.zeros((1, 96, 96, 3), np.float32), training=False)
    assert describe_built(network, name).multiply_adds == counter.get_total_flops() / 2


@pytest.mark.backend
def test_the_field_is_what_an_output_pixel_depends_on():
    batch = keras.Input((64, 64, 3))
    x = layers.Conv2D(2, 5, strides=2, kernel_initializer="ones", padding="same")(batch)
    x = layers.AveragePooling2D(3, 2)(x)
    y = layers.DepthwiseConv2D(3, depthwise_initializer="ones", padding="same")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    y = layers.Multiply()([y, layers.Activation("sigmoid")(gate)])
    y = layers.Conv2D(2, 3, dilation_rate=2, kernel_initializer="ones", name="last")(
        layers.Add()([x, y])
    )
    described = of_model(keras.Model(batch, ended(y)))
    field = next(row.field for row in described.layers if row.name == "last")

    ungated = keras.Model(batch, y)

    def middle(images):
        return keras.ops.sum(ungated(images, training=False)[:, 5, 5])

    rng = np.random.default_rng(0)
    images = keras.ops.convert_to_tensor(rng.uniform(0, 1, (1, 64, 64, 3)).astype("float32"))
    slope = abs(to_numpy(gradient(middle)(images)))[0].sum((1, 2))  # [64]
    seen = np.flatnonzero(slope > 1e-3 * slope.max())
    assert field == 5 + 2 * 2 + 2 * 4 + 4 * 4 == seen[-1] - seen[0] + 1


def test_shared_layers_are_described_and_counted_once():
    images = keras.Input((16, 16, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    stem = layers.Conv2D(3, 3, name="stem")
    shared(keras.Input((4, 4, 3)))  # in another graph first
    model = keras.Model(images, ended(shared(shared(stem(images)))))
    described = of_model(model)
    assert [row.name for row in described.layers[:3]] == ["stem", "shared", "shared"]
    assert described.layers[2].field == 7
    assert described.layers[2].output == (14, 14, 3)
    assert described.parameters == model.count_params()


def test_a_layer_of_an_unknown_kind_is_named():
    class Odd(layers.Layer):
        def build(self, shape):
            self.mix = self.add_weight(shape=(3, 3), name="mix")

        def call(self, inputs):
            return inputs @ self.mix

    images = keras.Input((16, 16, 3))
    described = of_model(keras.Model(images, ended(Odd(name="odd")(images))))
    assert described.not_counted == ("odd",)
    assert described.layers[0].multiply_adds is None


def test_the_command_shows_the_sum_and_draws(workplace, run_cli):
    shown = run_cli(
        "describe", "sequential_cnn", "--set", "depth=2", "--image-size", "32", "--classes", "3",
        "--draw", "network.png",
    )  # fmt: skip
    assert shown.exit_code == 0
    assert "32·(3·3·3) = 864" in shown.stdout
    assert "6 layers with weights on the longest path" in shown.stdout
    assert "for 32×32 images, 3 classes" in shown.stdout
    assert (workplace / "network.png").stat().st_size > 10_000


def test_the_command_prints_json(run_cli):
    shown = run_cli("describe", "sequential_cnn", "--set", "depth=1", "--json")
    document = json.loads(shown.stdout)
    assert document["blocks"][0]["name"] == "block1"
    assert document["layers"][1]["kernel"] == [3, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet_50"], 'neither an architecture nor a run "resnet_50". Did you mean "resnet50"?'),
        (["sequential_cnn", "--set", "depth=0"], "--set depth = 0: expected a number of at least"),
        (["sequential_cnn", "--set", "deep=2"], "deep"),
        (["sequential_cnn", "--image-size", "4"], "image_size = 4 is too small"),
        (["sequential_cnn", "--draw", "network.doc"], "expected a .png, .svg or .pdf file"),
    ],
)
def test_faults_are_one_message(workplace, run_cli, arguments, message):
    ended = run_cli("describe", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert message in ended.stderr


def test_no_weights_are_fetched(monkeypatch):
    monkeypatch.setattr("kerascnn.engine.data.sources.download.fetch", None)
    assert (
        describe_network("mobilenet_v3_small", params={"top": "pooled"}, image_size=64).depth == 53
    )


def test_what_may_be_a_run_is_looked_for(workplace):
    with pytest.raises(InputError, match='no run "0123456789"'):
        describe_network("0123456789")


def test_the_original_classifier_stands_on_the_same_backbone(tmp_path):
    """Weights of a backbone fit under either classifier, and both have the same blocks."""
    end, file = "block5_pool", tmp_path / "backbone.weights.h5"

    def build(**params):
        bound = load_registry().get("architecture", "vgg16").bind(params)
        network = build_network(bound, image_size=32, num_classes=5)
        return network, keras.Model(network.model.input, network.model.get_layer(end).output)

    pooled, backbone = build(weights="none")
    backbone.save_weights(file)
    original, same = build(weights=str(file), top="original")
    assert original.blocks == pooled.blocks
    images = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(to_numpy(same(images)), to_numpy(backbone(images)))
    assert [name for name, block in original.block_of.items() if block == "head"] == [
        *("head_flatten", "head_fc1", "head_fc2", "head_predictions")
    ]
