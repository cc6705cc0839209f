"""Several networks as one."""

import keras
import numpy as np
import pytest
from keras import layers

from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.network.explain.grad_cam import grad_cam, heat_place
from kerascnn.engine.network.inference import run_once
from kerascnn.engine.network.joined import Part, join, members_of
from kerascnn.engine.network.outputs import with_outputs
from kerascnn.engine.network.resampling import resampling

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 12, 12, 3)).astype("float32")


def network(seed, size=12):
    """One whose first convolution all have in common, and whose last layers are its own."""
    shared = keras.initializers.GlorotUniform(7)
    own = keras.initializers.GlorotUniform(seed)
    images = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(4, 3, activation="relu", name="b1_conv", kernel_initializer=shared)(x)
    x = layers.Conv2D(4, 3, activation="softplus", name="b2_conv", kernel_initializer=own)(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    dense = layers.Dense(3, "softmax", name="head_dense", kernel_initializer=own)
    return keras.Model(images, dense(x))


def said(model, images=IMAGES):
    return run_once(model, images)


def smaller(images, packed, size):
    matrix = resampling(12, packed)[(packed - size) // 2 :][:size]
    return np.einsum("oh,bhwc,pw->bopc", matrix, images, matrix).astype("float32")


@pytest.mark.backend
def test_the_mean_of_what_the_members_say_of_the_views(tmp_path):
    first, second, third = network(1), network(2), network(3, size=8)
    parts = [Part(first, 12, 1.0, 0.5), Part(second, 12, 1.5, 0.3), Part(third, 10, 2.0, 0.2)]

    def expected(images):
        small = said(third, smaller(images, 10, 8))
        of_each = said(first, images), tempered(said(second, images), 1.5), tempered(small, 2.0)
        return np.tensordot([0.5, 0.3, 0.2], np.array(of_each), 1)

    centre = smaller(IMAGES, 14, 12)
    views = [IMAGES, IMAGES[:, :, ::-1], centre, centre[:, :, ::-1]]
    for count, seen in {1: views[:1], 2: views[:2], 4: views}.items():
        joined = join(parts, 12, count)
        wanted = np.mean([expected(images) for images in seen], axis=0)
        np.testing.assert_allclose(said(joined), wanted, atol=1e-5)
    joined.save(tmp_path / "joined.keras")
    loaded = keras.saving.load_model(tmp_path / "joined.keras")
    np.testing.assert_allclose(said(loaded), said(joined), atol=1e-6)
    outputs = with_outputs(loaded)
    every = outputs.said(said(outputs.model))
    mean = np.tensordot([0.5, 0.3, 0.2], every.members, 1)
    np.testing.assert_allclose(mean, every.probabilities, atol=1e-5)
    assert every.features.shape == (3, 3 * 4)
    np.testing.assert_allclose(np.linalg.norm(every.features, axis=1), 1, atol=1e-5)


def test_what_members_share_is_there_once():
    members = [network(1), network(2)]
    joined = join([Part(member, 12, 1.0, 0.5) for member in members], 12)
    named = [layer.name for layer in joined.layers if isinstance(layer, layers.Conv2D)]
    assert sorted(named) == ["member1_b1_conv", "member1_b2_conv", "member2_b2_conv"]
    shared = members[0].get_layer("b1_conv").count_params()
    whole = sum(member.count_params() for member in members)
    assert joined.count_params() == whole - shared + 2 * 3  # and a weight for each class
    changed = network(2)
    changed.get_layer("b1_conv").kernel.assign_add(np.full((3, 3, 3, 4), 1e-6))
    apart = join([Part(member, 12, 1.0, 0.5) for member in (members[0], changed)], 12)
    assert apart.count_params() == whole + 2 * 3


def test_members_are_found_again_and_explain_the_whole():
    members = [network(1), network(2, size=8)]
    joined = join([Part(members[0], 12, 1.0, 0.75), Part(members[1], 8, 2.0, 0.25)], 12, 2)
    found = members_of(joined)
    assert [member.weight for member in found] == [0.75, 0.25]
    first = said(found[0].model)[:3]  # of both views: the images come first
    np.testing.assert_allclose(first, said(members[0]), atol=1e-6)
    heat = grad_cam(joined, IMAGES, [0, 1, 2])
    assert heat.shape == (3, 8, 8)
    assert heat.max() == 1
    assert heat_place(joined) == "the last layers of 2 members"
    assert not members_of(members[0])
