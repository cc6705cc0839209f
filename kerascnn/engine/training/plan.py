"""A stage with all its settings resolved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.data.batches import Augment
from kerascnn.experiment.model import Stage


@dataclass(frozen=True)
class Plan:
    """A stage with its components resolved, ready to fit.

    Args:
        stage: Its settings.
        index: Its position, from 0.
        layers: Names of the trainable layers.
        batchnorm: "frozen" or "train".
        batch_size: Images per step.
        schedule: `schedule(peak_learning_rate=, steps=, steps_per_epoch=)`.
        augment: Augments each batch; None to use the images unchanged.
        class_weights: float32 [K], or None.
        seed: The experiment's.
        augmentation_key: Identifies what `augment` does; "" if its draws cannot be repeated.
        built_by: The plugin function that built the network; default none.
        activation_bytes: Disk budget for all cached activations of the stage.
        prefix_precision: A dtype policy for a frozen prefix that runs before the first step;
            default the network's.
        keep: "best" or "last".
        choice: What is trained, in words.
    """

    stage: Stage
    index: int
    layers: frozenset[str]
    batchnorm: str
    batch_size: int
    schedule: Callable[..., Any]
    augment: Augment | None = None
    class_weights: np.ndarray | None = None
    seed: int = 0
    augmentation_key: str = ""
    built_by: Callable[..., Any] | None = None
    activation_bytes: int = 2 * 2**30
    prefix_precision: str | None = None
    keep: str = "best"
    choice: str = ""

    @property
    def views(self) -> int:
        """Copies of each image that the frozen prefix runs over; 0: new ones in every step.

        At most the number of epochs.
        """
        return min(self.stage.views or 0, self.stage.epochs) if self.augment else 1
