"""The ends of blocks: the boundaries of stages, and their features side by side."""

import keras
import numpy as np
import pytest
from keras import layers

from kerascnn.engine.network.block_ends import block_ends
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.network.unfreeze import select
from kerascnn.hookspecs import Weights

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)


def built(body, head=("head_pool", "head_dense")):
    inputs = x = keras.Input((8, 8, 3))
    block_of, made = {}, {}
    for name in body:
        block, _, kind = name.partition("_")
        if kind == "add":
            x = layers.Add(name=name)([x, made[f"{block}_skip"]])
        elif kind == "tokens":
            x = layers.Reshape((-1, x.shape[-1]), name=name)(x)
        elif kind == "dense":
            x = layers.Dense(5, name=name)(x)
        else:
            x = layers.Conv2D(4, 3, padding="same", name=name)(x)
        made[name], block_of[name] = x, block
    if "head_pool" in head:
        pool = layers.GlobalAveragePooling2D if len(x.shape) == 4 else layers.Flatten
        x = pool(name="head_pool")(x)
    outputs = layers.Dense(2, activation="softmax", name="head_dense")(x)
    blocks = tuple(dict.fromkeys(block_of.values()))
    block_of |= dict.fromkeys(head, "head")
    return Built(keras.Model(inputs, outputs), block_of, blocks, weights=Weights("a test"))


@pytest.mark.backend
def test_each_block_ends_at_the_boundary_of_the_stage_that_trains_the_rest():
    network = built(["a_conv", "b_skip", "b_inner", "b_add", "c_conv"])
    model, ends = block_ends(network, "frozen")
    assert [(end.block, end.unfreeze) for end in ends] == [
        ("a", "last:2"),
        ("b", "last:1"),
        ("c", "head"),
    ]
    features = np.split(np.asarray(model(IMAGES)), np.cumsum([e.features for e in ends])[:-1], 1)
    for end, values in zip(ends, features, strict=True):
        set_trainable(network.model, select(network, end.unfreeze, 0).layers, "frozen")
        parts = cut(network.model)
        expected = np.asarray(parts.prefix(IMAGES))
        assert end.boundary == parts.boundary
        if expected.ndim == 4:
            expected = expected.mean((1, 2))
        assert values == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert ends[-1].boundary == "head_pool"


def test_tokens_are_averaged_and_what_the_head_takes_is_not_pooled():
    model, ends = block_ends(built(["a_conv", "b_tokens", "b_dense", "c_dense"]), "frozen")
    assert [end.features for end in ends] == [4, 5, 64 * 5]
    assert model(IMAGES).shape == (3, 4 + 5 + 64 * 5)


def test_a_block_that_no_single_tensor_ends_is_left_out():
    network = built(["a_conv", "b_skip", "c_inner", "c_conv", "b_add"])
    _, ends = block_ends(network, "frozen")
    assert [end.block for end in ends] == ["a", "b", "c"]
    parallel = built(["a_skip", "b_inner", "b_conv", "c_conv", "a_add"])
    _, ends = block_ends(parallel, "frozen")
    assert [(end.block, end.unfreeze) for end in ends] == [("a", "last:2"), ("c", "head")]


def test_nothing_before_the_head():
    network = built([], head=("head_pool", "head_dense"))
    assert block_ends(network, "frozen") == (None, [])
