"""Backbones for images of another size than that of their preset."""

import math
from typing import Any

import numpy as np

from kerascnn import InputError


def for_size(backbone: Any, image_size: int) -> Any:
    """The backbone for images of this size; its position embeddings are interpolated.

    Raises:
        InputError: The backbone has no grid of patches for this size.
    """
    config = backbone.get_config()
    own = (config.get("image_shape") or [None])[0]
    if own is None:
        return backbone
    _check(backbone, image_size, own)
    if own == image_size:
        return backbone
    other = type(backbone).from_config({**config, "image_shape": (image_size, image_size, 3)})
    for weight, twin in zip(backbone.weights, other.weights, strict=True):
        if "int" not in twin.dtype:  # the places themselves, in SigLIP and CLIP
            twin.assign(_fitted(weight, twin.shape))
    if hasattr(backbone, "position_embedding_shape"):  # DINOv2 interpolates whenever it loads
        store: dict[str, Any] = {}
        backbone.embeddings.save_own_variables(store)
        other.embeddings.load_own_variables(store)
    return other


def _check(backbone: Any, image_size: int, own: int) -> None:
    unit, least = _grid(backbone)
    if image_size % unit or image_size < least:
        below = max(image_size // unit * unit, least)
        sizes = sorted({below, max(below + unit, least)})
        raise InputError(
            f"kerashub: {type(backbone).__name__} cannot divide images of image_size = "
            f"{image_size} into its patches; choose {' or '.join(map(str, sizes))}, or another "
            f"multiple of {unit} from {least}. The preset's own size is {own}."
        )


def _grid(backbone: Any) -> tuple[int, int]:
    """The pixels that a size must be a multiple of, and the least size."""
    patch = getattr(backbone, "patch_size", 1)
    patch = patch if isinstance(patch, int) else patch[0]
    if window := getattr(backbone, "window_size", 0):  # Swin halves the grid after each stage
        unit = patch * 2 ** (len(backbone.depths) - 1)
        return unit, unit * window
    strides = getattr(backbone, "layerwise_strides", ())  # MiT
    unit = patch * math.prod(strides)
    return unit, unit


def _fitted(weight: Any, shape: tuple[int, ...]) -> Any:
    """A weight, or position embeddings [..., N, C] for another grid, by bicubic interpolation.

    The first of them may belong to tokens that are not patches; these stay as they are.
    """
    import keras

    if tuple(weight.shape) == tuple(shape):
        return weight
    values = keras.ops.convert_to_numpy(weight)
    count, wanted = values.shape[-2], shape[-2]
    side, new = math.isqrt(count), math.isqrt(wanted)
    others = count - side**2
    patches = values.reshape(count, -1)[others:].reshape(side, side, -1)
    resized = keras.ops.image.resize(
        patches, (new, new), "bicubic", antialias=True, data_format="channels_last"
    )
    resized = keras.ops.convert_to_numpy(resized).reshape(new**2, -1)
    return np.concatenate([values.reshape(count, -1)[:others], resized]).reshape(shape)
