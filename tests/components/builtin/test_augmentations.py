"""The built-in augmentations: what each strength does to pixels and labels, on every backend."""

import numpy as np
import pytest
from keras import ops
from pydantic import ValidationError

from kerascnn.components.builtin.augmentations import kerascnn_augmentations

COMPONENTS = {component.name: component for component in kerascnn_augmentations()}
COUNT, SIZE, CLASSES = 6, 24, 4


def build(name="none", **strengths):
    component = COMPONENTS[name]
    params = component.params(**strengths)
    return component.build(params, image_size=SIZE, num_classes=CLASSES)


def make_batch(count=COUNT):
    rng = np.random.default_rng(7)
    labels = np.eye(CLASSES, dtype="float32")[np.arange(count) % CLASSES]
    images = rng.integers(0, 256, (count, SIZE, SIZE, 3)).astype("float32")
    return {"images": images, "labels": labels}


def run(augmentation, batch, arrays):
    """Applies on the backend's tensors; returns NumPy."""
    tensors = {name: ops.convert_to_tensor(value) for name, value in batch.items()}
    result = augmentation.apply(tensors, arrays)
    return {name: ops.convert_to_numpy(value) for name, value in result.items()}


def augmented(batch, name="none", seed=0, **strengths):
    augmentation = build(name, **strengths)
    arrays = augmentation.draw(np.random.default_rng(seed), len(batch["images"]))
    return run(augmentation, batch, arrays)


def resample_slowly(image, lines):
    """The bilinear value at each pixel's place, one by one, in float64."""
    padded = np.pad(image.astype("float64"), ((SIZE, SIZE), (SIZE, SIZE), (0, 0)), "symmetric")
    (columns_x, rows_x), (columns_y, rows_y) = lines.astype("float64")
    result = np.empty(image.shape)
    for y in range(SIZE):
        for x in range(SIZE):
            place = np.array([columns_y[x] + rows_y[y], columns_x[x] + rows_x[y]]) - 0.5 + SIZE
            (top, left), (down, right) = np.floor(place).astype(int), place % 1
            corners = padded[top : top + 2, left : left + 2]
            result[y, x] = np.einsum("yxc,y,x", corners, [1 - down, down], [1 - right, right])
    return result


@pytest.mark.backend
def test_none_gives_the_images_back():
    batch = make_batch()
    result = augmented(batch)
    np.testing.assert_array_equal(result["images"], batch["images"])
    np.testing.assert_array_equal(result["labels"], batch["labels"])
    assert build().draw(np.random.default_rng(0), COUNT) == {}


@pytest.mark.backend
@pytest.mark.parametrize(("strength", "axis"), [("horizontal_flip", 2), ("vertical_flip", 1)])
def test_a_flip_is_exact(strength, axis):
    batch = make_batch()
    result = augmented(batch, **{strength: 1})
    np.testing.assert_array_equal(result["images"], np.flip(batch["images"], axis))


@pytest.mark.backend
@pytest.mark.parametrize("draw", [1.0, 0.5, 0.0])
def test_a_quarter_turn_is_exact(draw):
    class Rng(np.random.Generator):
        def uniform(self, low=0.0, high=1.0, size=None):
            return np.full(size, low + draw * (high - low))

    augmentation = build(rotation_degrees=90)
    batch = make_batch()
    arrays = augmentation.draw(Rng(np.random.PCG64(0)), COUNT)
    turned = np.rot90(batch["images"], round(2 * draw - 1), axes=(1, 2))
    np.testing.assert_array_equal(run(augmentation, batch, arrays)["images"], turned)


@pytest.mark.backend
def test_the_resample_agrees_with_a_plain_reference():
    augmentation = build("strong", brightness=0, contrast=0, saturation=0, hue_degrees=0, erasing=0)
    batch = make_batch()
    arrays = augmentation.draw(np.random.default_rng(1), COUNT)
    assert arrays.keys() == {"geometry"}
    expected = [
        resample_slowly(image, lines)
        for image, lines in zip(batch["images"], arrays["geometry"], strict=True)
    ]
    np.testing.assert_allclose(run(augmentation, batch, arrays)["images"], expected, atol=1e-3)


@pytest.mark.backend
def test_the_colours_agree_with_a_plain_reference():
    augmentation = build(brightness=0.3, contrast=0.3, saturation=0.5, hue_degrees=30)
    batch = make_batch()
    arrays = augmentation.draw(np.random.default_rng(1), COUNT)
    pixel, mean = arrays["colour"][:, 0], arrays["colour"][:, 1]
    means = batch["images"].mean((1, 2), keepdims=True)
    expected = np.einsum("bhwi,bij->bhwj", batch["images"], pixel) + np.einsum(
        "bhwi,bij->bhwj", means, mean
    )
    result = run(augmentation, batch, arrays)["images"]
    np.testing.assert_allclose(result, np.clip(expected, 0, 255), atol=1e-3)


def test_brightness_scales_and_contrast_keeps_the_mean_grey():
    batch = make_batch()
    batch["images"] = 100 + batch["images"] / 16  # far from 0 and 255
    luma = np.array([0.299, 0.587, 0.114])
    ratio = augmented(batch, brightness=0.5)["images"] / batch["images"]
    np.testing.assert_allclose(ratio.std((1, 2, 3)), 0, atol=1e-5)
    assert 0.5 <= ratio.min() < 0.9 < 1.1 < ratio.max() <= 1.5
    contrasted = augmented(batch, contrast=0.5)["images"]
    before, after = (images.mean((1, 2)) @ luma for images in (batch["images"], contrasted))
    np.testing.assert_allclose(after, before, rtol=1e-4)
    assert np.ptp(contrasted.std((1, 2, 3))) > 1


def test_saturation_and_hue_leave_grey_and_luma_as_they_are():
    batch = make_batch()
    luma = np.array([0.299, 0.587, 0.114])
    batch["images"] = 110 + batch["images"] / 16
    result = augmented(batch, saturation=0.5, hue_degrees=30)["images"]
    np.testing.assert_allclose(result @ luma, batch["images"] @ luma, rtol=1e-3)
    assert np.abs(result - batch["images"]).max() > 1
    batch["images"][:] = batch["images"][..., :1]
    grey = augmented(batch, saturation=0.5, hue_degrees=30)["images"]
    np.testing.assert_allclose(grey, batch["images"], rtol=1e-3)


def test_erasing_fills_one_box_with_one_grey_and_keeps_the_labels():
    batch = make_batch()
    result = augmented(batch, erasing=1, erasing_area=0.4)
    np.testing.assert_array_equal(result["labels"], batch["labels"])
    for before, after in zip(batch["images"], result["images"], strict=True):
        y, x = np.nonzero((before != after).any(-1))
        box = after[y.min() : y.max() + 1, x.min() : x.max() + 1]
        assert np.ptp(box) < 1e-3
        assert 0.01 < box.size / after.size < 0.5
    untouched = augmented(batch, erasing=1e-9)["images"]
    np.testing.assert_array_equal(untouched, batch["images"])


def test_every_strength_of_a_policy_can_be_overridden():
    assert COMPONENTS["standard"].params().rotation_degrees == 22
    off = dict.fromkeys(COMPONENTS["strong"].params.model_fields, 0) | {"erasing_area": 0.1}
    assert build("strong", **off).draw(np.random.default_rng(0), COUNT) == {}
    with pytest.raises(ValidationError, match="rotation_degrees"):
        COMPONENTS["light"].params(rotation_degrees=200)
    with pytest.raises(ValidationError, match="rotate"):
        COMPONENTS["light"].params(rotate=20)
