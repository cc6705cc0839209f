"""Warm start: a new network gets the weights of a trained one with the same first classes."""

from typing import Any

import numpy as np

from kerascnn.engine.network.inference import to_numpy


class MisfitError(Exception):
    """Two networks differ in more than the number of classes."""


def warm_up(model: Any, trained: Any) -> None:
    """Gives a network the weights of a trained one; those of further classes stay as drawn.

    Args:
        model: A functional model with K classes, changed in place.
        trained: One with L classes, which are the first of the K.

    Raises:
        MisfitError: Another layer differs, or there are fewer classes.
    """
    mine, theirs = ([v for layer in one.layers for v in layer.weights] for one in (model, trained))
    if len(mine) != len(theirs):
        raise MisfitError(f"{len(theirs)} arrays of weights instead of {len(mine)}")
    classes = model.output_shape[-1], trained.output_shape[-1]
    for variable, known in zip(mine, theirs, strict=True):
        sizes = list(zip(variable.shape, known.shape, strict=False))
        fits = all(new == old or (new, old) == classes for new, old in sizes)
        if len(variable.shape) != len(known.shape) or not fits or classes[0] < classes[1]:
            raise MisfitError(f"{known.path} has the shape {tuple(known.shape)}")
        values = np.array(to_numpy(variable.value))
        values[tuple(slice(size) for size in known.shape)] = to_numpy(known.value)
        variable.assign(values)
