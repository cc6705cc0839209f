"""A stage's training loss: built and tried before training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerascnn.components.component import BoundComponent
from kerascnn.engine.data.batches.feed import to_device
from kerascnn.errors import PluginError


def make_loss(component: BoundComponent, class_counts: Sequence[int]) -> Any:
    """Builds a stage's loss and tries it on a few labels and probabilities.

    Args:
        class_counts: The number of training images of each class.

    Raises:
        PluginError: It fails, or does not give one number for each image.
    """
    from keras import backend

    classes = len(class_counts)
    images = classes + 1  # another number, so that the two axes cannot be confused
    loss = component.build(num_classes=classes, class_counts=tuple(class_counts))
    even = np.full((images, classes), 1 / classes, np.float32)
    with component.registered.blamed("in call(y_true, y_pred)"):
        losses = loss.call(to_device(even), to_device(even))
        found = f"{backend.standardize_dtype(losses.dtype)} {list(losses.shape)}"
    if found != f"float32 [{images}]":
        raise PluginError(
            f"{component.registered}: call(y_true, y_pred) must return float32 [{images}] for a "
            f"batch of {images} images, not {found}."
        )
    return loss
