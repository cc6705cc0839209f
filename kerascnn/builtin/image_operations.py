"""What an augmentation does to a batch on the device: no randomness, the same on every backend.

Each operation takes a batch and the one array that was drawn for it, and gives the batch.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Batch = dict[str, Any]


def resample(batch: Batch, lines: Any) -> Batch:
    """Gives each pixel the bilinear value at its place in the source, reflected at the borders.

    Pixel (x, y) reads the source at `lines[:, :, 0, x] + lines[:, :, 1, y]`: an affine map that
    was split on the host, so that all backends round it alike. The gathers take a third to an
    eighth of the time of `keras.ops.image.affine_transform`, which on PyTorch also overwrites
    its argument.
    """
    images = batch["images"]
    count, height, width, channels = ops.shape(images)
    x, right = _neighbours(lines[:, 0, 0, None, :] + lines[:, 0, 1, :, None], width)  # [B, H, W]
    y, down = _neighbours(lines[:, 1, 0, None, :] + lines[:, 1, 1, :, None], height)
    first_pixels = ops.arange(count, dtype="int32")[:, None, None] * (height * width)
    index = first_pixels + y * width + x
    pixels = ops.reshape(images, (-1, channels))

    def corner(offset: int, weight: Any) -> Any:
        return ops.take(pixels, index + offset, axis=0) * weight[..., None]  # [B, H, W, C]

    images = (
        corner(0, (1 - right) * (1 - down))
        + corner(1, right * (1 - down))
        + corner(width, (1 - right) * down)
        + corner(width + 1, right * down)
    )
    return {**batch, "images": ops.clip(images, 0, 255)}


def _neighbours(place: Any, size: int) -> tuple[Any, Any]:
    """Returns the pixel before each place and the weight of the one after; the picture spans
    0 to `size`, pixel i lies at i + 0.5."""
    inside = size - ops.abs(size - ops.abs(place))  # reflected, to one picture on either side
    centre = ops.clip(inside - 0.5, 0, size - 1)
    before = ops.minimum(ops.floor(centre), size - 2)
    return ops.cast(before, "int32"), centre - before


def recolour(batch: Batch, maps: Any) -> Batch:
    """Maps each pixel by its picture's first matrix and adds its mean colour, mapped by the second."""
    images = batch["images"]
    mean = ops.mean(images, axis=(1, 2), keepdims=True)  # [B, 1, 1, 3]
    images = _map_colour(images, maps[:, 0]) + _map_colour(mean, maps[:, 1])
    return {**batch, "images": ops.clip(images, 0, 255)}


def _map_colour(images: Any, matrices: Any) -> Any:
    """Multiplies each pixel by [B, 3, 3]; not by `einsum`, whose products a GPU may round to TF32."""
    rows = matrices[:, :, None, None, :]
    return sum(images[..., i, None] * rows[:, i] for i in range(3))


def erase(batch: Batch, box: Any) -> Batch:
    """Fills a box of each picture with the picture's mean colour."""
    images = batch["images"]
    return {**batch, "images": _lay_over(images, ops.mean(images, (1, 2), keepdims=True), box)}


def mix(batch: Batch, box: Any) -> Batch:
    """Lays a box of the picture before it over each picture, and mixes their labels likewise."""
    images, labels = batch["images"], batch["labels"]
    _, height, width, _ = ops.shape(images)
    top, left, bottom, right, opacity = ops.unstack(box, axis=1)
    share = (opacity * (bottom - top) * (right - left) / (height * width))[:, None]  # [B, 1]
    return {
        **batch,
        "images": _lay_over(images, ops.roll(images, 1, axis=0), box),
        "labels": labels + share * (ops.roll(labels, 1, axis=0) - labels),
    }


def _lay_over(images: Any, others: Any, box: Any) -> Any:
    """Blends `others` into `images` inside the boxes (top, left, bottom, right, opacity) [B, 5]."""
    _, height, width, _ = ops.shape(images)
    top, left, bottom, right, opacity = (v[:, None] for v in ops.unstack(box, axis=1))
    y, x = ops.arange(height, dtype="float32"), ops.arange(width, dtype="float32")
    rows = ops.cast((top <= y) & (y < bottom), "float32") * opacity  # [B, H]
    columns = ops.cast((left <= x) & (x < right), "float32")  # [B, W]
    weight = (rows[:, :, None] * columns[:, None, :])[..., None]  # [B, H, W, 1]
    return images + weight * (others - images)  # in this form rounding stays in 0 to 255


OPERATIONS: dict[str, Callable[[Batch, Any], Batch]] = {
    "geometry": resample,
    "colour": recolour,
    "erasing": erase,
    "mixing": mix,
}


def augment(batch: Batch, arrays: Batch) -> Batch:
    """Applies to a batch the operations for which arrays were drawn."""
    for name, operation in OPERATIONS.items():
        if name in arrays:
            batch = operation(batch, ops.convert_to_tensor(arrays[name]))
    return batch


def compiled_augment() -> Callable[[Batch, Batch], Batch]:
    """Returns `augment`, on TensorFlow compiled by XLA: one pass over the pixels instead of fifty.

    JAX and PyTorch leave it to the caller, who compiles on JAX anyway.
    """
    if keras.backend.backend() != "tensorflow":
        return augment
    import tensorflow as tf

    return tf.function(augment, jit_compile=True)
