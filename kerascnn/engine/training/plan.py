"""A stage with all its settings resolved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.data.batches import Augment
from kerascnn.experiment.model import Stage


@dataclass(frozen=True)
class Plan:
    """A stage with its parts resolved, ready to fit.

    Args:
        stage: Its settings.
        index: Its place, from 0.
        layers: Names of the layers that train.
        batchnorm: "frozen" or "train".
        batch_size: Images a step.
        schedule: `schedule(peak_learning_rate=, steps=, steps_per_epoch=)`.
        augment: Changes each batch; None where the images are used as they are.
        class_weights: float32 [K], or None.
        seed: The experiment's.
        augmentation_key: Identifies what `augment` does; "" where equal draws cannot be had again.
        built_by: The function of the plugin that built the network; default none.
        activation_bytes: What the activations of the stage may take together.
        prefix_precision: A dtype policy for the frozen prefix where it runs before the first step;
            default the network's own.
        keep: "best" or "last".
        choice: What trains, in words.
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
        """How many copies of each image the frozen prefix sees; 0: others with every step.

        No more than there are epochs to use them.
        """
        return min(self.stage.views or 0, self.stage.epochs) if self.augment else 1
