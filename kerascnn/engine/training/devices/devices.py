"""The devices of a stage; one is the plain case."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.listener import Control
from kerascnn.engine.training.micro_batches import MicroBatches
from kerascnn.engine.training.plan import Plan
from kerascnn.errors import InputError
from kerascnn.runtime.keras_internals import nested_layers
from kerascnn.runtime.text import counted

UNEQUAL = (
    "ended with different weights or statistics, as if a layer kept those of its part of each "
    "batch. Train on one device: training.devices = 1."
)


class Devices:
    """One device.

    Attributes:
        count: How many devices take an equal part of each batch.
    """

    count = 1

    @contextmanager
    def holding(self, trainer: Any) -> Iterator[None]:
        """In its block, where a trainer is compiled and fit, each device has its variables."""
        yield

    def spread(self, inputs: Inputs) -> Inputs:
        """The inputs of a stage, after its training step and validation are spread."""
        return inputs

    def micro_batches(self, rows: int, most: int) -> MicroBatches:
        """How the training step cuts its part of each batch, of `rows` images in all."""
        return MicroBatches(rows // self.count, most)

    def agreed(self, control: Control) -> Control:
        """A control that decides for all processes alike."""
        return control


ONE = Devices()


def require_equal_parts(plan: Plan, devices: int) -> None:
    """Raises InputError unless every batch of a stage divides among the devices."""
    width = min(plan.batch_size, plan.images)  # a larger batch has all images
    for size, what in ((plan.batch_size, "batch_size"), (width, "its one batch, all images")):
        if size % devices:
            raise InputError(
                f'stage "{plan.stage.name}": {what} = {size} does not divide among '
                f"{counted(devices, 'device')}; use a multiple of {devices}."
            )


def require_losses_add_up(model: Any, devices: int) -> None:
    """Raises InputError if a layer's loss is a sum over a batch, of which devices would see parts.

    JAX computes it as one.
    """
    import keras

    backend = keras.config.backend()
    if devices == 1 or backend == "jax":
        return
    for layer in nested_layers(model):
        if layer.activity_regularizer is not None:
            raise InputError(
                f"{layer.name} has an activity regularizer, which with the backend {backend} is "
                f"not the same on {counted(devices, 'device')} as on one; use the backend jax, or "
                "set training.devices = 1."
            )
