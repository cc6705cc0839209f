"""A loss that runs out of memory, by the backend's own error."""

import keras
from keras import ops

from kerascnn import Component
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.components.registry import load_registry

BACKEND = keras.config.backend()


class Hungry(keras.losses.Loss):
    """The cross-entropy; above some images it also asks the backend for terabytes.

    Args:
        most: Images that it has memory for.
        spared: Calls before that; PyTorch alone makes one in each step.
    """

    def __init__(self, most, spared):
        super().__init__()
        self.most, self.spared = most, spared

    def call(self, y_true, y_pred):
        self.spared -= 1
        short = ops.shape(y_pred)[0] > self.most
        short = ops.cast(short, "int32") if BACKEND == "tensorflow" else int(short)
        rows = 0 if self.spared >= 0 else short * 4 * 10**7
        one = ops.stop_gradient(y_pred[:1, :1])
        table = one * ops.arange(rows, dtype="float32")[:, None] + ops.arange(1e6, dtype="float32")
        needed = ops.sort(table)  # of which a backend needs all at once
        return keras.losses.categorical_crossentropy(y_true, y_pred) + 0 * ops.sum(needed)


def registry_with_hungry(most, spared=0):
    """The installed components, and the loss "hungry" with these arguments."""

    def build(params, *, num_classes, class_counts):
        return Hungry(most, spared)

    registry = load_registry()
    hungry = RegisteredComponent(Component("hungry", build), "loss", Origin("test", "test", "1.0"))
    registry.claims["loss", "hungry"] = [hungry]
    return registry
