"""`select`: words and patterns to layers."""

from dataclasses import replace

import keras
import pytest
from keras import layers

from kerascnn import InputError, classifier_head
from kerascnn.engine.network.build import HEAD, Built, build_network
from kerascnn.engine.network.unfreeze import SHARE, select
from kerascnn.hookspecs import Weights

HEAD_LAYERS = {"head_pool", "head_dropout", "head_dense"}
BLOCKS = ("stem", "block1", "block2", "block3")


def make(pretrained=True):
    x = images = keras.Input((8, 8, 3))
    for block in BLOCKS:
        x = layers.Conv2D(4, 3, padding="same", name=f"{block}_conv")(x)
        x = layers.BatchNormalization(name=f"{block}_bn")(x)
    model = keras.Model(images, classifier_head(x, 2))
    names = [layer.name for layer in model.layers[1:]]
    block_of = {name: name.split("_")[0] for name in names}
    return Built(model, block_of, BLOCKS, Weights("a test") if pretrained else None)


@pytest.fixture(scope="module")
def network():
    return make()


def blocks_of(network, unfreeze, images_per_class=50.0):
    """The blocks that are trained, each in full."""
    layers = select(network, unfreeze, images_per_class).layers
    blocks = {network.block_of[layer] for layer in layers}
    assert layers == {name for name, block in network.block_of.items() if block in blocks}
    return blocks


@pytest.mark.parametrize(
    ("unfreeze", "blocks"),
    [
        ("head", set()),
        ("last:1", {"block3"}),
        ("last:3", {"block1", "block2", "block3"}),
        ("last:4", set(BLOCKS)),
        ("all", set(BLOCKS)),
        (("block2",), {"block2"}),
        (("block[12]",), {"block1", "block2"}),
        (("stem_*", "block3"), {"stem", "block3"}),
        (("*",), set(BLOCKS)),
    ],
)
def test_words_and_patterns(network, unfreeze, blocks):
    assert blocks_of(network, unfreeze) == blocks | {HEAD}


def test_a_pattern_may_name_single_layers(network):
    assert select(network, ("*_bn",), 50).layers == {f"{b}_bn" for b in BLOCKS} | HEAD_LAYERS


def test_the_choice_is_told_in_words(network):
    assert select(network, "last:2", 50).choice == "last:2"
    assert select(network, ("stem", "block1*"), 50).choice == "stem, block1*"
    assert select(network, "auto", 1).choice == "auto: last:3"


def test_more_blocks_than_there_are(network):
    with pytest.raises(InputError, match=r"last:5.* only 4 blocks: stem, block1"):
        select(network, "last:5", 50)


@pytest.mark.parametrize(("pattern", "nearest"), [("blok2", "block2"), ("stem_kon*", "stem_conv")])
def test_a_pattern_that_matches_nothing_names_the_nearest(network, pattern, nearest):
    with pytest.raises(InputError, match=f'matches no block or layer. Did you mean "{nearest}"'):
        select(network, ("block1", pattern), 50)


@pytest.mark.parametrize("images_per_class", [0.5, 12, 25, 99, 999])
def test_auto_keeps_a_fifth_of_the_backbone_however_few_images_there_are(network, images_per_class):
    assert blocks_of(network, "auto", images_per_class) == {HEAD, "block1", "block2", "block3"}


def test_auto_trains_everything_with_very_many_images(network):
    assert blocks_of(network, "auto", 1000) == {HEAD, *BLOCKS}


@pytest.mark.parametrize(
    "network_name",
    [
        "mobilenet_v2",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("resnet50", "vgg16")),
    ],
)
def test_auto_keeps_to_its_share_of_a_real_backbone(network_name, registry):
    bound = registry.get("architecture", network_name).bind({"weights": "none"})
    built = replace(build_network(bound, image_size=96, num_classes=2), weights=Weights("a test"))
    sizes = {layer.name: layer.count_params() for layer in built.model.layers}
    backbone = {name for name, block in built.block_of.items() if block != HEAD}
    chosen = select(built, "auto", 20).layers & backbone
    share = sum(sizes[name] for name in chosen) / sum(sizes[name] for name in backbone)
    assert 0.4 < share <= SHARE


def test_auto_freezes_nothing_that_was_never_trained():
    assert blocks_of(make(pretrained=False), "auto", 1) == {HEAD, *BLOCKS}
