"""What follows a stage: a listener, and a control that may pause, checkpoint or stop it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.training.checkpoints import State


@dataclass(frozen=True)
class Epoch:
    """One epoch's number, from 1 within its stage, and its metrics."""

    number: int
    metrics: dict[str, float]

    @property
    def named(self) -> dict[str, float]:
        """The validation metrics that the experiment lists, besides the accuracy."""
        always = ("val_loss", "val_accuracy")
        return {
            name.removeprefix("val_"): value
            for name, value in self.metrics.items()
            if name.startswith("val_") and name not in always
        }


@dataclass(frozen=True)
class Listener:
    """Receives a stage's events: images through the prefix, steps, epochs, warnings."""

    prefix: Callable[[int, int], None] = lambda done, total: None
    step: Callable[[int, int], None] = lambda done, total: None
    epoch: Callable[[Epoch], None] = lambda epoch: None
    warned: Callable[[str], None] = lambda message: None


SILENT = Listener()


class Control:
    """Decides where a stage pauses for a checkpoint, or ends early; this one does neither."""

    def due(self, epoch_ended: bool) -> bool:
        """Whether to pause here: asked before each step, and with True after each epoch."""
        return False

    def checkpoint(self, state: State) -> None:
        """Receives the state to resume from; an exception raised here stops the stage."""

    def stops(self, epoch: Epoch, probabilities: np.ndarray) -> bool:
        """Whether the stage ends here: asked after each epoch.

        Args:
            probabilities: Of the validation images, float32 [N, K].
        """
        return False


NO_PAUSES = Control()
