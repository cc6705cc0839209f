"""MixUp and CutMix: labels have the shares of what is in the inputs, images or activations."""

import numpy as np
import pytest
from keras import ops

from kerascnn.components.builtin.augmentations import kerascnn_augmentations

COMPONENTS = {component.name: component for component in kerascnn_augmentations()}
COUNT, SIZE = 4, 24
VALUES = np.array([0, 60, 120, 250], "float32")
LABELS = np.eye(COUNT, dtype="float32")
BOTH = {"mixup": 0.4, "cutmix": 1.0}
SHAPES = {"image": (SIZE, SIZE, 3), "map": (5, 7, 2), "tokens": (6, 2), "features": (8,)}


def mixed(shape, seed=0, **strengths):
    """Examples of one value each, mixed: inputs [B, ...] and labels [B, K]."""
    component = COMPONENTS["none"]
    mix = component.build(component.params(**strengths), image_size=SIZE, num_classes=COUNT).mix
    arrays = mix.draw(np.random.default_rng(seed), COUNT)
    inputs = np.broadcast_to(VALUES.reshape(-1, *[1] * len(shape)), (COUNT, *shape))
    batch = {"inputs": ops.convert_to_tensor(inputs), "labels": ops.convert_to_tensor(LABELS)}
    made = mix.apply(batch, {name: ops.convert_to_tensor(array) for name, array in arrays.items()})
    return ops.convert_to_numpy(made["inputs"]), ops.convert_to_numpy(made["labels"])


@pytest.mark.backend
@pytest.mark.parametrize("strengths", [{"mixup": 0.5}, {"cutmix": 1.0}, BOTH])
@pytest.mark.parametrize("name", SHAPES)
def test_a_mixed_label_is_the_share_of_the_inputs(name, strengths):
    shares = []
    for seed in range(5):
        inputs, labels = mixed(SHAPES[name], seed, **strengths)
        means = inputs.reshape(COUNT, -1).mean(1)
        np.testing.assert_allclose(means, labels @ VALUES, atol=1e-3)
        np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
        shares.extend(labels.max(1))
    assert min(shares) < 0.8


@pytest.mark.parametrize("name", ["image", "map"])
def test_cutmix_takes_whole_pixels_or_cells_and_mixup_a_blend(name):
    cut, _ = mixed(SHAPES[name], cutmix=1.0)
    assert {*np.unique(cut)} <= {*VALUES}
    assert np.ptp(cut, axis=(1, 2, 3)).max() > 0
    blended, _ = mixed(SHAPES[name], mixup=1.0)
    assert np.ptp(blended, axis=(1, 2, 3)).max() < 1e-3
    assert not {*np.unique(blended)} <= {*VALUES}


def test_the_box_of_cutmix_is_where_it_is_in_the_image():
    image, map_ = (mixed(shape, cutmix=1.0)[0] for shape in ((SIZE, SIZE, 1), (4, 4, 1)))
    for pixels, cells, own in zip(image[..., 0], map_[..., 0], VALUES, strict=True):
        shares = (pixels != own).reshape(4, 6, 4, 6).mean((1, 3))  # of each cell
        np.testing.assert_array_equal((cells != own)[shares > 0.99], True)
        np.testing.assert_array_equal((cells != own)[shares < 0.01], False)


def test_what_has_no_places_is_blended_by_the_area_of_the_box():
    _, of_image = mixed(SHAPES["image"], cutmix=1.0)
    features, labels = mixed(SHAPES["features"], cutmix=1.0)
    np.testing.assert_allclose(labels, of_image, atol=1e-6)
    assert len(np.unique(features.round(3))) > COUNT / 2


def test_mixup_is_the_same_at_any_shape():
    labels = [mixed(shape, mixup=0.5)[1] for shape in SHAPES.values()]
    for other in labels[1:]:
        np.testing.assert_allclose(other, labels[0], atol=1e-6)


def test_nothing_is_mixed_unless_asked():
    component = COMPONENTS["strong"]
    assert component.build(component.params(), image_size=SIZE, num_classes=COUNT).mix is None
