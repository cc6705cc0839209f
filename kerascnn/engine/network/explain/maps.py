"""Maps of an image: the feature maps of a convolution, and the tokens of a transformer."""

import math
import re
from collections.abc import Iterator
from itertools import dropwhile
from typing import Any

import numpy as np

from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.keras_internals import last_calls


def map_shape(node: Any) -> tuple[int, int, int]:
    """Height, width and channels of a node's output; zeros if it is not maps of the image."""
    shape = node.outputs[0].shape
    if len(node.outputs) > 1 or shape[:1] != (None,):  # of no image, such as rotary positions
        return (0, 0, 0)
    if len(shape) == 4:
        return shape[1:]
    side = math.isqrt(shape[1]) if len(shape) == 3 and shape[1] else 0
    return (side, side, shape[2]) if side > 1 else (0, 0, 0)


def as_maps(values: np.ndarray) -> np.ndarray:
    """Feature maps [N, h, w, C] as they are, and tokens [N, T, C] as maps of their patches.

    Patches are the last tokens, row by row, and as many as the largest square; those before them
    belong to the class, or are registers.
    """
    if values.ndim == 4:
        return values
    side = math.isqrt(values.shape[1])
    return values[:, -(side**2) :].reshape(len(values), side, side, -1)


def spatial_layers(model: Any) -> Iterator[str]:
    """The layers whose output is maps, except pooling and padding, from the last to the first."""
    calls = last_calls(model).values()
    weighted = dropwhile(lambda node: not getattr(node.operation, "weights", ()), calls)
    for node in reversed(list(weighted)):
        height, width, _ = map_shape(node)
        operation = node.operation
        if height * width > 1 and not re.search("Pool|Pad", type(operation).__name__):
            yield operation.name


def spatial_call(model: Any, name: str) -> Any:
    """The last call of a layer, whose output is feature maps [B, h, w, C] or tokens [B, N, C]."""
    calls = last_calls(model)
    if name not in calls:
        raise InputError(f'there is no layer "{name}".{did_you_mean(name, calls)}')
    if not any(map_shape(calls[name])):
        raise InputError(f'the output of layer "{name}" is not feature maps [h, w, C].')
    return calls[name]
