"""Applies an augmentation to a batch on the device: without randomness, alike on every backend.

Each operation takes a batch and the array drawn for it, and returns the batch.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Batch = dict[str, Any]
Operation = Callable[[Batch, Any], Batch]


def augment(batch: Batch, arrays: dict[str, Any]) -> Batch:
    """Applies the operations for which arrays were drawn to a batch."""
    batch, arrays = keras.tree.map_structure(ops.convert_to_tensor, (batch, arrays))
    for name, operation in OPERATIONS.items():
        if name in arrays:
            batch = operation(batch, arrays[name])
    return batch


def fused(operation: Operation) -> Operation:
    """Compiles an operation with XLA on TensorFlow: one pass over the pixels instead of dozens.

    Each by itself, as XLA would repeat the resampling in a single program for every use of it.
    """
    if keras.backend.backend() != "tensorflow":
        return operation
    import tensorflow as tf

    return tf.function(operation, jit_compile=True)


@fused
def recolour(batch: Batch, maps: Any) -> Batch:
    """Maps pixels by their image's first matrix and adds its mean colour, mapped by the second."""
    images = batch["images"]
    mean = ops.mean(images, axis=(1, 2), keepdims=True)  # [B, 1, 1, 3]
    images = _times(images, maps[:, 0]) + _times(mean, maps[:, 1])
    return {**batch, "images": ops.clip(images, 0, 255)}


def _times(images: Any, matrices: Any) -> Any:
    """Multiplies each pixel by its image's matrix; a GPU may round `einsum` to TF32."""
    rows = matrices[:, :, None, None, :]  # [B, 3, 1, 1, 3]
    return sum(images[..., i, None] * rows[:, i] for i in range(3))


@fused
def resample(batch: Batch, lines: Any) -> Batch:
    """Samples the source bilinearly for each pixel, reflecting at the borders.

    Pixel (x, y) reads the source at `lines[:, :, 0, x] + lines[:, :, 1, y]`: an affine map, split
    on the host so that every backend rounds it alike. The four gathers take a third (XLA on
    TensorFlow) to an eighth (JAX) of the time of `keras.ops.image.affine_transform`, which on
    PyTorch loops over the images and overwrites its argument.
    """
    images = batch["images"]
    count, height, width, channels = ops.shape(images)
    x, right = _neighbours(lines[:, 0, 0, None, :] + lines[:, 0, 1, :, None], width)  # [B, H, W]
    y, down = _neighbours(lines[:, 1, 0, None, :] + lines[:, 1, 1, :, None], height)
    index = (ops.arange(count, dtype="int32")[:, None, None] * height + y) * width + x
    pixels = ops.reshape(images, (-1, channels))

    def corner(offset: int, weight: Any) -> Any:
        return ops.take(pixels, index + offset, axis=0) * weight[..., None]  # [B, H, W, 3]

    images = (
        corner(0, (1 - right) * (1 - down))
        + corner(1, right * (1 - down))
        + corner(width, (1 - right) * down)
        + corner(width + 1, right * down)
    )
    return {**batch, "images": ops.clip(images, 0, 255)}


def _neighbours(place: Any, size: int) -> tuple[Any, Any]:
    """The pixel before each place, and the weight of the pixel after it.

    The image spans 0 to `size`, with the centre of pixel i at i + 0.5 and mirror images beyond.
    """
    inside = size - ops.abs(size - ops.abs(place))
    centre = ops.clip(inside - 0.5, 0, size - 1)
    before = ops.minimum(ops.floor(centre), size - 2)
    return ops.cast(before, "int32"), centre - before


@fused
def erase(batch: Batch, boxes: Any) -> Batch:
    """Fills a box in each image with the grey drawn for it."""
    greys = boxes[:, 5, None, None, None]  # [B, 1, 1, 1]
    return {**batch, "images": lay_over(batch["images"], greys, boxes[:, :5])}


def lay_over(images: Any, others: Any, boxes: Any) -> Any:
    """Blends `others` into `images` inside boxes (top, left, bottom, right, opacity) [B, 5]."""
    _, height, width, _ = ops.shape(images)
    top, left, bottom, right, opacity = (v[:, None] for v in ops.unstack(boxes, axis=1))
    y, x = ops.arange(height, dtype="float32"), ops.arange(width, dtype="float32")
    rows = ops.cast((top <= y) & (y < bottom), "float32") * opacity  # [B, H]
    columns = ops.cast((left <= x) & (x < right), "float32")  # [B, W]
    weight = (rows[:, :, None] * columns[:, None, :])[..., None]  # [B, H, W, 1]
    return images + weight * (others - images)  # in this form, rounding stays within 0 to 255


# Colour comes before geometry: XLA then fuses it into the gathers of the resample.
OPERATIONS: dict[str, Operation] = {
    "colour": recolour,
    "geometry": resample,
    "erasing": erase,
}
