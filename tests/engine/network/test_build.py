"""`build_network`: a plugin's architecture is held to its contract, and its layers are sorted."""

import keras
import pytest
from keras import layers

from kerascnn import Component, Network, Params, PluginError, classifier_head
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.engine.network.build import build_network

ORIGIN = Origin("tiny", "kerascnn-tiny", "1.2")


def build(make, params=Params):
    component = Component("tiny", lambda params, *, image_size, num_classes: make(), params)
    bound = RegisteredComponent(component, "architecture", ORIGIN).bind({})
    return build_network(bound, image_size=8, num_classes=3)


def functional(size=8, classes=3, output_dtype="float32", head="head_dense"):
    images = keras.Input((size, size, 3))
    x = layers.Conv2D(4, 3, name="stem_conv")(images)
    x = layers.BatchNormalization(name="block1_bn")(x)
    x = layers.Conv2D(4, 3, name="block1_conv")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = layers.Dense(classes, activation="softmax", dtype=output_dtype, name=head)(x)
    return keras.Model(images, x)


class Subclassed(keras.Model):
    pass


def with_blocks(**blocks):
    return lambda: Network(functional(), blocks)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (Subclassed, "functional keras.Model, not Subclassed"),
        (lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten()]), "not Sequential"),
        (lambda: "model", "not str"),
        (lambda: functional(size=16), r"input must have shape \(None, 8, 8, 3\), not .*16"),
        (lambda: functional(classes=5), r"output must have shape \(None, 3\), not \(None, 5\)"),
        (lambda: functional(output_dtype="float16"), "output must be float32, not float16"),
        (lambda: functional(head="classifier"), "no layer with weights is named head_"),
        (with_blocks(stem=["stem*"]), '"block1_bn" has weights but is in no block'),
    ],
)
def test_a_broken_contract_is_an_error_that_names_the_package(make, fault):
    with pytest.raises(PluginError, match=fault) as raised:
        build(make)
    assert '"tiny" of kerascnn-tiny 1.2' in str(raised.value)


def test_a_fault_inside_of_the_builder_names_the_package():
    with pytest.raises(PluginError, match=r"kerascnn-tiny 1\.2 .*ZeroDivisionError"):
        build(lambda: 1 / 0)


def test_blocks_are_read_off_the_names_of_the_layers():
    network = build(functional)
    assert network.blocks == ("stem", "block1")
    assert network.block_of["block1_bn"] == "block1"
    assert network.block_of["head_pool"] == network.block_of["head_dense"] == "head"
    assert network.parameters() == network.model.count_params()


def test_a_layer_belongs_to_the_first_block_that_matches_it():
    network = build(with_blocks(convolutions=["*_conv"], rest=["*"]))
    assert network.blocks == ("convolutions", "rest")
    assert network.block_of["block1_conv"] == "convolutions"
    assert network.block_of["block1_bn"] == "rest"
    assert network.block_of["head_dense"] == "head"


def test_blocks_stand_in_the_order_of_the_layers():
    assert build(with_blocks(late=["block1*"], early=["stem*"])).blocks == ("early", "late")


def test_a_layer_of_no_block_with_weights_belongs_to_the_one_before():
    """`unfreeze` names blocks with weights: noise between them would never be unfrozen."""

    def between():
        images = keras.Input((8, 8, 3))
        x = layers.Rescaling(1 / 255, name="scale")(images)
        x = layers.GaussianNoise(0.1, name="noise")(layers.Conv2D(4, 3, name="stem_conv")(x))
        return keras.Model(images, classifier_head(layers.Conv2D(4, 3, name="top_conv")(x), 3))

    network = build(between)
    assert network.blocks == ("stem", "top")
    assert network.block_of["noise"] == "stem"
    assert network.block_of["scale"] == "scale"


class Named(Params):
    weights: str = "imagenet"


class NoWeights(Params):
    weights: str = "none"


@pytest.mark.parametrize(
    ("params", "pretrained"), [(Named, True), (NoWeights, False), (Params, False)]
)
def test_pretrained_is_what_names_its_weights(params, pretrained):
    assert build(functional, params).pretrained is pretrained


def test_a_head_made_by_classifier_head_fits():
    images = keras.Input((8, 8, 3))
    features = layers.Conv2D(4, 3, name="stem_conv")(images)
    assert build(lambda: keras.Model(images, classifier_head(features, 3))).blocks == ("stem",)
