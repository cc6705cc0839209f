"""The devices of a stage; one is the plain case."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.listener import Control
from kerascnn.engine.training.plan import Plan
from kerascnn.errors import InputError
from kerascnn.runtime.text import counted


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
                f"{counted(devices, 'device')} (training.devices); use a multiple of {devices}."
            )
