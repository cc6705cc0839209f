"""`select`: words and patterns to layers."""

import keras
import pytest
from keras import layers

from kerascnn import InputError, classifier_head
from kerascnn.network.build import HEAD, Built
from kerascnn.network.unfreeze import IMAGES_A_CLASS, select

HEAD_LAYERS = {"head_pool", "head_dropout", "head_dense"}
BLOCKS = ("stem", "block1", "block2", "block3")


def make(pretrained=True):
    x = pictures = keras.Input((8, 8, 3))
    for block in BLOCKS:
        x = layers.Conv2D(4, 3, padding="same", name=f"{block}_conv")(x)
        x = layers.BatchNormalization(name=f"{block}_bn")(x)
    model = keras.Model(pictures, classifier_head(x, 2))
    names = [layer.name for layer in model.layers[1:]]
    block_of = {name: name.split("_")[0] for name in names}
    return Built(model, block_of, BLOCKS, pretrained)


@pytest.fixture(scope="module")
def network():
    return make()


def blocks_of(network, unfreeze, images_a_class=50.0):
    """The blocks that are trained, each in full."""
    layers = select(network, unfreeze, images_a_class).layers
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
    assert select(network, "auto", 1).choice == "auto: head"


def test_more_blocks_than_there_are(network):
    with pytest.raises(InputError, match=r"last:5.* the 4 of this network: stem, block1"):
        select(network, "last:5", 50)


@pytest.mark.parametrize(("pattern", "nearest"), [("blok2", "block2"), ("stem_kon*", "stem_conv")])
def test_a_pattern_that_matches_nothing_names_the_nearest(network, pattern, nearest):
    with pytest.raises(InputError, match=f'matches no block or layer. Did you mean "{nearest}"'):
        select(network, ("block1", pattern), 50)


def test_auto_trains_more_of_the_network_with_more_pictures(network):
    counts = [0.5, 5, 19, 20, 60, 99, 100, 400, 999, 1000, 50_000]
    trained = [len(select(network, "auto", count).layers) for count in counts]
    assert trained == sorted(trained)
    assert blocks_of(network, "auto", 1) == {HEAD}
    assert blocks_of(network, "auto", 1000) == {HEAD, *BLOCKS}
    assert len(set(trained)) == 3  # nothing, the last block, everything


@pytest.mark.parametrize(("few", "share"), IMAGES_A_CLASS)
def test_auto_keeps_to_its_share_of_the_backbone(network, few, share):
    sizes = {layer.name: layer.count_params() for layer in network.model.layers}
    chosen = select(network, "auto", few - 1).layers - HEAD_LAYERS
    backbone = sum(size for name, size in sizes.items() if name not in HEAD_LAYERS)
    assert sum(sizes[name] for name in chosen) <= share * backbone


def test_auto_freezes_nothing_that_was_never_trained():
    assert blocks_of(make(pretrained=False), "auto", 1) == {HEAD, *BLOCKS}
